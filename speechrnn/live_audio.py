"""Live audio, raw PCM from a byte stream or a microphone, as blocks of a waveform at the rate that is wanted."""

import importlib
import queue
from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Any, BinaryIO, Literal, TypeAlias

import numpy as np
import soxr
from numpy.typing import NDArray

from speechrnn.audio import (
    MAX_CHANNELS,
    Waveform,
    check_samples,
    logger,
    pick_channel,
    say_resampling,
)
from speechrnn.errors import AudioError, ConfigError
from speechrnn.sound_file.sound import LEAST_RATE

Encoding: TypeAlias = Literal["s16le", "s24le", "s32le", "f32le"]
Channel: TypeAlias = Literal["mean"] | int

SAMPLE_BYTES: dict[Encoding, int] = {"s16le": 2, "s24le": 3, "s32le": 4, "f32le": 4}
HEADERS = {b"RIFF": "wav", b"fLaC": "flac", b"OggS": "ogg or opus", b"ID3": "mp3"}
MOST_RATE = 384_000  # Hz, of raw PCM; the fastest converters that are sold
BLOCK_S = 0.1
MOST_WAITING_S = 30.0  # of a microphone's audio that nobody has asked for yet
INSTALL_MIC = 'pip install "speechrnn[mic]"'
INSTALL_PORTAUDIO = "install PortAudio (Debian: apt install libportaudio2)"


@dataclass(frozen=True, kw_only=True)
class PcmFormat:
    """What raw PCM is made of, which it does not say itself; little endian, channels interleaved."""

    sample_rate: int
    """Hz, 1000 to 384000."""
    encoding: Encoding = "s16le"
    """Of a sample, named as ffmpeg does: signed integers of 16, 24 or 32 bits, or 32-bit floats."""
    num_channels: int = 1
    """1 to 8."""

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            ConfigError: Naming the one that is wrong, and what it may be.
        """
        if not LEAST_RATE <= self.sample_rate <= MOST_RATE:  # a few bytes at 1 Hz would be hours
            raise ConfigError(
                f"the sample rate of raw PCM must be {LEAST_RATE} to {MOST_RATE} Hz, got {self.sample_rate}"
            )
        if self.encoding not in SAMPLE_BYTES:
            names = ", ".join(SAMPLE_BYTES)
            raise ConfigError(f"the encoding of raw PCM must be one of {names}, got {self.encoding!r}")
        if not 1 <= self.num_channels <= MAX_CHANNELS:
            raise ConfigError(f"raw PCM must have 1 to {MAX_CHANNELS} channels, got {self.num_channels}")

    @property
    def frame_bytes(self) -> int:
        """Bytes of one sample of every channel."""
        return SAMPLE_BYTES[self.encoding] * self.num_channels

    def decode(self, data: bytes) -> Waveform:
        """Turn whole frames of bytes into (samples, channels) in [-1, 1]."""
        samples: NDArray[Any]
        if self.encoding == "f32le":
            samples = np.frombuffer(data, dtype="<f4")
        elif self.encoding == "s24le":  # as the upper three bytes of 32 bits
            wide = np.zeros((len(data) // 3, 4), dtype=np.uint8)
            wide[:, 1:] = np.frombuffer(data, dtype=np.uint8).reshape(-1, 3)
            samples = wide.view("<i4")[:, 0] / np.float32(2**31)
        else:
            bits = 8 * SAMPLE_BYTES[self.encoding]
            samples = np.frombuffer(data, dtype=f"<i{bits // 8}") / np.float32(2 ** (bits - 1))
        decoded: Waveform = samples.astype(np.float32, copy=False).reshape(-1, self.num_channels)
        return decoded


class BlockConverter:
    """Bring blocks of audio to one channel at the rate that is wanted; what it carries over is its own.

    Joined, its answers are what ``load_audio`` makes of the joined blocks, to within rounding.
    """

    def __init__(self, name: str, source_rate: int, *, sample_rate: int, channel: Channel = "mean") -> None:
        """Begin a stream.

        Args:
            name: Of the source, for messages.
            source_rate: Rate of the blocks, Hz.
            sample_rate: Rate wanted, Hz.
            channel: ``mean`` of all channels, or one of them, counted from 0.
        """
        self.name, self.source_rate, self.channel = name, source_rate, channel
        self.num_samples = 0
        self._resampler = None
        if source_rate != sample_rate:
            say_resampling(source_rate, sample_rate)
            self._resampler = soxr.ResampleStream(source_rate, sample_rate, 1, dtype="float32")

    def convert(self, samples: NDArray[np.float32]) -> Waveform:
        """Convert a block (samples, channels); the answer (samples,) may lag behind it.

        Raises:
            AudioError: If samples are no numbers or far outside [-1, 1], or there is no such channel.
        """
        if not len(samples):
            return np.zeros(0, dtype=np.float32)
        check_samples(samples, f"{self.name}, at {self.num_samples / self.source_rate:.1f} s")
        self.num_samples += len(samples)
        return self._finish(pick_channel(samples, self.channel, self.name), last=False)

    def flush(self) -> Waveform:
        """End the stream and return what was held back (samples,)."""
        return self._finish(np.zeros(0, dtype=np.float32), last=True)

    def _finish(self, waveform: Waveform, *, last: bool) -> Waveform:
        """Resample, and cut what overshoots."""
        if self._resampler is not None:
            waveform = self._resampler.resample_chunk(waveform, last=last)
        return np.clip(waveform, -1, 1)


class PcmConverter:
    """Bring raw PCM, in pieces of any number of bytes, to one channel at the rate that is wanted."""

    def __init__(self, name: str, pcm: PcmFormat, *, sample_rate: int, channel: Channel = "mean") -> None:
        """Begin a stream; arguments as ``read_pcm``."""
        self.name, self.pcm = name, pcm
        self._blocks = BlockConverter(name, pcm.sample_rate, sample_rate=sample_rate, channel=channel)
        self._rest = b""

    def convert(self, data: bytes) -> Waveform:
        """Convert bytes; the answer (samples,) may lag behind them. Errors as ``read_pcm``."""
        data = self._rest + data
        end = len(data) - len(data) % self.pcm.frame_bytes
        self._rest = data[end:]
        return self._blocks.convert(self.pcm.decode(data[:end]))

    def flush(self) -> Waveform:
        """End the stream and return what was held back (samples,)."""
        if self._rest:
            logger.warning("%s: ends within a sample; %d bytes are left over", self.name, len(self._rest))
        return self._blocks.flush()


def read_pcm(
    stream: BinaryIO,
    pcm: PcmFormat,
    *,
    sample_rate: int,
    channel: Channel = "mean",
    name: str = "standard input",
) -> Iterator[Waveform]:
    """Read raw PCM as it comes.

    Args:
        stream: Open binary file; what it has is taken at once, without waiting for more.
        pcm: What the bytes are.
        sample_rate: Rate wanted, Hz.
        channel: ``mean`` of all channels, or one of them, counted from 0.
        name: Of the stream, for messages.

    Yields:
        Blocks (samples,) of about ``BLOCK_S`` seconds at most, none of them empty.

    Raises:
        AudioError: If it begins as a sound file does, samples are no numbers or far outside [-1, 1], or there is no
            such channel.
    """
    read = getattr(stream, "read1", stream.read)  # read would wait until it has all that it may return
    most = max(1, round(BLOCK_S * pcm.sample_rate)) * pcm.frame_bytes
    converter = PcmConverter(name, pcm, sample_rate=sample_rate, channel=channel)
    refuse_header(data := read(most), name)
    while data:
        block = converter.convert(data)
        if len(block):
            yield block
        data = read(most)
    block = converter.flush()
    if len(block):
        yield block


def refuse_header(data: bytes, name: str) -> None:
    """Refuse the beginning of a sound file, which would be heard as noise; errors as ``read_pcm``."""
    for beginning, kind in HEADERS.items():
        if data.startswith(beginning):
            raise AudioError(
                f"{name}: is a sound file ({kind}), not raw PCM; name the file instead, or decode it first; "
                "`speechrnn transcribe -` reads it without --stream"
            )


class Microphone:
    """A microphone, opened at its own rate and resampled; open the model first, so that nothing is missed.

    Attributes:
        lost_s: Seconds of audio that were lost before the block that was yielded last: came faster than it was used.

    Example:
        >>> with Microphone(sample_rate=16_000) as blocks:  # doctest: +SKIP
        ...     for block in blocks:
        ...         print(len(block))
    """

    def __init__(self, *, sample_rate: int, device: int | str | None = None) -> None:
        """Find the device.

        Args:
            sample_rate: Rate wanted, Hz.
            device: Number of an input device or part of its name; the system's own choice when not given.

        Raises:
            ConfigError: If the extra ``mic`` or PortAudio is missing.
            AudioError: If there is no such device, or it cannot be opened.
        """
        self.sounddevice = import_sounddevice()
        self.name = "microphone" if device is None else f"microphone {device}"
        try:
            found: dict[str, Any] = self.sounddevice.query_devices(device, "input")
        except (ValueError, self.sounddevice.PortAudioError) as error:
            raise AudioError(f"{self.name}: cannot be used: {error}") from error
        source_rate = round(found["default_samplerate"])
        self.converter = BlockConverter(self.name, source_rate, sample_rate=sample_rate)
        self._blocks: queue.SimpleQueue[tuple[Waveform, int] | None] = queue.SimpleQueue()
        self._num_lost = 0  # blocks, before the next one
        self.lost_s = 0.0
        self._stream = self._open(device, source_rate)

    def _open(self, device: int | str | None, source_rate: int) -> Any:
        """Open the device; errors as ``__init__``."""
        try:
            return self.sounddevice.InputStream(
                samplerate=source_rate,
                blocksize=round(BLOCK_S * source_rate),
                device=device,
                channels=1,
                dtype="float32",
                callback=self._keep,
            )
        except (ValueError, self.sounddevice.PortAudioError) as error:
            raise AudioError(f"{self.name}: cannot be opened at {source_rate} Hz: {error}") from error

    def _keep(self, samples: NDArray[np.float32], num_samples: int, time: object, status: object) -> None:
        """Take a block from the device's own thread, which must not wait; a status tells of audio lost before."""
        self._num_lost += bool(status)
        if self._blocks.qsize() * BLOCK_S < MOST_WAITING_S:
            self._blocks.put((samples.copy(), self._num_lost))
        else:
            self._num_lost += 1

    def __enter__(self) -> Iterator[Waveform]:
        """Begin to listen; the blocks (samples,) come until ``close``, or for ever."""
        self._stream.start()
        return self._listen()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop listening."""
        self._stream.close()

    def close(self) -> None:
        """Let the blocks end after those that wait, from any thread."""
        self._blocks.put(None)

    def drain(self) -> Iterator[Waveform]:
        """Stop listening, and yield the blocks that nobody has asked for yet."""
        self._stream.stop()
        self.close()
        return self._listen()

    def _listen(self) -> Iterator[Waveform]:
        """Yield what was heard, and say so once if some of it was lost."""
        is_told = False
        while (taken := self._blocks.get()) is not None:
            samples, num_lost = taken
            if self._num_lost and not is_told:
                is_told = True
                logger.warning("%s: audio was lost, because it came faster than it was used", self.name)
            self.lost_s = num_lost * BLOCK_S
            block = self.converter.convert(samples)
            if len(block):
                yield block
        yield self.converter.flush()


def import_sounddevice() -> Any:
    """Import the optional package that hears microphones.

    Raises:
        ConfigError: With what to install.
    """
    try:
        return importlib.import_module("sounddevice")
    except ModuleNotFoundError as error:
        raise ConfigError(f"a microphone needs sounddevice; install it with: {INSTALL_MIC}") from error
    except OSError as error:  # the package without the library that it calls
        raise ConfigError(f"a microphone needs PortAudio: {error}; {INSTALL_PORTAUDIO}") from error
