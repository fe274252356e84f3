"""Pages of HTML in one file each: everything escaped, nothing loaded from elsewhere."""

import base64
import hashlib
from typing import Any

import jinja2

from speechrnn.report.close_up_plot import LEFT, RIGHT
from speechrnn.report.pictures import embed, visible

MOST_DIGITS = 2


def fill_template(page: str, /, **values: Any) -> str:
    """Fill in a page.

    Browsers are told to run no script but the page's own, known by its hash, and to load nothing at all, so that
    a transcript that is written like markup does no harm even if an escape were forgotten.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("speechrnn.report", "pages"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=lambda value: visible(value) if type(value) is str else value,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(percent=percent, signed=signed, embed=embed)
    environment.globals.update(left=LEFT, width=RIGHT - LEFT)
    style, script = (read_source(environment, part) for part in ("page.css", "page.js"))
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; img-src data:; media-src data:; style-src 'unsafe-inline'; "
        f"script-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    )
    return environment.get_template(page).render(style=style, script=script, policy=policy, **values)


def read_source(environment: jinja2.Environment, name: str) -> str:
    """Read a part of a page that is put in as it is."""
    assert environment.loader is not None
    return environment.loader.get_source(environment, name)[0].strip()


def percent(share: float) -> str:
    """Write a share of 1 in percent."""
    return f"{100 * share:.{MOST_DIGITS}f}"


def signed(share: float) -> str:
    """Write a difference of shares in percent, with its sign."""
    return f"{100 * share:+.{MOST_DIGITS}f}"
