"""Rows of tables and objects of NeMo: one utterance each, whatever its parts are called."""

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from speechrnn.errors import ManifestError
from speechrnn.manifest.utterance import Utterance

# What others call the same thing, in the order in which they are looked for.
ALIASES: Mapping[str, tuple[str, ...]] = {
    "audio": (
        "audio",
        "audio_filepath",
        "audio_path",
        "wav_filename",
        "path",
        "file",
        "filename",
        "wav",
    ),
    "text": (
        "text",
        "transcript",
        "transcription",
        "sentence",
        "txt",
        "label",
        "class",
        "keyword",
        "command",
    ),
    "id": ("id", "utterance_id", "key"),
    "speaker": ("speaker", "speaker_id", "client_id"),
    "start": ("start", "start_s", "offset"),
    "duration": ("duration", "duration_s"),
    "channel": ("channel",),
    "snr": ("snr", "snr_db"),
}


def parse_record(record: Mapping[str, Any], place: str, root: Path) -> Iterator[Utterance | ManifestError]:
    """Make the utterance of a table's row or of NeMo's object, or the error that it has."""
    try:
        audio, text = required(record, "audio", place), required(record, "text", place)
        start, duration = lookup(record, "start"), lookup(record, "duration")
        given = lookup(record, "id")
        name = default_id(audio, start) if is_absent(given) else given
        yield Utterance(
            id=str(name),
            audio=root / audio,
            text=text,
            speaker=optional_text(lookup(record, "speaker")),
            start_s=0.0 if is_absent(start) else number_of(start, "start", place, name),
            duration_s=None if is_absent(duration) else number_of(duration, "duration", place, name),
            channel=channel_of(lookup(record, "channel"), place, name),
            snr_db=ratio_of(lookup(record, "snr"), place, name),
            file_duration_s=float(duration) if is_absent(start) and not is_absent(duration) else None,
            place=place,
        )
    except ManifestError as error:
        yield error


def lookup(record: Mapping[str, Any], name: str) -> Any:
    """Find a value under any of its names; None if it has none."""
    return next((record[alias] for alias in ALIASES[name] if alias in record), None)


def required(record: Mapping[str, Any], name: str, place: str) -> str:
    """Find a text that must be there; an audio path must not be empty, a transcript may.

    Raises:
        ManifestError: If it is missing.
    """
    value = lookup(record, name)
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)  # the labels of digits
    if not isinstance(value, str) or (name == "audio" and not value):
        names = ", ".join(ALIASES[name])
        keys = ", ".join(map(str, record)) or "nothing"
        found = f"{value!r}" if any(alias in record for alias in ALIASES[name]) else f"only {keys}"
        raise ManifestError(f"{place}: needs {name} as text under one of {names}; has {found}")
    return value.strip()


def is_absent(value: Any) -> bool:
    """Tell whether an optional value was left out: the empty cell of a table, JSON's null."""
    return value is None or value == ""


def optional_text(value: Any) -> str | None:
    """Return an optional value as text."""
    return None if is_absent(value) else str(value)


def number_of(value: Any, name: str, place: str, utterance: object) -> float:
    """Read seconds: a duration > 0, a start >= 0.

    Raises:
        ManifestError: Naming place, value and utterance, if it is anything else.
    """
    try:
        seconds = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        seconds = math.nan
    if math.isfinite(seconds) and (seconds > 0 or (seconds == 0 and name == "start")):
        return seconds
    least = ">= 0 s" if name == "start" else "> 0 s"
    raise ManifestError(f"{place}: {name} must be {least}, got {value!r} (utterance {str(utterance)!r})")


def channel_of(value: Any, place: str, utterance: object) -> int | None:
    """Read a channel number, counted from 0; a list of several means their mean.

    Raises:
        ManifestError: If it is not a number >= 0.
    """
    if is_absent(value) or isinstance(value, list):
        return value[0] if isinstance(value, list) and len(value) == 1 else None
    if str(value).isdecimal():
        return int(value)
    raise ManifestError(f"{place}: channel must be 0 or more, got {value!r} (utterance {str(utterance)!r})")


def ratio_of(value: Any, place: str, utterance: object) -> float | None:
    """Read a signal-to-noise ratio, dB, which may be absent.

    Raises:
        ManifestError: If it is not a finite number.
    """
    if is_absent(value):
        return None
    try:
        ratio_db = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        ratio_db = math.nan
    if math.isfinite(ratio_db):
        return ratio_db
    raise ManifestError(f"{place}: snr must be a number of dB, got {value!r} (utterance {str(utterance)!r})")


def default_id(audio: str, start: Any) -> str:
    """Name an utterance after its file as the manifest writes it, and where it begins."""
    name = Path(audio).with_suffix("").as_posix()
    return name if is_absent(start) else f"{name}@{start}"
