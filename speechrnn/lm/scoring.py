"""The arithmetic of a back-off model, compiled: Numba makes machine code on first use and keeps it on disk."""

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from numba import njit
from numpy.typing import NDArray

Function = TypeVar("Function", bound=Callable[..., Any])


def compile_small(function: Function) -> Function:
    """Compile a function that makes no arrays.

    Numba counts references to every array of every tuple that a function is given, atomically: two thirds of the
    whole time, where functions are small. Those that make no arrays can do without.
    """
    options: Any = {"cache": True, "_nrt": False}  # the latter is in no documentation and no stub
    compiled: Any = njit(**options)(function)
    return compiled  # type: ignore[no-any-return]


@compile_small
def find_child(words: NDArray[np.int32], first_child: NDArray[np.int64], node: int, word: int) -> int:
    """Find the node of ``word`` among the children of ``node``; 0, the root, which is no child, if it lacks."""
    if node == 0:
        return word + 1
    low, high = first_child[node], first_child[node + 1]
    end = high
    while low < high:
        middle = (low + high) // 2
        if words[middle] < word:
            low = middle + 1
        else:
            high = middle
    return low if low < end and words[low] == word else 0


@compile_small
def minimize_state(
    backoffs: NDArray[np.float32], first_child: NDArray[np.int64], suffixes: NDArray[np.int32], state: int
) -> int:
    """Drop the leading words of a context that no future word can see: no children, back-off log weight 0."""
    node: Any = np.int64(state)  # one type through the loop, whatever the caller's
    while node != 0 and backoffs[node] == 0.0 and first_child[node] == first_child[node + 1]:
        node = np.int64(suffixes[node])
    return node  # type: ignore[no-any-return]


@compile_small
def score_word(
    words: NDArray[np.int32],
    log_probs: NDArray[np.float32],
    backoffs: NDArray[np.float32],
    first_child: NDArray[np.int64],
    suffixes: NDArray[np.int32],
    state: int,
    word: int,
) -> tuple[float, int]:
    """Score a word after a context (Katz, 1987, in the form of an ARPA file).

    P(w | h) is the n-gram's own if there is one, or else b(h) · P(w | h without its first word).

    Args:
        words: As the others, the arrays of an ``NgramModel``.
        log_probs: Natural logs.
        backoffs: Natural logs.
        first_child: Bounds of each node's children.
        suffixes: Node of each context without its first word.
        state: Node of the context; any node will do, minimal or not.
        word: Id in [0, number of words); not checked.

    Returns:
        Natural log of P(word | state), and the minimal state after the word.
    """
    node: Any = np.int64(state)
    backoff = 0.0
    child = find_child(words, first_child, node, word)
    while child == 0:
        backoff += backoffs[node]
        node = np.int64(suffixes[node])
        child = find_child(words, first_child, node, word)
    return backoff + log_probs[child], minimize_state(backoffs, first_child, suffixes, child)


@njit(cache=True)
def score_sentences(
    words: NDArray[np.int32],
    log_probs: NDArray[np.float32],
    backoffs: NDArray[np.float32],
    first_child: NDArray[np.int64],
    suffixes: NDArray[np.int32],
    begin_state: int,
    end_of_sentence: int,
    text: NDArray[np.int32],
) -> NDArray[np.float64]:
    """Score a text of sentences, each closed by ``end_of_sentence``: a natural log for each of its words."""
    scores = np.empty(len(text), np.float64)
    state: Any = np.int64(begin_state)
    for index in range(len(text)):
        scores[index], state = score_word(
            words, log_probs, backoffs, first_child, suffixes, state, text[index]
        )
        if text[index] == end_of_sentence:
            state = np.int64(begin_state)
    return scores
