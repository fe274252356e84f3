"""Estimating an n-gram model from text: interpolated modified Kneser–Ney, as KenLM's lmplz does it.

The smoothing is that of Chen and Goodman (1998, "An Empirical Study of Smoothing Techniques for Language
Modeling", TR-10-98, section 3); the treatment of <s>, <unk> and pruning is that of lmplz (Heafield et al., 2013,
"Scalable Modified Kneser-Ney Language Model Estimation").
"""

import itertools
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from speechrnn.errors import ConfigError, TextError
from speechrnn.lm.counts import BEGIN, SPECIAL, NgramCounts, count_ngrams, number_words
from speechrnn.lm.entropy_pruning import back_off, check_room, choose_useful
from speechrnn.lm.ngram import LM_UNITS, LmUnit, NgramModel
from speechrnn.lm.progress import OnProgress, ignore_progress
from speechrnn.lm.trie import Trie, to_model

logger = logging.getLogger("speechrnn")

FALLBACK_DISCOUNTS = (0.0, 0.5, 1.0, 1.5)  # lmplz's
LEAST = 1e-99  # what stands for 0 under a logarithm, as in SRILM


def estimate_model(
    sentences: Iterable[Sequence[str]],
    *,
    order: int = 4,
    unit: LmUnit = "word",
    prune: Sequence[int] = (),
    vocabulary: Iterable[str] | None = None,
    most_words: int | None = None,
    most_ngrams: int | None = None,
    on_progress: OnProgress | None = None,
) -> NgramModel:
    """Estimate a model with interpolated modified Kneser–Ney smoothing.

    P(w | h) = (a(h w) − D(a(h w))) / a(h ·) + γ(h) · P(w | h without its first word), where a(h w) is how
    often h w comes if it is of the highest order or begins with <s>, and otherwise how many words come in
    front of it; a(h ·) is the sum of that over all words, γ(h) what makes P sum to 1, and D the order's discount
    for an n-gram with a = 1, 2, and 3 or more (see ``discounts_of``). Unigrams are interpolated with
    1 / (words, <unk> and </s> included, <s> not), which is all that <unk> has. What pruning takes
    away goes to γ(h). 10 M words of order 4 take up to 3 GB of memory.

    Args:
        sentences: Words or characters of each, without <s>, </s> and <unk>; an empty one counts.
        order: Words of the longest n-gram, >= 1.
        unit: What a word is.
        prune: For each order from 1 on, the count up to which n-grams are left out; must not fall, and
            the last is that of the orders behind. (0, 0, 1) leaves out what comes once, from trigrams on.
        vocabulary: Words that n-grams are kept of; those with another word are left out, as with lmplz's
            --limit_vocab_file. All words when not given.
        most_words: How many words n-grams are kept of at most, the most frequent ones of those; at least 1.
        most_ngrams: How many n-grams are kept at most, the special words counted: those that the model would miss most
            (see ``entropy_pruning``).
        on_progress: Told how many steps are done once the text is read, of how many: two for each order.

    Raises:
        ConfigError: If ``order``, ``unit``, ``prune``, ``most_words`` or ``most_ngrams`` is out of range.
        TextError: If there is no word in the text, or none that the vocabulary has.

    Example:
        >>> model = estimate_model([["a", "b"], ["a"]], order=2)
        >>> model.counts
        (5, 4)
    """
    thresholds = check_prune(prune, order)
    if most_ngrams is not None and most_ngrams < 1:
        raise ConfigError(f"most_ngrams must be >= 1, got {most_ngrams}")
    if unit not in LM_UNITS:
        raise ConfigError(f"unit must be one of {', '.join(LM_UNITS)}, got {unit!r}")
    words, text = number_words(sentences)
    report = on_progress or ignore_progress
    levels = count_ngrams(text, len(words), order, on_order=lambda done: report(done, 2 * order))
    allowed = None if vocabulary is None else check_vocabulary(words, vocabulary)
    if most_words is not None:
        allowed = choose_frequent(levels[0].counts, allowed, most_words)
    kept = choose_kept(levels, thresholds, allowed)
    if most_ngrams is not None:
        check_room(int(kept[0].sum()), most_ngrams)
    smoothed = smooth(levels, kept, on_order=lambda done: report(order + done, 2 * order))
    if most_ngrams is not None:
        kept, smoothed = prune_useless(levels, kept, smoothed, most_ngrams)
    return to_model(join_levels(levels, kept, smoothed), names(words, kept[0]), order, unit)


def check_prune(prune: Sequence[int], order: int) -> list[int]:
    """Check order and thresholds, and return a threshold for each order; errors as ``estimate_model``."""
    if order < 1:
        raise ConfigError(f"order must be >= 1, got {order}")
    if len(prune) > order:
        raise ConfigError(f"prune has {len(prune)} thresholds for a model of order {order}")
    thresholds = [*prune, *[prune[-1] if prune else 0] * (order - len(prune))]
    if any(low > high for low, high in itertools.pairwise([0, *thresholds])):
        # or an n-gram would stay whose beginning is gone
        raise ConfigError(f"prune must be >= 0 and never fall, got {' '.join(map(str, prune))}")
    return thresholds


def check_vocabulary(words: Sequence[str], vocabulary: Iterable[str]) -> NDArray[np.bool_]:
    """Tell for each word of the text whether the vocabulary has it; the special words always count as had."""
    known = {*vocabulary, *SPECIAL}
    allowed = np.array([word in known for word in words])
    if allowed.sum() == len(SPECIAL):
        raise TextError("the text holds no word of the vocabulary")
    return allowed


def choose_frequent(
    counts: NDArray[np.int64], allowed: NDArray[np.bool_] | None, most: int
) -> NDArray[np.bool_]:
    """Tell for each word whether it is among the most frequent of those allowed; the special words always are."""
    if most < 1:
        raise ConfigError(f"most_words must be >= 1, got {most}")
    counts = counts.copy() if allowed is None else np.where(allowed, counts, 0)
    counts[: len(SPECIAL)] = 0
    chosen = np.zeros(len(counts), bool)
    chosen[np.argsort(-counts, kind="stable")[:most]] = True
    chosen &= counts > 0
    chosen[: len(SPECIAL)] = True
    return chosen


def choose_kept(
    levels: Sequence[NgramCounts], thresholds: Sequence[int], allowed: NDArray[np.bool_] | None
) -> list[NDArray[np.bool_]]:
    """Tell which n-grams of each order are not pruned; always the special words."""
    kept = [level.counts > threshold for level, threshold in zip(levels, thresholds, strict=True)]
    kept[0][: len(SPECIAL)] = True
    if allowed is None:
        return kept
    is_allowed = allowed
    for index, level in enumerate(levels):
        if index:
            is_allowed = is_allowed[level.contexts] & allowed[level.words]
        kept[index] &= is_allowed
    return kept


# ---- Smoothing ------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Smoothed:
    """The probabilities of one order."""

    probs: NDArray[np.float64]
    """(n-grams,) P(last word | the words before it), where the n-gram is kept."""
    backoffs: NDArray[np.float64]
    """(n-grams of the order below,) γ of each as a context; 1 where it is none."""


def smooth(
    levels: Sequence[NgramCounts], kept: Sequence[NDArray[np.bool_]], *, on_order: Callable[[int], None]
) -> list[Smoothed]:
    """Give every n-gram its probability, order by order; ``on_order`` is told each that is done."""
    num_words = int(kept[0].sum()) - 1  # all but <s>, which is never predicted
    lower = np.array([1 / num_words])
    smoothed = []
    for index, level in enumerate(levels):
        counts = adjust_counts(levels, index)
        result = interpolate(level, counts, kept[index], discounts_of(counts, index + 1), lower)
        if index == 0:
            result.probs[BEGIN] = 1.0  # as in lmplz; nothing ever asks for it
        smoothed.append(result)
        lower = result.probs
        on_order(index + 1)
    return smoothed


def adjust_counts(levels: Sequence[NgramCounts], index: int) -> NDArray[np.int64]:
    """Count what smoothing counts: how many words come in front of each n-gram.

    That is how often it comes itself in the highest order, and where nothing can come in front of it, as
    it begins with <s>.
    """
    level = levels[index]
    if index == len(levels) - 1:
        return level.counts
    num_before = np.bincount(levels[index + 1].suffixes, minlength=len(level.words))
    begins = np.arange(len(levels[0].words)) == BEGIN
    for each in levels[1 : index + 1]:
        begins = begins[each.contexts]
    return np.where(begins, level.counts, num_before)


def discounts_of(counts: NDArray[np.int64], order: int) -> NDArray[np.float64]:
    """Estimate the discounts of an order (Chen and Goodman, 1998, equation 26).

    With n_i the number of n-grams whose adjusted count is i, and Y = n_1 / (n_1 + 2 n_2),
    D_i = i − (i + 1) Y n_{i+1} / n_i.

    Args:
        counts: Adjusted, pruned n-grams included.
        order: For the warning.

    Returns:
        (4,) discounts of n-grams that come 0, 1, 2, and 3 or more times. Where n_1, n_2 or n_3 is 0 or a
        discount is not in [0, i], as in little or artificial data, 0.5, 1 and 1.5 with a warning.
    """
    if not len(counts):  # no sentence is that long
        return np.array(FALLBACK_DISCOUNTS)
    n = np.bincount(np.minimum(counts, 5), minlength=6)[:5].astype(np.float64)
    i = np.arange(1, 4)
    if n[i].all():
        discounts = i - (i + 1) * n[1] / (n[1] + 2 * n[2]) * n[i + 1] / n[i]
        if ((discounts >= 0) & (discounts <= i)).all():
            return np.concatenate([[0.0], discounts])
    seen = ", ".join(f"{number:.0f} come {times}×" for times, number in enumerate(n[1:], start=1))
    logger.warning(
        "%d-grams: too little or too regular text to estimate their discounts (%s); taking 0.5, 1 and 1.5",
        order,
        seen,
    )
    return np.array(FALLBACK_DISCOUNTS)


def interpolate(
    level: NgramCounts,
    counts: NDArray[np.int64],
    kept: NDArray[np.bool_],
    discounts: NDArray[np.float64],
    lower: NDArray[np.float64],
) -> Smoothed:
    """Discount the counts of an order and hand what is taken to the order below.

    Args:
        level: The n-grams.
        counts: Adjusted.
        kept: Which of them are not pruned.
        discounts: As ``discounts_of`` returns them.
        lower: Probabilities of the order below.
    """
    discount = discounts[np.minimum(counts, 3)]
    totals = np.bincount(level.contexts, weights=counts, minlength=len(lower))
    taken = np.bincount(level.contexts, weights=np.where(kept, discount, counts), minlength=len(lower))
    backoffs = np.divide(taken, totals, out=np.ones(len(lower)), where=totals > 0)
    probs = (counts - discount) / totals[level.contexts] + backoffs[level.contexts] * lower[level.suffixes]
    return Smoothed(probs, backoffs)


def prune_useless(
    levels: Sequence[NgramCounts], kept: Sequence[NDArray[np.bool_]], smoothed: Sequence[Smoothed], most: int
) -> tuple[list[NDArray[np.bool_]], list[Smoothed]]:
    """Leave only the most useful n-grams, and hand what the others had to the order below."""
    probs = [each.probs for each in smoothed]
    useful = choose_useful(levels, kept, probs, most)
    again = [
        Smoothed(high, back_off(level, mask, high, low))
        for level, mask, high, low in zip(levels[1:], useful[1:], probs[1:], probs, strict=False)
    ]
    return useful, [smoothed[0], *again]


# ---- The model ------------------------------------------------------------------------------------------


def names(words: Sequence[str], kept: NDArray[np.bool_]) -> list[str]:
    """Return the words that are kept."""
    return list(itertools.compress(words, kept))


def join_levels(
    levels: Sequence[NgramCounts], kept: Sequence[NDArray[np.bool_]], smoothed: Sequence[Smoothed]
) -> Trie:
    """Number what is kept as nodes of a trie; the n-grams are already in the order of those."""
    num_words, word_ids = int(kept[0].sum()), np.cumsum(kept[0]) - 1
    nodes, end = np.zeros(1, np.int64), 1  # node of each row of the order below, at first the root; next node
    keys, log_probs, backoffs, suffixes = [], [np.zeros(1)], [np.zeros(1)], [np.zeros(1, np.int64)]
    weights = [*(each.backoffs for each in smoothed[1:]), np.ones(len(levels[-1].words))]
    for level, is_kept, result, weight in zip(levels, kept, smoothed, weights, strict=True):
        rows = np.flatnonzero(is_kept)
        keys.append(nodes[level.contexts[rows]] * num_words + word_ids[level.words[rows]])
        log_probs.append(to_log(result.probs[rows]))
        # Weights may be above 1 where an n-gram that stays is rarer than backing off would make it.
        backoffs.append(np.log(np.maximum(weight[rows], LEAST)))
        suffixes.append(nodes[level.suffixes[rows]])
        nodes = end + np.cumsum(is_kept) - 1
        end += len(rows)
    return Trie(num_words, *map(np.concatenate, (keys, log_probs, backoffs, suffixes)))


def to_log(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Take the natural log of probabilities in [0, 1]; rounding may have gone beyond."""
    return np.log(np.clip(values, LEAST, 1.0))
