"""The text of a language model: the sentences of text files and manifests, in words or characters."""

import difflib
import gzip
import os
import sys
import zlib
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from speechrnn.errors import ConfigError, ManifestError, TextError
from speechrnn.lm.lines import GZIP_MAGIC
from speechrnn.lm.ngram import BEGIN_OF_SENTENCE, END_OF_SENTENCE, LM_UNITS, SPACE, UNKNOWN, LmUnit
from speechrnn.lm.progress import OnProgress, ignore_progress
from speechrnn.manifest import JSON_SUFFIXES, TABLE_SUFFIXES, format_suffix, scan_manifest
from speechrnn.text import NORMALIZATIONS

STDIN = "-"
RESERVED = frozenset((BEGIN_OF_SENTENCE, END_OF_SENTENCE, UNKNOWN))
LINES_PER_REPORT = 10_000


def read_sentences(
    source: str | os.PathLike[str],
    *,
    unit: LmUnit = "word",
    normalization: Sequence[str] = (),
    on_progress: OnProgress | None = None,
) -> Iterator[list[str]]:
    """Read sentences.

    A line of a text file is a sentence, an empty line an empty one, as for KenLM's lmplz. Any white space
    parts words, and has no meaning at the ends of a line.

    Args:
        source: Text file (UTF-8, gzipped or not), ``-`` for standard input, or a manifest (.csv, .tsv, .jsonl,
            .json, also .gz, or a folder), whose transcripts are read; its audio need not exist.
        unit: What to split into: ``word``, or ``character`` with ``<space>`` between words.
        normalization: Steps of ``speechrnn.text`` that come first, such as ``lowercase``.
        on_progress: Told the bytes read and the file's size, or (1, 1) at the end of what has no size.

    Yields:
        The tokens of a sentence.

    Raises:
        ConfigError: If there is no such unit or step.
        TextError: If a file cannot be read or is no UTF-8 text, or a word is <s>, </s> or <unk>.
        ManifestError: If a manifest, or a line of it, cannot be used.
    """
    check_steps(unit, normalization)
    lines = read_transcripts(Path(source)) if is_manifest(source) else read_lines(source, on_progress)
    for place, line in lines:
        for step in normalization:
            line = NORMALIZATIONS[step](line)
        words = line.split()
        if unit == "character":
            yield [SPACE if character == " " else character for character in " ".join(words)]
            continue
        if not RESERVED.isdisjoint(words):
            [word] = sorted(RESERVED.intersection(words))[:1]
            raise TextError(
                f"{place}: {word} is a word of the language model itself; take it out of the text"
            )
        yield words
    (on_progress or ignore_progress)(1, 1)


def check_steps(unit: str, normalization: Sequence[str]) -> None:
    """Check the names of unit and steps; errors as ``read_sentences``."""
    if unit not in LM_UNITS:
        raise ConfigError(f"unit must be one of {', '.join(LM_UNITS)}, got {unit!r}")
    for step in normalization:
        if step not in NORMALIZATIONS:
            [nearest] = difflib.get_close_matches(str(step), NORMALIZATIONS, n=1, cutoff=0.0)
            raise ConfigError(f"normalization: no step {step!r}; did you mean {nearest!r}?")


def is_manifest(source: str | os.PathLike[str]) -> bool:
    """Tell a manifest from a text file, by its name."""
    path = Path(source)
    return path.is_dir() or format_suffix(path) in (*TABLE_SUFFIXES, *JSON_SUFFIXES)


def read_transcripts(path: Path) -> Iterator[tuple[str, str]]:
    """Read the transcripts of a manifest, with their places."""
    for found in scan_manifest(path):
        if isinstance(found, ManifestError):
            raise found
        yield found.place, found.text


def read_lines(source: str | os.PathLike[str], on_progress: OnProgress | None) -> Iterator[tuple[str, str]]:
    """Read the lines of a text file, with their places."""
    name, number = "stdin" if source == STDIN else str(source), 0
    try:
        with open_raw(source) as raw:
            size = 0 if source == STDIN else os.fstat(raw.fileno()).st_size
            file: Any = gzip.open(raw) if raw.peek(2)[:2] == GZIP_MAGIC else raw  # noqa: SIM115
            for number, line in enumerate(file, start=1):
                yield f"{name}:{number}", decode(line, f"{name}:{number}", is_first=number == 1)
                if on_progress and size and number % LINES_PER_REPORT == 0:
                    on_progress(raw.tell(), size)
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or error
        raise TextError(
            f"{name}: cannot be read{f' beyond line {number}' if number else ''}: {reason}"
        ) from error


def open_raw(source: str | os.PathLike[str]) -> Any:
    """Open a file's bytes; standard input stays open afterwards."""
    return nullcontext(sys.stdin.buffer) if source == STDIN else open(source, "rb")


def decode(line: bytes, place: str, *, is_first: bool) -> str:
    """Decode a line.

    Raises:
        TextError: If it is no UTF-8, or UTF-16.
    """
    try:
        text = line.decode("utf-8-sig" if is_first else "utf-8")
    except UnicodeDecodeError as error:
        raise TextError(f"{place}: is not UTF-8 text: {error}") from error
    if "\0" in text:
        raise TextError(f"{place}: holds a zero byte; save the text as UTF-8")
    return text
