"""Whether confidences mean what they say: of the words given 0.8, are 80 % right?"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from speechrnn.decoding.words import LEAST_SURE, SUREST, ConfidenceScale
from speechrnn.errors import ConfigError

NUM_BINS = 10
COLDEST, HOTTEST = 0.05, 20.0  # temperatures
PRECISION = 1e-9  # of slope and level
MOST_STEPS = 100  # of Newton's method; it takes about ten
RIDGE = 1e-12  # on the Hessian, which is singular where confidences are all the same


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


def fit_scale(confidences: Sequence[float], right: Sequence[bool]) -> ConfidenceScale:
    """Find the temperature and bias of confidences that make what came true most probable.

    Platt scaling (Platt, 1999, "Probabilistic outputs for support vector machines and comparisons to regularized
    likelihood methods"), whose loss is convex in 1 / temperature and bias, by Newton's method as Lin, Lin and Weng have
    it (2007, "A note on Platt's probabilistic outputs for support vector machines").

    Args:
        confidences: (n,) in [0, 1], not scaled, n >= 1.
        right: (n,) whether each answer was right.

    Returns:
        A scale whose temperature is in [0.05, 20]; above 1 where the confidences were too far apart, at 20 where they
        say nothing or the opposite. The log loss is never higher with it: what would raise it is left alone.

    Raises:
        ConfigError: If there is no answer, or all are right or all wrong: then none is the best.
    """
    refuse_one_side(right)
    odds, targets = log_odds(confidences), smooth(right)
    center = odds.mean()  # slope and level of what is centred hardly depend on one another
    columns = np.stack([odds - center, np.ones(len(odds))], axis=1)
    share = targets.mean()
    slope, level = minimize_loss(columns, targets, start=[0.0, np.log(share / (1 - share))])
    within = float(np.clip(slope, 1 / HOTTEST, 1 / COLDEST))
    if within != slope:  # the loss is convex: none within is better than one at the bound
        (level,) = minimize_loss(columns[:, 1:], targets, start=[level], offset=within * columns[:, 0])
    scale = ConfidenceScale(temperature=1 / within, bias=float(level - within * center))
    helps = log_loss([scale.confidence_of(p) for p in confidences], right) < log_loss(confidences, right)
    return scale if helps else ConfidenceScale()


def refuse_one_side(right: Sequence[bool]) -> None:
    """Refuse answers that are all right or all wrong with a ``ConfigError``."""
    if len(set(right)) < 2:
        what = (
            "all of them are right" if any(right) else "none of them is right" if right else "there are none"
        )
        raise ConfigError(f"confidences cannot be fitted to {len(right)} words: {what}; take more recordings")


def smooth(right: Sequence[bool]) -> NDArray[np.float64]:
    """Make targets that finite odds can meet: within (0, 1), by Laplace's rule of succession (Platt, 1999)."""
    num_right = sum(right)
    high, low = (num_right + 1) / (num_right + 2), 1 / (len(right) - num_right + 2)
    return np.where(np.asarray(right, bool), high, low)


def minimize_loss(
    columns: NDArray[np.float64],
    targets: NDArray[np.float64],
    *,
    start: Sequence[float],
    offset: NDArray[np.float64] | float = 0.0,
) -> NDArray[np.float64]:
    """Find the weights (k,) for which sigmoid(columns (n, k) @ weights + offset) comes closest to targets (n,).

    Newton's method; a step that would raise the log loss is halved.
    """

    def loss_at(weights: NDArray[np.float64]) -> float:
        scores = columns @ weights + offset
        return float((np.logaddexp(0.0, scores) - targets * scores).sum())

    weights = np.array(start)
    for _ in range(MOST_STEPS):
        probs = np.exp(-np.logaddexp(0.0, -(columns @ weights + offset)))
        hessian = (columns.T * (probs * (1 - probs))) @ columns + RIDGE * np.eye(len(weights))
        step = np.linalg.solve(hessian, columns.T @ (probs - targets))
        while np.abs(step).max() > PRECISION and loss_at(weights - step) > loss_at(weights):
            step /= 2
        if np.abs(step).max() <= PRECISION:
            break
        weights = weights - step
    return weights


def log_loss(confidences: Sequence[float], right: Sequence[bool]) -> float:
    """Compute the mean of -log of the probability that confidences gave to what came true."""
    signed = np.where(np.asarray(right, bool), -1, 1) * log_odds(confidences)
    return float(np.logaddexp(0.0, signed).mean())


def log_odds(probabilities: Sequence[float]) -> NDArray[np.float64]:
    """Compute log(p / (1 - p)), kept finite."""
    p = np.clip(np.asarray(probabilities, np.float64), LEAST_SURE, SUREST)
    return np.asarray(np.log(p) - np.log1p(-p))
