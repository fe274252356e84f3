"""What holds a sound file, opened so that it can be sought in."""

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

from speechrnn.errors import AudioError

Buffer: TypeAlias = bytes | bytearray | memoryview


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


class Memory(io.BytesIO):
    """Bytes as a file; libsndfile, misled by a damaged one, may seek to a place before its beginning."""

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move, or stay where there is no such place, as files of the system do."""
        try:
            return super().seek(offset, whence)
        except ValueError:
            return self.tell()
