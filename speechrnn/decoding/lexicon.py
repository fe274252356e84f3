"""Words as a trie of the model's tokens, laid out for the beam search."""

from collections import deque
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from speechrnn.decoding.beam_layout import ARC, LEXICON_NODE, Lexicon
from speechrnn.errors import ConfigError
from speechrnn.lm.ngram import NgramModel
from speechrnn.text import Vocabulary

NONE = -1


class Automaton(NamedTuple):
    """Texts as paths over tokens; node 0 begins."""

    arcs: list[dict[int, int]]
    """Of each node: token to node."""
    word: list[int]
    """Number of what ends in each node; -1 if nothing does."""


def checked_words(vocabulary: Vocabulary, lines: Iterable[str], name: str) -> list[str]:
    """Normalise the words of a lexicon, one a line; empty lines and those that begin with # are skipped.

    Args:
        vocabulary: Of the model.
        lines: Words; what stands behind a tab, as a spelling, is not read: words are spelled by characters.
        name: Of the file, for errors.

    Raises:
        TextError: If one has a character that the vocabulary lacks.
        ConfigError: If there is none, or one has a space.
    """
    words = []
    for number, line in enumerate(lines, start=1):
        text = line.partition("\t")[0].strip()
        if not text or text.startswith("#"):
            continue
        words.append(checked_text(vocabulary, text, f"{name}:{number}: word"))
        if len(words[-1].split()) > 1:
            raise ConfigError(f"{name}:{number}: word {text!r} has a space in it; give its words apart")
    if not words:
        raise ConfigError(f"{name}: no words")
    return words


def checked_text(vocabulary: Vocabulary, text: str, kind: str) -> str:
    """Normalise a word or phrase that a user wrote; ``kind`` names it in errors, which are ``checked_words``'."""
    normalized = " ".join(vocabulary.normalize(text).split())
    if not normalized:
        raise ConfigError(f"{kind} {text!r} is empty")
    vocabulary.encode(normalized, f"{kind} {text!r}")
    return normalized


def make_trie(vocabulary: Vocabulary, words: Mapping[str, int]) -> Automaton:
    """Arrange words by their tokens; a word keeps its number. Nodes come in the order of their depth."""
    root: dict[int, Any] = {}
    for word, number in words.items():
        branch = root
        for token in vocabulary.encode(word):
            branch = branch.setdefault(token, {})
        branch[NONE] = number
    trie = Automaton([], [])
    queue = deque([root])
    num_nodes = 1
    while queue:
        branch = queue.popleft()
        trie.word.append(branch.pop(NONE, NONE))
        trie.arcs.append(dict(zip(branch, range(num_nodes, num_nodes + len(branch)), strict=True)))
        num_nodes += len(branch)
        queue.extend(branch.values())
    return trie


def lay_out(automaton: Automaton, ahead: NDArray[np.float64]) -> Lexicon:
    """Turn an automaton into arrays; ``ahead`` is (nodes,)."""
    arcs = [sorted(leaving.items()) for leaving in automaton.arcs]
    nodes = np.zeros(len(arcs) + 1, LEXICON_NODE)
    nodes["first_arc"][1:] = np.cumsum([len(leaving) for leaving in arcs])
    nodes["word"][:-1], nodes["ahead"][:-1] = automaton.word, ahead
    flat = [arc for leaving in arcs for arc in leaving]
    return Lexicon(nodes, np.array(flat or [(NONE, 0)], ARC))


def look_ahead(trie: Automaton, lm: NgramModel | None) -> NDArray[np.float64]:
    """Give each node of a trie the highest unigram log probability of the words at and below it, (nodes,)."""
    ahead = np.zeros(len(trie.word))
    if lm is None:
        return ahead
    for node in reversed(range(len(ahead))):  # children come after their parents
        values = [ahead[child] for child in trie.arcs[node].values()]
        if trie.word[node] != NONE:
            values.append(lm.score(0, trie.word[node])[0])
        ahead[node] = max(values, default=0.0)
    return ahead
