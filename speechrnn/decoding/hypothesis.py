"""What a decoder answers."""

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
    """Natural log of the probability of the path."""
    confidence: float
    """Mean over tokens of the highest posterior that each reached, in [0, 1]; 1 for an empty text."""
