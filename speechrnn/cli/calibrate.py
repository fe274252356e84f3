"""``speechrnn calibrate``: make confidences mean what they say, or set the thresholds of keywords.

A manifest, recordings whose text is known, gives the scale of a model's confidences. Keywords and
negatives, recordings without any of them, give the threshold of each keyword.
"""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from speechrnn.cli.console import Progress, put, say
from speechrnn.cli.evaluate_kws import name_failures
from speechrnn.cli.model_options import add_model_options, introduce, number, open_transcriber
from speechrnn.cli.spotter_options import (
    add_detection_options,
    add_keyword_option,
    is_other_live,
    open_model,
    read_spotter_options,
    unusual_options,
)
from speechrnn.cli.tuned_model import add_into_option, keep_choice, writable_model
from speechrnn.decoding import ConfidenceScale
from speechrnn.decoding.keywords import Keyword
from speechrnn.errors import ConfigError
from speechrnn.evaluation.any_keyword import calibrate_any
from speechrnn.evaluation.calibration import log_loss, measure_calibration
from speechrnn.evaluation.keyword_calibration import calibrate_keywords, describe_calibration, thresholds_of
from speechrnn.evaluation.keyword_recordings import find_positives, find_recordings
from speechrnn.evaluation.tune import compute_readings, fit_confidences
from speechrnn.manifest import read_manifest
from speechrnn.runtime import Interpreter, ModelFile
from speechrnn.runtime.decoding_choice import DecodingChoice
from speechrnn.runtime.keyword_files import is_stored, read_keywords, store_thresholds
from speechrnn.runtime.keyword_spotter import SpotterOptions
from speechrnn.runtime.model_registry import DEFAULT_MODEL, KEYWORD_MODEL

TARGET = 0.5
IN_A_FILE = "write the keywords into a file, one a line, which keeps their thresholds"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the manifest and the model."""
    parser.add_argument(
        "manifest", nargs="?", metavar="MANIFEST", help="recordings that the model was not trained on"
    )
    by_task = f"{DEFAULT_MODEL}, or {KEYWORD_MODEL} with --keywords or --any-keyword"
    add_model_options(parser, default=by_task)
    add_into_option(parser)
    group = parser.add_argument_group("thresholds of keywords, instead of MANIFEST")
    add_keyword_option(group, required=False)
    group.add_argument(
        "--any-keyword",
        action="store_true",
        help="instead of --keywords: usual thresholds for typed keywords of each length, from words drawn at random, "
        "kept in a model of phones",
    )
    group.add_argument(
        "--negatives",
        type=Path,
        metavar="SOURCE",
        help="folder or manifest of your own background, no keyword in it",
    )
    group.add_argument(
        "--positives",
        type=Path,
        metavar="SOURCE",
        help="folder of clips for each keyword, to estimate misses",
    )
    group.add_argument(
        "--target-fa-per-hour",
        type=number(least=0.0),
        default=TARGET,
        metavar="N",
        help=f"false alarms an hour that are bearable, of each keyword; default: {TARGET:g}",
    )
    add_detection_options(parser, thresholds=False)


def run(args: argparse.Namespace) -> int:
    """Do what the arguments ask; 2 if they ask for nothing, or for both."""
    wanted = [args.manifest is not None, args.keywords is not None, args.any_keyword]
    if sum(wanted) != 1 or (args.manifest is None) != (args.negatives is not None):
        say("speechrnn calibrate: error: give a MANIFEST, or --keywords or --any-keyword with --negatives")
        return 2
    if args.any_keyword:
        return calibrate_lengths(args)
    return calibrate_confidences(args) if args.keywords is None else calibrate_thresholds(args)


def calibrate_lengths(args: argparse.Namespace) -> int:
    """Set the usual thresholds of typed keywords, and keep them in the model."""
    model, target = open_model(args), writable_model(args, default=KEYWORD_MODEL)
    negatives = find_recordings(args.negatives)
    with Progress("listening", total=len(negatives)) as progress:
        thresholds = calibrate_any(
            model,
            negatives,
            rate=args.target_fa_per_hour,
            options=read_spotter_options(args, model),
            on_audio=lambda seconds: progress.advance(audio_s=seconds),
        )
    for size, threshold in enumerate(thresholds, start=1):
        put(f"{size:>2} phones: threshold {threshold:.4f}")
    keep_choice(target, lambda choice: replace(choice, usual_thresholds=thresholds))
    return 0


def calibrate_thresholds(args: argparse.Namespace) -> int:
    """Set thresholds, and keep them where the keywords came from; in the model, if they were typed."""
    model = open_model(args)
    keywords = read_keywords(args.keywords, model)  # first: what was meant as a file is not typed
    typed = read_typed(args.keywords, model)
    target = writable_model(args, default=KEYWORD_MODEL, instead=IN_A_FILE) if typed else None
    negatives = find_recordings(args.negatives)
    positives = find_positives(args.positives, keywords) if args.positives else []
    options = read_spotter_options(args, model)
    with Progress("listening", total=len(negatives) + len(positives)) as progress:
        evaluation = calibrate_keywords(
            model,
            keywords,
            negatives=negatives,
            positives=positives,
            rate=args.target_fa_per_hour,
            options=options,
            on_audio=lambda seconds: progress.advance(audio_s=seconds),
        )
    for line in describe_calibration(evaluation):
        put(line)
    if unusual := unusual_options(args):
        say(f"the thresholds hold for {unusual}; give the same to spot")
    elif is_other_live(options, model):
        say(
            f"the thresholds hold for recordings, which are heard in chunks of {options.chunk_s:g} s; what listens "
            f"live is calibrated with --chunk {SpotterOptions.chunk_s:g}"
        )
    thresholds = thresholds_of(evaluation)
    for source in args.keywords:
        if store_thresholds(source, thresholds):
            say(f"kept in {source}")
    if target is not None:
        mine = {keyword.spellings[0]: thresholds[keyword.label] for keyword in typed}
        keep_choice(
            target,
            lambda choice: replace(choice, keyword_thresholds={**choice.keyword_thresholds, **mine}),
        )
    return name_failures(evaluation)


def read_typed(sources: Sequence[str], model: ModelFile) -> list[Keyword]:
    """Read the keywords that are in no file, whose thresholds the model has to keep.

    Raises:
        ConfigError: If one has a boost, with which its threshold would not hold without.
    """
    typed = [
        keyword for source in sources if not is_stored(source) for keyword in read_keywords([source], model)
    ]
    for keyword in typed:
        if keyword.boost:
            raise ConfigError(
                f"keyword {keyword.label!r} has a boost; a model keeps the thresholds of keywords without: {IN_A_FILE}"
            )
    return typed


def calibrate_confidences(args: argparse.Namespace) -> int:
    """Fit the confidences of a model as it is read by default, and keep their scale in the model file."""
    target = writable_model(args)
    utterances = read_manifest(args.manifest)
    transcriber = open_transcriber(args)
    say(introduce(transcriber))
    with Progress("computing", total=len(utterances)) as progress:
        readings = compute_readings(transcriber, utterances, on_utterance=progress.advance)
    interpreter = transcriber.interpreter
    scale, confidences, right = fit_confidences(transcriber, readings, interpreter.options)
    put(describe_fit(scale, confidences, right))
    keep_choice(target, lambda choice: with_scale(choice, scale, interpreter))
    return 0


def with_scale(choice: DecodingChoice, scale: ConfidenceScale, interpreter: Interpreter) -> DecodingChoice:
    """Put a scale where it is looked for: with the language model's weights if one had a say."""
    if interpreter.options.uses_lm:
        weights = choice.lm or interpreter.lm_choice
        return replace(choice, lm=replace(weights, temperature=scale.temperature, bias=scale.bias))
    return replace(choice, temperature=scale.temperature, bias=scale.bias)


def describe_fit(scale: ConfidenceScale, confidences: list[float], right: list[bool]) -> str:
    """Tell what a scale does to the log loss, which was minimised, and to the calibration error."""
    scaled = [scale.confidence_of(confidence) for confidence in confidences]
    losses = [log_loss(values, right) for values in (confidences, scaled)]
    errors = [100 * measure_calibration(values, right).error for values in (confidences, scaled)]
    return (
        f"temperature {scale.temperature:.2f}, bias {scale.bias:.2f} over {len(right)} answers: "
        f"log loss {losses[0]:.4f} to {losses[1]:.4f}, "
        f"expected calibration error {errors[0]:.2f} % to {errors[1]:.2f} %"
    )
