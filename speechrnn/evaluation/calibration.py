"""Whether confidences mean what they say: of the words given 0.8, are 80 % right?"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from speechrnn.errors import ConfigError

NUM_BINS = 10
SUREST = 1 - 1e-7  # a confidence of 1 has no log odds
LOG_TEMPERATURES = (-3.0, 3.0)  # from 0.05 to 20
GOLDEN = (5**0.5 - 1) / 2
PRECISION = 1e-4  # of the log temperature


@dataclass(frozen=True, kw_only=True)
class Bin:
    """The answers whose confidence lies in one part of [0, 1]."""

    count: int
    confidence: float
    """Their mean confidence."""
    accuracy: float
    """Share of them that are right."""


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """Confidences beside what came true."""

    error: float
    """Expected calibration error: mean over all answers of |accuracy - confidence| of their bins."""
    count: int
    """Answers that were counted."""
    bins: tuple[Bin, ...]
    """Those parts of [0, 1] that hold answers, in rising order."""


def measure_calibration(confidences: ArrayLike, right: ArrayLike, *, num_bins: int = NUM_BINS) -> Calibration:
    """Compute the expected calibration error (Naeini et al., 2015; Guo et al., 2017, arXiv:1706.04599).

    Args:
        confidences: (n,) in [0, 1], n >= 1.
        right: (n,) whether each answer was right.
        num_bins: Equal parts into which [0, 1] is cut, >= 1.

    Raises:
        ConfigError: If there is no answer, or no part.

    Example:
        >>> measure_calibration([0.9, 0.9, 0.6, 0.6], [True, True, True, False]).error
        0.1
    """
    if num_bins < 1:
        raise ConfigError(f"num_bins must be >= 1, got {num_bins}")
    sure, true = np.asarray(confidences, np.float64), np.asarray(right, bool)
    if sure.size == 0:
        raise ConfigError("a calibration error is of one answer at least")
    numbers = np.minimum((sure * num_bins).astype(int), num_bins - 1)
    bins = [
        Bin(
            count=int(inside.sum()),
            confidence=float(sure[inside].mean()),
            accuracy=float(true[inside].mean()),
        )
        for inside in (numbers == number for number in np.unique(numbers))
    ]
    gaps = sum(b.count * abs(b.accuracy - b.confidence) for b in bins)
    return Calibration(error=round(gaps / sure.size, 12), count=sure.size, bins=tuple(bins))


def fit_temperature(confidences: Sequence[float], right: Sequence[bool]) -> float:
    """Find the temperature that, dividing the log odds of confidences, makes what came true most probable.

    Args:
        confidences: (n,) in [0, 1], untempered, n >= 1.
        right: (n,) whether each answer was right.

    Returns:
        Temperature in [0.05, 20]; above 1 where the confidences were too sure.

    Raises:
        ConfigError: If there is no answer, or all are right or all wrong: then none is the best.
    """
    if len(set(right)) < 2:
        what = (
            "all of them are right" if any(right) else "none of them is right" if right else "there are none"
        )
        raise ConfigError(
            f"a temperature cannot be fitted to {len(right)} words: {what}; take more recordings"
        )
    low, high = LOG_TEMPERATURES
    while high - low > PRECISION:  # the loss is convex in 1 / temperature, so it has one valley
        left, rise = high - GOLDEN * (high - low), low + GOLDEN * (high - low)
        losses = [log_loss(confidences, right, temperature=float(np.exp(x))) for x in (left, rise)]
        low, high = (low, rise) if losses[0] < losses[1] else (left, high)
    return float(np.exp((low + high) / 2))


def log_loss(confidences: Sequence[float], right: Sequence[bool], *, temperature: float = 1.0) -> float:
    """Compute the mean of -log of the probability that tempered confidences gave to what came true."""
    signed = np.where(np.asarray(right, bool), -1, 1) * log_odds(confidences) / temperature
    return float(np.logaddexp(0.0, signed).mean())


def log_odds(probabilities: Sequence[float]) -> NDArray[np.float64]:
    """Compute log(p / (1 - p)), kept finite."""
    p = np.clip(np.asarray(probabilities, np.float64), 1 - SUREST, SUREST)
    return np.asarray(np.log(p) - np.log1p(-p))
