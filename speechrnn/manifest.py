"""Manifests: which audio says what. Every format is read, line by line, into ``Utterance``."""

import csv
import gzip
import json
import logging
import math
import os
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from speechrnn.errors import ManifestError

logger = logging.getLogger("speechrnn")

AUDIO_SUFFIXES = frozenset(
    (
        ".wav",
        ".flac",
        ".ogg",
        ".oga",
        ".opus",
        ".mp3",
        ".m4a",
        ".aac",
        ".aif",
        ".aiff",
        ".au",
        ".sph",
        ".w64",
    )
)
TABLE_SUFFIXES = (".csv", ".tsv")
JSON_SUFFIXES = (".jsonl", ".json")
"""``.json`` as well, because NeMo's line-per-utterance manifests are often called that."""

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
SPEECH_COMMANDS_SPEAKER = re.compile(r"([^_]+)_nohash_\d+$")
LIBRISPEECH_SPEAKER = re.compile(r"(\d+)-\d+-\d+$")
NOISE_FOLDER = "_background_noise_"  # Speech Commands keeps its long noise recordings among the keywords


@dataclass(frozen=True, kw_only=True)
class Utterance:
    """One recording, or one stretch of it, and what is said in it."""

    id: str
    """Name, unique in its manifest."""
    audio: Path
    """Audio file."""
    text: str
    """Transcript, or label of a keyword clip, as it was written; may be empty."""
    speaker: str | None = None
    """Who speaks, where known."""
    start_s: float = 0.0
    """Where the utterance begins in the file, seconds."""
    duration_s: float | None = None
    """Seconds from there, > 0; to the end of the file when not given."""
    channel: int | None = None
    """Channel to listen to, from 0; the mean of all when not given."""
    file_duration_s: float | None = None
    """What the manifest says of the whole file's duration, seconds."""
    snr_db: float | None = None
    """Signal-to-noise ratio, where known."""
    place: str = ""
    """Where it was read, for messages: ``train.csv:17``."""


def read_manifest(
    source: str | os.PathLike[str], *, relative_to: str | os.PathLike[str] | None = None
) -> list[Utterance]:
    r"""Read a manifest whole.

    Args:
        source: One of

            - a folder of audio with texts beside it (``a.wav`` and ``a.txt``), with LibriSpeech's
              ``*.trans.txt``, or with one sub-folder per keyword, named after it;
            - a ``.csv`` or ``.tsv`` table with a header: ``audio,text`` and, if known, ``speaker``,
              ``start``, ``duration``, ``id``, ``channel``, ``snr``, or the names that others use for them;
            - ``.jsonl`` or ``.json`` with an object per line: NeMo's ``audio_filepath``, ``text``
              and ``duration``, or Lhotse cuts.

            Files may be compressed, ``.gz``.
        relative_to: Folder for relative audio paths; the manifest's own when not given.

    Returns:
        The utterances in the manifest's order; a folder's in the order of their paths.

    Raises:
        ManifestError: Naming place, value and cure, for a source that cannot be read, a line that
            cannot be used, a missing audio file, an id that comes twice, or nothing at all.

    Example:
        >>> import tempfile
        >>> table = Path(tempfile.mkdtemp()) / "clips.csv"
        >>> _ = table.with_name("a.wav").write_bytes(b"")
        >>> _ = table.write_text("audio,text,speaker\na.wav,hello there,ann\n")
        >>> [(u.id, u.text, u.speaker) for u in read_manifest(table)]
        [('a', 'hello there', 'ann')]
    """
    return list(iter_manifest(source, relative_to=relative_to))


def iter_manifest(
    source: str | os.PathLike[str], *, relative_to: str | os.PathLike[str] | None = None
) -> Iterator[Utterance]:
    """Read a manifest utterance by utterance; arguments and errors as ``read_manifest``."""
    places: dict[str, str] = {}
    for found in scan_manifest(source, relative_to=relative_to):
        if isinstance(found, ManifestError):
            raise found
        require_audio(found)
        if found.id in places:
            raise ManifestError(f"{found.place}: id {found.id!r} was already used at {places[found.id]}")
        places[found.id] = found.place
        yield found
    if not places:
        raise ManifestError(f"{source}: holds no utterance")


def scan_manifest(
    source: str | os.PathLike[str], *, relative_to: str | os.PathLike[str] | None = None
) -> Iterator[Utterance | ManifestError]:
    """Read what can be read: a line that cannot be used comes as the error that it would raise.

    Neither the existence of the audio nor the uniqueness of ids is checked here.

    Raises:
        ManifestError: If the source itself is missing, unreadable or of an unknown kind.
    """
    path = Path(source)
    if path.is_dir():
        return scan_folder(path)
    if not path.exists():
        raise ManifestError(f"{path}: no such file or folder")
    root = path.parent if relative_to is None else Path(relative_to)
    suffix = format_suffix(path)
    if suffix in TABLE_SUFFIXES:
        return scan_table(path, root, delimiter="," if suffix == ".csv" else "\t")
    if suffix in JSON_SUFFIXES:
        return scan_json_lines(path, root)
    known = ", ".join((*TABLE_SUFFIXES, *JSON_SUFFIXES))
    raise ManifestError(
        f"{path}: unknown kind of manifest {suffix!r}; known are {known} (also .gz) and folders"
    )


def estimate_length(source: str | os.PathLike[str]) -> int:
    """Count lines or audio files: about the number of utterances, for a progress bar.

    Raises:
        ManifestError: If the source cannot be read.
    """
    path = Path(source)
    if path.is_dir():
        return sum(found.suffix.lower() in AUDIO_SUFFIXES for found in find_files(path))
    return sum(1 for _ in numbered_lines(path)) - (format_suffix(path) in TABLE_SUFFIXES)


def format_suffix(path: Path) -> str:
    """Return the suffix that tells the format: ``.jsonl`` of ``train.jsonl.gz``."""
    return Path(path.stem if path.suffix == ".gz" else path.name).suffix.lower()


def require_audio(utterance: Utterance) -> None:
    """Check that an utterance's audio file exists.

    Raises:
        ManifestError: Naming place, file and cure, if it does not.
    """
    if not utterance.audio.is_file():
        raise ManifestError(
            f"{utterance.place}: audio file {utterance.audio} does not exist "
            f"(utterance {utterance.id!r}); relative paths start at the manifest's folder "
            "unless --relative-to names another"
        )


# ---- Folders ------------------------------------------------------------------------------------


def scan_folder(folder: Path) -> Iterator[Utterance | ManifestError]:
    """Read a folder of audio; where the text is depends on what lies there.

    Raises:
        ManifestError: If there is no audio, or no way to tell what is said in it.
    """
    files = list(find_files(folder))
    audio = [path for path in files if path.suffix.lower() in AUDIO_SUFFIXES]
    transcripts = [path for path in files if path.name.endswith(".trans.txt")]
    if not audio:
        raise ManifestError(f"{folder}: holds no audio{name_tables(folder)}")
    if transcripts:
        return scan_transcript_lists(audio, transcripts)
    texts = set(files)
    if any(path.with_suffix(".txt") in texts for path in audio):
        return (read_sidecar(path, folder) for path in audio)
    return scan_labels(audio, folder)


def find_files(folder: Path, above: tuple[str, ...] = ()) -> Iterator[Path]:
    """Find the files under a folder in the order of their names, leaving out what is hidden.

    Links are followed, except to a folder ``above``, which would lead round in a circle.

    Raises:
        ManifestError: If a folder cannot be read.
    """
    here = os.path.realpath(folder)
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        raise ManifestError(f"{folder}: cannot be read: {error.strerror}") from error
    for entry in entries:
        if entry.name.startswith(".") or here in above:
            continue
        if entry.is_dir():
            yield from find_files(Path(entry.path), (*above, here))
        else:
            yield Path(entry.path)


def name_tables(folder: Path) -> str:
    """Point at the manifests that lie in a folder which is none itself."""
    names = sorted(
        path.name for path in folder.iterdir() if format_suffix(path) in (*TABLE_SUFFIXES, *JSON_SUFFIXES)
    )
    return f"; give one of the manifests in it: {', '.join(names[:5])}" if names else ""


def relative_id(audio: Path, folder: Path) -> str:
    """Name an utterance after its file: the path below the folder without the suffix."""
    return audio.relative_to(folder).with_suffix("").as_posix()


def read_sidecar(audio: Path, folder: Path) -> Utterance | ManifestError:
    """Read the transcript beside an audio file."""
    sidecar = audio.with_suffix(".txt")
    try:
        text = " ".join(sidecar.read_text(encoding="utf-8-sig").split())
    except FileNotFoundError:
        return ManifestError(f"{audio}: has no transcript; write {sidecar.name} beside it (it may be empty)")
    except (OSError, UnicodeDecodeError) as error:
        return ManifestError(f"{sidecar}: cannot be read as UTF-8 text: {error}")
    return Utterance(id=relative_id(audio, folder), audio=audio, text=text, place=str(audio))


def scan_transcript_lists(
    audio: Sequence[Path], transcripts: Iterable[Path]
) -> Iterator[Utterance | ManifestError]:
    """Read LibriSpeech's lists, ``1867-154075-0000 THE TEXT``, in the folder of the audio."""
    files: dict[Path, Path] = {}
    for path in audio:
        if files.setdefault(path.with_suffix(""), path) != path:
            yield ManifestError(f"{path}: has the same name as {files[path.with_suffix('')].name}; keep one")
    for transcript in transcripts:
        for number, line in numbered_lines(transcript):
            name, _, text = line.strip().partition(" ")
            place = f"{transcript}:{number}"
            found = files.pop(transcript.parent / name, None)
            if found is None:
                yield ManifestError(f"{place}: there is no audio file {name}.* beside it, or it came before")
                continue
            speaker = first_group(LIBRISPEECH_SPEAKER, name)
            yield Utterance(id=name, audio=found, text=text.strip(), speaker=speaker, place=place)
    for path in files.values():
        yield ManifestError(f"{path}: has no line in a *.trans.txt beside it")


def scan_labels(audio: Sequence[Path], folder: Path) -> Iterator[Utterance | ManifestError]:
    """Read keyword clips: FOLDER/label/clip.wav.

    Raises:
        ManifestError: If the audio does not lie in at least two such folders.
    """
    labels = {path.parent.name for path in audio if path.parent.parent == folder} - {NOISE_FOLDER}
    if len(labels) < 2:
        raise ManifestError(
            f"{folder}: holds {len(audio)} audio files but no text: neither a.txt beside a.wav, "
            f"nor *.trans.txt, nor two sub-folders named after keywords{name_tables(folder)}"
        )
    if any(path.parent.name == NOISE_FOLDER for path in audio):
        logger.warning("%s: %s is left out, being noise and not a keyword", folder, NOISE_FOLDER)
    return (read_label(path, folder) for path in audio if path.parent.name != NOISE_FOLDER)


def read_label(audio: Path, folder: Path) -> Utterance | ManifestError:
    """Take a keyword clip's label from its folder, and a Speech Commands speaker from its name."""
    if audio.parent.parent != folder:
        return ManifestError(f"{audio}: does not lie in a keyword's folder, {folder}/KEYWORD/{audio.name}")
    return Utterance(
        id=relative_id(audio, folder),
        audio=audio,
        text=audio.parent.name,
        speaker=first_group(SPEECH_COMMANDS_SPEAKER, audio.stem),
        place=str(audio),
    )


def first_group(pattern: re.Pattern[str], name: str) -> str | None:
    """Return what the first group of a pattern finds in a name, if anything."""
    match = pattern.search(name)
    return match[1] if match else None


# ---- Files --------------------------------------------------------------------------------------


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


# ---- Records ------------------------------------------------------------------------------------


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


def parse_cut(cut: Mapping[str, Any], place: str, root: Path) -> Iterator[Utterance | ManifestError]:
    """Make the utterances of a Lhotse cut: itself, or each of several supervisions."""
    supervisions = cut.get("supervisions") or [{}]
    try:
        for supervision in supervisions:
            part = cut if len(supervisions) == 1 else part_of_cut(cut, supervision)
            yield cut_to_utterance(part, supervision, place, root)
    except ManifestError as error:
        yield error
    except (KeyError, TypeError, IndexError, ValueError, AttributeError) as error:
        yield ManifestError(f"{place}: is not a Lhotse cut: {type(error).__name__}: {error}")


def part_of_cut(cut: Mapping[str, Any], supervision: Mapping[str, Any]) -> Mapping[str, Any]:
    """Cut down to one supervision, whose start is counted from the cut's."""
    return {
        **cut,
        "id": supervision["id"],
        "start": cut["start"] + supervision["start"],
        "duration": supervision["duration"],
        "channel": supervision.get("channel", cut.get("channel")),
    }


def cut_to_utterance(
    cut: Mapping[str, Any], supervision: Mapping[str, Any], place: str, root: Path
) -> Utterance:
    """Make the utterance that is a whole cut.

    Raises:
        ManifestError: If the cut is not a plain stretch of one audio file.
    """
    kind, name = cut.get("type", "MonoCut"), cut["id"]
    if kind not in ("MonoCut", "MultiCut") or "recording" not in cut:
        raise ManifestError(f"{place}: only cuts of one recording can be read, got {kind} {name!r}")
    recording = cut["recording"]
    audio, channel = find_source(recording, cut.get("channel", 0), place, root)
    return Utterance(
        id=str(name),
        audio=audio,
        text=(supervision.get("text") or "").strip(),
        speaker=optional_text(supervision.get("speaker")),
        start_s=number_of(cut["start"], "start", place, name),
        duration_s=number_of(cut["duration"], "duration", place, name),
        channel=channel,
        file_duration_s=number_of(recording["duration"], "duration", place, name),
        place=place,
    )


def find_source(
    recording: Mapping[str, Any], channel: int | list[int], place: str, root: Path
) -> tuple[Path, int | None]:
    """Find the file of a Lhotse recording's channels, and which channel of it to hear (None: all).

    The file lies below the manifest's folder or, where Lhotse itself looks, below the current one.

    Raises:
        ManifestError: If the audio is not one plain file, or is altered while it is read.
    """
    wanted = channel if isinstance(channel, list) else [channel]
    sources = [source for source in recording["sources"] if set(wanted) <= set(source["channels"])]
    altered = [step for step in recording.get("transforms") or [] if "Resample" not in str(step)]
    channels = sources[0]["channels"] if sources else []
    plain = len(sources) == 1 and sources[0]["type"] == "file" and not altered
    if not plain or len(wanted) not in (1, len(channels)):
        raise ManifestError(
            f"{place}: recording {recording['id']!r} must be one audio file, unaltered, "
            f"for channel {channel}; its sources: {str(recording['sources'])[:200]}; "
            f"its transforms: {altered or 'none'}"
        )
    path = Path(sources[0]["source"])
    audio = path if path.exists() and not (root / path).exists() else root / path
    return audio, None if len(wanted) == len(channels) else channels.index(wanted[0])
