"""What a decoder answers."""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Hypothesis:
    """One reading of an utterance."""

    text: str
    """The text; empty if nothing was heard."""
    tokens: tuple[int, ...]
    """Ids of its tokens, without blanks."""
    frames: tuple[int, ...]
    """The output frame in which each token begins."""
    log_prob: float
    """Natural log of the probability of the path, or of all paths to the tokens, given the audio."""
    confidence: float
    """Mean over tokens of the highest posterior that each reached, in [0, 1]; 1 for an empty text."""
    ends: tuple[int, ...] = ()
    """The last output frame of each token."""
    peaks: tuple[float, ...] = ()
    """The highest posterior that each token reached, in [0, 1]."""
    word_starts: tuple[int, ...] = ()
    """The place of each word's first token, where phones were read as words; they do not tell it themselves."""
    lm_log_prob: float = 0.0
    """Natural log of the text's probability under the language model; 0 without one."""
    score: float = 0.0
    """What a beam search ranked by: log_prob, weighted language model, words and hot words."""


NOTHING = Hypothesis(text="", tokens=(), frames=(), log_prob=-math.inf, confidence=0.0, score=-math.inf)
"""The answer where none was found, or none that is sure enough."""
