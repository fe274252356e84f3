"""Thresholds of keywords from a user's own background: as low as the false alarms that are bearable allow.

Silence about an hour that nobody heard allows nothing: where the background is too short for one false alarm at the
rate that is bearable, thresholds are raised, never lowered.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial

from speechrnn.decoding.keywords import Keyword
from speechrnn.evaluation.detection import (
    Floats,
    OperatingPoint,
    SetThreshold,
    bound_count,
    find_threshold,
    judge,
)
from speechrnn.evaluation.keyword_recordings import KeywordTrial
from speechrnn.evaluation.keywords import KeywordEvaluation, KeywordResult, evaluate_keywords
from speechrnn.manifest import Utterance
from speechrnn.runtime.keyword_spotter import SpotterOptions
from speechrnn.runtime.model_file import ModelFile

STEPS = 10_000  # of thresholds
LEAST_THRESHOLD = 0.05  # where the negatives would allow less, they have said too little


def calibrate_keywords(
    model: ModelFile,
    keywords: Sequence[Keyword],
    *,
    negatives: Sequence[Utterance],
    positives: Sequence[Utterance] = (),
    rate: float,
    options: SpotterOptions = SpotterOptions(),
    on_audio: Callable[[float], object] = lambda seconds: None,
) -> KeywordEvaluation:
    """Measure each keyword at one rate of false alarms; arguments and errors as of ``evaluate_keywords``."""
    trial = KeywordTrial(negatives=negatives, positives=positives, rates=(rate,))
    return evaluate_keywords(model, keywords, trial, options, on_audio=on_audio)


def thresholds_of(evaluation: KeywordEvaluation) -> dict[str, float]:
    """Take the threshold of each keyword, within what a threshold may be, rounded up to what a file shows.

    With too few negatives for the rate that was asked for, none is below the one that the keyword has already.
    """
    return {
        keyword.label: rule_of(keyword)(keyword.negatives.scores, keyword.negatives.hours)
        for keyword in evaluation.keywords
    }


def rule_of(keyword: KeywordResult) -> SetThreshold:
    """Make what sets the threshold of a keyword from its false alarms, or from others."""
    rate = keyword.points[0].target
    assert rate is not None  # calibrate_keywords asked for one
    return partial(choose_threshold, rate=rate, least=least_threshold(keyword))


def choose_threshold(scores: Floats, hours: float, *, rate: float, least: float) -> float:
    """Choose what is kept: what the false alarms ask for, but no less than ``least``."""
    return max(least, storable(find_threshold(scores, hours, rate)))


def least_threshold(keyword: KeywordResult) -> float:
    """Tell below which threshold a keyword's may not be, whatever its negatives ask for."""
    if not keyword.points[0].is_extrapolated:
        return LEAST_THRESHOLD
    return keyword.own.threshold


def storable(threshold: float) -> float:
    """Bring a threshold to what is kept; one above 1, which no confidence passes, becomes 1, which some may."""
    return min(1.0, max(LEAST_THRESHOLD, math.ceil(threshold * STEPS) / STEPS))


def describe_calibration(evaluation: KeywordEvaluation) -> Iterator[str]:
    """Tell the thresholds that are kept, what they cost, and what all of it rests on."""
    for keyword in evaluation.keywords:
        asked, kept = keyword.points[0], measure_kept(keyword)
        yield f"{keyword.label}: threshold {kept.threshold:.4f}; {describe_point(kept)}"
        if kept.threshold < asked.threshold:
            yield (
                f"{keyword.label}: {asked.target:g} false alarms an hour cannot be kept to: so many have the highest "
                "confidence there is; choose a longer or rarer keyword, or a better model"
            )
        if kept.threshold > storable(asked.threshold):
            yield f"{keyword.label}: stays as it was: {asked.hours:.2f} h are too few to tell that less is enough"
    if len(evaluation.keywords) > 1:
        yield (
            "each keyword is measured as if it were the only one; of two in one place `speechrnn spot` tells the surer "
            "one only, so more are missed of a keyword within another, such as glass and view glass"
        )
    hours, rate = evaluation.hours, evaluation.keywords[0].points[0].target
    yield f"false alarms rest on {hours:.2f} h of negatives"
    if rate is not None and rate * hours < 1:
        enough = f"; {bound_count(0) / rate:.0f} h without one would show what was asked" if rate else ""
        yield (
            f"these are too few for {rate:g} an hour: with no false alarm in {hours:.2f} h, the rate is below "
            f"{bound_count(0) / hours:.2f} an hour with 95 % confidence{enough}"
        )


def measure_kept(keyword: KeywordResult) -> OperatingPoint:
    """Measure a keyword at the threshold that is kept; that another background would set another belongs to it."""
    return judge(keyword.positives, keyword.negatives, rule_of(keyword), keyword.groups)


def describe_point(point: OperatingPoint) -> str:
    """Tell false alarms and misses at a threshold."""
    alarms = (
        f"{point.num_false_alarms} false alarms, below {point.most_false_alarms_per_hour:.2f} an hour with 95 % "
        "confidence"
    )
    if point.miss_rate is None or point.miss_interval is None:
        return f"{alarms}; misses unknown without --positives"
    low, high = 100 * point.miss_interval.low, 100 * point.miss_interval.high
    return f"{alarms}; misses {100 * point.miss_rate:.1f} % [{low:.1f}, {high:.1f}] of {point.num_positives} positives"
