"""Lists of words or phrases: as they are, or read from a file."""

from collections.abc import Iterable
from os import PathLike
from pathlib import Path
from typing import TypeAlias

from speechrnn.errors import ConfigError

WordList: TypeAlias = Iterable[str] | PathLike[str]
"""Lines, or the path (``pathlib.Path``) of a file that has them."""


def read_lines(source: WordList, kind: str) -> tuple[list[str], str]:
    """Take lines, and how errors name their place: the file, or else ``kind``.

    Raises:
        ConfigError: If a file cannot be read or is not UTF-8, or ``source`` is a str, which would be taken
            letter by letter.
    """
    if isinstance(source, str):
        raise ConfigError(f"{kind} must be a list of lines or a pathlib.Path, got the text {source!r}")
    if not isinstance(source, PathLike):
        return list(source), kind
    path = Path(source)
    try:
        return path.read_text(encoding="utf-8-sig").splitlines(), str(path)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8 text: {error}") from error
