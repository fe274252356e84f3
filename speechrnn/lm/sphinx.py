"""Language models of CMU Sphinx in binary form (``.lm.bin``): a trie from the last word of an n-gram to the first."""

import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from speechrnn.errors import ModelFileError
from speechrnn.lm.arpa import LN_10, LOG10_UNKNOWN
from speechrnn.lm.ngram import UNKNOWN, NgramModel
from speechrnn.lm.trie import Level, build_model

MAGIC = b"Trie Language Model"
LOG_BASE = math.log(1.0001)  # natural log of what the file's logs are to the base of
NUM_CODES = 1 << 16  # log probabilities and weights are places in tables
CODE_BITS = 16
ENTRY_PADDING = 8  # bytes behind each order's entries
UNIGRAM = np.dtype([("log_prob", "<f4"), ("backoff", "<f4"), ("first_child", "<u4")])


class Entries(NamedTuple):
    """The n-grams of one order, as they are packed."""

    words: NDArray[np.int64]
    """(count,) the first word of each, the last to be looked up."""
    log_probs: NDArray[np.float64]
    backoffs: NDArray[np.float64]
    first_child: NDArray[np.int64]
    """(count + 1,); empty for the highest order."""

    def first(self, count: int) -> "Entries":
        """Take the first entries: files have room for some more than there are.

        Raises:
            ValueError: If there are not so many.
        """
        if count > len(self.words):
            raise ValueError(f"it tells of {count:,} n-grams and holds {len(self.words):,}")
        children = self.first_child[: count + 1]
        return Entries(self.words[:count], self.log_probs[:count], self.backoffs[:count], children)


def is_sphinx(path: str | os.PathLike[str]) -> bool:
    """Tell whether a file is a binary language model of CMU Sphinx."""
    with open(path, "rb") as file:
        return file.read(len(MAGIC)) == MAGIC


def read_sphinx(path: str | os.PathLike[str]) -> NgramModel:
    """Read a binary language model of CMU Sphinx, such as those that come with PocketSphinx.

    Its probabilities are rounded to one of 65,536 values. Words that it does not know have the log10 probability -100,
    unless it says otherwise.

    Raises:
        ModelFileError: If it cannot be read, or is cut short or damaged.
    """
    try:
        data = np.frombuffer(Path(path).read_bytes(), np.uint8)
        return SphinxFile(data).read()
    except OSError as error:
        raise ModelFileError(f"{path}: cannot be read: {error.strerror}") from error
    except (ValueError, IndexError, UnicodeDecodeError) as error:
        raise ModelFileError(f"{path}: is damaged, or no language model of CMU Sphinx: {error}") from error


@dataclass
class SphinxFile:
    """What is left of a file."""

    data: NDArray[np.uint8]
    place: int = len(MAGIC)

    def take(self, dtype: np.dtype[np.void] | str, count: int) -> NDArray[np.void]:
        """Read the next numbers; a ``ValueError`` if there are not so many."""
        dtype = np.dtype(dtype)
        end = self.place + dtype.itemsize * count
        if end > len(self.data):
            raise ValueError(f"it ends at byte {len(self.data):,} of {end:,} or more")
        taken = self.data[self.place : end].view(dtype)
        self.place = end
        return taken

    def read(self) -> NgramModel:
        """Read all of it."""
        order = int(self.take("u1", 1)[0])
        counts = self.take("<u4", order).astype(np.int64).tolist()
        if order > 1:
            self.take("<i4", 1)  # once a kind of rounding
        tables = [
            self.take("<f4", NUM_CODES).astype(np.float64)
            for _ in range(2 * (order - 2) + 1 if order > 1 else 0)
        ]
        unigrams = self.take(UNIGRAM, counts[0] + 1)
        weights = unigrams["backoff"][:-1].astype(np.float64) * (order > 1)  # the highest order has none
        levels = [
            Entries(
                np.arange(counts[0]),
                unigrams["log_prob"][:-1].astype(np.float64),
                weights,
                unigrams["first_child"].astype(np.int64),
            )
        ]
        for n in range(1, order):
            following = counts[n + 1] if n + 1 < order else None
            levels.append(self.read_entries(counts[n], counts[0], following, tables[2 * (n - 1) :]))
        return build(self.read_vocabulary(counts[0]), levels)

    def read_entries(
        self, count: int, num_words: int, num_children: int | None, tables: list[NDArray[np.float64]]
    ) -> Entries:
        """Read the n-grams of an order: word, code of the weight, code of the log probability, first child."""
        word_bits = num_words.bit_length()
        has_children = num_children is not None
        child_bits = num_children.bit_length() if num_children is not None else 0
        code_bits = 2 * CODE_BITS if has_children else CODE_BITS
        size = word_bits + code_bits + child_bits
        data = self.take("u1", ((count + 1) * size + 7) // 8 + ENTRY_PADDING).astype(np.uint64)
        starts = np.arange(count + 1) * size
        words = unpack(data, starts[:-1], word_bits)
        codes = unpack(data, starts[:-1] + word_bits, CODE_BITS)
        if not has_children:
            return Entries(words, tables[0][codes], np.zeros(count), np.empty(0, np.int64))
        prob_codes = unpack(data, starts[:-1] + word_bits + CODE_BITS, CODE_BITS)
        children = unpack(data, starts + word_bits + code_bits, child_bits)
        return Entries(words, tables[0][prob_codes], tables[1][codes], children)

    def read_vocabulary(self, num_words: int) -> list[str]:
        """Read the words, each with a zero byte behind it."""
        size = int(self.take("<i4", 1)[0])
        words = self.take("u1", size).tobytes().decode().split("\0")[:-1]
        if len(words) != num_words:
            raise ValueError(f"it holds {len(words):,} words and tells of {num_words:,}")
        return words


def unpack(data: NDArray[np.uint64], starts: NDArray[np.int64], num_bits: int) -> NDArray[np.int64]:
    """Read numbers of at most 32 bits, the lowest first, that begin at given bits of bytes (bytes,)."""
    firsts, shifts = starts // 8, (starts % 8).astype(np.uint64)
    values = np.zeros(len(starts), np.uint64)
    for place in range(5):
        values |= data[firsts + place] << np.uint64(8 * place)
    return ((values >> shifts) & np.uint64((1 << num_bits) - 1)).astype(np.int64)


def build(vocabulary: list[str], levels: list[Entries]) -> NgramModel:
    """Turn the trie, which goes from the last word of an n-gram to the first, into rows of words."""
    rows = levels[0].words[:, None]
    rounded = []
    sizes = np.empty(0, np.int64)
    for n, entries in enumerate(levels):
        if n > 0:
            entries = entries.first(int(sizes.sum()))
            rows = np.concatenate([entries.words[:, None], np.repeat(rows, sizes, axis=0)], axis=1)
        if (rows >= len(vocabulary)).any():
            raise ValueError(f"a word of its {n + 1}-grams does not exist")
        sizes = np.diff(entries.first_child)
        if (sizes < 0).any():
            raise ValueError(f"its {n + 2}-grams do not fit its {n + 1}-grams")
        rounded.append(Level(rows, entries.log_probs * LOG_BASE, entries.backoffs * LOG_BASE))
    if UNKNOWN not in vocabulary:
        rounded[0] = add_unknown(rounded[0])
        vocabulary = [*vocabulary, UNKNOWN]
    return build_model(vocabulary, rounded)


def add_unknown(unigrams: Level) -> Level:
    """Add a word that stands for those that the model does not know."""
    return Level(
        np.append(unigrams.ngrams, [[len(unigrams.ngrams)]], axis=0),
        np.append(unigrams.log_probs, LOG10_UNKNOWN * LN_10),
        np.append(unigrams.backoffs, 0.0),
    )
