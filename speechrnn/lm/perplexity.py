"""How well a language model foresees a text."""

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from speechrnn.errors import TextError
from speechrnn.lm.ngram import NgramModel

SENTENCES_AT_ONCE = 10_000


@dataclass(frozen=True, kw_only=True)
class Perplexity:
    """What a model makes of a text; add two for that of both texts.

    Example:
        >>> half = Perplexity(log_prob=2 * math.log(0.5), num_tokens=2, num_sentences=1)
        >>> (half + half).perplexity
        2.0
    """

    log_prob: float
    """Sum of the natural logs of P(token | the tokens before it), over words and </s> of each sentence."""
    num_tokens: int
    """Words and </s>; <s> is not foreseen and not counted."""
    num_sentences: int
    """Sentences, that is </s>."""
    num_unknown: int = 0
    """Words that the model does not know, which have the probability of <unk>."""
    unknown_log_prob: float = 0.0
    """Their part of ``log_prob``."""

    @property
    def perplexity(self) -> float:
        """exp(−log_prob / num_tokens): the number of equally likely tokens that would surprise as much."""
        return math.exp(-self.log_prob / self.num_tokens)

    @property
    def perplexity_of_known(self) -> float:
        """The same without unknown words: exp(−(log_prob − unknown_log_prob) / (num_tokens − num_unknown))."""
        return math.exp(-(self.log_prob - self.unknown_log_prob) / (self.num_tokens - self.num_unknown))

    def __add__(self, other: "Perplexity") -> "Perplexity":
        """Sum up two texts."""
        return Perplexity(
            log_prob=self.log_prob + other.log_prob,
            num_tokens=self.num_tokens + other.num_tokens,
            num_sentences=self.num_sentences + other.num_sentences,
            num_unknown=self.num_unknown + other.num_unknown,
            unknown_log_prob=self.unknown_log_prob + other.unknown_log_prob,
        )


def measure_perplexity(model: NgramModel, sentences: Iterable[Sequence[str]]) -> Perplexity:
    """Score a text; each sentence begins after <s> and ends with </s>.

    Args:
        model: Any model.
        sentences: Tokens of each, words or characters as the model has them; an empty one counts.

    Raises:
        TextError: If there is no sentence.
        ConfigError: If Numba is not installed.

    Example:
        >>> from speechrnn.lm.estimate import estimate_model
        >>> text = [["a", "b"], ["a"]]
        >>> measure_perplexity(estimate_model(text, order=2), text).num_tokens
        5
    """
    remaining = iter(sentences)
    total: Perplexity | None = None
    while chunk := list(itertools.islice(remaining, SENTENCES_AT_ONCE)):
        measured = measure_chunk(model, chunk)
        total = total + measured if total else measured
    if total is None:
        raise TextError("the text holds no sentence, so it has no perplexity")
    return total


def measure_chunk(model: NgramModel, sentences: Sequence[Sequence[str]]) -> Perplexity:
    """Score some sentences."""
    end = model.end_of_sentence
    ids = np.array([i for words in sentences for i in (*map(model.word_id, words), end)], np.int32)
    scores, is_unknown = model.score_ids(ids), ids == model.unknown
    return Perplexity(
        log_prob=float(scores.sum()),
        num_tokens=len(ids),
        num_sentences=len(sentences),
        num_unknown=int(is_unknown.sum()),
        unknown_log_prob=float(scores[is_unknown].sum()),
    )
