"""From n-grams in rows, as files have them, to the trie of an ``NgramModel``, with sorting and no loops."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from speechrnn.errors import ModelFileError
from speechrnn.lm.ngram import LmUnit, NgramModel

Place = Callable[[int, int], str]
MAX_NODES = 2**31 - 1  # suffixes are int32


@dataclass(frozen=True, eq=False)
class Level:
    """The n-grams of one order, in any order."""

    ngrams: NDArray[np.integer]
    """(count, order) word ids."""
    log_probs: NDArray[np.float64]
    """(count,) natural logs."""
    backoffs: NDArray[np.float64]
    """(count,) natural logs of the back-off weights."""


@dataclass
class Trie:
    """The nodes so far, level after level; ``keys[i]`` belongs to node ``i + 1``."""

    num_words: int
    keys: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    """Parent's node · number of words + word: rising over all nodes, as that is how they are numbered."""
    log_probs: NDArray[np.float64] = field(default_factory=lambda: np.zeros(1))
    backoffs: NDArray[np.float64] = field(default_factory=lambda: np.zeros(1))
    suffixes: NDArray[np.int64] = field(default_factory=lambda: np.zeros(1, np.int64))

    def append(
        self, keys: NDArray[np.int64], log_probs: NDArray[np.float64], backoffs: NDArray[np.float64]
    ) -> None:
        """Add a level whose keys rise; NaN among the log probs is filled in by backing off."""
        parents, words = np.divmod(keys, self.num_words)
        if len(self.keys) == 0:
            suffixes = np.zeros(len(keys), np.int64)
        else:
            suffixes, lower = self.back_off(self.suffixes[parents], words)
            log_probs = np.where(np.isnan(log_probs), self.backoffs[parents] + lower, log_probs)
        self.keys = np.concatenate([self.keys, keys])
        self.log_probs = np.concatenate([self.log_probs, log_probs])
        self.backoffs = np.concatenate([self.backoffs, backoffs])
        self.suffixes = np.concatenate([self.suffixes, suffixes])

    def find(self, keys: NDArray[np.int64]) -> NDArray[np.int64]:
        """Find nodes by their keys; 0, the root's, for those that do not exist."""
        places = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        return np.where(self.keys[places] == keys, places + 1, 0)

    def back_off(
        self, states: NDArray[np.int64], words: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Find the longest n-gram of each word after a context, and the log probability that it makes."""
        states, weights = states.copy(), np.zeros(len(states))
        nodes = self.find(states * self.num_words + words)
        while len(lacking := np.flatnonzero(nodes == 0)):
            weights[lacking] += self.backoffs[states[lacking]]
            states[lacking] = self.suffixes[states[lacking]]
            nodes[lacking] = self.find(states[lacking] * self.num_words + words[lacking])
        return nodes, weights + self.log_probs[nodes]


def build_model(
    vocabulary: Sequence[str], levels: Sequence[Level], *, unit: LmUnit = "word", place: Place | None = None
) -> NgramModel:
    """Build a model from its n-grams.

    A context that is no n-gram itself becomes one, as in KenLM, with the probability that backing off
    gives it and a back-off weight of 1, so that no score changes.

    Args:
        vocabulary: Words in the order of their ids.
        levels: The n-grams of order 1, 2, …; the first holds every word once.
        unit: What a word is.
        place: Names the n-gram of an order and row in errors.

    Raises:
        ModelFileError: If an n-gram comes twice, or there are too many.
    """
    trie = Trie(len(vocabulary))
    prefixes = [np.zeros(len(level.ngrams), np.int64) for level in levels]
    for index, level in enumerate(levels):
        start = len(trie.keys)
        keys = [
            parents * len(vocabulary) + lower.ngrams[:, index]
            for parents, lower in zip(prefixes[index:], levels[index:], strict=True)
        ]
        trie.append(*sort_level(level, keys, index + 1, place))
        prefixes[index + 1 :] = [np.searchsorted(trie.keys[start:], inner) + start + 1 for inner in keys[1:]]
    return to_model(trie, vocabulary, len(levels), unit)


def sort_level(
    level: Level, keys: Sequence[NDArray[np.int64]], order: int, place: Place | None
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    """Sort a level by its keys, and add to it the contexts of longer n-grams that it lacks; errors as above."""
    own, *longer = keys
    rows = np.argsort(own, kind="stable")
    own = own[rows]
    if len(twice := np.flatnonzero(own[1:] == own[:-1])):
        raise double_ngram(order, int(rows[twice[0]]), int(rows[twice[0] + 1]), place)
    log_probs, backoffs = level.log_probs[rows], level.backoffs[rows]
    if len(missing := absent(own, longer)):
        places = np.searchsorted(own, missing)
        own = np.insert(own, places, missing)
        log_probs = np.insert(log_probs, places, np.nan)
        backoffs = np.insert(backoffs, places, 0.0)
    return own, log_probs, backoffs


def absent(keys: NDArray[np.int64], wanted: Sequence[NDArray[np.int64]]) -> NDArray[np.int64]:
    """Return, sorted, the keys that are wanted but not among ``keys``, which rise."""
    lacking = [np.empty(0, np.int64)]
    for each in wanted:
        places = np.minimum(np.searchsorted(keys, each), len(keys) - 1)
        lacking.append(each[keys[places] != each] if len(keys) else each)
    return np.unique(np.concatenate(lacking))


def double_ngram(order: int, first: int, second: int, place: Place | None) -> ModelFileError:
    """Say that an n-gram comes twice."""
    if place is None:
        return ModelFileError(f"rows {first} and {second} of the {order}-grams are the same")
    return ModelFileError(f"{place(order, second)}: the {order}-gram was already at {place(order, first)}")


def to_model(trie: Trie, vocabulary: Sequence[str], order: int, unit: LmUnit) -> NgramModel:
    """Turn the trie into the arrays of a model."""
    nodes = len(trie.keys) + 1
    if nodes > MAX_NODES:
        raise ModelFileError(f"a language model holds at most {MAX_NODES} n-grams, this one would {nodes}")
    parents, words = np.divmod(trie.keys, trie.num_words)
    num_children = np.bincount(parents, minlength=nodes)
    return NgramModel(
        vocabulary=tuple(vocabulary),
        order=order,
        words=np.concatenate([[-1], words]).astype(np.int32),
        log_probs=trie.log_probs.astype(np.float32),
        backoffs=trie.backoffs.astype(np.float32),
        first_child=np.concatenate([[1], 1 + np.cumsum(num_children)]),
        suffixes=trie.suffixes.astype(np.int32),
        unit=unit,
    )
