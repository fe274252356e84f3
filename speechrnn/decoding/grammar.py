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
from typing import NamedTuple, TypeAlias

from speechrnn.decoding.lexicon import NONE, Automaton, Reading
from speechrnn.decoding.spelling import Spelling
from speechrnn.errors import ConfigError, SpeechRNNError
from speechrnn.text import SEPARATOR, Vocabulary

BUILT_IN = {
    "digit": "zero | one | two | three | four | five | six | seven | eight | nine",
    "letter": " | ".join(string.ascii_lowercase),
}
RULE = re.compile(r"\s*<([^<>\s]+)>\s*=(.*)")
SYMBOL = re.compile(r"<[^<>\s]*>|\{[^{}]*\}|[()\[\]|+*]|[^\s()\[\]|+*<>{}]+|\S")
COUNTS = re.compile(r"\{\s*(\d+)\s*(,?)\s*(\d*)\s*\}")
CLOSING = {"(": ")", "[": "]"}
MOST_REPEATS = 100
MOST_NODES = 100_000


class Word(NamedTuple):
    """A word."""

    text: str


class Series(NamedTuple):
    """Parts one after the other."""

    parts: tuple["Expression", ...]


class Choice(NamedTuple):
    """One of several parts."""

    parts: tuple["Expression", ...]


class Repeat(NamedTuple):
    """A part between ``least`` and ``most`` times; without end if ``most`` is None."""

    part: "Expression"
    least: int
    most: int | None


Expression: TypeAlias = Word | Series | Choice | Repeat


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
    listed = list(split_lines(lines))
    if all(line.rule for line in listed):
        raise ConfigError(f"{name}: no phrases")
    rules = BUILT_IN | {line.rule: line.text for line in listed if line.rule}
    states = States(add_own_ways(spelling, listed, name))
    for place, rule, text, _ in listed:
        if rule:
            continue
        try:
            end = states.add(Parser(text, rules).expression(), 0)
        except SpeechRNNError as error:
            raise type(error)(f"{name}:{place}: {error}") from None
        states.final.add(end)
        if end in states.closure([0]):
            raise ConfigError(f"{name}:{place}: {text!r} may be nothing at all")
    return states


def split_lines(lines: Iterable[str]) -> Iterator[Line]:
    """Tell phrases from rules, and what is said from how."""
    for place, line in enumerate(lines, start=1):
        text, _, phones = line.partition("\t")
        rule = RULE.fullmatch(text.strip())
        if rule:
            yield Line(place, rule[1], rule[2].strip(), phones.strip())
        elif text.strip() and not text.lstrip().startswith("#"):
            yield Line(place, "", text.strip(), phones.strip())


def add_own_ways(spelling: Spelling, lines: Iterable[Line], name: str) -> Spelling:
    """Have words said as the lines say; errors as ``compile_grammar``. Where words are written it is not read."""
    own_ways: dict[str, tuple[str, ...]] = {}
    for line in lines if spelling.is_said else ():
        if not line.phones:
            continue
        place = f"{name}:{line.place}"
        word = spelling.vocabulary.normalize(line.text).strip()
        if not re.fullmatch(r"[^\s()\[\]|+*<>{}]+", word):
            raise ConfigError(f"{place}: phones stand behind a single word, not behind {line.text!r}")
        spelling.vocabulary.encode(line.phones, f"{place}: word {word!r}")
        own_ways[word] = (*own_ways.get(word, ()), " ".join(line.phones.split()))
    return replace(spelling, own_ways=own_ways)


class Parser:
    """Read one line by recursive descent."""

    def __init__(self, text: str, rules: dict[str, str], inside: tuple[str, ...] = ()) -> None:
        self.text = text
        self.symbols = SYMBOL.findall(text)
        self.rules = rules
        self.inside = inside  # the rules under way
        self.position = 0

    def expression(self) -> Expression:
        """Read the whole text."""
        result = self.choice()
        if self.position < len(self.symbols):
            raise self.error(f"{self.symbols[self.position]!r} without its beginning")
        return result

    def error(self, complaint: str) -> ConfigError:
        """Make an error that quotes the text."""
        return ConfigError(f"{complaint} in {self.text!r}")

    def peek(self) -> str:
        """Look at the next symbol; empty at the end."""
        return self.symbols[self.position] if self.position < len(self.symbols) else ""

    def choice(self) -> Expression:
        """Read alternatives."""
        parts = [self.series()]
        while self.peek() == "|":
            self.position += 1
            parts.append(self.series())
        return parts[0] if len(parts) == 1 else Choice(tuple(parts))

    def series(self) -> Expression:
        """Read parts up to the end of an alternative."""
        parts = []
        while self.peek() not in ("", "|", ")", "]"):
            parts.append(self.repeated())
        if not parts:
            raise self.error("nothing beside a bracket or |")
        return parts[0] if len(parts) == 1 else Series(tuple(parts))

    def repeated(self) -> Expression:
        """Read a part and what says how often it occurs."""
        part = self.part()
        while self.peek() and self.peek()[0] in "+*{":
            symbol = self.peek()
            self.position += 1
            part = Repeat(part, *self.counts(symbol))
        return part

    def counts(self, symbol: str) -> tuple[int, int | None]:
        """Read how often a part occurs."""
        if symbol in "+*":
            return int(symbol == "+"), None
        match = COUNTS.fullmatch(symbol)
        if not match:
            raise self.error(f"{symbol!r} is no count such as {{4}} or {{2,4}}")
        least = int(match[1])
        most = least if not match[2] else int(match[3]) if match[3] else None
        if max(least, most or 0) > MOST_REPEATS or (most is not None and (most < least or most == 0)):
            raise self.error(f"{symbol!r} must count up, to {MOST_REPEATS} at most,")
        return least, most

    def part(self) -> Expression:
        """Read a word, a group, an option or a rule's name."""
        symbol = self.peek()
        self.position += 1
        if symbol in CLOSING:
            inner = self.choice()
            if self.peek() != CLOSING[symbol]:
                raise self.error(f"{symbol!r} is not closed")
            self.position += 1
            return inner if symbol == "(" else Repeat(inner, 0, 1)
        if symbol.startswith("<") and symbol.endswith(">") and len(symbol) > 2:
            return self.rule(symbol[1:-1])
        if SYMBOL.fullmatch(symbol) and symbol[0] in "+*{}<>":
            raise self.error(f"{symbol!r} out of place")
        return Word(symbol)

    def rule(self, name: str) -> Expression:
        """Read what a rule stands for."""
        if name in self.inside:
            raise self.error(f"rule <{name}> holds itself")
        if name not in self.rules:
            raise self.error(f"no rule <{name}>, only {', '.join(f'<{known}>' for known in self.rules)},")
        return Parser(self.rules[name], self.rules, (*self.inside, name)).expression()


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
