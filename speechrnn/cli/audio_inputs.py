"""What a command is to listen to: files, folders, patterns and standard input, as they are named."""

import functools
import glob
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import BinaryIO

from speechrnn.audio import AudioFormat, read_format
from speechrnn.errors import AudioError, SpeechRNNError
from speechrnn.manifest import AUDIO_SUFFIXES
from speechrnn.sound_file.keeping import copy_pipe, copy_sound, is_pipe, keep_sound

LISTED_SUFFIXES = AUDIO_SUFFIXES | {
    *(".caf", ".m4b", ".mka", ".weba", ".wma", ".amr"),
    *(".mp4", ".m4v", ".mov", ".3gp", ".mkv", ".webm", ".wmv", ".avi", ".flv"),  # their sound
}
STDIN = "-"
STDIN_NAME = "standard input"


@dataclass(frozen=True)
class AudioInput:
    """One recording, or the reason why there is none."""

    name: str
    """As it was named, or found."""
    relative: Path
    """Where it is in the folder that was named; its own name if none was."""
    error: SpeechRNNError | None = None

    @property
    def display_name(self) -> str:
        """What messages call it."""
        return STDIN_NAME if self.name == STDIN else self.name

    @functools.cached_property
    def source(self) -> str | PathLike[str] | bytes:
        """What can be gone through again and again: the path, or that of a copy that libsndfile reads.

        Raises:
            SpeechRNNError: If there is no recording, or it cannot be read.
        """
        return keep_sound(self._original, self.display_name)

    @functools.cached_property
    def format(self) -> AudioFormat:
        """How it was recorded; asked before ``source``, it converts only a second of what needs converting.

        Raises:
            SpeechRNNError: As ``source``.
        """
        return read_format(self.source if "source" in vars(self) else self._original)

    @functools.cached_property
    def _original(self) -> str | PathLike[str]:
        """The path, or that of a copy of what can be read only once; errors as ``source``."""
        if self.error is not None:
            raise self.error
        if self.name == STDIN:
            return copy_sound(standard_input(), STDIN_NAME)
        return copy_pipe(self.name, self.name)

    def release(self) -> None:
        """Let go of the copies, if there are any: of a thousand recordings only those in work take room."""
        for name in ("source", "_original"):
            self.__dict__.pop(name, None)


def standard_input() -> BinaryIO:
    """Return standard input.

    Raises:
        AudioError: If the caller has closed it.
    """
    if sys.stdin is None:
        raise AudioError(f"{STDIN_NAME}: is closed")
    return sys.stdin.buffer


def find_inputs(arguments: Sequence[str], *, recursive: bool) -> list[AudioInput]:
    """Find the recordings that the arguments name, in their order.

    Args:
        arguments: Files, folders, patterns that no shell has expanded (``**`` for folders at any depth), or
            ``-`` for standard input.
        recursive: Whether to look in the folders of folders.
    """
    return [found for argument in arguments for found in expand(argument, recursive=recursive)]


def expand(argument: str, *, recursive: bool) -> Iterable[AudioInput]:
    """Find the recordings that one argument names."""
    if argument == STDIN:
        return [AudioInput(STDIN, Path("stdin"))]
    if os.path.isdir(argument):
        return list_folder(Path(argument), recursive=recursive)
    if glob.has_magic(argument) and not os.path.exists(argument):
        return match(argument, recursive=recursive)
    return [AudioInput(argument, Path(os.path.basename(argument)))]


def match(pattern: str, *, recursive: bool) -> Iterator[AudioInput]:
    """Find what a pattern matches."""
    paths = sorted(path for path in glob.glob(pattern, recursive=True) if not is_pipe(path))
    if not paths:
        yield missing(pattern, "no file matches")
    for path in paths:
        if not os.path.isdir(path):
            yield AudioInput(path, Path(os.path.basename(path)))
        elif "**" not in pattern:  # else its files match as well
            yield from list_folder(Path(path), recursive=recursive)


def list_folder(folder: Path, *, recursive: bool) -> Iterator[AudioInput]:
    """Find the audio files in a folder, by their suffix."""
    problems: list[OSError] = []
    paths = sorted(walk(folder, recursive=recursive, onerror=problems.append))
    for problem in problems:
        yield missing(str(problem.filename), f"cannot be read: {problem.strerror}")
    if not paths and not problems:
        more = "" if recursive else "; --recursive looks in its folders, too"
        yield missing(str(folder), f"holds no audio file (wav, flac, ogg, opus, mp3, …){more}")
    for path in paths:
        yield AudioInput(str(path), path.relative_to(folder))


def walk(folder: Path, *, recursive: bool, onerror: Callable[[OSError], None]) -> Iterator[Path]:
    """Find the audio files in a folder; hidden ones are none, and a pipe might never end."""
    for root, folders, names in os.walk(folder, onerror=onerror):
        if not recursive:
            folders.clear()
        for name in names:
            path = Path(root, name)
            if path.suffix.lower() in LISTED_SUFFIXES and not name.startswith(".") and not is_pipe(path):
                yield path


def missing(name: str, reason: str) -> AudioInput:
    """Stand for recordings that are not there."""
    return AudioInput(name, Path(os.path.basename(name)), AudioError(f"{name}: {reason}"))
