"""Where a keyword was said, or seemed to be: the sound, and how sure the detector was over it."""

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from speechrnn.decoding.keyword_hits import Candidate
from speechrnn.evaluation.close_up import Excerpt
from speechrnn.evaluation.evaluate import load_utterance
from speechrnn.manifest import Utterance
from speechrnn.runtime.log_mel import LogMel


class Track(NamedTuple):
    """Confidences over a stream."""

    confidences: NDArray[np.float32]
    """(frames, keywords)."""
    ends_s: NDArray[np.float64]
    """(frames,) when each ends."""
    frame_s: float
    """Seconds from one frame to the next."""
    hits: list[Candidate]
    """What is told at the thresholds that the keywords have, of two in one place the surer one."""

    def cut(self, keyword: int, stretch_s: tuple[float, float]) -> tuple[int, NDArray[np.float32]]:
        """Take the frames that end within a stretch, one at least: the first, and a keyword's confidences."""
        first, last = np.searchsorted(self.ends_s, stretch_s, side="right").tolist()
        return first, self.confidences[first : max(last, first + 1), keyword]


class Recorded(NamedTuple):
    """Where a recording lies in a stream, seconds."""

    utterance: Utterance
    start_s: float
    duration_s: float

    @property
    def end_s(self) -> float:
        """Where it ends."""
        return self.start_s + self.duration_s


@dataclass(frozen=True, kw_only=True)
class KeywordCloseUp(Excerpt):
    """A stretch of a recording, and how sure the detector was of one keyword while it heard it."""

    start_s: float
    """Where it begins in its recording, seconds."""
    confidence: float
    """What counts: the best where the keyword was said, the peak where it was not."""
    ends_s: NDArray[np.float64] = field(repr=False)
    """(frames,) of the detector, when each ends, seconds from the beginning of the stretch."""
    confidences: NDArray[np.float32] = field(repr=False)
    """(frames,) in [0, 1]."""


def look_at(
    track: Track, recorded: Recorded, keyword: int, *, stretch_s: tuple[float, float], features: LogMel
) -> KeywordCloseUp:
    """Cut a stretch out of a recording; its confidence is the best of those shown.

    Args:
        track: Of the stream that the recording is part of.
        recorded: Which one.
        keyword: Its place in the track.
        stretch_s: From when to when of the stream, seconds; the sound ends with the recording at the latest.
        features: How to compute them.

    Raises:
        AudioError: If the recording cannot be read any more.
    """
    begin_s, end_s = max(stretch_s[0], recorded.start_s), stretch_s[1]
    waveform = load_utterance(recorded.utterance, features.sample_rate)
    first, last = (round((at - recorded.start_s) * features.sample_rate) for at in (begin_s, end_s))
    inside = (track.ends_s > begin_s) & (track.ends_s <= end_s)
    confidences = track.confidences[inside, keyword]
    return KeywordCloseUp(
        id=recorded.utterance.id,
        waveform=waveform[first:last],
        features=features,
        log_mel=features.compute(waveform[first:last]),
        start_s=begin_s - recorded.start_s,
        confidence=float(confidences.max(initial=0.0)),
        ends_s=track.ends_s[inside] - begin_s,
        confidences=confidences,
    )
