"""Sounds kept in temporary files, so that what can be read once can be opened more than once."""

import math
import os
import shutil
import tempfile
import weakref
from os import PathLike
from pathlib import Path
from typing import BinaryIO

from speechrnn.sound_file.ffmpeg import convert_with_ffmpeg, is_for_ffmpeg
from speechrnn.sound_file.opening import open_file, peek, reading
from speechrnn.sound_file.temporary_folder import needing_room


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
