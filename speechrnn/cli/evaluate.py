"""``speechrnn evaluate``: reference beside hypothesis, then the error rates with their intervals."""

import argparse
import json
import shutil
from pathlib import Path
from typing import Any

from speechrnn.cli.console import Progress, put, say
from speechrnn.cli.decoding_options import add_decoding_options, read_decoding_options
from speechrnn.cli.model_options import add_model_options, introduce, open_transcriber
from speechrnn.errors import SpeechRNNError
from speechrnn.evaluation import evaluate, render_listing, render_summary
from speechrnn.evaluation.report import MOST_UTTERANCES
from speechrnn.manifest import read_manifest
from speechrnn.new_file import new_file

WIDEST = 120


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the manifest and options."""
    parser.add_argument(
        "manifest",
        metavar="MANIFEST",
        help="table (.csv, .tsv), NeMo or Lhotse manifest (.jsonl, .jsonl.gz), or a folder",
    )
    add_model_options(parser)
    parser.add_argument("--output", "-o", type=Path, metavar="FILE", help="write everything as JSON, too")
    parser.add_argument(
        "--all",
        action="store_true",
        help=f"show every utterance; default: the {MOST_UTTERANCES} worst if there are more",
    )
    add_decoding_options(parser)


def run(args: argparse.Namespace) -> int:
    """Evaluate and print."""
    if args.output is not None and not args.output.parent.is_dir():
        raise SpeechRNNError(f"{args.output}: cannot be written: no folder {args.output.parent}")
    utterances = read_manifest(args.manifest)
    transcriber = open_transcriber(args, read_decoding_options(args))
    say(introduce(transcriber))
    with Progress("evaluating", total=len(utterances)) as progress:
        evaluation = evaluate(transcriber, utterances, on_utterance=progress.advance)
    for failure in evaluation.failures:
        say(f"speechrnn: error: {failure.reason} (utterance {failure.id!r})")
    width = min(shutil.get_terminal_size().columns, WIDEST)
    put(render_listing(evaluation, most=None if args.all else MOST_UTTERANCES, width=width))
    put(f"\n{render_summary(evaluation)}")
    if args.output is not None:
        write_json({"manifest": str(args.manifest), **evaluation.to_dict()}, args.output)
    return 1 if evaluation.failures else 0


def write_json(values: dict[str, Any], path: Path) -> None:
    """Write JSON; the file appears only when it is whole.

    Raises:
        SpeechRNNError: If it cannot be written.
    """
    with new_file(path, overwrite=True, error=SpeechRNNError) as partial:
        partial.write_text(json.dumps(values, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
