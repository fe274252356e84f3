"""The documentation's blocks run, one after the other as a reader would, in a folder with the repository's data."""

import os
import re
import socket
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest
from releases import write_releases

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
BLOCK = re.compile(
    r"(?:^<!-- (?P<how>in|not in) tests: (?P<what>.*?) -->\n)?^```(?P<kind>\w+)\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
CHANGED = re.compile(r"^speechrnn (?:fit|prepare words) (?:.*\\\n)*.*$", re.MULTILINE)
LONGEST_S = 300
NOT_RUN = {
    ("index.md", "pip asks a package index"),
    ("keywords.md", "needs a microphone"),
    ("stream.md", "needs a microphone"),
    ("serve.md", "opens a browser and stays until it is stopped"),
    ("cluster.md", "needs several GPUs"),
    ("recipes.md", "needs speech synthesisers, and minutes"),
}


class Block(NamedTuple):
    """A block of code."""

    kind: str
    text: str
    not_run: str | None
    """Why it is not run."""


def blocks_of(page: Path) -> list[Block]:
    """Find a page's blocks; commands get the options that make them short, or fit for the small releases."""
    blocks = []
    for found in BLOCK.finditer(page.read_text(encoding="utf-8")):
        text = found["text"]
        if found["how"] == "in":
            text, number = CHANGED.subn(lambda command, more=found["what"]: f"{command[0]} {more}", text)
            assert number, f"{page}: nothing to change in {text}"
        blocks.append(Block(found["kind"], text, found["what"] if found["how"] == "not in" else None))
    return blocks


def name_of(page: Path) -> str:
    return page.relative_to(DOCS).as_posix()


def test_blocks_that_cannot_run_are_few_and_known() -> None:
    found = [(name_of(page), block.not_run) for page in PAGES for block in blocks_of(page) if block.not_run]
    assert sorted(found) == sorted(NOT_RUN)


def test_every_block_is_of_a_kind_that_runs() -> None:
    kinds = {block.kind for page in PAGES for block in blocks_of(page)}
    assert kinds == {"sh", "python"}
    for page in PAGES:
        assert page.read_text(encoding="utf-8").count("```") == 2 * len(blocks_of(page)), page


@pytest.mark.parametrize("page", [page for page in PAGES if blocks_of(page)], ids=name_of)
def test_the_blocks_of_a_page_run_in_their_order(page: Path, tmp_path: Path) -> None:
    for folder in ("data", "recipes"):
        (tmp_path / folder).symlink_to(ROOT / folder)
    if "releases/" in page.read_text(encoding="utf-8"):
        write_releases(tmp_path / "releases")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = {**os.environ, "PATH": path, "OMP_NUM_THREADS": "1", "NO_COLOR": "1"}
    for block in blocks_of(page):
        if block.not_run:
            continue
        text = block.text.replace("8000", port)
        shell = ["bash", "-meuo", "pipefail", "-c"] if block.kind == "sh" else [sys.executable, "-c"]
        done = subprocess.run(
            [*shell, text],
            cwd=tmp_path,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=LONGEST_S,
        )
        assert done.returncode == 0, f"{page}\n{text}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"


def test_the_site_lists_every_page() -> None:
    listed = re.findall(r": ([\w/-]+\.md)$", (ROOT / "mkdocs.yml").read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(listed) == [name_of(page) for page in PAGES]


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_within_the_site_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)", page.read_text(encoding="utf-8")):
        assert target.startswith("https://") or (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_what_the_reference_documents_exists(page: Path) -> None:
    import importlib

    for name in re.findall(r"^::: ([\w.]+)$", page.read_text(encoding="utf-8"), re.MULTILINE):
        try:
            importlib.import_module(name)
        except ModuleNotFoundError:
            module, _, member = name.rpartition(".")
            assert getattr(importlib.import_module(module), member).__doc__
