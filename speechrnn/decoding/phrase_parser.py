"""A line of a grammar as an expression: words, alternatives, groups and repeats, read by recursive descent."""

import re
from typing import NamedTuple, TypeAlias

from speechrnn.errors import ConfigError

WORD = re.compile(r"[^\s()\[\]|+*<>{}]+")
SYMBOL = re.compile(rf"<[^<>\s]*>|\{{[^{{}}]*\}}|[()\[\]|+*]|{WORD.pattern}|\S")
COUNTS = re.compile(r"\{\s*(\d+)\s*(,?)\s*(\d*)\s*\}")
CLOSING = {"(": ")", "[": "]"}
MOST_REPEATS = 100


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


def may_be_nothing(expression: Expression) -> bool:
    """Tell whether an expression holds without a word."""
    if isinstance(expression, Word):
        return False
    if isinstance(expression, Series):
        return all(map(may_be_nothing, expression.parts))
    if isinstance(expression, Choice):
        return any(map(may_be_nothing, expression.parts))
    return expression.least == 0 or may_be_nothing(expression.part)


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
