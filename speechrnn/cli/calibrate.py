"""``speechrnn calibrate``: make a model's confidences mean what they say, on recordings whose text is known."""

import argparse
from dataclasses import replace

from speechrnn.cli.console import Progress, put, say
from speechrnn.cli.model_options import add_model_options, introduce, open_transcriber
from speechrnn.cli.tuned_model import add_into_option, keep_choice, writable_model
from speechrnn.decoding import DecodingOptions
from speechrnn.decoding.words import temper
from speechrnn.evaluation.calibration import log_loss, measure_calibration
from speechrnn.evaluation.tune import compute_readings, fit_confidences
from speechrnn.manifest import read_manifest


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the manifest and the model."""
    parser.add_argument("manifest", metavar="MANIFEST", help="recordings that the model was not trained on")
    add_model_options(parser)
    add_into_option(parser)


def run(args: argparse.Namespace) -> int:
    """Fit the temperature of greedy decoding, and keep it in the model file."""
    target = writable_model(args)
    utterances = read_manifest(args.manifest)
    transcriber = open_transcriber(args)
    say(introduce(transcriber))
    with Progress("computing", total=len(utterances)) as progress:
        readings = compute_readings(transcriber, utterances, on_utterance=progress.advance)
    temperature, confidences, right = fit_confidences(transcriber, readings, DecodingOptions())
    put(describe_fit(temperature, confidences, right))
    keep_choice(target, lambda choice: replace(choice, temperature=temperature))
    return 0


def describe_fit(temperature: float, confidences: list[float], right: list[bool]) -> str:
    """Tell what a temperature does to the log loss, which was minimised, and to the calibration error."""
    tempered = [temper(confidence, temperature) for confidence in confidences]
    losses = [log_loss(values, right) for values in (confidences, tempered)]
    errors = [100 * measure_calibration(values, right).error for values in (confidences, tempered)]
    return (
        f"temperature {temperature:.2f} over {len(right)} answers: log loss {losses[0]:.4f} to {losses[1]:.4f}, "
        f"expected calibration error {errors[0]:.2f} % to {errors[1]:.2f} %"
    )
