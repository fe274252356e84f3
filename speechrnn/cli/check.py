"""``speechrnn check``: what is in a manifest, and what of it cannot be trained on."""

import argparse
from collections.abc import Iterator
from pathlib import Path

from speechrnn.cli.console import Progress, put
from speechrnn.errors import ManifestError
from speechrnn.manifest import Utterance, estimate_length, scan_manifest
from speechrnn.nn.config import ModelConfig
from speechrnn.training.check import AudioKey, CheckReport, check_manifest, shared_speakers
from speechrnn.training.check_report import format_report
from speechrnn.training.recipe import config_from_recipe

MAX_NAMES = 10


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add manifests and the model."""
    parser.epilog = (
        "Problems come first, a line for each, then the report. Exit status: 0 if there are none, or else 1."
    )
    parser.add_argument(
        "manifests",
        nargs="+",
        metavar="MANIFEST",
        help="folder, .csv, .tsv or .jsonl, as `speechrnn prepare` takes and makes them",
    )
    model = parser.add_mutually_exclusive_group()
    model.add_argument(
        "--config", metavar="FILE", help="recipe (.yaml): also check texts and lengths against it"
    )
    model.add_argument(
        "-m",
        "--model",
        metavar="MODEL",
        help="the same against a model file (.onnx), checkpoint (.ckpt) or shipped model",
    )
    parser.add_argument(
        "--relative-to",
        metavar="DIR",
        help="folder that relative audio paths start at; default: the manifest's",
    )
    parser.add_argument(
        "--headers-only",
        action="store_true",
        help="read only the headers of the audio: quick, but damage behind them is not found",
    )


def run(args: argparse.Namespace) -> int:
    """Check each manifest; the exit status tells whether all are fine."""
    config = load_config(args)
    heard: dict[AudioKey, str] = {}
    reports = []
    for manifest in args.manifests:
        report = check(manifest, args, config, heard)
        for problem in report.problems:
            put(problem.message)
        put(format_report(report))
        reports.append(report)
    for (first, second), speakers in shared_speakers(reports).items():
        more = ", …" if len(speakers) > MAX_NAMES else ""
        names = f"{', '.join(speakers[:MAX_NAMES])}{more}"
        put(f"note: {first} and {second} share {len(speakers)} speakers: {names}")
    return 1 if any(report.problems for report in reports) else 0


def check(
    manifest: str,
    args: argparse.Namespace,
    config: ModelConfig | None,
    heard: dict[AudioKey, str],
) -> CheckReport:
    """Check one manifest behind a progress bar."""
    with Progress(f"checking {Path(manifest).name}", total=estimate(manifest)) as progress:
        return check_manifest(
            watched(manifest, args.relative_to, progress),
            manifest=manifest,
            config=config,
            decode=not args.headers_only,
            heard=heard,
        )


def watched(
    manifest: str, relative_to: str | None, progress: Progress
) -> Iterator[Utterance | ManifestError]:
    """Read a manifest and count on the progress bar."""
    for found in scan_manifest(manifest, relative_to=relative_to):
        progress.advance()
        yield found


def estimate(manifest: str) -> int:
    """Guess the number of utterances for the progress bar."""
    try:
        return estimate_length(manifest)
    except ManifestError:
        return 0  # the check will say what is wrong


def load_config(args: argparse.Namespace) -> ModelConfig | None:
    """Read the configuration of the model that the options name, if they name one."""
    if args.config:
        return config_from_recipe(Path(args.config))
    if not args.model:
        return None
    from speechrnn.runtime import ModelFile, find_model

    path = find_model(args.model)
    if path.suffix != ".ckpt":
        return ModelConfig.from_dict(ModelFile(path).info.config)
    from speechrnn.nn.checkpoint import describe_checkpoint  # torch takes a second to import

    return ModelConfig.from_dict(describe_checkpoint(path)["config"])
