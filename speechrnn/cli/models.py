"""``speechrnn models``: what ships with the package."""

import argparse
from collections import defaultdict
from pathlib import Path

from speechrnn.cli.console import put, say
from speechrnn.runtime import ModelFile, shipped_models
from speechrnn.runtime.model_registry import DEFAULT_MODEL, KEYWORD_MODEL, shipped_lms
from speechrnn.runtime.own_lm import CARD_ENTRY

MARKS = {DEFAULT_MODEL: " (default)", KEYWORD_MODEL: " (default for keywords)"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add nothing: the command has no options."""


def run(args: argparse.Namespace) -> int:
    """Print name, size and what it hears of every shipped model, the default ones marked; then the language models."""
    models, users = shipped_models(), defaultdict[str, list[str]](list)
    for name, path in models.items():
        info = ModelFile(path).info
        mark = MARKS.get(name, "")
        users[info.card.get(CARD_ENTRY, "")].append(name)
        put(f"{name}{mark}\n  hears    {info.hears}\n  size     {size_of(path)}")
        for key in ("data", "licence", "results"):
            if info.card.get(key):
                put(f"  {key:<8} {info.card[key]}")
    for name, path in shipped_lms().items():
        put(f"{name} (language model)\n  of       {', '.join(users[name])}\n  size     {size_of(path)}")
    if not models:
        say("no model ships with this installation of speechrnn")
    return 0


def size_of(path: Path) -> str:
    """Tell how large a file is."""
    return f"{path.stat().st_size / 1e6:.1f} MB"
