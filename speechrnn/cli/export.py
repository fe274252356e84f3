"""``speechrnn export``: a checkpoint as a model file that needs no torch."""

import argparse
import json
from pathlib import Path
from typing import Any

from speechrnn.cli.console import say
from speechrnn.errors import ConfigError, ModelFileError
from speechrnn.nn.language_export import export_any_checkpoint

CARD_KEYS = ("name", "description", "hears", "data", "licence", "results", "seed")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the two files and what goes into the second."""
    parser.add_argument("checkpoint", metavar="CHECKPOINT", help="training checkpoint (.ckpt)")
    parser.add_argument("output", metavar="MODEL", help="model file to write (.onnx)")
    parser.add_argument(
        "--half",
        action="store_true",
        help="store weights in half precision: half the size, computed in single",
    )
    parser.add_argument("--card", metavar="FILE", help=f"JSON model card: {', '.join(CARD_KEYS)}")
    parser.add_argument("--overwrite", action="store_true", help="replace the model file if there is one")


def run(args: argparse.Namespace) -> int:
    """Export, and say what came of it.

    Raises:
        ModelFileError: If the model file exists already and is not to be replaced.
    """
    output = Path(args.output)
    if output.exists() and not args.overwrite:
        raise ModelFileError(f"{output}: exists already; --overwrite replaces it")
    card = read_card(Path(args.card)) if args.card else {}
    export_any_checkpoint(args.checkpoint, output, half=args.half, card=card)
    size_mb = output.stat().st_size / 1e6
    say(f"{output}: {size_mb:.2f} MB, equal to torch within 1e-4 at four batch shapes")
    return 0


def read_card(path: Path) -> dict[str, Any]:
    """Read a model card.

    Raises:
        ConfigError: If it cannot be read, is not JSON, or has a key that no card has.
    """
    try:
        card = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise ConfigError(f"{path}: not JSON: {error}") from error
    if not isinstance(card, dict):
        raise ConfigError(f"{path}: a model card is a JSON object")
    for key, value in card.items():
        if key not in CARD_KEYS or not isinstance(value, str):
            raise ConfigError(f"{path}: {key!r} is not a text under one of {', '.join(CARD_KEYS)}")
    return card
