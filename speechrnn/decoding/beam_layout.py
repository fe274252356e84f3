"""What the beam search reads and writes: flat arrays, which Numba's code and Python's share.

A beam holds *prefixes*, texts so far. Each has two endings: all paths to it that end in a blank, and all that
end in its last token (Hannun et al., 2014, arXiv:1408.2873). Beside their summed probability an ending keeps
its best single path, which says when each token was spoken.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

NONE = -1
UNKNOWN_WORD = -1  # the lexicon node of a partial word that no word of the lexicon begins with
BLANK_ENDING, TOKEN_ENDING = 0, 1
STAYS_IN_BLANK, STAYS_IN_TOKEN = -1, -2  # in place of the token that a candidate appends
MINUS_INFINITY = -np.inf

PREFIX = np.dtype(
    [
        ("node", np.int32),  # in the tree
        ("lm_state", np.int32),
        ("lexicon", np.int32),  # node of the unfinished word; 0 between words
        ("hot", np.int32),  # state of the hot-word automaton
        ("num_words", np.int32),
        ("lm_score", np.float64),  # log probability of the finished words or tokens
        ("extra", np.float64),  # of hot words and unknown words
        ("bonus", np.float64),  # all that is added to the acoustic score
    ],
    align=True,
)
ENDING = np.dtype(
    [
        ("score", np.float64),  # log of the paths' summed (or greatest) probability
        ("best", np.float64),  # log of the best path's probability
        ("peak", np.float64),  # highest log probability of the best path's last token
        ("path", np.int32),  # the best path, in the tree
        ("end", np.int32),  # last frame of its last token
    ],
    align=True,
)
TREE_PREFIX = np.dtype(
    [
        ("parent", np.int32),
        ("token", np.int32),
        ("child", np.int32),  # the latest one; NONE if there is none
        ("sibling", np.int32),  # the parent's child before this one
    ]
)
TREE_PATH = np.dtype(
    [
        ("before", np.int32),
        ("token", np.int32),
        ("start", np.int32),  # frame in which the token begins
        ("end_before", np.int32),  # last frame of the token before
        ("peak_before", np.float64),  # highest log probability of the token before
    ],
    align=True,
)
LEXICON_NODE = np.dtype(
    [
        ("first_arc", np.int32),  # arcs lie side by side, sorted by token, up to the next node's first
        ("first_word", np.int32),  # words that end here, side by side, up to the next node's first
        ("ahead", np.float64),  # highest unigram log probability of the words from here on
    ],
    align=True,
)
ARC = np.dtype([("token", np.int32), ("target", np.int32)])
TOKEN = np.dtype(
    [
        ("begins_word", np.bool_),
        ("choice", np.int32),  # which of the words that end before it was said
        (
            "column",
            np.int32,
        ),  # of the log probabilities; tokens of one column run into each other without a blank
        ("arc", np.int32),  # token by which the lexicon is followed
        ("lm_word", np.int32),
    ],
    align=True,
)


class Beam(NamedTuple):
    """The prefixes alive."""

    prefixes: Any
    """(rows,) of PREFIX."""
    endings: Any
    """(rows, 2) of ENDING: blank, token."""


class Tree(NamedTuple):
    """Prefixes and paths as two forests of tokens; each is its last node, and nodes never change."""

    prefixes: Any
    """(n,) of TREE_PREFIX; 0 is the empty prefix."""
    paths: Any
    """(n,) of TREE_PATH."""
    size: NDArray[np.int64]
    """(2,) prefixes and paths in use."""


class After(NamedTuple):
    """What the prefixes alive are worth after a frame, each as it is."""

    score: NDArray[np.float64]
    """(rows, 2): of all paths, by ending."""
    either: NDArray[np.float64]
    """(rows,): of all paths before the frame, whatever their ending."""
    parent_row: NDArray[np.int32]
    """(rows,): row of the prefix without its last token; NONE if that is not alive."""
    child_row: NDArray[np.int32]
    """(rows, tokens): row of the prefix with one token more; NONE if that is not alive."""
    new_row: NDArray[np.int32]
    """(rows,): row in the next beam; NONE as long as there is none."""


class Candidates(NamedTuple):
    """What may be in the next beam."""

    total: NDArray[np.float64]
    row: NDArray[np.int32]
    """Row of the prefix that stays or is extended."""
    token: NDArray[np.int32]
    """Token appended, or how the prefix stays."""
    prefixes: Any
    """The extended prefix, of PREFIX; not in the tree yet."""


class LanguageModel(NamedTuple):
    """Flat arrays of an n-gram automaton, as in ``speechrnn.lm``; one node if there is none."""

    words: NDArray[np.int32]
    log_probs: NDArray[np.float32]
    backoffs: NDArray[np.float32]
    first_child: NDArray[np.int64]
    suffixes: NDArray[np.int32]


class Lexicon(NamedTuple):
    """Words, or whole texts, as an automaton over tokens; it begins in node 0."""

    nodes: Any
    """(nodes + 1,) of LEXICON_NODE."""
    arcs: Any
    """(arcs,) of ARC."""
    words: NDArray[np.int32]
    """(words,) the language model's id of each."""


class HotWords(NamedTuple):
    """A complete automaton over tokens."""

    next: NDArray[np.int32]
    """(states, tokens)."""
    gain: NDArray[np.float64]
    """(states, tokens): what a step adds to the score; it takes back what an unfinished hot word had been given."""
    highest_gain: NDArray[np.float64]
    """(states,): the highest of a state's gains, 0 at least."""
    at_end: NDArray[np.float64]
    """(states,): what the end of the text adds."""


class Options(NamedTuple):
    """Numbers that the kernel needs."""

    beam_size: int
    threshold: float
    joins: bool
    """Whether prefixes that nothing yet to come tells apart are joined."""
    num_alike: int
    """How many of those go on: as many as texts are asked for."""
    top_tokens: int
    token_threshold: float
    sums: bool
    blank: int
    separator: int
    """Token between words; NONE if none is. At the begin of a text and behind itself it makes no other text."""
    has_lm: bool
    has_lexicon: bool
    words_begin: bool
    """Whether the automaton is of single words, which tokens begin."""
    closed: bool
    """Whether words outside the lexicon are impossible."""
    may_be_empty: bool
    """Whether nothing at all may be said."""
    has_hot_words: bool
    alpha: float
    beta: float
    unknown: int
    """The language model's id of an unknown word."""
    unknown_ahead: float
    unknown_score: float
