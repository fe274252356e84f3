"""Greedy CTC decoding: the best token of each frame, repeats merged, blanks dropped (Graves et al., 2006)."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from speechrnn.decoding.hypothesis import Hypothesis
from speechrnn.errors import ConfigError
from speechrnn.text import Vocabulary


def greedy_decode(
    log_probs: ArrayLike, output_lengths: ArrayLike, vocabulary: Vocabulary
) -> list[Hypothesis]:
    """Decode a padded batch.

    Args:
        log_probs: (batch, time, len(vocabulary)) natural logs of posteriors.
        output_lengths: (batch,) frames that are real; the others are ignored, whatever they hold.
        vocabulary: Of a CTC model.

    Returns:
        One hypothesis an utterance.

    Raises:
        ConfigError: If shapes, lengths and vocabulary do not fit each other, or a real frame holds NaN.

    Example:
        >>> import numpy as np
        >>> frames = np.log([[[0.1, 0.9], [0.9, 0.1], [0.2, 0.8]]])
        >>> greedy_decode(frames, [3], Vocabulary(("a",)))[0].text
        'aa'
    """
    batch = np.asarray(log_probs)
    lengths = np.asarray(output_lengths)
    check_emissions(batch, lengths, vocabulary)
    return [decode_one(rows[:length], vocabulary) for rows, length in zip(batch, lengths, strict=True)]


def check_emissions(log_probs: NDArray[Any], lengths: NDArray[Any], vocabulary: Vocabulary) -> None:
    """Check that emissions can be decoded; errors as ``greedy_decode``."""
    if vocabulary.blank is None:
        raise ConfigError("labels cannot be decoded with CTC: their vocabulary has no blank")
    if log_probs.ndim != 3 or log_probs.shape[2] != len(vocabulary):
        raise ConfigError(
            f"log_probs must be (batch, time, {len(vocabulary)}) for this vocabulary, got {log_probs.shape}"
        )
    if lengths.shape != log_probs.shape[:1]:
        raise ConfigError(f"output_lengths must be {log_probs.shape[:1]}, got {lengths.shape}")
    if lengths.size and not np.issubdtype(lengths.dtype, np.integer):
        raise ConfigError(f"output_lengths must be integers, got {lengths.dtype}")
    for index, length in enumerate(lengths):
        if not 0 <= length <= log_probs.shape[1]:
            raise ConfigError(f"output_lengths[{index}] must be in [0, {log_probs.shape[1]}], got {length}")
        if np.isnan(log_probs[index, :length]).any():
            raise ConfigError(f"log_probs[{index}] holds NaN")


def decode_one(log_probs: NDArray[Any], vocabulary: Vocabulary) -> Hypothesis:
    """Decode one utterance's real frames, (time, len(vocabulary))."""
    if len(log_probs) == 0:
        return Hypothesis(text="", tokens=(), frames=(), log_prob=0.0, confidence=1.0)
    path = log_probs.argmax(axis=1)
    best = log_probs.max(axis=1).astype(np.float64)
    starts = np.flatnonzero(np.concatenate([[True], path[1:] != path[:-1]]))
    ends = np.append(starts[1:], len(path)) - 1
    peaks = np.minimum(np.exp(np.maximum.reduceat(best, starts)), 1.0)  # of each run of equal tokens
    spoken = path[starts] != vocabulary.blank
    tokens = tuple(path[starts][spoken].tolist())
    return Hypothesis(
        text=vocabulary.normalize(vocabulary.decode(tokens)),  # as the references were
        tokens=tokens,
        frames=tuple(starts[spoken].tolist()),
        log_prob=float(best.sum()),
        confidence=float(peaks[spoken].mean()) if tokens else 1.0,
        ends=tuple(ends[spoken].tolist()),
        peaks=tuple(peaks[spoken].tolist()),
        score=float(best.sum()),
    )
