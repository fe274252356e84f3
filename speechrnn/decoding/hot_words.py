"""Hot words: words and phrases that score more, as an automaton over the model's tokens."""

from collections import deque
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from speechrnn.decoding.beam_layout import HotWords
from speechrnn.decoding.spelling import Spelling
from speechrnn.errors import ConfigError, TextError


class HotTrie(NamedTuple):
    """Hot words by their tokens; node 0 is the root."""

    children: list[dict[int, int]]
    weight: list[float]
    """What the hot word that ends here adds."""
    credit: list[float]
    """What its unfinished beginning is worth."""


def make_hot_words(
    spelling: Spelling, table: NDArray[np.void], separator: int, hot_words: Mapping[str, float]
) -> HotWords:
    """Compile hot words to an automaton: each of its states is the set of hot words that may be under way.

    Hot words match whole words only. An unfinished one is credited with its share, which is taken back if it
    breaks off; so the search does not drop it before its end.

    Args:
        spelling: Of the model.
        table: What the tokens of the search mean, (tokens,) of TOKEN.
        separator: The token between words; -1 if there is none.
        hot_words: Words or phrases and what each adds, in nats.

    Raises:
        TextError: If one has a character that the vocabulary lacks, or is a word where phones are written.
        ConfigError: If one is empty, or its weight is no finite number.
    """
    trie = make_hot_trie(spelling, hot_words)
    num_arcs = int(table["arc"].max()) + 1
    begins_word = table["begins_word"]
    states: dict[frozenset[int], int] = {frozenset([0]): 0}
    queue = deque(states)
    next_rows, gain_rows, at_end = [], [], []
    while queue:
        active = queue.popleft()
        finished = sum(trie.weight[node] for node in active)
        credit = highest_credit(trie, active)
        next_row, gain_row = [], []
        for token in range(num_arcs):
            ends_word = token == separator or begins_word[token]
            reached = step(trie, active | {0} if begins_word[token] else active, token, token == separator)
            if reached not in states:
                states[reached] = len(states)
                queue.append(reached)
            next_row.append(states[reached])
            gain_row.append(highest_credit(trie, reached) - credit + (finished if ends_word else 0.0))
        next_rows.append(next_row)
        gain_rows.append(gain_row)
        at_end.append(finished - credit)
    gain = np.array(gain_rows)[:, table["arc"]]
    highest = np.maximum(gain.max(axis=1), 0.0)
    return HotWords(np.array(next_rows, np.int32)[:, table["arc"]], gain, highest, np.array(at_end))


def step(trie: HotTrie, active: frozenset[int], token: int, is_separator: bool) -> frozenset[int]:
    """Follow a token from each hot word under way; a separator lets new ones begin."""
    reached = {trie.children[node][token] for node in active if token in trie.children[node]}
    return frozenset(reached | {0} if is_separator else reached)


def highest_credit(trie: HotTrie, active: frozenset[int]) -> float:
    """Value the hot words under way: the best counts."""
    return max((trie.credit[node] for node in active), default=0.0)


def make_hot_trie(spelling: Spelling, hot_words: Mapping[str, float]) -> HotTrie:
    """Arrange hot words by their tokens; errors as ``make_hot_words``."""
    trie = HotTrie([{}], [0.0], [0.0])
    for text, weight in hot_words.items():
        if not np.isfinite(weight):
            raise ConfigError(f"hot word {text!r} must have a finite weight, got {weight!r}")
        if spelling.vocabulary.unit == "phone" and not spelling.is_said and spelling.vocabulary.unknown(text):
            raise TextError(
                f"hot word {text!r}: the model writes phones; a language model, a lexicon or phrases make words of them"
            )
        for tokens in spelling.spell(spelling.normalize(text, "hot word")):
            add_hot_word(trie, tokens, weight)
    return trie


def add_hot_word(trie: HotTrie, tokens: Sequence[int], weight: float) -> None:
    """Add one way to write a hot word."""
    node = 0
    for depth, token in enumerate(tokens, start=1):
        if token not in trie.children[node]:
            trie.children[node][token] = len(trie.weight)
            trie.children.append({})
            trie.weight.append(0.0)
            trie.credit.append(0.0)
        node = trie.children[node][token]
        trie.credit[node] = max(trie.credit[node], weight * depth / len(tokens))
    trie.weight[node] += weight
