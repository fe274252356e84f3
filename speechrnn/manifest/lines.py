"""The files of manifests, line by line, packed or not."""

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from speechrnn.errors import ManifestError

TABLE_SUFFIXES = (".csv", ".tsv")
JSON_SUFFIXES = (".jsonl", ".json")
"""``.json`` as well, because NeMo's line-per-utterance manifests are often called that."""


def format_suffix(path: Path) -> str:
    """Return the suffix that tells the format: ``.jsonl`` of ``train.jsonl.gz``."""
    return Path(path.stem if path.suffix == ".gz" else path.name).suffix.lower()


def numbered_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Read the lines that are not blank, with their numbers from 1.

    Raises:
        ManifestError: If the file cannot be read, is not UTF-8 text, or its compression is damaged.
    """
    number = 0
    opener: Any = gzip.open if path.suffix == ".gz" else open
    try:
        with opener(path, "rb") as lines:
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    yield number, line.decode("utf-8-sig" if number == 1 else "utf-8")
    except UnicodeDecodeError as error:
        raise ManifestError(f"{path}:{number}: is not UTF-8 text: {error}") from error
    except (OSError, EOFError, zlib.error) as error:
        raise ManifestError(f"{path}: cannot be read beyond line {number}: {error}") from error
