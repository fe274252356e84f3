"""From tokens to words: when each was spoken, and how sure the model is of it."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from speechrnn.decoding.hypothesis import Hypothesis
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
    hypothesis: Hypothesis, vocabulary: Vocabulary, clock: FrameClock, *, temperature: float = 1.0
) -> tuple[SpokenWord, ...]:
    """Group a hypothesis's tokens by words.

    A word's confidence is the product of the highest posteriors that its tokens reached, tempered.

    Args:
        hypothesis: Of a CTC model.
        vocabulary: Of the same model.
        clock: Of the same model.
        temperature: Divides the log odds of each confidence, > 0; fitted on recordings whose text is known
            (after Guo et al., 2017, arXiv:1706.04599, who divide the logits of a classifier).

    Returns:
        The words in their order; none for an empty text.
    """
    said = hypothesis.text.split() if hypothesis.word_starts else None
    return tuple(
        SpokenWord(
            text=said[place] if said else spell_out(hypothesis, group, vocabulary),
            start_s=clock.start_s(hypothesis.frames[group[0]]),
            end_s=clock.end_s(hypothesis.ends[group[-1]]),
            confidence=temper(math.prod(hypothesis.peaks[i] for i in group), temperature),
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


def temper(probability: float, temperature: float) -> float:
    """Divide a probability's log odds by a temperature."""
    if temperature == 1:
        return probability
    clipped = min(max(probability, LEAST_SURE), SUREST)
    return 1 / (1 + math.exp(-math.log(clipped / (1 - clipped)) / temperature))
