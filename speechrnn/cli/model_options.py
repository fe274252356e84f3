"""The options of every command that runs a model."""

import argparse

from speechrnn.cli.console import Progress
from speechrnn.decoding import DecodingOptions
from speechrnn.runtime import Transcriber


def add_model_options(parser: argparse.ArgumentParser) -> None:
    """Add ``--model`` and ``--threads``."""
    parser.add_argument(
        "-m",
        "--model",
        metavar="MODEL",
        help="model file (.onnx), checkpoint (.ckpt) or name of a shipped model; default: an4",
    )
    parser.add_argument(
        "--threads",
        type=positive_count,
        metavar="N",
        help="processor threads; default: the physical cores, at most 4",
    )


def positive_count(text: str) -> int:
    """Parse a whole number above 0."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number >= 1, got {text!r}")
    return int(text)


def open_transcriber(args: argparse.Namespace, decoding: DecodingOptions = DecodingOptions()) -> Transcriber:
    """Open the model that the options name; a checkpoint, and a beam search, take a while the first time."""
    with Progress("opening the model", total=1):
        transcriber = Transcriber(args.model, threads=args.threads, decoding=decoding)
    with Progress("preparing the search", total=1):
        transcriber.interpreter.prepare()
    return transcriber


def introduce(transcriber: Transcriber) -> str:
    """Name the model and what it can hear, in a line."""
    return f"model {transcriber.name}: {transcriber.info.hears}"
