"""``speechrnn models``: what ships with the package."""

import argparse

from speechrnn.cli.console import put, say
from speechrnn.runtime import ModelFile, shipped_models
from speechrnn.runtime.model_registry import DEFAULT_MODEL, KEYWORD_MODEL

MARKS = {DEFAULT_MODEL: " (default)", KEYWORD_MODEL: " (default for keywords)"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add nothing: the command has no options."""


def run(args: argparse.Namespace) -> int:
    """Print name, size and what it hears of every shipped model, the default ones marked."""
    models = shipped_models()
    for name, path in models.items():
        info = ModelFile(path).info
        size = f"{path.stat().st_size / 1e6:.1f} MB"
        mark = MARKS.get(name, "")
        put(f"{name}{mark}\n  hears    {info.hears}\n  size     {size}")
        for key in ("data", "licence", "results"):
            if info.card.get(key):
                put(f"  {key:<8} {info.card[key]}")
    if not models:
        say("no model ships with this installation of speechrnn")
    return 0
