"""Which weights a language model should have: a grid, measured on a development set."""

import functools
import itertools
import operator
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from speechrnn.decoding import ConfidenceScale, DecodingOptions
from speechrnn.errors import ConfigError, ManifestError, SpeechRNNError
from speechrnn.evaluation.calibration import fit_scale
from speechrnn.evaluation.evaluate import judge, sources_of
from speechrnn.manifest import Utterance
from speechrnn.metrics import ErrorCounts, word_errors
from speechrnn.runtime import Emission, Interpreter, Transcriber
from speechrnn.runtime.decoding_choice import LmChoice

ALPHAS = (0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0, 2.5)
BETAS = (-2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5, 2.0, 3.0)


@dataclass(frozen=True, kw_only=True)
class GridPoint:
    """One pair of weights, and what it led to."""

    alpha: float
    beta: float
    counts: ErrorCounts
    """Word errors over the whole manifest."""


@dataclass(frozen=True)
class Reading:
    """A reference and what the network computed for it."""

    reference: str
    emission: Emission


def compute_readings(
    transcriber: Transcriber,
    utterances: Sequence[Utterance],
    *,
    on_utterance: Callable[[], None] = lambda: None,
) -> list[Reading]:
    """Run the network once over a manifest.

    Raises:
        SpeechRNNError: The first that an utterance meets: a choice should not rest on a part of its data.
        ManifestError: If there is no utterance.
    """
    info = transcriber.info
    readings = []
    answers = transcriber.compute_each(sources_of(utterances, info.sample_rate), info.sample_rate)
    for utterance, answer in zip(utterances, answers, strict=True):
        if isinstance(answer, SpeechRNNError):
            raise answer
        readings.append(Reading(info.vocabulary.normalize(utterance.text), answer))
        on_utterance()
    if not readings:
        raise ManifestError("no utterances to measure on")
    return readings


def make_grid(alphas: Sequence[float], betas: Sequence[float]) -> list[tuple[float, float]]:
    """Pair every alpha with every beta; without a language model, at alpha 0, words do not count.

    Raises:
        ConfigError: If there is no alpha or no beta, or one is out of range.
    """
    if not alphas or not betas:
        raise ConfigError("a grid needs one alpha and one beta at least")
    for alpha, beta in itertools.product(alphas, betas):
        LmChoice(alpha=alpha, beta=beta)
    return [(alpha, beta) for alpha in alphas for beta in (betas if alpha else (0.0,))]


def search_grid(
    transcriber: Transcriber,
    readings: Sequence[Reading],
    options: DecodingOptions,
    grid: Iterable[tuple[float, float]],
) -> Iterator[GridPoint]:
    """Measure every pair (alpha, beta) of a grid.

    Args:
        transcriber: The model.
        readings: Of a development set, as ``compute_readings`` returns them.
        options: The language model and whatever else shall go with it.
        grid: As ``make_grid`` returns it.
    """
    for alpha, beta in grid:
        weighted = replace(options, alpha=alpha, beta=beta)
        yield GridPoint(alpha=alpha, beta=beta, counts=count_errors(transcriber, readings, weighted))


def count_errors(
    transcriber: Transcriber, readings: Sequence[Reading], options: DecodingOptions
) -> ErrorCounts:
    """Decode all readings and add up their word errors."""
    interpreter = Interpreter(transcriber.info, options)
    counts = (word_errors(r.reference, interpreter.read(r.emission).text) for r in readings)
    return functools.reduce(operator.add, counts)


def choose(points: Sequence[GridPoint]) -> GridPoint:
    """Choose the fewest errors; of several such points the one nearest to the middle of them all."""
    fewest = min(point.counts.errors for point in points)
    best = [point for point in points if point.counts.errors == fewest]
    places = np.array([(point.alpha, point.beta) for point in best])
    distances = np.square((places - places.mean(axis=0)) / (np.ptp(places, axis=0) + 1e-9)).sum(axis=1)
    return best[int(np.argmin(distances))]


def fit_confidences(
    transcriber: Transcriber, readings: Sequence[Reading], options: DecodingOptions
) -> tuple[ConfidenceScale, list[float], list[bool]]:
    """Fit the scale of confidences under given options.

    Returns:
        The scale, and for each answered word its confidence before it and whether it is right.

    Raises:
        ConfigError: If all answers are right, or all wrong.
    """
    interpreter = Interpreter(transcriber.info, options)
    interpreter.scale = ConfidenceScale()
    judged = [word for r in readings for word in judge(r.reference, interpreter.read(r.emission))]
    confidences, right = [word.confidence for word in judged], [word.is_right for word in judged]
    return fit_scale(confidences, right), confidences, right
