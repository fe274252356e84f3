"""Words as a trie of the model's tokens, laid out for the beam search."""

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from speechrnn.decoding.beam_layout import ARC, LEXICON_NODE, Lexicon
from speechrnn.decoding.spelling import Spelling, leave_out_stress
from speechrnn.errors import ConfigError
from speechrnn.lm.ngram import NgramModel

NONE = -1
MOST_ALIKE = 8  # words that sound alike and are told apart by a language model


class Automaton(NamedTuple):
    """Texts as paths over tokens; node 0 begins."""

    arcs: list[dict[int, int]]
    """Of each node: token to node."""
    words: list[list[int]]
    """Numbers of what ends in each node."""


def read_words(spelling: Spelling, lines: Iterable[str], name: str) -> tuple[list[str], Spelling]:
    """Normalise the words of a lexicon, one a line; empty lines and those that begin with # are skipped.

    Args:
        spelling: Of the model.
        lines: Words. What stands behind a tab is how a word is said, where words are said; several lines of a word are
            several ways. Where words are written it is not read.
        name: Of the file, for errors.

    Returns:
        The words, each once, and the spelling with their own ways.

    Raises:
        TextError: If one has a character or phone that the vocabulary lacks, or nobody says how to say it.
        ConfigError: If there is none, or one has a space.
    """
    places: dict[str, str] = {}
    own_ways: dict[str, tuple[str, ...]] = {}
    for number, line in enumerate(lines, start=1):
        text, _, phones = line.partition("\t")
        if not text.strip() or text.startswith("#"):
            continue
        word, place = " ".join(spelling.vocabulary.normalize(text).split()), f"{name}:{number}: word"
        if len(word.split()) > 1:
            raise ConfigError(f"{place} {word!r} has a space in it; give its words apart")
        if spelling.is_said and phones.strip():
            phones = leave_out_stress(spelling.vocabulary, phones)
            spelling.vocabulary.encode(phones, f"{place} {word!r}")
            own_ways[word] = (*own_ways.get(word, ()), " ".join(phones.split()))
        places.setdefault(word, place)
    if not places:
        raise ConfigError(f"{name}: no words")
    spelling = replace(spelling, own_ways=own_ways)
    return [spelling.normalize(word, place) for word, place in places.items()], spelling


def make_trie(spelling: Spelling, words: Sequence[str], scores: Sequence[float] | None = None) -> Automaton:
    """Arrange words by their tokens; a word's number is its place. Nodes come in the order of their depth.

    Args:
        spelling: How words become tokens.
        words: Each once.
        scores: Of each word, by which the best ``MOST_ALIKE`` of those that sound alike are kept; without, nothing
            tells them apart, and the first is.
    """
    root: dict[int, Any] = {}
    for number, word in enumerate(words):
        for tokens in spelling.spell(word):
            branch = root
            for token in tokens:
                branch = branch.setdefault(token, {})
            branch.setdefault(NONE, []).append(number)
    trie = Automaton([], [])
    queue = deque([root])
    num_nodes = 1
    while queue:
        branch = queue.popleft()
        trie.words.append(choose_alike(branch.pop(NONE, []), scores))
        trie.arcs.append(dict(zip(branch, range(num_nodes, num_nodes + len(branch)), strict=True)))
        num_nodes += len(branch)
        queue.extend(branch.values())
    return trie


def choose_alike(numbers: list[int], scores: Sequence[float] | None) -> list[int]:
    """Choose of words that sound alike those to tell apart, as ``make_trie`` says."""
    if scores is None or len(numbers) < 2:
        return numbers[:1]
    return sorted(numbers, key=lambda number: -scores[number])[:MOST_ALIKE]


def lay_out(automaton: Automaton, ahead: NDArray[np.float64], lm_words: Sequence[int]) -> Lexicon:
    """Turn an automaton into arrays; ``ahead`` is (nodes,), ``lm_words`` the language model's id of each word."""
    arcs = [sorted(leaving.items()) for leaving in automaton.arcs]
    nodes = np.zeros(len(arcs) + 1, LEXICON_NODE)
    nodes["first_arc"][1:] = np.cumsum([len(leaving) for leaving in arcs])
    nodes["first_word"][1:] = np.cumsum([len(ending) for ending in automaton.words])
    nodes["ahead"][:-1] = ahead
    flat = [arc for leaving in arcs for arc in leaving]
    words = [lm_words[number] for ending in automaton.words for number in ending]
    return Lexicon(nodes, np.array(flat or [(NONE, 0)], ARC), np.array(words or [NONE], np.int32))


def look_ahead(trie: Automaton, scores: Sequence[float] | None) -> NDArray[np.float64]:
    """Give each node of a trie the highest score of the words at and below it, (nodes,)."""
    ahead = np.zeros(len(trie.words))
    if scores is None:
        return ahead
    for node in reversed(range(len(ahead))):  # children come after their parents
        values = [ahead[child] for child in trie.arcs[node].values()]
        values.extend(scores[number] for number in trie.words[node])
        ahead[node] = max(values, default=0.0)
    return ahead


def unigram_scores(lm: NgramModel, lm_words: Sequence[int]) -> list[float]:
    """Look up the log probability of each word without its context."""
    rows = 1 + np.asarray(lm_words, np.int64)  # unigrams follow the root
    scores: list[float] = lm.log_probs[rows].tolist()
    return scores


class Reading(NamedTuple):
    """Phones read as words."""

    text: str
    starts: tuple[int, ...]
    """The place of each word's first phone."""


def read_said(automaton: Automaton, words: Sequence[str], tokens: Sequence[Any], last: int) -> Reading:
    """Find the words that tokens of a search are.

    Args:
        automaton: A trie.
        words: Of the trie.
        tokens: Of TOKEN each.
        last: Which of the words that end there is the last one.
    """
    said: list[str] = []
    starts: list[int] = []
    node = 0
    for place, token in enumerate(tokens):
        if token["begins_word"]:
            if starts:
                said.append(words[automaton.words[node][token["choice"]]])
            starts.append(place)
            node = 0
        node = automaton.arcs[node][int(token["arc"])]
    if starts:
        said.append(words[automaton.words[node][last]])
    return Reading(" ".join(said), tuple(starts))
