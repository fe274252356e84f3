"""Forced alignment: when each token of a known transcript is heard."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from speechrnn.errors import ConfigError


class Span(NamedTuple):
    """The frames of one token."""

    start: int
    """The first."""
    end: int
    """The one behind the last."""


def align_tokens(log_probs: NDArray[Any], tokens: Sequence[int], *, blank: int = 0) -> list[Span]:
    """Find the likeliest path of CTC through a transcript (Graves et al., 2006; Viterbi in the place of sums).

    Args:
        log_probs: (frames, vocabulary), of one utterance without padding.
        tokens: Ids of the transcript, without blanks.
        blank: Id of the blank.

    Returns:
        The frames of each token, in order; between two of the same there is a blank at least.

    Raises:
        ConfigError: If there are fewer frames than the tokens, and blanks between equal ones, need.

    Example:
        >>> log_probs = np.log([[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.1, 0.2, 0.7]])
        >>> align_tokens(log_probs, [1, 2])
        [Span(start=1, end=2), Span(start=2, end=3)]
    """
    if len(log_probs) < (least := least_frames(tokens)):
        raise ConfigError(f"{len(log_probs)} frames are too few for a transcript that needs {least}")
    if not tokens:
        return []
    states = np.full(2 * len(tokens) + 1, blank)  # a blank before, between and behind the tokens
    states[1::2] = tokens
    path = likeliest_path(log_probs, states, blank)
    firsts = np.searchsorted(path, np.arange(1, len(states), 2))
    behind = np.searchsorted(path, np.arange(1, len(states), 2), side="right")
    return [Span(int(start), int(end)) for start, end in zip(firsts, behind, strict=True)]


def least_frames(tokens: Sequence[int]) -> int:
    """Count the frames that a transcript needs: one for each token, and for the blank between equal ones."""
    return len(tokens) + sum(a == b for a, b in pairwise(tokens))


def likeliest_path(log_probs: NDArray[Any], states: NDArray[np.int64], blank: int) -> NDArray[np.int64]:
    """Find the state in each frame of the likeliest path from one of the first two to one of the last two."""
    emissions = log_probs[:, states].astype(np.float64)
    may_skip = np.zeros(len(states), dtype=bool)  # the blank between two tokens that differ
    may_skip[2:] = (states[2:] != blank) & (states[2:] != states[:-2])
    steps = np.zeros(emissions.shape, dtype=np.int8)
    score = np.full(len(states), -np.inf)
    score[:2] = emissions[0, :2]
    for frame in range(1, len(emissions)):
        candidates = np.full((3, len(states)), -np.inf)
        candidates[0] = score
        candidates[1, 1:] = score[:-1]
        candidates[2, 2:] = np.where(may_skip[2:], score[:-2], -np.inf)
        steps[frame] = candidates.argmax(0)
        score = candidates.max(0) + emissions[frame]
    state = len(states) - 1 - int(score[-2] > score[-1])
    path = np.empty(len(emissions), dtype=np.int64)
    for frame in range(len(emissions) - 1, -1, -1):
        path[frame] = state
        state -= int(steps[frame, state])
    return path
