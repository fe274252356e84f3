"""A second opinion on an n-best list: hypotheses ranked again with a language model that is too slow to search with."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from speechrnn.decoding.hypothesis import Hypothesis
from speechrnn.errors import ConfigError


class TextScorer(Protocol):
    """A language model over whole texts."""

    def score(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Return (texts,) natural log of the probability of each text and its end."""
        ...


def rescore(hypotheses: Sequence[Hypothesis], scores: ArrayLike, *, weight: float) -> list[Hypothesis]:
    """Add ``weight`` times a language model's score to each hypothesis' score, and rank them by the sum.

    Args:
        hypotheses: Readings of one utterance; what they were ranked by is their ``score``.
        scores: (hypotheses,) natural log of each text's probability.
        weight: How much it counts, >= 0; with 0 the order stays exactly as it is.

    Returns:
        The hypotheses with their new scores, the best first; equal ones keep their order.

    Raises:
        ConfigError: If the weight is not finite or below 0, or scores and hypotheses do not fit together.

    Example:
        >>> first = Hypothesis("too", (1,), (0,), -1.0, 1.0, score=-1.0)
        >>> second = Hypothesis("two", (2,), (0,), -1.2, 1.0, score=-1.2)
        >>> [found.text for found in rescore([first, second], [-5.0, -2.0], weight=0.5)]
        ['two', 'too']
    """
    if not (math.isfinite(weight) and weight >= 0):
        raise ConfigError(f"weight of the rescoring must be >= 0 and finite, got {weight}")
    added = np.asarray(scores, dtype=np.float64)
    check_scores(added, len(hypotheses))
    if weight == 0:
        return list(hypotheses)
    pairs = zip(hypotheses, added.tolist(), strict=True)
    rescored = [replace(found, score=found.score + weight * log_prob) for found, log_prob in pairs]
    return sorted(rescored, key=lambda found: -found.score)


def check_scores(scores: NDArray[np.float64], num_hypotheses: int) -> None:
    """Check that there is one finite score for each hypothesis; errors as ``rescore``."""
    if scores.shape != (num_hypotheses,):
        raise ConfigError(f"{num_hypotheses} hypotheses need one score each, got shape {scores.shape}")
    wrong = np.flatnonzero(~np.isfinite(scores))
    if len(wrong):
        raise ConfigError(f"score of hypothesis {wrong[0]} must be finite, got {scores[wrong[0]]}")
