"""Misses against false alarms an hour: how good a detector is, at any threshold.

A detector is judged by two lists of scores: the best one at each keyword that was said, and the peaks where
none was. A threshold makes misses of the first and false alarms of the second; the curve of both over all
thresholds is the detection error trade-off (Martin et al., 1997, "The DET curve in assessment of detection task
performance").
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from speechrnn.errors import ConfigError
from speechrnn.metrics import Interval, bound_without_errors

Floats = NDArray[np.float64]
LEVEL = 0.95
NUM_RESAMPLES = 1_000
RATES = (0.1, 0.5, 1.0, 10.0)  # false alarms an hour
FAINTEST = 0.01  # confidence below which nothing is counted, neither false alarms nor what was found
SHORTEST_S = 60.0  # of negatives, from which a rate an hour may be told
ABOVE_ALL = math.nextafter(1.0, 2.0)  # a threshold that no confidence reaches

SetThreshold = Callable[[Floats, float], float]
"""Sets a threshold from the scores of false alarms and the hours in which they came."""


@dataclass(frozen=True, kw_only=True)
class Negatives:
    """False alarms of one keyword on recordings without it."""

    scores: Floats
    """(n,) confidence of each peak, in [``FAINTEST``, 1]."""
    recordings: NDArray[np.int64]
    """(n,) the recording of each."""
    durations_s: Floats
    """(recordings,) seconds."""

    @property
    def hours(self) -> float:
        """All recordings together."""
        return float(self.durations_s.sum()) / 3600


@dataclass(frozen=True, kw_only=True)
class OperatingPoint:
    """What one threshold does."""

    target: float | None
    """False alarms an hour that were allowed; None of a threshold that was set beforehand."""
    threshold: float
    """The lowest that keeps to the target, ``FAINTEST`` at least; above 1 if no confidence may pass."""
    num_false_alarms: int
    """On the negatives."""
    false_alarms_per_hour: float
    """On the negatives."""
    most_false_alarms_per_hour: float
    """What the rate is below, with confidence ``LEVEL``."""
    hours: float
    """Of negatives, that the estimate rests on."""
    num_misses: int | None = None
    """Of the positives; None without positives."""
    num_positives: int = 0
    miss_interval: Interval | None = None
    """Of the miss rate, over draws of positives and of negatives, on which the threshold depends; where none or all
    are missed, the exact interval, too."""

    @property
    def miss_rate(self) -> float | None:
        """Misses over positives."""
        return None if self.num_misses is None else self.num_misses / self.num_positives

    @property
    def is_all_or_none(self) -> bool:
        """Whether no positive is missed, or every one, so that draws of them tell nothing."""
        return self.num_misses in (0, self.num_positives)

    @property
    def is_extrapolated(self) -> bool:
        """Whether the negatives are too short for one false alarm at the rate that was allowed."""
        return self.target is not None and self.target * self.hours < 1

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        interval = self.miss_interval
        return {
            "target_false_alarms_per_hour": self.target,
            "threshold": self.threshold,
            "false_alarms": self.num_false_alarms,
            "false_alarms_per_hour": self.false_alarms_per_hour,
            "false_alarms_per_hour_below": self.most_false_alarms_per_hour,
            "hours": self.hours,
            "misses": self.num_misses,
            "positives": self.num_positives,
            "miss_rate": self.miss_rate,
            "miss_interval": None if interval is None else [interval.low, interval.high],
        }


@dataclass(frozen=True, kw_only=True)
class DetCurve:
    """Misses and false alarms at each threshold that makes a difference, in falling order of thresholds."""

    thresholds: Floats = field(repr=False)
    false_alarms_per_hour: Floats = field(repr=False)
    miss_rates: Floats = field(repr=False)


def trace_curve(positives: Floats, negatives: Negatives) -> DetCurve:
    """Trace the curve, down to ``FAINTEST``: what lies below is missed everywhere.

    Args:
        positives: (n,) best confidence at each keyword that was said, n >= 1.
        negatives: Of the same keyword.
    """
    scores = np.unique(np.concatenate([positives, negatives.scores]))[::-1]
    thresholds = np.concatenate([[ABOVE_ALL], scores[scores >= FAINTEST]])
    missed = np.searchsorted(np.sort(positives), thresholds, side="left")
    alarms = len(negatives.scores) - np.searchsorted(np.sort(negatives.scores), thresholds, side="left")
    return DetCurve(
        thresholds=thresholds,
        false_alarms_per_hour=alarms / negatives.hours,
        miss_rates=missed / len(positives),
    )


def find_threshold(scores: Floats, hours: float, rate: float) -> float:
    """Find the lowest threshold with at most ``rate`` false alarms an hour: just above the first one too many.

    It is ``FAINTEST`` at least: fainter false alarms are not among the scores, so nothing is known of lower ones.

    Args:
        scores: (n,) of the false alarms.
        hours: In which they came, > 0.
        rate: False alarms an hour, >= 0.
    """
    allowed = math.floor(rate * hours + 1e-9)
    if allowed >= len(scores):
        return FAINTEST
    first_too_many = float(np.sort(scores)[::-1][allowed])
    return max(FAINTEST, math.nextafter(first_too_many, 2.0))


def measure_point(
    positives: Floats | None, negatives: Negatives, rate: float, *, groups: Sequence[str] | None = None
) -> OperatingPoint:
    """Set the threshold for a rate of false alarms, and measure misses there.

    The interval is a percentile bootstrap that draws positives (or their speakers) and recordings of negatives
    anew, and with each draw sets the threshold anew. Where none or all are missed it holds the exact one.

    Args:
        positives: (n,) as of ``trace_curve``; None if there are none.
        negatives: Of the same keyword.
        rate: False alarms an hour, >= 0.
        groups: Speaker of each positive, where known.
    """
    point = judge(positives, negatives, partial(find_threshold, rate=rate), groups)
    return replace(point, target=rate)


def measure_threshold(
    positives: Floats | None, negatives: Negatives, threshold: float, *, groups: Sequence[str] | None = None
) -> OperatingPoint:
    """Measure misses and false alarms at a threshold in [0, 1], or at ``FAINTEST``; all else as ``measure_point``."""
    return judge(positives, negatives, lambda scores, hours: max(FAINTEST, threshold), groups)


def judge(
    positives: Floats | None,
    negatives: Negatives,
    set_threshold: SetThreshold,
    groups: Sequence[str] | None,
) -> OperatingPoint:
    """Set a threshold, and count what it lets pass and what it does not."""
    threshold = set_threshold(negatives.scores, negatives.hours)
    alarms = int((negatives.scores >= threshold).sum())
    point = OperatingPoint(
        target=None,
        threshold=threshold,
        num_false_alarms=alarms,
        false_alarms_per_hour=alarms / negatives.hours,
        most_false_alarms_per_hour=bound_count(alarms) / negatives.hours,
        hours=negatives.hours,
    )
    if positives is None or not len(positives):
        return point
    num_misses, drawn = (
        int((positives < threshold).sum()),
        resample(positives, negatives, set_threshold, groups),
    )
    return replace(
        point,
        num_misses=num_misses,
        num_positives=len(positives),
        miss_interval=hold_exact(drawn, num_misses, len(positives)),
    )


def resample(
    positives: Floats,
    negatives: Negatives,
    set_threshold: SetThreshold,
    groups: Sequence[str] | None,
    seed: int = 0,
) -> Interval:
    """Draw positives and negatives anew for the interval of the miss rate."""
    generator = np.random.default_rng(seed)
    names = np.arange(len(positives)) if groups is None else np.unique(groups, return_inverse=True)[1]
    by_group = [np.sort(positives[names == number]) for number in range(int(names.max()) + 1)]
    by_recording = [
        negatives.scores[negatives.recordings == number] for number in range(len(negatives.durations_s))
    ]
    rates = []
    for _ in range(NUM_RESAMPLES):
        drawn = generator.integers(len(by_recording), size=len(by_recording))
        scores = np.concatenate([by_recording[number] for number in drawn])
        threshold = set_threshold(scores, negatives.durations_s[drawn].sum() / 3600)
        said = [by_group[number] for number in generator.integers(len(by_group), size=len(by_group))]
        missed = sum(int(np.searchsorted(group, threshold)) for group in said)
        rates.append(missed / sum(map(len, said)))
    low, high = np.quantile(rates, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(float(low), float(high), LEVEL)


def hold_exact(drawn: Interval, num_misses: int, num_positives: int) -> Interval:
    """Widen the interval of draws to the exact one where none or all are missed, of which no draw can differ.

    (1 - LEVEL) / 2 of chance at its one end, as at both ends of others (Clopper and Pearson, 1934).
    """
    bound = bound_without_errors(num_positives, (1 + LEVEL) / 2)
    if num_misses == 0:
        return replace(drawn, high=max(drawn.high, bound))
    if num_misses == num_positives:
        return replace(drawn, low=min(drawn.low, 1 - bound))
    return drawn


def bound_count(count: int, level: float = LEVEL) -> float:
    """Bound from above the mean of a Poisson count: the highest that still gives so few with 1 - level.

    3.0 for a count of 0 at 95 % (the rule of three).

    Raises:
        ConfigError: If the count is below 0 or the level outside (0, 1).

    Example:
        >>> round(bound_count(0), 2), round(bound_count(1), 2)
        (3.0, 4.74)
    """
    if count < 0 or not 0 < level < 1:
        raise ConfigError(f"count must be >= 0 and level in (0, 1), got {count} and {level}")
    low, high = float(count), count + 10 * math.sqrt(count + 1) + 10 - math.log1p(-level)
    for _ in range(60):
        mean = (low + high) / 2
        terms = [n * math.log(mean) - mean - math.lgamma(n + 1) for n in range(count + 1)] if mean else [0.0]
        at_most = math.fsum(math.exp(term) for term in terms)
        low, high = (mean, high) if at_most > 1 - level else (low, mean)
    return (low + high) / 2


def check_hours(seconds: float, keyword: str) -> None:
    """Refuse negatives that are too short to speak of hours.

    Raises:
        ConfigError: With how much there is and how much it takes.
    """
    if seconds < SHORTEST_S:
        raise ConfigError(
            f"the negatives hold {seconds:.1f} s in which {keyword!r} is not said; false alarms an hour cannot be told "
            f"from less than {SHORTEST_S:g} s (three hours without one mean less than one an hour)"
        )


def find_peaks(confidences: Floats, *, rest: int) -> NDArray[np.int64]:
    """Find where hits would be, at any threshold: each the highest within ``rest`` frames before and behind.

    Args:
        confidences: (frames,) in [0, 1]; frames of 0 are none.
        rest: Frames in which the same keyword is not told again, >= 1.

    Returns:
        (n,) frames, highest confidence first.
    """
    is_top = np.ones(len(confidences), bool)
    is_top[1:] &= confidences[1:] > confidences[:-1]
    is_top[:-1] &= confidences[:-1] >= confidences[1:]
    tops = np.flatnonzero(is_top & (confidences > 0))
    peaks = []
    is_taken = np.zeros(len(confidences), bool)
    for top in tops[np.argsort(-confidences[tops], kind="stable")]:
        if not is_taken[top]:
            peaks.append(top)
            is_taken[max(0, top - rest + 1) : top + rest] = True
    return np.array(peaks, np.int64)
