"""From tokens to words: when each was spoken, and how sure the model is of it."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from speechrnn.decoding.hypothesis import Hypothesis
from speechrnn.errors import ConfigError
from speechrnn.text import SEPARATOR, WORD_BOUNDARY, Vocabulary

SUREST = 1 - 1e-7  # a posterior of 1 has no log odds
LEAST_SURE = 1e-7


@dataclass(frozen=True, slots=True)  # hours of speech have tens of thousands
class SpokenWord:
    """A word of a hypothesis."""

    text: str
    start_s: float
    """Where its first token begins, seconds from the start of the clip."""
    end_s: float
    """Where its last token ends, seconds."""
    confidence: float
    """How probable it is that the word is right, in [0, 1]."""


@dataclass(frozen=True)
class ConfidenceScale:
    """From how probable the network finds a word to how often such words are right.

    The confidence is sigmoid(log odds / temperature + bias): Platt scaling (Platt, 1999, "Probabilistic outputs for
    support vector machines and comparisons to regularized likelihood methods"); without a bias the temperature
    scaling of Guo et al. (2017, arXiv:1706.04599). ``speechrnn calibrate`` fits both on recordings whose text is known.

    Example:
        >>> round(ConfidenceScale(temperature=2.0).confidence_of(0.8), 6)  # a half of log 4 is log 2
        0.666667
    """

    temperature: float = 1.0
    """Divides the log odds, > 0."""
    bias: float = 0.0
    """Added to them then."""

    def __post_init__(self) -> None:
        """Check both ranges; a ``ConfigError`` names the value."""
        if not 0 < self.temperature < math.inf:
            raise ConfigError(f"temperature must be > 0 and finite, got {self.temperature!r}")
        if not math.isfinite(self.bias):
            raise ConfigError(f"bias must be finite, got {self.bias!r}")

    def confidence_of(self, probability: float) -> float:
        """Scale a probability in [0, 1]; at temperature 1 and bias 0 it stays what it is."""
        if self.temperature == 1 and self.bias == 0:
            return probability
        clipped = min(max(probability, LEAST_SURE), SUREST)
        odds = math.log(clipped / (1 - clipped)) / self.temperature + self.bias
        rarer = math.exp(-abs(odds))  # never overflows
        return (1 if odds > 0 else rarer) / (1 + rarer)


class FrameClock(NamedTuple):
    """When the output frames of a model are."""

    frame_s: float
    """From one frame to the next, seconds."""
    first_s: float = 0.0
    """Where the first frame begins, seconds."""

    def start_s(self, frame: int) -> float:
        """Say when a frame begins."""
        return self.first_s + frame * self.frame_s

    def end_s(self, frame: int) -> float:
        """Say when a frame ends, which is when the next one begins."""
        return self.start_s(frame + 1)


def split_words(
    hypothesis: Hypothesis,
    vocabulary: Vocabulary,
    clock: FrameClock,
    *,
    scale: ConfidenceScale = ConfidenceScale(),
) -> tuple[SpokenWord, ...]:
    """Group a hypothesis's tokens by words.

    A word's confidence is the product of the highest posteriors that its tokens reached, scaled.

    Args:
        hypothesis: Of a CTC model.
        vocabulary: Of the same model.
        clock: Of the same model.
        scale: Of the confidences.

    Returns:
        The words in their order; none for an empty text.
    """
    said = hypothesis.text.split() if hypothesis.word_starts else None
    return tuple(
        SpokenWord(
            text=said[place] if said else spell_out(hypothesis, group, vocabulary),
            start_s=clock.start_s(hypothesis.frames[group[0]]),
            end_s=clock.end_s(hypothesis.ends[group[-1]]),
            confidence=scale.confidence_of(math.prod(hypothesis.peaks[i] for i in group)),
        )
        for place, group in enumerate(group_tokens(hypothesis, vocabulary))
    )


def spell_out(hypothesis: Hypothesis, places: Iterable[int], vocabulary: Vocabulary) -> str:
    """Write some of a hypothesis's tokens as a word."""
    return vocabulary.normalize(vocabulary.decode(hypothesis.tokens[place] for place in places)).strip()


def group_tokens(hypothesis: Hypothesis, vocabulary: Vocabulary) -> Iterator[list[int]]:
    """Find the places of each word's tokens; separators belong to no word."""
    if hypothesis.word_starts:
        ends = (*hypothesis.word_starts[1:], len(hypothesis.tokens))
        for start, end in zip(hypothesis.word_starts, ends, strict=True):
            yield list(range(start, end))
        return
    group: list[int] = []
    for place, number in enumerate(hypothesis.tokens):
        token = vocabulary.token(number)
        is_separator = token == SEPARATOR
        begins_word = vocabulary.is_spaced or token.startswith(WORD_BOUNDARY)
        if group and (is_separator or begins_word):
            yield group
            group = []
        if not is_separator and token != WORD_BOUNDARY:
            group.append(place)
    if group:
        yield group
