"""Greedy CTC decoding: the best token of each frame, repeats merged, blanks dropped (Graves et al., 2006)."""

from array import array
from typing import Any, NamedTuple

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


def check_emissions(
    log_probs: NDArray[Any], lengths: NDArray[Any], vocabulary: Vocabulary, name: str = "log_probs"
) -> None:
    """Check that emissions can be decoded; errors as ``greedy_decode``."""
    if vocabulary.blank is None:
        raise ConfigError("labels cannot be decoded with CTC: their vocabulary has no blank")
    if log_probs.ndim != 3 or log_probs.shape[2] != len(vocabulary):
        raise ConfigError(
            f"{name} must be (batch, time, {len(vocabulary)}) for this vocabulary, got {log_probs.shape}"
        )
    if lengths.shape != log_probs.shape[:1]:
        raise ConfigError(f"output_lengths must be {log_probs.shape[:1]}, got {lengths.shape}")
    if lengths.size and not np.issubdtype(lengths.dtype, np.integer):
        raise ConfigError(f"output_lengths must be integers, got {lengths.dtype}")
    for index, length in enumerate(lengths):
        if not 0 <= length <= log_probs.shape[1]:
            raise ConfigError(f"output_lengths[{index}] must be in [0, {log_probs.shape[1]}], got {length}")
        if np.isnan(log_probs[index, :length]).any():
            raise ConfigError(f"{name}[{index}] holds NaN")


def decode_one(log_probs: NDArray[Any], vocabulary: Vocabulary) -> Hypothesis:
    """Decode one utterance's real frames, (time, len(vocabulary))."""
    stream = GreedyStream(vocabulary)
    stream.accept(log_probs)
    return stream.finish()


class Run(NamedTuple):
    """Equal tokens in frames that follow each other."""

    token: int
    start: int
    """The first frame."""
    end: int
    """The last one."""
    peak: float
    """The highest natural log of its posterior."""


class GreedyStream:
    """One utterance whose frames arrive in pieces; its answer does not depend on how it was cut."""

    def __init__(self, vocabulary: Vocabulary, name: str = "log_probs") -> None:
        """Begin an utterance; ``name`` is for errors."""
        self.vocabulary, self.name = vocabulary, name
        self.num_frames = 0
        self.log_prob = 0.0
        self.last: Run | None = None  # it may go on
        # Of the runs before it that are no blanks.
        self.tokens, self.starts, self.ends, self.peaks = (array(kind) for kind in "qqqd")

    def accept(self, log_probs: ArrayLike) -> None:
        """Go on through frames (time, len(vocabulary)).

        Raises:
            ConfigError: If a frame holds NaN, or does not fit the vocabulary.
        """
        frames = np.asarray(log_probs)
        check_emissions(frames[None], np.array([len(frames)]), self.vocabulary, self.name)
        if not len(frames):
            return
        path, best = frames.argmax(axis=1), frames.max(axis=1).astype(np.float64)
        starts = np.flatnonzero(np.concatenate([[True], path[1:] != path[:-1]]))
        ends = np.append(starts[1:], len(path)) - 1
        peaks = np.maximum.reduceat(best, starts)
        if self.last is not None and path[0] != self.last.token:
            self._keep(*([value] for value in self.last))
            self.last = None
        starts, ends = starts + self.num_frames, ends + self.num_frames
        if self.last is not None:
            starts[0], peaks[0] = self.last.start, max(peaks[0], self.last.peak)
        tokens = path[ends - self.num_frames]
        self._keep(tokens[:-1], starts[:-1], ends[:-1], peaks[:-1])
        self.last = Run(int(tokens[-1]), int(starts[-1]), int(ends[-1]), float(peaks[-1]))
        self.num_frames += len(frames)
        self.log_prob += float(best.sum())

    def _keep(self, tokens: ArrayLike, starts: ArrayLike, ends: ArrayLike, peaks: ArrayLike) -> None:
        """Keep runs that have ended, blanks left out."""
        spoken = np.asarray(tokens) != self.vocabulary.blank
        for kept, values in (
            (self.tokens, tokens),
            (self.starts, starts),
            (self.ends, ends),
            (self.peaks, peaks),
        ):
            kept.extend(np.asarray(values)[spoken].tolist())

    def finish(self) -> Hypothesis:
        """Tell what has been heard so far; the stream may go on afterwards."""
        last = [] if self.last is None or self.last.token == self.vocabulary.blank else [self.last]
        tokens = [*self.tokens, *(run.token for run in last)]
        starts = [*self.starts, *(run.start for run in last)]
        ends = [*self.ends, *(run.end for run in last)]
        peaks = [*self.peaks, *(run.peak for run in last)]
        posteriors = np.minimum(np.exp(peaks), 1.0)
        return Hypothesis(
            text=self.vocabulary.normalize(self.vocabulary.decode(tokens)),  # as the references were
            tokens=tuple(tokens),
            frames=tuple(starts),
            log_prob=self.log_prob,
            confidence=float(posteriors.mean()) if tokens else 1.0,
            ends=tuple(ends),
            peaks=tuple(posteriors.tolist()),
            score=self.log_prob,
        )
