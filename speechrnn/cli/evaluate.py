"""``speechrnn evaluate``: reference beside hypothesis, then the error rates with their intervals."""

import argparse
import shutil
from pathlib import Path

from speechrnn.cli.console import Progress, put, say
from speechrnn.cli.decoding_options import add_decoding_options, read_decoding_options
from speechrnn.cli.evaluate_kws import run_on_clips
from speechrnn.cli.model_options import add_model_options, introduce, open_transcriber
from speechrnn.cli.report_folder import ReportFolder
from speechrnn.errors import SpeechRNNError
from speechrnn.evaluation import (
    Comparison,
    compare_runs,
    evaluate,
    read_results,
    render_listing,
    render_summary,
)
from speechrnn.evaluation.report import MOST_UTTERANCES, render_comparison
from speechrnn.evaluation.results import Evaluation, write_json
from speechrnn.manifest import Utterance, read_manifest
from speechrnn.new_file import refuse_existing
from speechrnn.runtime import Transcriber

WIDEST = 120
NUM_CLOSE_UPS = 20  # of the worst utterances, in a report


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
        "--report",
        type=Path,
        metavar="DIR",
        help="write a page to look at, DIR/index.html, and DIR/results.json",
    )
    parser.add_argument(
        "--compare",
        metavar="OTHER",
        help="test whether the model differs from another one, or from a run's results (.json)",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace files that exist")
    parser.add_argument(
        "--all",
        action="store_true",
        help=f"show every utterance; default: the {MOST_UTTERANCES} worst if there are more",
    )
    parser.add_argument(
        "--detector",
        action="store_true",
        help="run a keyword classifier over the clips as one stream, and tell misses at so many false alarms an hour; "
        "`speechrnn evaluate kws` has more to choose",
    )
    add_decoding_options(parser)


def run(args: argparse.Namespace) -> int:
    """Evaluate and print."""
    if args.detector:
        if args.compare is not None:
            say("speechrnn evaluate: error: --compare is for answers to clips, not for --detector")
            return 2
        return run_on_clips(args)
    report = None if args.report is None else ReportFolder(args.report, overwrite=args.overwrite)
    if args.output is not None:
        check_output(args.output, overwrite=args.overwrite)
    is_file = args.compare is not None and args.compare.endswith(".json")
    baseline = read_results(Path(args.compare)) if is_file else None
    utterances = read_manifest(args.manifest)
    transcriber = open_transcriber(args, read_decoding_options(args))
    evaluation = measure(transcriber, utterances, num_close_ups=NUM_CLOSE_UPS if report else 0)
    width = min(shutil.get_terminal_size().columns, WIDEST)
    put(render_listing(evaluation, most=None if args.all else MOST_UTTERANCES, width=width))
    put(f"\n{render_summary(evaluation)}")
    values, comparison = {"manifest": str(args.manifest), **evaluation.to_dict()}, None
    if args.compare is not None:
        comparison = compare_runs(evaluation, baseline or measure_other(args, utterances))
        put(f"\n{render_comparison(comparison)}")
        values |= {"comparison": comparison.to_dict()}
    if args.output is not None:
        write_json(values, args.output, overwrite=args.overwrite)
    if report is not None:
        report.write(draw(evaluation, args.manifest, comparison), values)
    return 1 if evaluation.failures else 0


def draw(evaluation: Evaluation, manifest: str, comparison: Comparison | None) -> str:
    """Draw the page."""
    from speechrnn.report import render_evaluation

    with Progress("drawing", total=1):
        return render_evaluation(evaluation, manifest=manifest, comparison=comparison)


def check_output(path: Path, *, overwrite: bool) -> None:
    """Find out before the work whether a file can be written after it.

    Raises:
        SpeechRNNError: If it cannot.
    """
    if not path.parent.is_dir():
        raise SpeechRNNError(f"{path}: cannot be written: no folder {path.parent}")
    refuse_existing(path, overwrite=overwrite, error=SpeechRNNError)


def measure(transcriber: Transcriber, utterances: list[Utterance], *, num_close_ups: int = 0) -> Evaluation:
    """Run a model over a manifest, and say what cannot be used."""
    say(introduce(transcriber))
    with Progress("evaluating", total=len(utterances)) as progress:
        evaluation = evaluate(
            transcriber, utterances, num_close_ups=num_close_ups, on_utterance=progress.advance
        )
    for failure in evaluation.failures:
        say(f"speechrnn: error: {failure.reason} (utterance {failure.id!r})")
    return evaluation


def measure_other(args: argparse.Namespace, utterances: list[Utterance]) -> Evaluation:
    """Run the model to compare with, decoded in the same way."""
    options = argparse.Namespace(**{**vars(args), "model": args.compare})
    return measure(open_transcriber(options, read_decoding_options(args)), utterances)
