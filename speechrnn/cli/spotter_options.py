"""The options of every command that looks for keywords."""

import argparse
from pathlib import Path

from speechrnn.cli.console import Progress
from speechrnn.cli.model_options import number, positive_count
from speechrnn.decoding.keyword_hits import HitOptions
from speechrnn.errors import ConfigError
from speechrnn.runtime import ModelFile, find_model
from speechrnn.runtime.checkpoint_cache import exported_checkpoint
from speechrnn.runtime.keyword_spotter import SpotterOptions, default_hits
from speechrnn.runtime.model_registry import KEYWORD_MODEL

RECORDED_CHUNK_S = 2.0


def add_model_option(parser: argparse.ArgumentParser) -> None:
    """Add ``--model``, ``--device`` and ``--threads``."""
    parser.add_argument(
        "-m",
        "--model",
        metavar="MODEL",
        help=f"model file, checkpoint or name of a shipped model; default: {KEYWORD_MODEL}",
    )
    parser.add_argument("--device", default="auto", metavar="DEVICE", help="auto, cpu, cuda or cuda:N")
    parser.add_argument("--threads", type=positive_count, metavar="N", help="processor threads")


def add_keyword_option(parser: argparse._ActionsContainer, *, required: bool = True) -> None:
    """Add ``--keywords``."""
    parser.add_argument(
        "--keywords",
        action="append",
        required=required,
        metavar="KEYWORDS",
        help="keywords between commas; a file with one a line, such as 'alexa | alexsa :0.2 #0.5 @wake'; or "
        "the .npz that enroll wrote; may be given several times",
    )


def add_detection_options(parser: argparse.ArgumentParser, *, thresholds: bool = True) -> None:
    """Add what decides when a keyword is a hit; without ``thresholds`` where these are what is looked for."""
    group = parser.add_argument_group("detection")
    share = number(least=0.0, most=1.0)
    if thresholds:
        group.add_argument(
            "--threshold",
            type=share,
            metavar="P",
            help="least confidence of keywords without one of their own",
        )
    group.add_argument(
        "--patience", type=positive_count, metavar="N", help="frames in a row that must reach it"
    )
    group.add_argument(
        "--refractory",
        type=number(least=0.0),
        metavar="S",
        help=f"rest after a hit, seconds; default: {HitOptions.refractory_s:g}",
    )
    group.add_argument(
        "--chunk",
        type=number(least=0.02),
        metavar="S",
        help=f"how often the network runs, seconds of audio; default: {SpotterOptions.chunk_s:g}, or "
        f"{RECORDED_CHUNK_S:g} for a CTC model on recordings, which is cheaper",
    )
    group.add_argument(
        "--window",
        type=number(least=0.04),
        default=SpotterOptions.window_s,
        metavar="S",
        help=f"what a classifier hears at a time, seconds; default: {SpotterOptions.window_s:g}",
    )


def open_model(args: argparse.Namespace) -> ModelFile:
    """Open the model that the options name; a checkpoint takes a while the first time."""
    with Progress("opening the model", total=1):
        path = find_model(args.model, default=KEYWORD_MODEL)
        path = exported_checkpoint(path) if path.suffix == ".ckpt" else path
        return ModelFile(path, threads=args.threads, device=args.device)


def read_spotter_options(
    args: argparse.Namespace, model: ModelFile, *, is_live: bool = False
) -> SpotterOptions:
    """Read what ``add_detection_options`` added."""
    usual = default_hits(model)
    hits = HitOptions(
        patience=usual.patience if args.patience is None else args.patience,
        hold_s=usual.hold_s,
        refractory_s=usual.refractory_s if args.refractory is None else args.refractory,
        overlap=usual.overlap,
    )
    is_whole = not is_live and model.info.task == "ctc"
    usual_chunk_s = RECORDED_CHUNK_S if is_whole else SpotterOptions.chunk_s
    threshold = getattr(args, "threshold", None)
    return SpotterOptions(
        threshold=threshold, hits=hits, chunk_s=args.chunk or usual_chunk_s, window_s=args.window
    )


def is_other_live(options: SpotterOptions, model: ModelFile) -> bool:
    """Tell whether live audio has other confidences, since a network of both directions hears less of what follows."""
    return options.chunk_s != SpotterOptions.chunk_s and model.info.config["encoder"].get(
        "bidirectional", True
    )


def unusual_options(args: argparse.Namespace) -> str:
    """Write those of ``add_detection_options`` that thresholds depend on and that were not left as they are."""
    given = {"patience": args.patience, "refractory": args.refractory, "chunk": args.chunk}
    if args.window != SpotterOptions.window_s:
        given["window"] = args.window
    return " ".join(f"--{name} {value:g}" for name, value in given.items() if value is not None)


def check_folder(path: Path | None) -> Path | None:
    """Find out before the work whether a file can be written.

    Raises:
        ConfigError: If its folder does not exist.
    """
    if path is not None and not path.parent.is_dir():
        raise ConfigError(f"{path}: cannot be written: no folder {path.parent}")
    return path
