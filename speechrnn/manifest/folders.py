"""Folders of audio with texts beside it, with LibriSpeech's lists, or named after keywords."""

import logging
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from speechrnn.errors import ManifestError
from speechrnn.manifest.lines import JSON_SUFFIXES, TABLE_SUFFIXES, format_suffix, numbered_lines
from speechrnn.manifest.utterance import Utterance

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
SPEECH_COMMANDS_SPEAKER = re.compile(r"([^_]+)_nohash_\d+$")
LIBRISPEECH_SPEAKER = re.compile(r"(\d+)-\d+-\d+$")
NOISE_FOLDER = "_background_noise_"  # Speech Commands keeps its long noise recordings among the keywords


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
