"""Where ``calibrate`` and ``lm tune`` keep what they found: in the metadata of a model file of the user's."""

import argparse
import json
from collections.abc import Callable
from pathlib import Path

from speechrnn.cli.console import say
from speechrnn.errors import ConfigError
from speechrnn.runtime import ModelFile, find_model, shipped_models
from speechrnn.runtime.decoding_choice import DecodingChoice
from speechrnn.runtime.metadata import write_metadata
from speechrnn.runtime.model_file import DECODING_KEY
from speechrnn.runtime.model_registry import DEFAULT_MODEL


def add_into_option(parser: argparse.ArgumentParser) -> None:
    """Add ``--into``."""
    parser.add_argument(
        "--into",
        type=Path,
        metavar="MODEL",
        help="model file that keeps the choice, if not the one it was found with: one that was trained in "
        "the same way on more data, say",
    )


def writable_model(args: argparse.Namespace, *, default: str = DEFAULT_MODEL, instead: str = "") -> Path:
    """Find the model file that shall keep the choice, before any work is done for it.

    Args:
        args: With ``model`` and ``into``.
        default: As of ``find_model``.
        instead: What is simpler than a copy of a model that ships with speechrnn, for the error.

    Raises:
        ConfigError: If it is a checkpoint, or a model that ships with speechrnn.
        ModelFileError: If it is no model file.
    """
    path = find_model(args.model, default=default) if args.into is None else args.into
    # A link is followed when the choice is written.
    if path.resolve() in {shipped.resolve() for shipped in shipped_models().values()}:
        simpler = f"; or, simpler, {instead}" if instead else ""
        raise ConfigError(f"{path} belongs to the installation; copy it, and tune the copy with -m{simpler}")
    if path.suffix == ".ckpt":
        raise ConfigError(f"{path}: a checkpoint keeps no choice; export it, and tune the model file")
    return ModelFile(path).path


def keep_choice(path: Path, change: Callable[[DecodingChoice], DecodingChoice]) -> None:
    """Change the choice that a model file holds, and say so.

    Raises:
        ModelFileError: If it cannot be written.
    """
    choice = change(ModelFile(path).info.decoding)
    write_metadata(path, {DECODING_KEY: json.dumps(choice.to_dict())})
    say(f"kept in {path}")
