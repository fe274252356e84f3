"""Closed lists of phrases, and small grammars of digit and letter strings, as automata over tokens.

A line is a phrase. In it ``a | b`` are alternatives, ``[a]`` may be left out, ``a+``, ``a*`` and ``a{2,4}``
repeat, brackets ``( )`` group, and ``<name>`` stands for what a line ``<name> = …`` says::

    call <person>
    my number is <digit>{4,8} [please]
    <person> = anna | (doctor | professor) who

``<digit>`` (zero to nine) and ``<letter>`` (a to z) are there unless a line says otherwise. Where words are said, not
written, the phones of a line's only word may stand behind a tab.
"""

import re
import string
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

from speechrnn.decoding.lexicon import NONE, Automaton, Reading
from speechrnn.decoding.phrase_parser import (
    WORD,
    Choice,
    Expression,
    Parser,
    Repeat,
    Series,
    Word,
    may_be_nothing,
)
from speechrnn.decoding.spelling import Spelling, leave_out_stress
from speechrnn.errors import ConfigError, SpeechRNNError
from speechrnn.text import SEPARATOR, Vocabulary

BUILT_IN = {
    "digit": "zero | one | two | three | four | five | six | seven | eight | nine",
    "letter": " | ".join(string.ascii_lowercase),
}
RULE = re.compile(r"\s*<([^<>\s]+)>\s*=(.*)")
MOST_NODES = 100_000


class Line(NamedTuple):
    """A line of a grammar."""

    place: int
    """Its number."""
    rule: str
    """The name of what it says; empty if it is a phrase."""
    text: str
    """What may be said."""
    phones: str
    """How its only word is said; empty if it is said as usual."""


def compile_grammar(lines: Iterable[str], spelling: Spelling, name: str = "phrases") -> "States":
    """Compile phrases and rules; a state of ``final`` is where a text may end.

    Args:
        lines: Phrases and rules; empty lines and those that begin with # are skipped.
        spelling: Of the model.
        name: Of the file, for errors.

    Raises:
        ConfigError: If a line is no phrase, with its number; if there is none, or the grammar is too large.
        TextError: If a word has a character that the vocabulary lacks, or nobody says how to say it, with the line's
            number.
    """
    listed = list(split_lines(lines, is_said=spelling.is_said))
    if all(line.rule for line in listed):
        raise ConfigError(f"{name}: no phrases")
    rules = BUILT_IN | {line.rule: line.text for line in listed if line.rule}
    states = States(add_own_ways(spelling, listed, name))
    for place, rule, text, _ in listed:
        if rule:
            continue
        try:
            expression = Parser(text, rules).expression()
            states.final.add(states.add(expression, 0))
        except SpeechRNNError as error:
            raise type(error)(f"{name}:{place}: {error}") from None
        if may_be_nothing(expression):
            raise ConfigError(f"{name}:{place}: {text!r} may be nothing at all")
    return states


def split_lines(lines: Iterable[str], *, is_said: bool) -> Iterator[Line]:
    """Tell phrases from rules, and where words are said, what from how."""
    for place, line in enumerate(lines, start=1):
        text, _, phones = line.partition("\t") if is_said else (line, "", "")
        rule = RULE.fullmatch(text.strip())
        if rule:
            yield Line(place, rule[1], rule[2].strip(), phones.strip())
        elif text.strip() and not text.lstrip().startswith("#"):
            yield Line(place, "", text.strip(), phones.strip())


def add_own_ways(spelling: Spelling, lines: Iterable[Line], name: str) -> Spelling:
    """Have words said as the lines say; errors as ``compile_grammar``."""
    own_ways: dict[str, tuple[str, ...]] = {}
    for line in lines:
        if not line.phones:
            continue
        place = f"{name}:{line.place}"
        word = spelling.vocabulary.normalize(line.text).strip()
        if not WORD.fullmatch(word):
            raise ConfigError(f"{place}: phones stand behind a single word, not behind {line.text!r}")
        phones = leave_out_stress(spelling.vocabulary, line.phones)
        spelling.vocabulary.encode(phones, f"{place}: word {word!r}")
        own_ways[word] = (*own_ways.get(word, ()), " ".join(phones.split()))
    return replace(spelling, own_ways=own_ways)


class States:
    """A non-deterministic automaton over tokens; state 0 begins."""

    def __init__(self, spelling: Spelling) -> None:
        self.spelling = spelling
        self.arcs: list[list[tuple[int, int]]] = [[]]
        self.empty_steps: list[list[int]] = [[]]
        self.said: dict[int, str] = {}  # the words that begin on the way into a state, where words are said
        self.final: set[int] = set()

    def new(self) -> int:
        """Add a state."""
        if len(self.arcs) >= MOST_NODES:
            raise ConfigError(f"the grammar has over {MOST_NODES} states; repeat less, or list fewer phrases")
        self.arcs.append([])
        self.empty_steps.append([])
        return len(self.arcs) - 1

    def add(self, expression: Expression, state: int) -> int:
        """Add an expression that begins in a state; returns the state in which it ends."""
        if isinstance(expression, Word):
            return self.add_word(expression.text, state)
        if isinstance(expression, Series):
            for part in expression.parts:
                state = self.add(part, state)
            return state
        if isinstance(expression, Choice):
            ends = [self.add(part, state) for part in expression.parts]
            return self.join(ends)
        return self.add_repeat(expression, state)

    def join(self, ends: Sequence[int]) -> int:
        """Let several ends be one."""
        state = self.new()
        for end in ends:
            self.empty_steps[end].append(state)
        return state

    def add_repeat(self, repeat: Repeat, state: int) -> int:
        """Add a part as often as it may occur."""
        for _ in range(repeat.least):
            state = self.add(repeat.part, state)
        if repeat.most is None:
            again = self.join([state])
            self.empty_steps[self.add(repeat.part, again)].append(again)
            return self.join([again])
        ends = [state]
        for _ in range(repeat.most - repeat.least):
            ends.append(self.add(repeat.part, ends[-1]))
        return self.join(ends)

    def add_word(self, text: str, state: int) -> int:
        """Add a word in all ways it is spelled, with a separator in front of it, where the vocabulary has one."""
        normalized = self.spelling.normalize(text, "word")
        separator = separator_of(self.spelling.vocabulary)
        first = [separator] if separator != NONE else []
        words = normalized.split()
        ends = [self.add_tokens([*first, *way], words, state) for way in self.spelling.spell(normalized)]
        return ends[0] if len(ends) == 1 else self.join(ends)

    def add_tokens(self, tokens: Iterable[int], words: Iterable[str], state: int) -> int:
        """Add one way to spell words."""
        following = iter(words)
        for token in tokens:
            target = self.new()
            self.arcs[state].append((token, target))
            if self.spelling.begins_word(token):
                self.said[target] = next(following)
            state = target
        return state

    def closure(self, states: Iterable[int]) -> frozenset[int]:
        """Add all states that empty steps lead to."""
        reached = set(states)
        waiting = list(reached)
        while waiting:
            for target in self.empty_steps[waiting.pop()]:
                if target not in reached:
                    reached.add(target)
                    waiting.append(target)
        return frozenset(reached)

    def step(self, states: frozenset[int]) -> dict[int, frozenset[int]]:
        """Follow every token from a set of states."""
        targets: dict[int, set[int]] = {}
        for state in states:
            for token, target in self.arcs[state]:
                targets.setdefault(token, set()).add(target)
        return {token: self.closure(reached) for token, reached in targets.items()}

    def read(self, tokens: Sequence[int]) -> Reading:
        """Find the words that tokens are, of several phrases that sound alike the first; words must be said.

        The tokens must be a text, whole.
        """
        trails: dict[int, tuple[tuple[int, str], ...]] = dict.fromkeys(self.closure([0]), ())
        for place, token in enumerate(tokens):
            onward: dict[int, tuple[tuple[int, str], ...]] = {}
            for state in sorted(trails):  # as the lines stand
                for arc, target in self.arcs[state]:
                    if arc == token:
                        begun = ((place, self.said[target]),) if target in self.said else ()
                        for reached in self.closure([target]):
                            onward.setdefault(reached, trails[state] + begun)
            trails = onward
        trail = trails[min(trails.keys() & self.final)]
        return Reading(" ".join(word for _, word in trail), tuple(place for place, _ in trail))


def separator_of(vocabulary: Vocabulary) -> int:
    """Find the token between words, or NONE: word pieces and words need none."""
    return vocabulary.ids.get(SEPARATOR, NONE) if vocabulary.unit == "character" else NONE


def determinize(states: States) -> Automaton:
    """Make at most one arc of each token leave a node (the subset construction); where a text may end is word 0."""
    start = states.closure([0])
    separator = separator_of(states.spelling.vocabulary)
    if separator != NONE:  # a text does not begin with one
        start = states.step(start)[separator]
    numbers = {start: 0}
    queue = deque(numbers)
    automaton = Automaton([], [])
    while queue:
        subset = queue.popleft()
        automaton.words.append([0] if subset & states.final else [])
        arcs = {}
        for token, target in states.step(subset).items():
            if target not in numbers:
                if len(numbers) >= MOST_NODES:
                    raise ConfigError(f"the grammar needs over {MOST_NODES} nodes; repeat less")
                numbers[target] = len(numbers)
                queue.append(target)
            arcs[token] = numbers[target]
        automaton.arcs.append(arcs)
    return automaton


def count_beginnings(automaton: Automaton, most: int) -> int:
    """Count the beginnings of all texts, themselves included, up to ``most``; loops have no end of them."""
    level, count = {0: 1}, 0
    while level and count <= most:
        count += sum(level.values())
        reached: dict[int, int] = {}
        for node, ways in level.items():
            for target in automaton.arcs[node].values():
                reached[target] = reached.get(target, 0) + ways
        level = reached
    return min(count, most)
