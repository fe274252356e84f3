"""How far a clip has been heard, and who is told."""

from collections.abc import Callable, Iterator
from typing import TypeAlias

from speechrnn.audio import Waveform
from speechrnn.long_audio import LongAudio

OnHeard: TypeAlias = Callable[[float, float | None], None]
"""Told how many seconds of a clip are done, and of how many if that is known.

What is gone through more than once is done with the last time; the others count for their share of the work.
"""


def nobody(heard_s: float, duration_s: float | None) -> None:
    """Tell nobody how far a clip is."""


def watch(audio: LongAudio, on_heard: OnHeard) -> Iterator[Waveform]:
    """Go through a clip as its ``blocks`` do, telling after each how far that is."""
    duration_s, num_samples = audio.duration_s, 0
    for block in audio.blocks():
        yield block
        num_samples += len(block)
        on_heard(num_samples / audio.sample_rate, duration_s)


def part_of(on_heard: OnHeard, begin: float, end: float) -> OnHeard:
    """Tell one of the times that a clip is gone through as the work on it from ``begin`` to ``end``, in [0, 1].

    Where the length is not known, only the last of them is told.
    """

    def tell(heard_s: float, duration_s: float | None) -> None:
        if duration_s is not None:
            on_heard(begin * duration_s + (end - begin) * heard_s, duration_s)
        elif end == 1:
            on_heard(heard_s, None)

    return tell
