"""The lines of a model's file, plain or gzipped, counted, so that an error can name one."""

import gzip
import itertools
import zlib
from pathlib import Path
from typing import IO, Any, NoReturn

from speechrnn.errors import ModelFileError

GZIP_MAGIC = b"\x1f\x8b"


class Lines:
    """The lines of a file, counted."""

    def __init__(self, path: Path, raw: IO[bytes], *, is_gzip: bool) -> None:
        self.path, self.raw, self.number = path, raw, 0
        self.file: Any = gzip.open(raw) if is_gzip else raw  # noqa: SIM115 - closed on exit

    def __enter__(self) -> "Lines":
        """Give the lines."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Close the file."""
        self.file.close()
        self.raw.close()

    def take(self, count: int) -> list[bytes]:
        """Read the next lines, fewer at the end of the file.

        Raises:
            ModelFileError: If the file cannot be read or its compression is damaged.
        """
        taken: list[bytes] = []
        try:
            taken.extend(itertools.islice(self.file, count))
        except (OSError, EOFError, zlib.error) as error:
            number = self.number + len(taken)
            raise ModelFileError(f"{self.path}:{number}: cannot be read beyond this line: {error}") from error
        self.number += len(taken)
        return taken

    def filled(self) -> bytes:
        """Read up to the next line that is not blank, and return it stripped; b"" at the end of the file."""
        while taken := self.take(1):
            if line := taken[0].strip():
                return line
        return b""

    def fail(self, message: str, number: int | None = None) -> NoReturn:
        """Raise an error at a line, the last that was read if none is named."""
        raise ModelFileError(f"{self.path}:{self.number if number is None else number}: {message}")


def open_lines(path: Path) -> Lines:
    """Open a file of lines, gzipped or not by its content.

    Raises:
        ModelFileError: If it cannot be opened.
    """
    try:
        file: Any = open(path, "rb")  # noqa: SIM115 - closed by Lines
        is_gzip = file.peek(2)[:2] == GZIP_MAGIC
    except OSError as error:
        raise ModelFileError(f"{path}: cannot be read: {error.strerror}") from error
    return Lines(path, file, is_gzip=is_gzip)
