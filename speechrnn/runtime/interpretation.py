"""From what the network computed for a clip to what is told of it: text, words, times and confidences."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from speechrnn.decoding.decoder import Decoder, DecodingOptions, DecodingStream
from speechrnn.decoding.hypothesis import NOTHING, Hypothesis
from speechrnn.decoding.words import SpokenWord, split_words
from speechrnn.errors import ConfigError, ModelFileError
from speechrnn.pronunciations import Pronunciations
from speechrnn.runtime.decoding_choice import LmChoice
from speechrnn.runtime.model_file import ModelInfo
from speechrnn.text import Vocabulary

DEFAULT_LM_CHOICE = LmChoice(alpha=0.5, beta=0.0)


@dataclass(frozen=True, kw_only=True)
class Transcription:
    """What a model heard in one clip."""

    text: str
    """The text, or the label of a keyword model; empty if the model heard nothing."""
    confidence: float
    """How sure the model is, in [0, 1]: mean over words, or the probability of the label."""
    duration_s: float
    """Length of the clip, seconds."""
    source: str
    """Path of the audio file; of anything else, what it was."""
    hypothesis: Hypothesis = field(repr=False)
    """The decoder's whole answer: tokens, their frames and the log probability of the path."""
    words: tuple[SpokenWord, ...] = field(default=(), repr=False)
    """The text word by word, with times and confidences; a label has none."""
    alternatives: tuple[Hypothesis, ...] = field(default=(), repr=False)
    """The next best hypotheses, as many as ``n_best`` asked for."""


class Emission(NamedTuple):
    """What the network computed for a clip."""

    name: str
    """Of the clip, for messages."""
    duration_s: float
    """Length of the clip, seconds."""
    log_probs: NDArray[np.float32]
    """(frames, len(vocabulary)) of a CTC model, (labels,) of a keyword model."""


class Interpreter:
    """Read the answers of one model."""

    def __init__(self, info: ModelInfo, options: DecodingOptions = DecodingOptions()) -> None:
        """Prepare to read.

        Args:
            info: Of the model.
            options: What is asked; weights that it leaves open and the scale of confidences are the model's own.

        Raises:
            ConfigError: If the model cannot be decoded as asked.
            TextError: If a word, phrase or hot word has a character that the model lacks, or cannot be said.
            ModelFileError: If words are asked for and a model of phones has no dictionary.
        """
        self.info, self.options = info, options
        if info.task == "classification" and options.restricts_text:
            raise ConfigError(
                f"{info.path}: a keyword model picks one label for a clip; language model, lexicon, phrases "
                "and hot words are for models that write text"
            )
        self.lm_choice = info.decoding.lm or DEFAULT_LM_CHOICE
        self.scale = self.lm_choice.scale if options.uses_lm else info.decoding.scale
        self.decoder = (
            Decoder(
                info.vocabulary,
                options,
                pronunciations=self.find_pronunciations() if self.reads_words else None,
                alpha=self.lm_choice.alpha,
                beta=self.lm_choice.beta,
            )
            if info.task == "ctc"
            else None
        )

    @property
    def reads_words(self) -> bool:
        """Whether phones are read as words."""
        return self.info.vocabulary.unit == "phone" and self.options.reads_words

    def find_pronunciations(self) -> Pronunciations:
        """Take the model's dictionary; where it has none, a lexicon or phrases may say all words themselves."""
        lists = (self.options.lexicon, self.options.phrases)
        if not self.info.packed_pronunciations and any(each is not None for each in lists):
            return Pronunciations({})
        return self.info.pronunciations

    def prepare(self) -> None:
        """Have a search compiled, if one was asked for, before the first clip needs it."""
        if self.decoder is not None and self.decoder.beam is not None:
            self.decoder.prepare()

    def read(self, emission: Emission) -> Transcription:
        """Read the answer for one clip.

        Raises:
            ConfigError: If the log probabilities are none.
            ModelFileError: If the model answered NaN.
        """
        return self.tell(self.decode(emission.log_probs), emission.name, emission.duration_s)

    def stream(self, name: str) -> DecodingStream:
        """Begin a clip whose frames arrive in pieces.

        Raises:
            ConfigError: If it is a keyword model, which answers once for a clip.
        """
        if self.decoder is None:
            raise ConfigError(
                f"{self.info.path}: a keyword model has one answer for a clip, no text that grows"
            )
        return self.decoder.stream(name)

    def tell(self, hypotheses: Sequence[Hypothesis], name: str, duration_s: float) -> Transcription:
        """Tell what a clip's hypotheses, best first, amount to; those that are not sure enough are left out."""
        least = self.options.min_confidence
        sure = [found for found in hypotheses if self.confidence_of(found) >= least] if least else hypotheses
        best, *others = sure or [NOTHING]
        words = self.split(best)
        return Transcription(
            text=best.text,
            confidence=self.confidence_of(best),
            duration_s=duration_s,
            source=name,
            hypothesis=best,
            words=words,
            alternatives=tuple(others),
        )

    def decode(self, log_probs: NDArray[np.float32]) -> list[Hypothesis]:
        """Find the hypotheses for one clip, best first; errors as ``read``."""
        if np.isnan(log_probs).any():  # the weights' fault, not the clip's
            raise ModelFileError(f"{self.info.path}: the model answered NaN; its weights are damaged")
        if self.decoder is not None:
            return self.decoder.decode(log_probs[None], [len(log_probs)])[0]
        return pick_labels(log_probs, self.info.vocabulary, n_best=self.options.n_best)

    def confidence_of(self, hypothesis: Hypothesis) -> float:
        """Tell how sure a hypothesis is: the mean over its words, its own if it has none; 0 if there is nothing."""
        words = self.split(hypothesis)
        if words:
            return math.fsum(word.confidence for word in words) / len(words)
        return 0.0 if hypothesis == NOTHING else self.scale.confidence_of(hypothesis.confidence)

    def split(self, hypothesis: Hypothesis) -> tuple[SpokenWord, ...]:
        """Find the words of a text."""
        if self.decoder is None:
            return ()
        return split_words(hypothesis, self.info.vocabulary, self.info.clock, scale=self.scale)


def pick_labels(log_probs: NDArray[np.float32], vocabulary: Vocabulary, *, n_best: int) -> list[Hypothesis]:
    """Pick the most probable labels from log_probs (labels,)."""
    order = np.argsort(-log_probs, kind="stable")[:n_best]
    return [
        Hypothesis(
            text=vocabulary.tokens[label],
            tokens=(label,),
            frames=(0,),
            log_prob=float(log_probs[label]),
            confidence=min(1.0, float(np.exp(log_probs[label]))),
            score=float(log_probs[label]),
        )
        for label in order.tolist()
    ]
