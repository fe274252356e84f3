"""Where in a recording somebody speaks, from its energy alone: no model, a few milliseconds for a minute.

It is made to lose no speech rather than to find no noise. What stands out of the background counts, for a
background that may change over half a minute; a steady sound, however loud, is background.
"""

import itertools
import math
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from speechrnn.errors import ConfigError

FRAME_S = 0.01
SMOOTHED_FRAMES = 5  # a click of 10 ms is no speech
LEAST_DB = -80.0  # below full scale: whatever is softer is silence
FLOOR_PERCENTILE, PEAK_PERCENTILE = 10, 95
BACKGROUND_S = 30.0  # the stretch whose percentiles say what is background here
STEP_S = 1.0
SHARE = 0.35  # of the rise from background to loudest, in dB, at which speech begins
LEAST_RISE_DB, MOST_RISE_DB = 3.0, 8.0
FALL_SHARE = 0.6  # of the rise at which speech begins is where it ends
BANDS = (80.0, 250.0, 500.0, 1000.0, 2000.0, 4000.0, 8000.0)  # Hz; steady noise in one leaves the others
MOST_FRAMES = 4096  # at a time
UNITS_PER_DB = 256  # of levels, which are kept in 16 bits: hours have millions of them


class Interval(NamedTuple):
    """A stretch of a recording."""

    start_s: float
    end_s: float

    @property
    def duration_s(self) -> float:
        """How long it is, seconds."""
        return self.end_s - self.start_s


@dataclass(frozen=True, kw_only=True)
class VoiceActivityOptions:
    """What counts as a stretch of speech."""

    min_speech_s: float = 0.1
    """Shorter sounds are left out, seconds, >= 0."""
    min_silence_s: float = 0.4
    """Shorter silences are part of the speech around them, seconds, >= 0."""
    padding_s: float = 0.2
    """Added on both sides, for what begins and ends softly; seconds, >= 0."""
    max_speech_s: float = math.inf
    """Longer stretches are cut where they are softest, seconds, > 0."""

    def __post_init__(self) -> None:
        """Check every range.

        Raises:
            ConfigError: Naming the option, its value and its range.
        """
        for name in ("min_speech_s", "min_silence_s", "padding_s"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ConfigError(f"{name} must be >= 0 and finite, got {getattr(self, name)}")
        if not self.max_speech_s > 0:
            raise ConfigError(f"max_speech_s must be > 0, got {self.max_speech_s}")


def find_speech(
    waveform: NDArray[np.float32],
    *,
    sample_rate: int,
    options: VoiceActivityOptions = VoiceActivityOptions(),
) -> tuple[Interval, ...]:
    """Find where somebody speaks.

    Args:
        waveform: (samples,) in [-1, 1].
        sample_rate: Hz.
        options: What counts as a stretch of speech.

    Returns:
        Stretches in their order, within the recording and not overlapping; none for silence or no samples.
    """
    levels = measure_levels([waveform], sample_rate=sample_rate)
    return find_speech_in_levels(levels, duration_s=len(waveform) / sample_rate, options=options)


def measure_levels(blocks: Iterable[NDArray[np.float32]], *, sample_rate: int) -> NDArray[np.int16]:
    """Measure the level of each 10 ms in each of ``BANDS``, so that a recording need not be held whole.

    Args:
        blocks: The waveform (samples,) in parts of any length.
        sample_rate: Hz.

    Returns:
        (frames, bands) dB relative to full scale times ``UNITS_PER_DB``, of as many frames of 20 ms as fit, one each
        10 ms; bands above half the rate are left out.
    """
    hop = max(1, round(FRAME_S * sample_rate))
    bands = make_bands(2 * hop, sample_rate)
    levels = array("h")  # grows in its place: hours of pieces would be held twice when they are joined
    rest = np.zeros(0, dtype=np.float32)
    for block in blocks:
        rest = np.concatenate([rest, block])
        while (num_frames := min(len(rest) // hop - 1, MOST_FRAMES)) > 0:
            measured = measure_frames(rest[: (num_frames + 1) * hop], bands)
            levels.frombytes(np.round(UNITS_PER_DB * measured).astype(np.int16).tobytes())
            rest = rest[num_frames * hop :]
    return np.asarray(levels, dtype=np.int16).reshape(-1, bands.shape[1])


def make_bands(size: int, sample_rate: int) -> NDArray[np.float32]:
    """Make (size // 2 + 1, bands) weights that add up the power of a spectrum's bins by band."""
    frequencies = np.fft.rfftfreq(size, 1 / sample_rate)
    bands = [(frequencies > low) & (frequencies <= high) for low, high in itertools.pairwise(BANDS)]
    window_power = np.square(np.hanning(size)).mean()
    scale = 2 / (size**2 * window_power)
    return np.stack([scale * band for band in bands if band.any()], axis=1).astype(np.float32)


def measure_frames(waveform: NDArray[np.float32], bands: NDArray[np.float32]) -> NDArray[np.float32]:
    """Measure (frames, bands) dB of (samples,), whole frames of it."""
    size = 2 * (len(bands) - 1)
    frames = np.lib.stride_tricks.sliding_window_view(waveform, size)[:: size // 2]
    spectra = np.fft.rfft(frames * np.hanning(size).astype(np.float32))
    power = np.square(np.abs(spectra)).astype(np.float32) @ bands
    levels: NDArray[np.float32] = 10 * np.log10(np.maximum(power, 10 ** (LEAST_DB / 10)))
    return levels


def find_speech_in_levels(
    levels: NDArray[np.int16],
    *,
    duration_s: float,
    options: VoiceActivityOptions = VoiceActivityOptions(),
) -> tuple[Interval, ...]:
    """Find where somebody speaks, as ``find_speech``, from what ``measure_levels`` returned."""
    if not len(levels):
        return ()
    rises = measure_rises(levels)
    begins = find_thresholds(rises)
    runs = find_runs(rises, begins, begins * FALL_SHARE)
    runs = [run for run in join_runs(runs, options.min_silence_s) if run.duration_s >= options.min_speech_s]
    padded = [
        Interval(max(0.0, run.start_s - options.padding_s), min(duration_s, run.end_s + options.padding_s))
        for run in runs
    ]
    joined = join_runs(padded, 0.0)
    return tuple(part for run in joined for part in cut_run(run, rises, options.max_speech_s))


def measure_rises(levels: NDArray[np.int16]) -> NDArray[np.float32]:
    """Measure how far each frame of (frames, bands) levels rises above the background, dB, mean over bands.

    Band by band, since hours have millions of frames.
    """
    rises = np.zeros(len(levels), dtype=np.float32)
    for band in levels.T:
        smooth = smoothen(band.astype(np.float32) / UNITS_PER_DB)
        rises += np.maximum(smooth - sliding_percentile(smooth, FLOOR_PERCENTILE), 0) / levels.shape[1]
    return rises


def smoothen(levels: NDArray[np.float32]) -> NDArray[np.float32]:
    """Average neighbouring levels (frames,)."""
    padded = np.pad(levels, SMOOTHED_FRAMES // 2, mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, SMOOTHED_FRAMES)
    smooth: NDArray[np.float32] = windows.mean(axis=1)
    return smooth


def find_thresholds(rises: NDArray[np.float32]) -> NDArray[np.float32]:
    """Find the rise (frames,) at which speech begins, from what is loud around it."""
    loudest = sliding_percentile(rises, PEAK_PERCENTILE)
    thresholds: NDArray[np.float32] = np.clip(SHARE * loudest, LEAST_RISE_DB, MOST_RISE_DB)
    return thresholds


def sliding_percentile(levels: NDArray[np.float32], percentile: float) -> NDArray[np.float32]:
    """Find a percentile of (frames,) within ``BACKGROUND_S`` around each frame."""
    step, half = round(STEP_S / FRAME_S), round(BACKGROUND_S / FRAME_S / 2)
    centres = range(0, len(levels) + step, step)
    found = [
        np.percentile(levels[max(0, min(c, len(levels)) - half) : c + half], percentile) for c in centres
    ]
    percentiles = np.empty(len(levels), dtype=np.float32)
    for first in range(0, len(levels), MOST_FRAMES):
        piece = percentiles[first : first + MOST_FRAMES]
        piece[:] = np.interp(np.arange(first, first + len(piece)), centres, found)
    return percentiles


def find_runs(
    levels: NDArray[np.float32], begins: NDArray[np.float32], ends: NDArray[np.float32]
) -> list[Interval]:
    """Find the runs of frames above ``ends`` that somewhere rise above ``begins``, both (frames,)."""
    edges = np.flatnonzero(np.diff(np.pad((levels > ends).astype(np.int8), 1)))
    return [
        Interval(start * FRAME_S, end * FRAME_S)
        for start, end in edges.reshape(-1, 2).tolist()
        if (levels[start:end] > begins[start:end]).any()
    ]


def join_runs(runs: Sequence[Interval], least_gap_s: float) -> list[Interval]:
    """Join runs with less than ``least_gap_s`` between them, and those that touch."""
    joined: list[Interval] = []
    for run in runs:
        if joined and run.start_s - joined[-1].end_s <= max(0.0, least_gap_s - 1e-9):
            joined[-1] = Interval(joined[-1].start_s, run.end_s)
        else:
            joined.append(run)
    return joined


def cut_run(run: Interval, levels: NDArray[np.float32], max_s: float) -> list[Interval]:
    """Cut a run into parts of at most ``max_s``, each time where it is softest in the latter half."""
    parts = []
    while run.duration_s > max_s + 1e-9:
        first = round((run.start_s + max_s / 2) / FRAME_S)
        last = min(round((run.start_s + max_s) / FRAME_S), len(levels))
        softest = first + int(np.argmin(levels[first:last])) if first < last else last
        cut = max(softest * FRAME_S, run.start_s + FRAME_S)
        parts.append(Interval(run.start_s, cut))
        run = Interval(cut, run.end_s)
    return [*parts, run]
