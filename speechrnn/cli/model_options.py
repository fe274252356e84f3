"""The options of every command that runs a model."""

import argparse
import math
from collections.abc import Callable
from pathlib import Path

from speechrnn.cli.console import Progress, UsageError
from speechrnn.decoding import DecodingOptions
from speechrnn.errors import ConfigError
from speechrnn.runtime import Transcriber
from speechrnn.runtime.model_registry import DEFAULT_MODEL
from speechrnn.runtime.session import check_device
from speechrnn.runtime.transcriber import MAX_BATCH_S


def add_model_options(parser: argparse.ArgumentParser, *, default: str = DEFAULT_MODEL) -> None:
    """Add ``--model``, ``--device``, ``--threads`` and ``--batch-seconds``; ``default`` as the help tells it."""
    parser.add_argument(
        "-m",
        "--model",
        metavar="MODEL",
        help=f"model file (.onnx), checkpoint (.ckpt) or name of a shipped model; default: {default}",
    )
    parser.add_argument(
        "--device",
        type=device,
        default="auto",
        metavar="DEVICE",
        help="auto, cpu, cuda or cuda:N; default: auto",
    )
    parser.add_argument(
        "--threads",
        type=positive_count,
        metavar="N",
        help="processor threads; default: the physical cores, at most 4",
    )
    parser.add_argument(
        "--batch-seconds",
        type=number(least=0.1),
        default=MAX_BATCH_S,
        metavar="S",
        help=f"audio that goes through the network at once; default: {MAX_BATCH_S:g}",
    )


def device(text: str) -> str:
    """Parse the name of a device; whether this machine has it is seen when the model is opened."""
    try:
        return check_device(text)
    except ConfigError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def count(text: str) -> int:
    """Parse a whole number that is not negative."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"must be a whole number >= 0, got {text!r}")
    return int(text)


def positive_count(text: str) -> int:
    """Parse a whole number above 0."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number >= 1, got {text!r}")
    return int(text)


def number(*, least: float = -math.inf, most: float = math.inf) -> Callable[[str], float]:
    """Make a parser of finite numbers in [least, most]."""

    def parse(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not (math.isfinite(value) and least <= value <= most):
            bounds = [f">= {least:g}"] * (least > -math.inf) + [f"<= {most:g}"] * (most < math.inf)
            raise argparse.ArgumentTypeError(
                f"must be a number {' and '.join(bounds)}".strip() + f", got {text!r}"
            )
        return value

    return parse


def open_transcriber(args: argparse.Namespace, decoding: DecodingOptions = DecodingOptions()) -> Transcriber:
    """Open the model that the options name; a checkpoint, and a beam search, take a while the first time.

    Raises:
        UsageError: If a language model is weighed and there is none.
    """
    with Progress("opening the model", total=1):
        transcriber = Transcriber(
            args.model,
            threads=args.threads,
            device=args.device,
            decoding=decoding,
            batch_s=args.batch_seconds,
        )
    read_as = transcriber.interpreter.options
    if read_as.lm is None and read_as.alpha:  # only now is it known whether the model brings one along
        raise UsageError("--lm-alpha weighs a language model: give one with --lm")
    with Progress("preparing the search", total=1):
        transcriber.interpreter.prepare()
    return transcriber


def introduce(transcriber: Transcriber) -> str:
    """Name the model, what it can hear and a language model that it brings along, in a line."""
    read_with = f"; read with the language model {transcriber.own_lm}" if transcriber.own_lm else ""
    return f"model {transcriber.name}: {transcriber.info.hears}{read_with}"


def add_pronunciations_option(parser: argparse.ArgumentParser, what: str, *, required: bool = False) -> None:
    """Add ``--pronunciations``, dictionaries; ``what`` tells what for."""
    parser.add_argument(
        "--pronunciations",
        action="append",
        default=[],
        required=required,
        type=Path,
        metavar="FILE",
        help=f"{what}; may be given several times: the first that has a word counts",
    )
