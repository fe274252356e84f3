"""Sound files, read block by block whatever their writers left out, and refused where something is missing."""

import errno
import io
import logging
import math
import os
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import weakref
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from types import FrameType
from typing import Any, BinaryIO, TypeAlias

import numpy as np
import soundfile
from numpy.typing import NDArray

from speechrnn.errors import AudioError

Buffer: TypeAlias = bytes | bytearray | memoryview

logger = logging.getLogger("speechrnn")

UNKNOWN_SIZE = 0x7FFF_0000  # sizes from here on, and 0, are what writers to a pipe put for "unknown"
UNKNOWN_FRAMES = 2**62  # what libsndfile says of a FLAC stream without a length is above
LEAST_RATE = 1000  # Hz, of files and of raw PCM
BLOCK = 2**17  # samples read at a time
PROMISED = re.compile(r"^ *(?:data|Data Size|SSND|Riff size|riff) *: (\d+) \(should be (\d+)\)", re.MULTILINE)
OGG_END_OF_STREAM = 0x04
LARGEST_OGG_PAGE = 65_307  # bytes
FFMPEG_KINDS = "m4a, mp4, aac, webm, mkv, wma, amr, avi and flv"
FFMPEG_BEGINNINGS = (
    *(b"\xff\xf0", b"\xff\xf1", b"\xff\xf8", b"\xff\xf9"),  # ADTS: aac
    b"\x1a\x45\xdf\xa3",  # EBML: webm, mkv, mka
    b"\x30\x26\xb2\x75\x8e\x66\xcf\x11",  # ASF: wma, wmv
    b"#!AMR",
    b"FLV\x01",
)
FFMPEG_PREFIX = re.compile(r"^(?:\[[^]]*\] *)+")  # the part of ffmpeg that speaks, with its address
NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
INSTALL_FFMPEG = "install ffmpeg (Debian: apt install ffmpeg; macOS: brew install ffmpeg)"


class KeptSound:
    """The path of a temporary file that holds what was a sound elsewhere, and is called by the name it had there.

    The file goes with the last who knows it.
    """

    def __init__(self, name: str) -> None:
        """Make the file, empty.

        Args:
            name: For messages.
        """
        self.name = name
        descriptor, self._path = tempfile.mkstemp(prefix="speechrnn-")
        os.close(descriptor)
        weakref.finalize(self, Path(self._path).unlink, missing_ok=True)

    def __fspath__(self) -> str:
        """Return where the file is."""
        return self._path


def keep_sound(source: str | PathLike[str] | bytes, name: str) -> str | PathLike[str] | bytes:
    """Return what can be opened more than once, at no cost but that of reading it.

    What comes out of a pipe is copied, what only ffmpeg reads is converted; all else is returned as it is.

    Raises:
        AudioError: If it cannot be read, or there is no room for the copy.
    """
    if not isinstance(source, bytes):
        source = copy_pipe(source, name)
    with open_file(source, name) as file:
        if not is_for_ffmpeg(peek(file, 0, 12)):
            return source
        with needing_room(name):
            kept = KeptSound(name)
            with Path(kept).open("w+b") as converted:
                convert_with_ffmpeg(file, converted, name, math.inf)
    return kept


def copy_pipe(path: str | PathLike[str], name: str) -> str | PathLike[str]:
    """Return a copy of what comes out of a pipe, or the path itself if it is none; errors as ``keep_sound``."""
    if not is_pipe(path):
        return path
    with reading(name), Path(path).open("rb") as pipe:
        return copy_sound(pipe, name)


def is_pipe(path: str | PathLike[str]) -> bool:
    """Tell whether a path names neither a file nor a folder, but what can be read once, such as ``<(command)``."""
    return os.path.exists(path) and not os.path.isfile(path) and not os.path.isdir(path)


def copy_sound(stream: BinaryIO, name: str) -> KeptSound:
    """Copy a stream to its end into a temporary file, so that hours of it take no memory; errors as ``keep_sound``."""
    with reading(name), needing_room(name):
        kept = KeptSound(name)
        with Path(kept).open("wb") as copy:
            shutil.copyfileobj(stream, copy)
    return kept


@contextmanager
def needing_room(name: str) -> Iterator[None]:
    """Say where there is too little room for temporary files, and what helps; errors as ``load_audio``."""
    try:
        yield
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise
        raise AudioError(no_room(name)) from error


def no_room(name: str) -> str:
    """Say that the temporary folder is full."""
    folder = tempfile.gettempdir()
    return f"{name}: the temporary folder {folder} is full; set TMPDIR to a folder with more room"


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


def open_file(source: str | PathLike[str] | Buffer | BinaryIO, name: str) -> BinaryIO:
    """Open what holds a sound file, so that it can be sought in; errors as ``load_audio``."""
    if isinstance(source, Buffer):
        return Memory(source)
    if not isinstance(source, str | PathLike) and not hasattr(source, "read"):
        kind = type(source).__name__
        raise AudioError(f"{name}: must be a path, bytes, a binary file or a NumPy array, got {kind}")
    with reading(name):
        if not isinstance(source, str | PathLike):
            return Memory(check_bytes(source.read(), name))
        file: BinaryIO = Path(source).open("rb")  # noqa: SIM115
        if file.seekable():
            return file
        with file:  # a pipe
            return Memory(file.read())


@contextmanager
def reading(name: str) -> Iterator[None]:
    """Say why a file cannot be read; errors as ``load_audio``."""
    try:
        yield
    except FileNotFoundError:
        raise AudioError(f"{name}: no such file") from None
    except IsADirectoryError:
        raise AudioError(f"{name}: is a folder, not an audio file") from None
    except (OSError, ValueError) as error:  # ValueError: a closed file, a path with a null byte
        reason = getattr(error, "strerror", None) or error
        raise AudioError(f"{name}: cannot be read: {reason}") from error


def check_bytes(data: Any, name: str) -> bytes:
    """Refuse what is read from a file that was opened as text; errors as ``load_audio``."""
    if not isinstance(data, bytes):
        raise AudioError(f"{name}: must be opened in binary mode; reading it gave {type(data).__name__}")
    return data


def peek(file: BinaryIO, start: int, size: int) -> bytes:
    """Read bytes at a place."""
    file.seek(start)
    return file.read(size)


def native(file: "BinaryIO | PatchedFile | EndlessFile") -> Any:
    """Return the descriptor of a file of the system, which libsndfile reads by itself, or else the object."""
    if isinstance(file, io.BytesIO | PatchedFile | EndlessFile):
        return file
    os.lseek(file.fileno(), 0, os.SEEK_SET)
    return file.fileno()


class Memory(io.BytesIO):
    """Bytes as a file; libsndfile, misled by a damaged one, may seek to a place before its beginning."""

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move, or stay where there is no such place, as files of the system do."""
        try:
            return super().seek(offset, whence)
        except ValueError:
            return self.tell()


class ForwardFile(soundfile.SoundFile):  # type: ignore[misc]
    """A sound file read from beginning to end: soundfile seeks after each read, which fails without a length."""

    def seekable(self) -> bool:
        """Say that it cannot be sought in."""
        return False


class EndlessFile:
    """A file that tells a length beyond any estimate, so that libsndfile stops only where it really ends."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.at_end = False

    def read(self, size: int = -1) -> bytes:
        """Read on."""
        return self.file.read(size)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move, and remember whether to the end; what would lie before the beginning is the beginning."""
        self.at_end = whence == os.SEEK_END
        place = self.file.tell() if whence == os.SEEK_CUR else self.file.seek(0, whence)
        return self.file.seek(max(0, place + offset))

    def tell(self) -> int:
        """Say the place; the end is 100 times as far as it is."""
        return self.file.tell() * (100 if self.at_end else 1)


class PatchedFile:
    """A file of which a few bytes read differently."""

    def __init__(self, file: BinaryIO, place: int, patch: bytes) -> None:
        self.file, self.place, self.patch = file, place, patch
        self.seek, self.tell = file.seek, file.tell

    def read(self, size: int = -1) -> bytes:
        """Read on."""
        start = self.file.tell()
        data = bytearray(self.file.read(size))
        for place, byte in enumerate(self.patch, start=self.place - start):
            if 0 <= place < len(data):
                data[place] = byte
        return bytes(data)


def is_mp3_without_length(file: BinaryIO) -> bool:
    """Tell whether a file is MP3 and has no header that counts its frames, as when cut from a stream.

    libsndfile then takes all frames to be as large as the first and reads no further than that gives.
    """
    start, tag = 0, peek(file, 0, 10)
    if tag.startswith(b"ID3"):  # its size comes in 7 bits a byte
        start = 10 + sum((byte & 0x7F) << 7 * place for place, byte in enumerate(tag[9:5:-1]))
    head = peek(file, start, 64)
    is_mp3 = head[:1] == b"\xff" and head[1:2] >= b"\xe0"
    return is_mp3 and not any(mark in head for mark in (b"Xing", b"Info", b"VBRI"))


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


def check_ogg_end(file: BinaryIO, name: str) -> None:
    """Refuse an Ogg file that ends within a page; warn of one whose last page is not marked as such.

    A stream saved while it was sent ends between pages and has no mark, so that is no error. RFC 3533,
    section 6: flags are byte 5 of a page, byte 26 is the number of segments, whose sizes follow.

    Raises:
        AudioError: If the last page is incomplete.
    """
    size = file.seek(0, os.SEEK_END)
    data = peek(file, max(0, size - 2 * LARGEST_OGG_PAGE), size)
    page = data[data.rfind(b"OggS") :]
    sizes = page[27 : 27 + page[26]] if len(page) > 26 else b""
    if len(page) <= 26 or len(sizes) < page[26] or len(page) < 27 + len(sizes) + sum(sizes):
        raise AudioError(f"{name}: truncated: the file ends within an Ogg page")
    if not page[5] & OGG_END_OF_STREAM:
        logger.warning("%s: has no end-of-stream mark; the file may be truncated", name)


def mend_unclosed_wav(file: BinaryIO) -> BinaryIO | PatchedFile:
    """Let the samples of a WAV file whose writer never filled in their size run to the end of the file."""
    head, length = peek(file, 0, 12), file.seek(0, os.SEEK_END)
    if head[:4] != b"RIFF" or head[8:] != b"WAVE":
        return file
    start = 12
    while (chunk := peek(file, start, 8))[:4] != b"data" and start + 8 <= length:
        size = int.from_bytes(chunk[4:], "little")
        start += 8 + size + size % 2
    riff_end = 8 + int.from_bytes(head[4:8], "little")
    says_nothing = riff_end <= start + 8 or riff_end >= UNKNOWN_SIZE
    if chunk != b"data\0\0\0\0" or length <= start + 8 or not says_nothing:
        return file
    return PatchedFile(file, start + 4, b"\xff" * 4)


def is_for_ffmpeg(data: bytes) -> bool:
    """Tell by a file's first 12 bytes whether it is one that libsndfile does not know but ffmpeg does.

    By these alone, since ffmpeg takes much for audio that is none, and playlists for what they name.
    """
    is_avi = data[:4] == b"RIFF" and data[8:] == b"AVI "
    return data[4:8] == b"ftyp" or is_avi or data.startswith(FFMPEG_BEGINNINGS)


def convert_with_ffmpeg(file: BinaryIO, converted: BinaryIO, name: str, max_s: float) -> None:
    """Write a file that libsndfile does not know as wav; errors as ``load_audio``, or what a full folder raises."""
    ffmpeg = shutil.which("ffmpeg")
    if ffmpeg is None:
        raise AudioError(f"{name}: {FFMPEG_KINDS} are read with ffmpeg, which is not there; {INSTALL_FFMPEG}")
    with tempfile.NamedTemporaryFile() as copy:  # MP4 cannot be read from a pipe: its index may come last
        file.seek(0)
        shutil.copyfileobj(file, copy)
        copy.flush()
        command = [ffmpeg, "-nostdin", "-v", "error", "-xerror", "-i", f"file:{copy.name}", "-vn"]
        command += [] if max_s == math.inf else ["-t", f"{max_s + 1:.3f}"]  # enough to tell that it is longer
        command += ["-c:a", "pcm_f32le", "-f", "wav", "pipe:1"]
        done = subprocess.run(command, stdout=converted, stderr=subprocess.PIPE, check=False)
    said = done.stderr.decode(errors="replace").strip()
    if os.strerror(errno.ENOSPC) in said:
        raise AudioError(no_room(name))
    reason = FFMPEG_PREFIX.sub("", said.splitlines()[0]) if said else "no reason given"
    if done.returncode != 0 or not converted.seek(0, os.SEEK_END):
        raise AudioError(f"{name}: ffmpeg cannot read it: {reason}")
    if said:  # of a truncated file ffmpeg returns what is there, and success
        logger.warning("%s: ffmpeg reads it, but says: %s", name, reason)
