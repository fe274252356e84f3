"""Audio that is too long to be held at once: the same waveform as ``load_audio`` makes, block by block."""

from collections.abc import Iterator
from dataclasses import dataclass
from os import PathLike
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from speechrnn.audio import Source, Waveform, check_array, source_name, to_waveform
from speechrnn.live_audio import BlockConverter
from speechrnn.sound_file.keeping import keep_sound
from speechrnn.sound_file.opening import Buffer, open_file
from speechrnn.sound_file.sound import BLOCK, open_sound


@dataclass(frozen=True, kw_only=True)
class LongAudio:
    """A clip that is read anew each time it is gone through."""

    source: str | PathLike[str] | bytes | NDArray[Any]
    sample_rate: int
    """Rate wanted, Hz."""
    source_rate: int | None = None
    """Rate of an array, Hz; files say theirs themselves."""
    channel: Literal["mean"] | int = "mean"
    """``mean`` of all channels, or one of them, counted from 0."""

    @property
    def name(self) -> str:
        """What messages call it."""
        return source_name(self.source)

    @property
    def duration_s(self) -> float | None:
        """Seconds, as far as is known before it is read; errors as ``load_audio``."""
        if isinstance(self.source, np.ndarray):
            return len(self.source) / self.source_rate if self.source_rate else None
        with open_sound(self.source, self.name) as sound:
            return sound.duration_s

    def blocks(self) -> Iterator[Waveform]:
        """Read blocks (samples,) at the rate wanted.

        Raises:
            AudioError: As ``load_audio``, as soon as it is met.
        """
        converter: BlockConverter | None = None
        for samples, rate in read_raw(self.source, self.source_rate):
            if converter is None:
                converter = BlockConverter(
                    self.name, rate, sample_rate=self.sample_rate, channel=self.channel
                )
            yield converter.convert(samples)
        if converter is not None:
            yield converter.flush()


def read_raw(
    source: str | PathLike[str] | bytes | NDArray[Any], source_rate: int | None
) -> Iterator[tuple[NDArray[np.float32], int]]:
    """Read blocks (samples, channels) as they were recorded, each with its rate; errors as ``load_audio``."""
    name = source_name(source)
    if isinstance(source, np.ndarray):
        for start in range(0, max(1, len(source)), BLOCK):
            yield check_array(source[start : start + BLOCK], source_rate, name)
        return
    with open_sound(source, name) as sound:
        for block in sound.blocks():
            yield block, sound.sample_rate


def load_or_open(
    source: Source,
    *,
    sample_rate: int,
    whole_s: float,
    source_rate: int | None = None,
    channel: Literal["mean"] | int = "mean",
) -> Waveform | LongAudio:
    """Load a clip of up to ``whole_s`` seconds; of a longer one, return what reads it block by block.

    Args:
        source: As for ``load_audio``.
        sample_rate: Rate wanted, Hz.
        whole_s: Longest clip to be held at once, seconds.
        source_rate: Rate of an array, Hz; files say theirs themselves.
        channel: ``mean`` of all channels, or one of them, counted from 0.

    Raises:
        AudioError: As ``load_audio``; what is wrong further back in a long clip comes when it is read.
    """
    name = source_name(source)
    source = reopenable(source)
    blocks, num_samples, rate = [], 0, 0
    for block, rate in read_raw(source, source_rate):
        blocks.append(block)
        num_samples += len(block)
        if num_samples > whole_s * rate:
            return LongAudio(source=source, sample_rate=sample_rate, source_rate=source_rate, channel=channel)
    return to_waveform(np.concatenate(blocks), rate, name, sample_rate=sample_rate, channel=channel)


def reopenable(source: Source) -> str | PathLike[str] | bytes | NDArray[Any]:
    """Return what can be gone through more than once, with all that an open file or a pipe holds.

    Raises:
        AudioError: As ``load_audio``.
    """
    if isinstance(source, np.ndarray):
        return source
    name = source_name(source)
    if isinstance(source, Buffer):
        source = bytes(source)  # a copy: the caller may change theirs between one pass and the next
    elif not isinstance(source, str | PathLike):
        with open_file(source, name) as file:
            source = file.read()
    return keep_sound(source, name)
