"""From confidences that rise and fall to hits: each keyword once, at its best, and no two in one place."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from speechrnn.errors import ConfigError

RECENT = 8  # hits kept, for others that overlap them


@dataclass(frozen=True, kw_only=True)
class HitOptions:
    """When a rising confidence is a hit."""

    patience: int = 1
    """Frames (of a classifier: chunks) in a row that must reach the threshold, >= 1."""
    hold_s: float = 0.3
    """How long the best confidence must stay the best before it is told, >= 0; this adds to the latency."""
    refractory_s: float = 1.0
    """How long after a hit the same keyword cannot be hit again, >= 0; and not before it was unsure of it once."""
    overlap: float = 0.5
    """Share of the shorter of two hits that may lie in the other, in [0, 1]; of those with more the surer stays.
    A hit that was told stays, and one of another keyword that comes behind it counts if no more of itself lies in it:
    the phrase that begins with a shorter keyword."""

    def __post_init__(self) -> None:
        """Check every range; a ``ConfigError`` names the option."""
        if self.patience < 1:
            raise ConfigError(f"patience must be >= 1, got {self.patience!r}")
        for name in ("hold_s", "refractory_s"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ConfigError(f"{name} must be >= 0 and finite, got {getattr(self, name)!r}")
        if not 0 <= self.overlap <= 1:
            raise ConfigError(f"overlap must be in [0, 1], got {self.overlap!r}")


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A place where a keyword may be; frames count from the stream's first."""

    keyword: int
    """Its place in the list."""
    start: int
    """First frame."""
    end: int
    """Last frame, where the confidence was highest."""
    confidence: float
    """In [0, 1]."""
    margin: float
    """Confidence above the threshold, as a share of what there could be."""
    decided: int = -1
    """Frame at which it was told."""


class HitPicker:
    """Pick hits in one stream; remembers one candidate a keyword and the last few hits."""

    def __init__(
        self, thresholds: Sequence[float], *, frame_s: float, options: HitOptions = HitOptions()
    ) -> None:
        """Begin a stream.

        Args:
            thresholds: Of each keyword, in [0, 1].
            frame_s: Seconds from one frame to the next.
            options: When it is a hit.
        """
        self.thresholds, self.options = np.asarray(thresholds, float), options
        self.hold = math.ceil(options.hold_s / frame_s - 1e-6)
        self.refractory = math.ceil(options.refractory_s / frame_s - 1e-6)
        self.frame = 0
        self.runs = np.zeros(len(self.thresholds), np.int64)
        self.rests_until = np.zeros(len(self.thresholds), np.int64)
        self.is_spent = np.zeros(len(self.thresholds), bool)  # told, and the confidence has not fallen since
        self.open: dict[int, Candidate] = {}
        self.recent: list[Candidate] = []

    def feed(self, confidences: NDArray[np.float64], starts: NDArray[np.int64]) -> list[Candidate]:
        """Hear more: both (frames, keywords), in [0, 1] and frames; return the hits that are certain now."""
        hits: list[Candidate] = []
        reached = confidences >= self.thresholds
        for row in range(len(confidences)):
            if self.open or reached[row].any():
                hits += self._advance(confidences[row], starts[row], reached[row])
            else:
                self.runs[:], self.is_spent[:] = 0, False
            self.frame += 1
        return hits

    def finish(self) -> list[Candidate]:
        """End the stream and return the hits that were not certain yet."""
        return [hit for keyword in sorted(self.open) for hit in self._close(keyword)]

    def _advance(
        self, confidences: NDArray[np.float64], starts: NDArray[np.int64], reached: NDArray[np.bool_]
    ) -> list[Candidate]:
        """Open, improve and close candidates."""
        self.runs = np.where(reached, self.runs + 1, 0)
        self.is_spent &= reached
        may_open = (self.runs >= self.options.patience) & (self.frame >= self.rests_until) & ~self.is_spent
        for keyword in {*np.flatnonzero(may_open).tolist(), *self.open}:
            best = self.open.get(keyword)
            if best is None or confidences[keyword] > best.confidence:
                self.open[keyword] = self._candidate(keyword, confidences[keyword], starts[keyword])
        due = sorted(key for key, best in self.open.items() if self.frame - best.end >= self.hold)
        return [hit for keyword in due for hit in self._close(keyword)]

    def _candidate(self, keyword: int, confidence: float, start: int) -> Candidate:
        """Note that a keyword may end at this frame."""
        threshold = float(self.thresholds[keyword])
        margin = (float(confidence) - threshold) / max(1 - threshold, 1e-9)
        return Candidate(
            keyword=keyword, start=int(start), end=self.frame, confidence=float(confidence), margin=margin
        )

    def _close(self, keyword: int) -> list[Candidate]:
        """Decide on a candidate: a hit, unless a surer one lies over it."""
        best = self.open.pop(keyword, None)
        if best is None:
            return []
        self._rest(best)
        rivals = [other for other in self.open.values() if self._overlaps(best, other)]
        if any(self._repeats(best, hit) for hit in self.recent):
            return []
        if any(rival.margin > best.margin for rival in rivals):
            return []
        for rival in rivals:
            self._rest(rival)
            del self.open[rival.keyword]
        hit = Candidate(**{**vars(best), "decided": self.frame})
        self.recent = [*self.recent, hit][-RECENT:]
        return [hit]

    def _overlaps(self, one: Candidate, other: Candidate) -> bool:
        """Tell whether more of the shorter one lies in the longer one than may."""
        return common_frames(one, other) > self.options.overlap * min(num_frames(one), num_frames(other))

    def _repeats(self, candidate: Candidate, hit: Candidate) -> bool:
        """Tell whether a candidate is no more than a hit that was told; a keyword's stretched copy is not."""
        if candidate.keyword == hit.keyword:
            return self._overlaps(candidate, hit)
        return common_frames(candidate, hit) > self.options.overlap * num_frames(candidate)

    def _rest(self, closed: Candidate) -> None:
        """Have a keyword wait."""
        self.rests_until[closed.keyword] = closed.end + max(1, self.refractory)
        self.is_spent[closed.keyword] = True


def num_frames(one: Candidate) -> int:
    """Count the frames of a candidate."""
    return one.end - one.start + 1


def common_frames(one: Candidate, other: Candidate) -> int:
    """Count the frames that two candidates share."""
    return max(0, min(one.end, other.end) - max(one.start, other.start) + 1)
