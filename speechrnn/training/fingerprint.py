"""Fingerprints of recordings: the same samples, in whatever lossless format, have the same one."""

import hashlib
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import soundfile as sf

from speechrnn.errors import AudioError
from speechrnn.training.probe import map_in_order


def fingerprint(audio: Iterable[Path], *, on_file: Callable[[], object] = bool) -> str:
    """Compute one SHA-256 over the samples of recordings.

    It covers, in the order of the names, each file's name without folder and suffix, its rate, its
    numbers of samples and channels, and its samples as 16-bit integers. So a corpus can be checked
    whether it comes as SPHERE, WAV or FLAC, in archives that were packed anew.

    Args:
        audio: Files whose names without suffix differ.
        on_file: Called for each file, for a progress bar.

    Returns:
        The digest, hexadecimal.

    Raises:
        AudioError: If a file cannot be read.
    """
    digest = hashlib.sha256()
    ordered = sorted(audio, key=lambda path: path.stem)
    for path, (samples, sample_rate) in map_in_order(read_samples, ordered):
        num_samples, num_channels = samples.shape
        digest.update(f"{path.stem} {sample_rate} {num_samples} {num_channels}\n".encode())
        digest.update(samples.astype("<i2").tobytes())
        on_file()
    return digest.hexdigest()


def read_samples(path: Path) -> tuple[np.ndarray[tuple[int, int], np.dtype[np.int16]], int]:
    """Read (samples, channels) int16 and the rate in Hz.

    Raises:
        AudioError: If the file cannot be read.
    """
    try:
        samples, sample_rate = sf.read(path, dtype="int16", always_2d=True)
    except (sf.SoundFileError, OSError) as error:
        raise AudioError(f"audio file {path} cannot be read: {error}") from error
    return samples, sample_rate
