"""Keeping of an n-gram model what it would miss most (Stolcke, 1998, arXiv:cs/0006025), with counts at hand.

How often a context comes is taken from the text itself and not, as from a finished model, from its probabilities:
those that Kneser–Ney smoothing gives to lower orders say how many contexts a word has, not how often it comes, and
pruned by them a model gets worse (Chelba et al., 2010, "Study on Interaction between Entropy Pruning and Kneser-Ney
Smoothing").
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from speechrnn.errors import ConfigError
from speechrnn.lm.counts import NgramCounts

LEAST_LEFT = 1e-12  # of a context's probability for words that it does not list: rounding may leave less


def choose_useful(
    levels: Sequence[NgramCounts],
    kept: Sequence[NDArray[np.bool_]],
    probs: Sequence[NDArray[np.float64]],
    most: int,
) -> list[NDArray[np.bool_]]:
    """Choose the n-grams whose loss would cost most: all unigrams, and of the others the best.

    An n-gram stays as long as a longer one that begins or ends with it.

    Args:
        levels: The n-grams of each order.
        kept: Which of them may stay.
        probs: Of each order, P(last word | the words before it).
        most: N-grams to keep, unigrams counted, as ``check_room`` wants them; fewer stay where several cost the same.

    Returns:
        Which stay, for each order.
    """
    num_words = int(kept[0].sum())
    losses = [np.empty(0)] + [
        lose_each(level, mask, high, low)
        for level, mask, high, low in zip(levels[1:], kept[1:], probs[1:], probs, strict=False)
    ]
    for order in range(len(levels) - 1, 1, -1):
        rows = np.flatnonzero(kept[order])
        for needed in (levels[order].contexts, levels[order].suffixes):
            np.maximum.at(losses[order - 1], needed[rows], losses[order][rows])
    bound = bound_of(np.concatenate(losses), most - num_words)
    return [kept[0], *(loss > bound for loss in losses[1:])]


def check_room(num_words: int, most: int) -> None:
    """Check that there is room for the unigrams.

    Raises:
        ConfigError: If fewer n-grams are to stay than there are words.
    """
    if most < num_words:
        raise ConfigError(
            f"most_ngrams must be >= the {num_words} words of the model, got {most}; leave out words with a vocabulary"
        )


def bound_of(losses: NDArray[np.float64], most: int) -> float:
    """Find the loss above which at most so many are."""
    if len(losses) <= most:
        return -np.inf
    place = len(losses) - most - 1
    return float(np.partition(losses, place)[place])


def lose_each(
    level: NgramCounts,
    kept: NDArray[np.bool_],
    probs: NDArray[np.float64],
    lower: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Compute what the text would cost more without each n-gram, if all others of its context stayed.

    With p = P(w | h), q = P(w | h without its first word), the sums S and L of both over what h lists, and the weights
    α = (1 − S) / (1 − L) and α' = (1 − S + p) / (1 − L + q) before and after, h coming c times:
    c · (p (ln p − ln q − ln α') + (1 − S) (ln α − ln α')).

    Args:
        level: The n-grams of an order.
        kept: Which of them may stay.
        probs: Of each.
        lower: Of the order below.

    Returns:
        (n-grams,) nats; -inf of those that may not stay.
    """
    rows = np.flatnonzero(kept)
    contexts = level.contexts[rows]
    p, q = probs[rows], lower[level.suffixes[rows]]
    count = np.bincount(level.contexts, weights=level.counts, minlength=len(lower))[contexts]
    left, left_below = leave(contexts, p, len(lower))[contexts], leave(contexts, q, len(lower))[contexts]
    before = np.log(left) - np.log(left_below)
    after = np.log(left + p) - np.log(left_below + q)
    losses = np.full(len(kept), -np.inf)
    losses[rows] = count * (p * (np.log(p) - np.log(q) - after) + left * (before - after))
    return losses


def back_off(
    level: NgramCounts,
    kept: NDArray[np.bool_],
    probs: NDArray[np.float64],
    lower: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Compute the back-off weights of the order below, (contexts,), so that the probabilities after each sum to 1."""
    rows = np.flatnonzero(kept)
    contexts = level.contexts[rows]
    left, left_below = (
        leave(contexts, each, len(lower)) for each in (probs[rows], lower[level.suffixes[rows]])
    )
    return left / left_below


def leave(contexts: NDArray[np.int32], probs: NDArray[np.float64], num_contexts: int) -> NDArray[np.float64]:
    """Compute what each context leaves of 1 beside some n-grams."""
    taken = np.bincount(contexts, weights=probs, minlength=num_contexts)
    return np.maximum(1 - taken, LEAST_LEFT)
