"""Keywords to look for: how each is spelled or sounds, and how sure a hit must be.

In a file, one keyword a line:

    alexa | alexsa :0.2 #0.45 @wake word

Spellings between bars, then in any order a boost, a threshold and a label, as sherpa-onnx writes them. Lines
that begin with # are comments.
"""

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from speechrnn.errors import ConfigError, TextError

MARK = re.compile(r"(?:^|(?<=\s))([:#@])")
GLUED = re.compile(r"(?<=\S)[:#]-?\d*\.?\d+(?=\s|$)")  # a number; marks before letters are part of a word
BAR, COMMENT = "|", "#"


@dataclass(frozen=True, kw_only=True)
class Keyword:
    """A word or phrase to look for: by its spellings, by recordings of it, or by both together."""

    label: str
    """What a hit is called; unique."""
    spellings: tuple[str, ...] = ()
    """Texts, any of which is the keyword; for a classifier its label."""
    templates: tuple[NDArray[np.float32], ...] = field(default=(), repr=False)
    """log_probs (frames, tokens) of recordings of the keyword."""
    boost: float = 0.0
    """Added to the score of each hit, nats a token (or frame of a template)."""
    threshold: float | None = None
    """Least confidence of a hit, in [0, 1]; the detector's own when not given."""

    def __post_init__(self) -> None:
        """Check the values; a ``ConfigError`` names the keyword."""
        if not self.label.strip():
            raise ConfigError("a keyword must have a label that is not empty")
        if not self.spellings and not self.templates:
            raise ConfigError(f"keyword {self.label!r} must have spellings or templates")
        if not all(spelling.strip() for spelling in self.spellings):
            raise ConfigError(f"keyword {self.label!r} has an empty spelling")
        if not math.isfinite(self.boost):
            raise ConfigError(f"keyword {self.label!r}: boost must be finite, got {self.boost!r}")
        if self.threshold is not None and not 0 <= self.threshold <= 1:
            raise ConfigError(f"keyword {self.label!r}: threshold must be in [0, 1], got {self.threshold!r}")

    def __str__(self) -> str:
        """Write a spelled keyword as a line of a keyword file."""
        parts = [f" {BAR} ".join(self.spellings)]
        if self.boost:
            parts.append(f":{self.boost:g}")
        if self.threshold is not None:
            parts.append(f"#{self.threshold:.4g}")
        if self.label != self.spellings[0]:
            parts.append(f"@{self.label}")
        return " ".join(parts)


def parse_keyword(line: str, place: str) -> Keyword:
    """Read one keyword.

    Args:
        line: As in a keyword file.
        place: Named in errors.

    Raises:
        ConfigError: If it has no spelling, or a mark without a value that it can have, or twice, or without a space.

    Example:
        >>> parse_keyword("view glass | few glass #0.5", "line 1").spellings
        ('view glass', 'few glass')
    """
    text, *marked = MARK.split(line)
    if glued := GLUED.search(text):
        raise ConfigError(f"{place}: {glued[0]!r} needs a space in front of it in {line.strip()!r}")
    values: dict[str, str] = {}
    for mark, value in zip(marked[::2], marked[1::2], strict=True):
        if mark in values:
            raise ConfigError(f"{place}: {mark!r} is given twice in {line.strip()!r}")
        values[mark] = value.strip()
    spellings = tuple(" ".join(spelling.split()) for spelling in text.split(BAR))
    if not all(spellings):
        raise ConfigError(f"{place}: a spelling is empty in {line.strip()!r}")
    try:
        return Keyword(
            label=values.get("@", spellings[0]),
            spellings=spellings,
            boost=read_number(values, ":", "boost") or 0.0,
            threshold=read_number(values, "#", "threshold"),
        )
    except ConfigError as error:
        raise ConfigError(f"{place}: {error}") from None


def read_number(values: Mapping[str, str], mark: str, name: str) -> float | None:
    """Read the number behind a mark, if it is there; a ``ConfigError`` if it is none."""
    if mark not in values:
        return None
    try:
        return float(values[mark])
    except ValueError:
        raise ConfigError(f"{name} must be a number behind {mark!r}, got {values[mark]!r}") from None


def parse_keywords(
    lines: Iterable[str], source: str, *, check: Callable[[Keyword], object] = lambda keyword: None
) -> tuple[Keyword, ...]:
    """Read a keyword file's lines.

    Args:
        lines: One keyword each; empty ones and those that begin with # are passed over.
        source: Named in errors, with the line.
        check: Refuses a keyword by raising one of the errors below.

    Raises:
        ConfigError: If a line is wrong, two keywords have the same label, or there is none.
        TextError: If ``check`` says so.
    """
    numbered = [(f"{source}:{number}", line) for number, line in enumerate(lines, start=1)]
    found = [(place, parse_keyword(line, place)) for place, line in numbered if is_keyword(line)]
    places: dict[str, str] = {}
    for place, keyword in found:
        if keyword.label in places:
            raise ConfigError(f"{place}: label {keyword.label!r} is taken by {places[keyword.label]}")
        places[keyword.label] = place
        try:
            check(keyword)
        except (ConfigError, TextError) as error:
            raise type(error)(f"{place}: {error}") from None
    if not found:
        raise ConfigError(f"{source}: no keyword")
    return tuple(keyword for _, keyword in found)


def is_keyword(line: str) -> bool:
    """Tell a keyword from an empty line or a comment."""
    return bool(line.strip()) and not line.lstrip().startswith(COMMENT)


def with_thresholds(lines: Sequence[str], thresholds: Mapping[str, float]) -> list[str]:
    """Set thresholds by label in the lines of a keyword file; all other lines, and the ends of these, stay."""
    changed = []
    for line in lines:
        if is_keyword(line):
            keyword = parse_keyword(line, "keyword")
            if keyword.label in thresholds:
                end = line[len(line.rstrip()) :]
                line = f"{replace(keyword, threshold=thresholds[keyword.label])}{end}"
        changed.append(line)
    return changed


def check_labels(keywords: Sequence[Keyword]) -> None:
    """Refuse no keywords, and two of the same label, with a ``ConfigError``."""
    if not keywords:
        raise ConfigError("no keyword to look for")
    labels = [keyword.label for keyword in keywords]
    for label in labels:
        if labels.count(label) > 1:
            raise ConfigError(
                f"label {label!r} names {labels.count(label)} keywords; @LABEL tells them apart"
            )
