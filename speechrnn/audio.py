"""Audio of any usual kind to a waveform: one loader for everything, and it says what it changes."""

import logging
import math
import numbers
import os
from functools import cache
from os import PathLike
from typing import Any, BinaryIO, Literal, NamedTuple, TypeAlias

import numpy as np
import soxr
from numpy.typing import NDArray

from speechrnn.errors import AudioError, LongAudioError
from speechrnn.sound_file.keeping import KeptSound
from speechrnn.sound_file.opening import Buffer
from speechrnn.sound_file.sound import open_sound

Source: TypeAlias = str | PathLike[str] | Buffer | BinaryIO | NDArray[Any]
Waveform: TypeAlias = NDArray[np.float32]

logger = logging.getLogger("speechrnn")

MAX_CHANNELS = 8
MAX_PEAK = 10.0  # 20 dB above full scale: floats beyond were never divided by 32768


def load_audio(
    source: Source,
    *,
    sample_rate: int,
    source_rate: int | None = None,
    channel: Literal["mean"] | int = "mean",
    max_s: float = math.inf,
) -> Waveform:
    """Load one clip.

    wav, flac, ogg, opus and mp3 are read by libsndfile, m4a, mp4, aac, webm, mkv, wma, amr, avi and flv by
    ffmpeg where it is installed. That a clip is resampled or mixed down is said once for each kind, through
    the logger ``speechrnn``.

    Args:
        source: Path, bytes of a file, open binary file, or array (samples,) or (samples, channels) of int16,
            int32 or floats in [-1, 1].
        sample_rate: Rate wanted, Hz.
        source_rate: Rate of an array, Hz; files say theirs themselves.
        channel: ``mean`` of all channels, or one of them, counted from 0.
        max_s: Seconds after which a file is refused; it is read no further than that.

    Returns:
        (samples,) float32 in [-1, 1].

    Raises:
        AudioError: Naming the file and what is wrong with it: missing, not audio, truncated, empty, samples
            that are no numbers or far outside [-1, 1], too many channels, a channel it has not, an array
            without a rate; ``LongAudioError`` if it is longer than ``max_s``.
    """
    name = source_name(source)
    if isinstance(source, np.ndarray):
        samples, rate = check_array(source, source_rate, name)
    else:
        samples, rate = read_samples(source, name, max_s)
    return to_waveform(samples, rate, name, sample_rate=sample_rate, channel=channel)


def to_waveform(
    samples: NDArray[Any], rate: int, name: str, *, sample_rate: int, channel: Literal["mean"] | int
) -> Waveform:
    """Bring all samples of a clip, (samples, channels), to the waveform wanted; errors as ``load_audio``."""
    check_samples(samples, name)
    waveform = pick_channel(samples, channel, name)
    if rate != sample_rate:
        say_resampling(rate, sample_rate)
        waveform = soxr.resample(waveform, rate, sample_rate)
    if not len(waveform):
        raise AudioError(f"{name}: {len(samples)} samples at {rate} Hz are less than one at {sample_rate} Hz")
    # Lossy codecs and resampling overshoot full scale a little.
    return np.ascontiguousarray(np.clip(waveform, -1, 1), dtype=np.float32)


class AudioFormat(NamedTuple):
    """How a file was recorded."""

    sample_rate: int
    """Hz."""
    num_channels: int


def read_format(source: str | PathLike[str] | Buffer | BinaryIO) -> AudioFormat:
    """Read how a file was recorded; an open file is read from where it stands.

    Raises:
        AudioError: If it is missing or not audio.
    """
    with open_sound(source, source_name(source), max_s=0) as sound:
        return AudioFormat(sound.sample_rate, sound.file.channels)


def source_name(source: Source) -> str:
    """Name a source in messages."""
    if isinstance(source, KeptSound):
        return source.name
    if isinstance(source, str | PathLike):
        return os.fspath(source) or "''"
    if isinstance(source, Buffer):
        return f"audio of {len(source)} bytes"
    if isinstance(source, np.ndarray):
        return f"array of shape {source.shape}"
    return str(getattr(source, "name", "audio stream"))


def check_array(samples: NDArray[Any], rate: int | None, name: str) -> tuple[NDArray[Any], int]:
    """Bring an array to (samples, channels) floats; errors as ``load_audio``."""
    if rate is None:
        raise AudioError(f"{name}: an array needs its sample rate")
    check_given_rate(rate, name)
    if samples.ndim not in (1, 2):
        raise AudioError(f"{name}: must be (samples,) or (samples, channels)")
    if samples.dtype in (np.int16, np.int32):
        samples = samples / -float(np.iinfo(samples.dtype).min)
    elif not np.issubdtype(samples.dtype, np.floating):
        raise AudioError(f"{name}: samples must be int16, int32 or float, got {samples.dtype}")
    if samples.ndim == 1:
        samples = samples[:, np.newaxis]
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite, and is refused as such
        return samples.astype(np.float32), rate


def check_given_rate(rate: Any, name: str) -> None:
    """Refuse what is no rate, before it makes endless work; errors as ``load_audio``."""
    if not isinstance(rate, numbers.Real) or not 0 < float(rate) < math.inf:
        raise AudioError(f"{name}: sample rate must be > 0 Hz, got {rate!r}")


def read_samples(
    source: str | PathLike[str] | Buffer | BinaryIO, name: str, max_s: float = math.inf
) -> tuple[NDArray[Any], int]:
    """Read a file: (samples, channels) float32 and its rate; errors as ``load_audio``."""
    blocks, num_samples = [], 0
    with open_sound(source, name, max_s) as sound:
        for block in sound.blocks():
            blocks.append(block)
            num_samples += len(block)
            if num_samples > max_s * sound.sample_rate:
                raise LongAudioError(f"{name}: longer than {max_s:g} s")
        return np.concatenate(blocks), sound.sample_rate


def check_samples(samples: NDArray[Any], name: str) -> None:
    """Refuse clips with no samples, too many channels or samples no sound has; errors as ``load_audio``."""
    num_samples, num_channels = samples.shape
    if not num_samples:
        raise AudioError(f"{name}: holds no samples (0 s)")
    if not 1 <= num_channels <= MAX_CHANNELS:
        raise AudioError(f"{name}: has {num_channels} channels; at most {MAX_CHANNELS} can be used")
    finite = np.isfinite(samples)
    if not finite.all():
        first = int(np.argmin(finite.all(axis=1)))
        count = int((~finite).sum())
        raise AudioError(f"{name}: {count} samples are NaN or infinite, the first at sample {first}")
    peak = float(np.abs(samples).max())
    if peak > MAX_PEAK:
        raise AudioError(
            f"{name}: samples go up to {peak:g}; floats must be in [-1, 1], so divide them first"
        )


def pick_channel(samples: NDArray[Any], channel: Literal["mean"] | int, name: str) -> Waveform:
    """Bring (samples, channels) down to (samples,); errors as ``load_audio``."""
    num_channels = samples.shape[1]
    if channel == "mean":
        if num_channels > 1:
            say_downmixing(num_channels)
        mean: Waveform = samples.mean(axis=1, dtype=np.float32)
        return mean
    if not isinstance(channel, int) or not 0 <= channel < num_channels:
        raise AudioError(f"{name}: has no channel {channel!r}; it has {num_channels}, counted from 0")
    picked: Waveform = samples[:, channel]
    return picked


@cache
def say_resampling(source_rate: int, sample_rate: int) -> None:
    """Say once that clips of a rate are resampled."""
    if source_rate < sample_rate:
        logger.warning(
            "audio at %d Hz is resampled to the model's %d Hz; it holds nothing above %d Hz, "
            "so expect worse accuracy than on audio recorded at %d Hz",
            source_rate,
            sample_rate,
            source_rate // 2,
            sample_rate,
        )
    else:
        logger.warning("audio at %d Hz is resampled to the model's %d Hz", source_rate, sample_rate)


@cache
def say_downmixing(num_channels: int) -> None:
    """Say once that clips of several channels are mixed down."""
    logger.warning("audio of %d channels is mixed down to their mean", num_channels)
