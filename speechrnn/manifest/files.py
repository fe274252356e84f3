"""Manifests in files: tables, and objects line by line."""

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from speechrnn.errors import ManifestError
from speechrnn.manifest.cuts import parse_cut
from speechrnn.manifest.lines import numbered_lines
from speechrnn.manifest.records import ALIASES, parse_record
from speechrnn.manifest.utterance import Utterance


def scan_table(path: Path, root: Path, *, delimiter: str) -> Iterator[Utterance | ManifestError]:
    """Read a table with a header, one line to a row.

    Raises:
        ManifestError: If there is no header that names audio and text.
    """
    lines = numbered_lines(path)
    number, first = next(lines, (1, ""))
    header = [name.lower() for name in split_row(first, f"{path}:{number}", delimiter)]
    missing = [name for name in ("audio", "text") if not set(header) & set(ALIASES[name])]
    if missing:
        wanted = " and ".join(f"{name} (one of {', '.join(ALIASES[name])})" for name in missing)
        raise ManifestError(f"{path}:{number}: the header must name {wanted}; it is {header}")
    for number, line in lines:
        place = f"{path}:{number}"
        try:
            cells = split_row(line, place, delimiter, wanted=len(header))
        except ManifestError as error:
            yield error
            continue
        yield from parse_record(dict(zip(header, cells, strict=True)), place, root)


def split_row(line: str, place: str, delimiter: str, *, wanted: int | None = None) -> list[str]:
    """Split a line into cells.

    Quotation marks are ordinary characters in TSV, as in Common Voice's, and no row goes over
    several lines, so that one mark too few cannot swallow the lines behind it.

    Raises:
        ManifestError: If a quotation mark is never closed, or the cells are not as many as wanted.
    """
    quoting: Any = csv.QUOTE_MINIMAL if delimiter == "," else csv.QUOTE_NONE
    try:
        rows = list(csv.reader([line], delimiter=delimiter, quoting=quoting, strict=True))
    except csv.Error as error:
        raise ManifestError(f"{place}: {error}; is a quotation mark never closed?") from error
    cells = [cell.strip() for cell in rows[0]] if rows else []
    if wanted is not None and len(cells) != wanted:
        raise ManifestError(f"{place}: has {len(cells)} cells, the header {wanted}: {line.strip()[:80]!r}")
    return cells


def scan_json_lines(path: Path, root: Path) -> Iterator[Utterance | ManifestError]:
    """Read one JSON object per line: NeMo's, or Lhotse cuts."""
    for number, line in numbered_lines(path):
        place = f"{path}:{number}"
        try:
            record = json.loads(line)
        except json.JSONDecodeError as error:
            reason = f"{error.msg} at column {error.colno}"
            yield ManifestError(f"{place}: is not one JSON object ({reason}): {line[:60].strip()!r}")
            continue
        if not isinstance(record, dict):
            yield ManifestError(f"{place}: must be one JSON object, got {type(record).__name__}")
        elif "supervisions" in record or "recording" in record:
            yield from parse_cut(record, place, root)
        elif "sources" in record or "recording_id" in record:
            raise ManifestError(
                f"{place}: Lhotse recordings and supervisions come in two files; "
                "give the folder of both to `speechrnn prepare`"
            )
        else:
            yield from parse_record(record, place, root)
