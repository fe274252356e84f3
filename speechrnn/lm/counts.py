"""How often each n-gram of a text comes, by sorting."""

from array import array
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from speechrnn.errors import TextError
from speechrnn.lm.ngram import BEGIN_OF_SENTENCE, END_OF_SENTENCE, UNKNOWN

SPECIAL = (UNKNOWN, BEGIN_OF_SENTENCE, END_OF_SENTENCE)
"""The first words of a vocabulary; their ids are their places."""
BEGIN, END = 1, 2


class WordIds(dict[str, int]):
    """Numbers words as they come up."""

    def __init__(self) -> None:
        """Begin with the special words."""
        super().__init__({word: number for number, word in enumerate(SPECIAL)})

    def __missing__(self, word: str) -> int:
        """Give a new word the next id."""
        self[word] = number = len(self)
        return number


@dataclass(frozen=True, eq=False)
class NgramCounts:
    """The n-grams of one order that come in a text, sorted by (context, last word)."""

    contexts: NDArray[np.int32]
    """(n-grams,) row, among those of the order below, of the n-gram without its last word."""
    words: NDArray[np.int32]
    """(n-grams,) last word."""
    suffixes: NDArray[np.int32]
    """(n-grams,) row, among those of the order below, of the n-gram without its first word."""
    counts: NDArray[np.int64]
    """(n-grams,) how often it comes."""


def number_words(sentences: Iterable[Sequence[str]]) -> tuple[list[str], NDArray[np.int32]]:
    """Turn a text into numbers.

    Args:
        sentences: Words of each; an empty sentence counts.

    Returns:
        The words in the order of their ids, the special ones first, and the text: ids with <s> before
        and </s> after each sentence.

    Raises:
        TextError: If there is no word at all.
    """
    ids, text = WordIds(), array("i")
    for sentence in sentences:
        text.append(BEGIN)
        text.extend(map(ids.__getitem__, sentence))
        text.append(END)
    if len(ids) == len(SPECIAL):
        raise TextError("the text holds no words; a language model needs some")
    return list(ids), np.frombuffer(text, np.int32)


def count_ngrams(
    text: NDArray[np.int32],
    num_words: int,
    order: int,
    *,
    on_order: Callable[[int], None] = lambda order: None,
) -> list[NgramCounts]:
    """Count the n-grams of each order up to ``order``.

    No n-gram goes beyond a sentence, and <s> alone is no unigram that comes.

    Args:
        text: As ``number_words`` returns it.
        num_words: Size of the vocabulary.
        order: Words of the longest n-grams.
        on_order: Told each order that is done.

    Returns:
        For each order from 1 on; the unigrams are all words, in the order of their ids.
    """
    zeros, words = np.zeros(num_words, np.int32), np.arange(num_words, dtype=np.int32)
    follows = text != BEGIN
    levels = [NgramCounts(zeros, words, zeros, np.bincount(text[follows], minlength=num_words))]
    rows, is_last_word = text, np.ones(len(text), bool)
    for longer in range(2, order + 1):
        on_order(longer - 1)
        is_last_word = np.concatenate([[False], is_last_word[:-1]]) & follows
        level, rows = count_longer(text, rows, np.flatnonzero(is_last_word), num_words)
        levels.append(level)
    on_order(order)
    return levels


def count_longer(
    text: NDArray[np.int32], rows: NDArray[np.int32], places: NDArray[np.int64], num_words: int
) -> tuple[NgramCounts, NDArray[np.int32]]:
    """Count n-grams that are a word longer than those counted last.

    Args:
        text: As above.
        rows: (words of the text,) the n-gram of the order below that ends at each word.
        places: Where the n-grams end.
        num_words: Size of the vocabulary.

    Returns:
        The n-grams, and which of them ends at each word of the text.
    """
    keys = rows[places - 1].astype(np.int64) * num_words + text[places]
    by_key = np.argsort(keys)
    keys, places = keys[by_key], places[by_key]
    is_first = np.ones(len(keys), bool)
    is_first[1:] = keys[1:] != keys[:-1]
    starts = np.flatnonzero(is_first)
    contexts, words = np.divmod(keys[starts], num_words)
    counts = np.diff(starts, append=len(keys))
    level = NgramCounts(
        contexts.astype(np.int32), words.astype(np.int32), rows[places[starts]].astype(np.int32), counts
    )
    longer = np.zeros(len(text), np.int32)
    longer[places] = np.cumsum(is_first) - 1
    return level, longer
