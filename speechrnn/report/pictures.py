"""Pictures as SVG that follow the reader's light or dark theme, and sound as data.

Colours are those of Okabe and Ito (2008), which people see apart however they see colour; lines differ in their
dashes as well.
"""

import base64
import io
import math
import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple
from urllib.parse import quote

import matplotlib as mpl
import numpy as np
import soundfile
import soxr
from matplotlib.figure import Figure

from speechrnn.audio import Waveform

INK = "#010203"  # stands for whatever colour the page writes in
BLUE, ORANGE, GREEN, PINK, SKY, VERMILION = "#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00"
COLOURS = (BLUE, ORANGE, GREEN, PINK, SKY, VERMILION)
DASHES = ("-", "--", "-.", ":")
GREY = "#808080"
STYLE: Any = {
    "font.size": 9,
    "text.parse_math": False,  # a transcript may hold $
    "svg.fonttype": "none",
    "svg.hashsalt": "speechrnn",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "legend.facecolor": "none",
    **dict.fromkeys(("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"), INK),
}
THEME = (
    "<style>svg{color:#1c1c1c}text{font-family:system-ui,sans-serif!important}"
    "@media(prefers-color-scheme:dark){svg{color:#e8e8e8}}</style>"
)
OPUS_RATES = (8000, 12000, 16000, 24000, 48000)
UNSEEN = re.compile("[\0-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def visible(text: str) -> str:
    """Write characters that cannot be seen, turn the text around or stand for no character by their numbers."""
    return UNSEEN.sub(lambda found: f"⟨U+{ord(found[0]):04X}⟩", text)


@contextmanager
def house_style() -> Iterator[None]:
    """Draw in the style of all pictures."""
    with mpl.rc_context(STYLE), warnings.catch_warnings():
        # The browser writes the text of an SVG, in whatever fonts it has.
        warnings.filterwarnings("ignore", message="Glyph .* missing from", category=UserWarning)
        yield


def to_svg(figure: Figure) -> str:
    """Write a figure as an SVG whose ink is the theme's."""
    file = io.StringIO()
    with house_style():
        figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None})
    svg = file.getvalue()
    svg = svg[svg.index("<svg") :].replace(INK, "currentColor")
    return svg.replace("<defs>", f"{THEME}<defs>", 1)


def to_png(figure: Figure, *, dpi: int = 120) -> bytes:
    """Write a figure as a PNG on white."""
    file = io.BytesIO()
    with house_style():
        figure.savefig(file, format="png", dpi=dpi, facecolor="white", metadata={"Software": None})
    return file.getvalue()


def to_pdf(figure: Figure) -> bytes:
    """Write a figure as a PDF."""
    file = io.BytesIO()
    with house_style():
        figure.savefig(file, format="pdf", metadata={"CreationDate": None})
    return file.getvalue()


PICTURES: Mapping[str, Callable[[Figure], bytes]] = {
    ".png": to_png,
    ".svg": lambda figure: to_svg(figure).encode(),
    ".pdf": to_pdf,
}
"""What writes a file of each kind."""


def svg_address(svg: str) -> str:
    """Write an SVG as an address for ``<img>``: pictures inside stay as they are, so it does not grow much."""
    return "data:image/svg+xml," + quote(svg, safe=" !$&'()*+,-./:;=?@_~[]^`{|}")


class Picture(NamedTuple):
    """A picture on a page, and the room that it takes before it is there."""

    address: str
    width: int
    height: int


def embed(figure: Figure) -> Picture:
    """Make a figure part of a page."""
    width, height = (round(96 * side) for side in figure.get_size_inches())
    return Picture(svg_address(to_svg(figure)), width, height)


def sound_address(waveform: Waveform, sample_rate: int) -> str:
    """Write sound as an address for ``<audio>``: Ogg Opus, about 3 kB a second."""
    rate = next((rate for rate in OPUS_RATES if rate >= sample_rate), OPUS_RATES[-1])
    samples = waveform if rate == sample_rate else soxr.resample(waveform, sample_rate, rate)
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format="OGG", subtype="OPUS")
    return "data:audio/ogg;base64," + base64.b64encode(file.getvalue()).decode()


def fold_columns(values: np.ndarray, most: int) -> np.ndarray:
    """Average neighbouring rows of (frames, n), so that there are at most ``most``."""
    size = math.ceil(len(values) / most) if len(values) else 1
    starts = np.arange(0, len(values), size)
    return values if size == 1 else np.add.reduceat(values, starts) / np.diff([*starts, len(values)])[:, None]
