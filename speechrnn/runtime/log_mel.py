"""The log-mel and MFCC features that a model works with, in NumPy, to be looked at.

The model file computes its own, inside; these are the same numbers, which `tests/test_log_mel.py` holds.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

MOST_FRAMES = 4096  # at a time
HZ_PER_SLANEY_MEL = 200 / 3
SLANEY_BREAK_HZ = 1000.0
SLANEY_BREAK = SLANEY_BREAK_HZ / HZ_PER_SLANEY_MEL
SLANEY_STEP = np.log(6.4) / 27


@dataclass(frozen=True, kw_only=True)
class LogMel:
    """How a waveform becomes mel bands; fields as in a model's configuration."""

    sample_rate: int
    """Hz."""
    n_fft: int
    """Samples in a frame."""
    hop_length: int
    """Samples from one frame to the next."""
    win_length: int
    """Samples under the Hann window, in the middle of the frame."""
    n_mels: int = 64
    f_min: float = 20.0
    """Lower edge of the first band, Hz."""
    f_max: float | None = None
    """Upper edge of the last band, Hz; half the sample rate when not given."""
    mel_scale: str = "htk"
    """``htk``, or ``slaney``, whose bands have unit area."""
    preemphasis: float = 0.0
    floor: float = 1e-6
    """Added to the power before the log."""
    n_mfcc: int | None = None
    """Cepstral coefficients that the model works with; None if it works with the bands."""

    @classmethod
    def from_config(cls, features: Mapping[str, Any]) -> "LogMel":
        """Read the part of a model's configuration that this is about."""
        names = cls.__dataclass_fields__.keys() & features.keys() - {"n_mfcc"}
        given = {"win_length": features["n_fft"], **{name: features[name] for name in names}}
        return cls(**given, n_mfcc=features["n_mfcc"] if features.get("kind") == "mfcc" else None)

    @property
    def frame_s(self) -> float:
        """Seconds from one frame to the next."""
        return self.hop_length / self.sample_rate

    @property
    def first_s(self) -> float:
        """Where the time of the first frame begins: each stands for one hop in the middle of its samples."""
        return (self.n_fft - self.hop_length) / 2 / self.sample_rate

    def compute(self, waveform: NDArray[np.float32]) -> NDArray[np.float32]:
        """Compute log(mel power + floor): (samples,) to (frames, n_mels), no frame for less than ``n_fft``."""
        if self.preemphasis:
            previous = np.concatenate([np.zeros(1, np.float32), waveform[:-1]])[: len(waveform)]
            waveform = np.asarray(waveform - self.preemphasis * previous, np.float32)
        if len(waveform) < self.n_fft:
            return np.zeros((0, self.n_mels), np.float32)
        frames = np.lib.stride_tricks.sliding_window_view(waveform, self.n_fft)[:: self.hop_length]
        window, bands = self.window(), self.bands()
        parts = [frames[start : start + MOST_FRAMES] for start in range(0, len(frames), MOST_FRAMES)]
        power = (np.square(np.abs(np.fft.rfft(part * window, axis=1))) @ bands for part in parts)
        return np.concatenate([np.log(p + self.floor).astype(np.float32) for p in power])

    def window(self) -> NDArray[np.float64]:
        """Make the periodic Hann window, (n_fft,), zero outside its ``win_length`` middle samples."""
        left = (self.n_fft - self.win_length) // 2
        window = np.zeros(self.n_fft)
        turn = 2 * np.pi * np.arange(self.win_length) / self.win_length
        window[left : left + self.win_length] = 0.5 - 0.5 * np.cos(turn)
        return window

    def edges_hz(self) -> NDArray[np.float64]:
        """Find the edges and middles of the bands, (n_mels + 2,): band k rises from k to k + 1, then falls."""
        last = self.sample_rate / 2 if self.f_max is None else self.f_max
        low, high = hz_to_mel(np.array([self.f_min, last]), self.mel_scale).tolist()
        return mel_to_hz(np.linspace(low, high, self.n_mels + 2), self.mel_scale)

    def bands(self) -> NDArray[np.float64]:
        """Make the triangular filters, (n_fft // 2 + 1, n_mels)."""
        edges = self.edges_hz()
        bins = np.linspace(0, self.sample_rate // 2, self.n_fft // 2 + 1)[:, None]
        rise, fall = np.diff(edges)[:-1], np.diff(edges)[1:]
        bands = np.maximum(0, np.minimum((bins - edges[:-2]) / rise, (edges[2:] - bins) / fall))
        return bands * 2 / (edges[2:] - edges[:-2]) if self.mel_scale == "slaney" else bands

    def mfcc(self, log_mel: NDArray[np.float32]) -> NDArray[np.float32]:
        """Turn bands into cepstral coefficients by the orthonormal DCT-II: (frames, n_mels) to (…, n_mfcc)."""
        n_mfcc = self.n_mels if self.n_mfcc is None else self.n_mfcc
        turns = np.outer(np.arange(self.n_mels) + 0.5, np.arange(n_mfcc)) / self.n_mels
        dct = np.cos(np.pi * turns) * np.sqrt(2 / self.n_mels)
        dct[:, 0] /= np.sqrt(2)
        return np.asarray(log_mel @ dct, np.float32)


def hz_to_mel(hz: NDArray[np.float64], scale: str) -> NDArray[np.float64]:
    """Convert frequencies to mel: 2595 log10(1 + f / 700), or linear below 1 kHz and logarithmic above."""
    if scale == "htk":
        return np.asarray(2595 * np.log10(1 + hz / 700))
    above = SLANEY_BREAK + np.log(np.maximum(hz, SLANEY_BREAK_HZ) / SLANEY_BREAK_HZ) / SLANEY_STEP
    return np.where(hz < SLANEY_BREAK_HZ, hz / HZ_PER_SLANEY_MEL, above)


def mel_to_hz(mel: NDArray[np.float64], scale: str) -> NDArray[np.float64]:
    """Convert back."""
    if scale == "htk":
        return np.asarray(700 * (10 ** (mel / 2595) - 1))
    above = SLANEY_BREAK_HZ * np.exp(SLANEY_STEP * (mel - SLANEY_BREAK))
    return np.where(mel < SLANEY_BREAK, mel * HZ_PER_SLANEY_MEL, above)
