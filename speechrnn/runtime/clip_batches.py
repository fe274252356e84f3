"""Clips heard together: some are read ahead, and those of about the same length share a run of the model."""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from speechrnn.audio import Waveform
from speechrnn.errors import SpeechRNNError
from speechrnn.long_audio import LongAudio


class Clip(NamedTuple):
    """A waveform at the model's rate, and its name for messages."""

    name: str
    waveform: Waveform


class LongClip(NamedTuple):
    """A clip that is read and heard piece by piece."""

    name: str
    audio: LongAudio


def split_windows(
    clips: Iterable[Clip | LongClip | SpeechRNNError], max_samples: float
) -> Iterator[list[Clip | LongClip | SpeechRNNError]]:
    """Cut a stream of clips into runs that end as soon as they hold ``max_samples``, or with a long clip."""
    window: list[Clip | LongClip | SpeechRNNError] = []
    num_samples = 0
    for clip in clips:
        window.append(clip)
        num_samples += len(clip.waveform) if isinstance(clip, Clip) else 0
        if num_samples >= max_samples or isinstance(clip, LongClip):
            yield window
            window, num_samples = [], 0
    if window:
        yield window


def split_batches(lengths: dict[int, int], max_samples: float) -> Iterator[list[int]]:
    """Group keys by length, so that no padded batch of several clips holds more than ``max_samples``."""
    batch: list[int] = []
    for key in sorted(lengths, key=lambda key: lengths[key]):
        if batch and (len(batch) + 1) * lengths[key] > max_samples:
            yield batch
            batch = []
        batch.append(key)
    if batch:
        yield batch


def pad(waveforms: Sequence[Waveform]) -> tuple[Waveform, NDArray[np.int64]]:
    """Stack waveforms into (batch, samples), zeros behind the shorter ones, with their lengths (batch,)."""
    lengths = np.array([len(waveform) for waveform in waveforms], dtype=np.int64)
    padded = np.zeros((len(waveforms), lengths.max()), dtype=np.float32)
    for row, waveform in zip(padded, waveforms, strict=True):
        row[: len(waveform)] = waveform
    return padded, lengths
