"""Sounds read block by block, and refused where one ends before its header says."""

import io
import math
import os
import re
import signal
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from os import PathLike
from types import FrameType
from typing import Any, BinaryIO

import numpy as np
import soundfile
from numpy.typing import NDArray

from speechrnn.errors import AudioError
from speechrnn.sound_file.ffmpeg import convert_with_ffmpeg, is_for_ffmpeg
from speechrnn.sound_file.opening import Buffer, open_file, peek
from speechrnn.sound_file.repairs import (
    UNKNOWN_SIZE,
    EndlessFile,
    PatchedFile,
    check_ogg_end,
    is_mp3_without_length,
    mend_unclosed_wav,
)
from speechrnn.sound_file.temporary_folder import needing_room

UNKNOWN_FRAMES = 2**62  # what libsndfile says of a FLAC stream without a length is above
LEAST_RATE = 1000  # Hz, of files and of raw PCM
BLOCK = 2**17  # samples read at a time
PROMISED = re.compile(r"^ *(?:data|Data Size|SSND|Riff size|riff) *: (\d+) \(should be (\d+)\)", re.MULTILINE)


@contextmanager
def open_sound(
    source: str | PathLike[str] | Buffer | BinaryIO, name: str, max_s: float = math.inf
) -> Iterator["Sound"]:
    """Open a file to read it block by block, ``max_s`` at least; errors, also of reading, as ``load_audio``.

    What ffmpeg reads is converted each time; ``keep_sound`` comes before what is opened more than once.
    """
    with ExitStack() as opened_files:
        file = opened_files.enter_context(open_file(source, name))
        if not file.seek(0, os.SEEK_END):
            raise AudioError(f"{name}: is empty (0 bytes)")
        if is_for_ffmpeg(peek(file, 0, 12)):
            with needing_room(name):
                converted = opened_files.enter_context(tempfile.TemporaryFile())
                convert_with_ffmpeg(file, converted, name, max_s)
            file = converted
        if peek(file, 0, 4) == b"OggS":
            check_ogg_end(file, name)
        endless = is_mp3_without_length(file)
        readable = EndlessFile(file) if endless else mend_unclosed_wav(file)
        readable.seek(0)
        try:
            with interrupts_held():
                opened = ForwardFile(native(readable), closefd=False)
            with opened:
                check_rate(opened.samplerate, name)
                yield Sound(opened, name, is_endless=endless)
        except soundfile.LibsndfileError as error:
            raise AudioError(
                f"{name}: not audio that can be read, or truncated: {error.error_string}"
            ) from error


def check_rate(sample_rate: int, name: str) -> None:
    """Refuse a rate at which nobody records, and which would make hours of a second; errors as ``load_audio``."""
    if sample_rate < LEAST_RATE:
        raise AudioError(
            f"{name}: says it was recorded at {sample_rate} Hz; below {LEAST_RATE} Hz there is no speech, so "
            "its header must be damaged"
        )


@dataclass(frozen=True)
class Sound:
    """An open sound file."""

    file: soundfile.SoundFile
    name: str
    """For messages."""
    is_endless: bool
    """Whether its header says nothing of its length."""

    @property
    def sample_rate(self) -> int:
        """Hz."""
        rate: int = self.file.samplerate
        return rate

    @property
    def duration_s(self) -> float | None:
        """Seconds, as the header says; None where it does not."""
        is_known = not self.is_endless and self.file.frames < UNKNOWN_FRAMES
        return self.file.frames / self.sample_rate if is_known else None

    def blocks(self) -> Iterator[NDArray[np.float32]]:
        """Read (samples, channels) to the end, whether or not the file knows its length; at least one block.

        Raises:
            AudioError: At the end, if it comes before the header says.
        """
        num_read, size = 0, BLOCK
        while size == BLOCK:
            with interrupts_held():
                block = self.file.read(BLOCK, dtype="float32", always_2d=True)
            size = len(block)
            num_read += size
            if size or num_read == 0:
                yield block
        if not self.is_endless:
            check_whole(num_read, self.file, self.name)


@contextmanager
def interrupts_held() -> Iterator[None]:
    """Let Ctrl-C take effect behind the block: within, Python code may be called from C, where it would be lost.

    libsndfile would see a file that ends early, and the user a file that is said to be truncated.
    """
    handler = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(handler):
        yield
        return
    received: list[tuple[int, FrameType | None]] = []
    signal.signal(signal.SIGINT, lambda number, frame: received.append((number, frame)))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)
    if received:
        handler(*received[0])


def native(file: "BinaryIO | PatchedFile | EndlessFile") -> Any:
    """Return the descriptor of a file of the system, which libsndfile reads by itself, or else the object."""
    if isinstance(file, io.BytesIO | PatchedFile | EndlessFile):
        return file
    os.lseek(file.fileno(), 0, os.SEEK_SET)
    return file.fileno()


class ForwardFile(soundfile.SoundFile):  # type: ignore[misc]
    """A sound file read from beginning to end: soundfile seeks after each read, which fails without a length."""

    def seekable(self) -> bool:
        """Say that it cannot be sought in."""
        return False


def check_whole(num_read: int, file: soundfile.SoundFile, name: str) -> None:
    """Refuse a file that ends before its header says.

    Raises:
        AudioError: With what the header promises and what is there.
    """
    promised = PROMISED.search(file.extra_info)
    if promised and int(promised[2]) < int(promised[1]) < UNKNOWN_SIZE:
        raise AudioError(f"{name}: truncated: {promised[2]} bytes are there of {promised[1]}")
    if num_read < file.frames < UNKNOWN_FRAMES:
        raise AudioError(f"{name}: truncated: {num_read} samples can be read of {file.frames}")
