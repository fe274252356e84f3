"""Manifests read whole, one utterance after the other, or for whatever in them can be used."""

import os
from collections.abc import Iterator
from pathlib import Path

from speechrnn.errors import ManifestError
from speechrnn.manifest.files import scan_json_lines, scan_table
from speechrnn.manifest.folders import AUDIO_SUFFIXES, find_files, scan_folder
from speechrnn.manifest.lines import JSON_SUFFIXES, TABLE_SUFFIXES, format_suffix, numbered_lines
from speechrnn.manifest.utterance import Utterance


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


def estimate_length(source: str | os.PathLike[str]) -> int:
    """Count lines or audio files: about the number of utterances, for a progress bar.

    Raises:
        ManifestError: If the source cannot be read.
    """
    path = Path(source)
    if path.is_dir():
        return sum(found.suffix.lower() in AUDIO_SUFFIXES for found in find_files(path))
    return sum(1 for _ in numbered_lines(path)) - (format_suffix(path) in TABLE_SUFFIXES)
