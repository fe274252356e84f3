"""``speechrnn evaluate kws``: a streaming keyword detector in misses at so many false alarms an hour."""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

from speechrnn.cli.console import Progress, put, say
from speechrnn.cli.model_options import number
from speechrnn.cli.report_folder import ReportFolder
from speechrnn.cli.spotter_options import (
    add_detection_options,
    add_keyword_option,
    add_model_option,
    check_folder,
    open_model,
    read_spotter_options,
)
from speechrnn.decoding.keywords import Keyword
from speechrnn.errors import ConfigError
from speechrnn.evaluation.detection import RATES
from speechrnn.evaluation.keyword_recordings import (
    MOST_DB,
    KeywordTrial,
    find_positives,
    find_recordings,
    plain,
)
from speechrnn.evaluation.keyword_report import render_keywords
from speechrnn.evaluation.keywords import (
    KeywordEvaluation,
    evaluate_keywords,
)
from speechrnn.evaluation.results import write_json
from speechrnn.manifest import read_manifest
from speechrnn.new_file import new_file, refuse_existing
from speechrnn.runtime import ModelFile
from speechrnn.runtime.keyword_files import read_keywords

NUM_CLOSE_UPS = 3  # of each keyword's misses, and of its false alarms, in a report


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add keywords, recordings and options."""
    add_keyword_option(parser)
    parser.add_argument(
        "--negatives",
        type=Path,
        required=True,
        metavar="SOURCE",
        help="folder or manifest of anything else; where a text says a keyword, hearing it is right and not counted",
    )
    parser.add_argument(
        "--positives",
        type=Path,
        required=True,
        metavar="SOURCE",
        help="folder with a folder of clips for each keyword, or a manifest whose texts are keywords",
    )
    parser.add_argument(
        "--noise", type=Path, metavar="SOURCE", help="folder of noise to mix with the positives"
    )
    parser.add_argument(
        "--snr",
        type=number(least=-MOST_DB, most=MOST_DB),
        nargs="+",
        default=(),
        metavar="DB",
        help="how loud positives are above the noise",
    )
    parser.add_argument(
        "--fa-per-hour",
        type=number(least=0.0),
        nargs="+",
        default=RATES,
        metavar="N",
        help=f"false alarms an hour; default: {' '.join(f'{rate:g}' for rate in RATES)}",
    )
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="write everything as JSON, too")
    parser.add_argument(
        "--report",
        type=Path,
        metavar="DIR",
        help="write a page to look at, with the curves and the worst errors, DIR/index.html, and DIR/results.json",
    )
    parser.add_argument("--plot", type=Path, metavar="FILE", help="plot the curves as .png, .svg or .pdf")
    parser.add_argument("--overwrite", action="store_true", help="replace files that exist")
    add_model_option(parser)
    add_detection_options(parser, thresholds=False)


def run(args: argparse.Namespace) -> int:
    """Evaluate and print; 1 if some recordings could not be used."""
    check_outputs(args)
    model = open_model(args)
    keywords = read_keywords(args.keywords, model)
    trial = KeywordTrial(
        negatives=find_recordings(args.negatives),
        positives=find_positives(args.positives, keywords),
        noise=find_recordings(args.noise) if args.noise else (),
        snrs_db=args.snr,
        rates=args.fa_per_hour,
    )
    return measure(args, model, keywords, trial)


def run_on_clips(args: argparse.Namespace) -> int:
    """Measure a classifier as the detector that it is, on clips of its labels; as ``run``.

    Args:
        args: Those of ``speechrnn evaluate``; all else has its default.

    Raises:
        ConfigError: If the model writes text, or no clip is of a label.
    """
    parser = argparse.ArgumentParser()
    add_detection_options(parser, thresholds=False)
    args = argparse.Namespace(**{**vars(parser.parse_args([])), "plot": None, **vars(args)})
    check_outputs(args)
    model, clips = open_model(args), read_manifest(args.manifest)
    if model.info.task != "classification":
        raise ConfigError(
            f"{model.path}: --detector is for keyword classifiers; for a model that writes text, name keywords to "
            "`speechrnn evaluate kws`"
        )
    said = {plain(clip.text) for clip in clips}
    labels = [label for label in model.info.vocabulary.tokens if is_keyword(label) and plain(label) in said]
    if not labels:
        raise ConfigError(f"{args.manifest}: no clip is of a keyword that {model.info.name} knows")
    keywords = [Keyword(label=label, spellings=(label,)) for label in labels]
    positives = [clip for clip in clips if plain(clip.text) in map(plain, labels)]
    return measure(args, model, keywords, KeywordTrial(negatives=clips, positives=positives))


def is_keyword(label: str) -> bool:
    """Tell a word from what stands for anything else, as ``_silence_`` does."""
    return not (label.startswith("_") and label.endswith("_"))


def check_outputs(args: argparse.Namespace) -> None:
    """Find out before the work whether files can be written after it; errors as ``check_folder``."""
    for path in (args.output, args.plot):
        if check_folder(path) is not None:
            refuse_existing(path, overwrite=args.overwrite, error=ConfigError)
    if args.plot is not None:
        check_plot(args.plot)
    if args.report is not None:
        ReportFolder(args.report, overwrite=args.overwrite)


def measure(
    args: argparse.Namespace, model: ModelFile, keywords: Sequence[Keyword], trial: KeywordTrial
) -> int:
    """Evaluate and write what was asked for; 1 if some recordings could not be used."""
    num_clips = len(trial.negatives) + len(trial.positives) * (1 + len(trial.snrs_db))
    with Progress("evaluating", total=num_clips) as progress:
        options = read_spotter_options(args, model)
        evaluation = evaluate_keywords(
            model,
            keywords,
            trial,
            options,
            num_close_ups=NUM_CLOSE_UPS if args.report else 0,
            on_audio=lambda seconds: progress.advance(audio_s=seconds),
        )
    put(render_keywords(evaluation))
    sources = list_sources(args)
    values = {**sources, **evaluation.to_dict()}
    if args.output is not None:
        write_json(values, args.output, overwrite=args.overwrite)
    if args.plot is not None:
        write_plot(evaluation, args.plot, overwrite=args.overwrite)
    if args.report is not None:
        report = ReportFolder(args.report, overwrite=args.overwrite)
        report.write(draw(evaluation, sources), values)
    return name_failures(evaluation)


def check_plot(path: Path) -> None:
    """Find out before the work whether it can be drawn after it.

    Raises:
        ModuleNotFoundError: If the packages for it are not installed.
        ConfigError: If the file's name does not say what to write.
    """
    from speechrnn.report import PICTURES

    if path.suffix.lower() not in PICTURES:
        raise ConfigError(f"{path}: must end in {', '.join(PICTURES)}")


def write_plot(evaluation: KeywordEvaluation, path: Path, *, overwrite: bool) -> None:
    """Write the curves alone."""
    from speechrnn.report import PICTURES, plot_det

    content = PICTURES[path.suffix.lower()](plot_det(evaluation.keywords))
    with new_file(path, overwrite=overwrite, error=ConfigError) as partial:
        partial.write_bytes(content)


def list_sources(args: argparse.Namespace) -> dict[str, str]:
    """List what was listened to, as it was given."""
    names = ("manifest", "negatives", "positives", "noise")
    return {name: str(getattr(args, name)) for name in names if getattr(args, name, None)}


def draw(evaluation: KeywordEvaluation, sources: Mapping[str, str]) -> str:
    """Draw the page."""
    from speechrnn.report import render_keyword_evaluation

    with Progress("drawing", total=1):
        return render_keyword_evaluation(evaluation, sources=list(sources.items()))


def name_failures(evaluation: KeywordEvaluation) -> int:
    """Name recordings that could not be used; 1 if there are any."""
    for failure in evaluation.failures:
        say(f"speechrnn: error: {failure.reason}")
    return 1 if evaluation.failures else 0
