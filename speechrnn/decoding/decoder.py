"""One decoder for all that may be asked of it: greedy as long as nothing needs a search."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import ArrayLike

from speechrnn.decoding.beam import BeamConfig, BeamDecoder, BeamStream
from speechrnn.decoding.greedy import GreedyStream, check_emissions
from speechrnn.decoding.hypothesis import NOTHING, Hypothesis
from speechrnn.decoding.rescoring import TextScorer, rescore
from speechrnn.decoding.word_list import WordList
from speechrnn.errors import ConfigError
from speechrnn.lm.ngram import NgramModel
from speechrnn.pronunciations import Pronunciations
from speechrnn.text import Vocabulary

NUM_RESCORED = 20
BEAM_SIZE_OF_WORDS = 500  # read from phones: where words may begin makes many prefixes of the same phones


@dataclass(frozen=True, kw_only=True)
class DecodingOptions:
    """How to get from log probabilities to text; each option but ``n_best`` asks for a beam search."""

    beam_size: int | None = None
    """Prefix endings that survive a frame, >= 1; 50 when not given, or 500 where phones are read as words."""
    lm: NgramModel | None = None
    """Language model over words, or over the model's characters."""
    alpha: float | None = None
    """Weight of the language model, >= 0; the model's own choice, or else 0.5, when not given."""
    beta: float | None = None
    """Added for each word; the model's own choice, or else 0, when not given."""
    lexicon: WordList | None = None
    """The only words that may occur."""
    phrases: WordList | None = None
    """The only texts that may be answered; they may be small grammars."""
    hot_words: Mapping[str, float] | None = None
    """Words and phrases, and what each adds to the score, in nats."""
    rescorer: TextScorer | None = None
    """Language model that is too slow to search with, and ranks the ``NUM_RESCORED`` best texts again."""
    rescore_weight: float = 0.4
    """How much it counts, >= 0."""
    n_best: int = 1
    """Hypotheses to return, >= 1."""
    min_confidence: float = 0.0
    """Least confidence of an answer as it is told, the mean of its words' where it has some, in [0, 1]; an
    ``Interpreter`` leaves out what is less sure."""

    def __post_init__(self) -> None:
        """Check what no decoder checks.

        Raises:
            ConfigError: Naming the option, its value and its range.
        """
        if self.lm is not None and not isinstance(self.lm, NgramModel):
            raise ConfigError(f"lm must be a model that speechrnn.lm.read_lm returned, got {self.lm!r}")
        if self.n_best < 1:
            raise ConfigError(f"n_best must be >= 1, got {self.n_best!r}")
        if not 0 <= self.rescore_weight < math.inf:
            raise ConfigError(f"rescore_weight must be >= 0 and finite, got {self.rescore_weight!r}")
        if not 0 <= self.min_confidence <= 1:
            raise ConfigError(f"min_confidence must be in [0, 1], got {self.min_confidence!r}")

    @property
    def needs_search(self) -> bool:
        """Whether greedy decoding cannot do what is asked."""
        return self.n_best > 1 or self.restricts_text

    @property
    def num_searched(self) -> int:
        """How many hypotheses a search has to find."""
        return self.n_best if self.rescorer is None else max(self.n_best, NUM_RESCORED)

    @property
    def restricts_text(self) -> bool:
        """Whether anything is asked for that only texts can have, not labels."""
        # alpha weighs a language model; without one it asks for nothing.
        asked = [f.name for f in fields(self) if f.default is None and f.name != "alpha"]
        return any(getattr(self, name) is not None for name in asked)

    @property
    def reads_words(self) -> bool:
        """Whether words are asked for, which a model of phones has to be told how to say."""
        if self.lexicon is not None or self.phrases is not None:
            return True
        return self.uses_lm and self.lm is not None and self.lm.unit == "word"

    @property
    def uses_lm(self) -> bool:
        """Whether a language model has a say."""
        return self.lm is not None and self.alpha != 0


class Decoder:
    """Turn log probabilities into hypotheses, as the options ask."""

    def __init__(
        self,
        vocabulary: Vocabulary,
        options: DecodingOptions = DecodingOptions(),
        *,
        pronunciations: Pronunciations | None = None,
        alpha: float = 0.5,
        beta: float = 0.0,
    ) -> None:
        """Prepare a decoder.

        Args:
            vocabulary: Of a CTC model.
            options: What is asked.
            pronunciations: How words are said, of a model of phones.
            alpha: Weight of the language model where the options name none.
            beta: Bonus of a word where the options name none.

        Raises:
            ConfigError: As ``BeamDecoder``, or if Numba is not installed.
            TextError: As ``BeamDecoder``.
        """
        self.vocabulary = vocabulary
        self.options = options
        self.beam = (
            make_beam_decoder(vocabulary, options, pronunciations, alpha, beta)
            if options.needs_search
            else None
        )

    def prepare(self) -> None:
        """Have the search compiled, which takes a quarter of a minute the first time on a machine."""
        blank = np.full((1, 1, len(self.vocabulary)), -np.log(len(self.vocabulary)))
        self.decode(blank, [1])

    def decode(self, log_probs: ArrayLike, output_lengths: ArrayLike) -> list[list[Hypothesis]]:
        """Decode a padded batch, (batch, time, tokens) and (batch,): for each utterance its hypotheses, best first.

        An utterance without any that is allowed has an empty list.

        Raises:
            ConfigError: As ``greedy_decode`` and ``BeamDecoder.decode``.
        """
        batch, lengths = np.asarray(log_probs), np.asarray(output_lengths)
        check_emissions(batch, lengths, self.vocabulary)
        answers = []
        for index, (rows, length) in enumerate(zip(batch, lengths, strict=True)):
            stream = self.stream(f"log_probs[{index}]")
            stream.accept(rows[:length])
            answers.append(stream.finish())
        return answers

    def stream(self, name: str = "log_probs") -> "DecodingStream":
        """Begin an utterance whose frames arrive in pieces; ``name`` is for errors."""
        return DecodingStream(self, name)


class DecodingStream:
    """One utterance on its way through a decoder; its answer does not depend on how it was cut."""

    def __init__(self, decoder: Decoder, name: str) -> None:
        self.options = decoder.options
        self.greedy = GreedyStream(decoder.vocabulary, name) if decoder.beam is None else None
        self.search = (
            None if decoder.beam is None else decoder.beam.stream(name, n_best=self.options.num_searched)
        )

    def accept(self, log_probs: ArrayLike) -> None:
        """Go on through frames (time, tokens); errors as ``Decoder.decode``."""
        if self.search is not None:
            self.search.accept(log_probs)
        elif self.greedy is not None:
            self.greedy.accept(log_probs)

    def so_far(self) -> Hypothesis:
        """Return the best of what has been heard, which may still change; nothing is ranked again."""
        found = self.search.finish() if self.search is not None else self._greedy()
        return found[0] if found else NOTHING

    def finish(self) -> list[Hypothesis]:
        """Return the hypotheses, best first, as ``Decoder.decode`` does; the stream may go on afterwards."""
        return self._greedy() if self.search is None else self._searched(self.search)

    def _greedy(self) -> list[Hypothesis]:
        """Return the only answer of a greedy decoder."""
        return [] if self.greedy is None else [self.greedy.finish()]

    def _searched(self, search: BeamStream) -> list[Hypothesis]:
        """Return what was found, ranked again if that was asked for."""
        found, rescorer = search.finish(), self.options.rescorer
        if rescorer is None:
            return found
        scores = rescorer.score([hypothesis.text for hypothesis in found])
        return rescore(found, scores, weight=self.options.rescore_weight)[: self.options.n_best]


def make_beam_decoder(
    vocabulary: Vocabulary,
    options: DecodingOptions,
    pronunciations: Pronunciations | None,
    alpha: float,
    beta: float,
) -> BeamDecoder:
    """Make the beam decoder that the options describe; without a language model words count nothing."""
    default_beam = BeamConfig.beam_size if pronunciations is None else BEAM_SIZE_OF_WORDS
    default_beta = 0.0 if options.lm is None else beta
    config = BeamConfig(
        beam_size=default_beam if options.beam_size is None else options.beam_size,
        alpha=alpha if options.alpha is None else options.alpha,
        beta=default_beta if options.beta is None else options.beta,
    )
    return BeamDecoder(
        vocabulary,
        config,
        pronunciations=pronunciations,
        lm=options.lm,
        lexicon=options.lexicon,
        phrases=options.phrases,
        hot_words=options.hot_words,
    )
