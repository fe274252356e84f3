"""Arabic Speech Commands: 40 words by 30 speakers, the official split to manifests.

Train, dev (the official ``val``) and test have 18, 6 and 6 speakers, nobody in two of them.

Example:
    python recipes/arabic_speech_commands/prepare.py                # downloads the release
    python recipes/arabic_speech_commands/prepare.py --source DIR   # has it already
"""

import argparse
import hashlib
import logging
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from speechrnn.cli.console import Progress
from speechrnn.cli.recipe import megabytes, recipe_parser, run_recipe
from speechrnn.errors import ManifestError, SpeechRNNError
from speechrnn.manifest import Utterance, numbered_lines
from speechrnn.training.download import fetch_release, ignore_progress

if TYPE_CHECKING:
    from speechrnn.training.cuts import PreparedManifest

logger = logging.getLogger("speechrnn")

RELEASE = "arabic-speech-commands-dataset-master"
URLS = (
    "https://github.com/abdulkaderghandoura/arabic-speech-commands-dataset/archive/refs/heads/master.zip",
)
# GitHub packs the archive anew when asked, so what is checked are the lists, suffixes of the audio left out.
LISTS_SHA256 = "3e02f7ff7857942ec7882f4727b8436fd45b04a09eced6ead1b25907e1828ead"
LISTS = {"train": "train.csv", "dev": "val.csv", "test": "test.csv"}
NUM_CLIPS = 12_000
SUFFIXES = (".wav", ".flac", ".ogg", ".opus")
MAX_NAMED = 10


def download_arabic_speech_commands(
    target: Path, *, on_progress: Callable[[int, int | None], object] = ignore_progress
) -> Path:
    """Download and unpack the official release, unless it lies there already.

    Args:
        target: Folder for it.
        on_progress: Called with the bytes that are there and those of the whole archive.

    Returns:
        The folder of the release.

    Raises:
        DownloadError: If the release cannot be had, or its lists are not the official ones.
    """
    return fetch_release(
        target / RELEASE,
        is_official,
        URLS,
        target / f"{RELEASE}.zip",
        otherwise="what was downloaded is not the Arabic Speech Commands; try again",
        on_progress=on_progress,
    )


def is_official(root: Path) -> bool:
    """Tell whether a folder holds all clips of the official lists."""
    try:
        return lists_digest(read_release(root)) == LISTS_SHA256
    except SpeechRNNError:
        return False


def prepare_arabic_speech_commands(
    source: Path, out: Path, *, overwrite: bool = False, on_file: Callable[[], object] = bool
) -> "list[PreparedManifest]":
    """Write ``train.jsonl.gz``, ``dev.jsonl.gz`` and ``test.jsonl.gz``.

    Args:
        source: The unpacked release.
        out: Folder for the manifests.
        overwrite: Replace existing manifests instead of refusing.
        on_file: Called for each clip, for a progress bar.

    Raises:
        ManifestError: If a list is not there or cannot be read, clips that it names are missing, a speaker is
            in two lists, or a manifest exists, or something cannot be written.
        AudioError: If a clip cannot be read.
    """
    from speechrnn.training.cuts import utterances_to_cuts, write_splits  # slow: imports lhotse

    splits = read_release(source)
    refuse_shared_speakers(source, splits)
    if lists_digest(splits) != LISTS_SHA256:
        logger.warning("%s: the lists are not the official ones, so results are not comparable", source)

    def watched(split: list[Utterance]) -> Iterator[Utterance]:
        for clip in split:
            on_file()
            yield clip

    cuts = {name: utterances_to_cuts(watched(split)) for name, split in splits.items()}
    return write_splits(cuts, out, overwrite=overwrite)


def read_release(source: Path) -> dict[str, list[Utterance]]:
    """Read the three lists.

    Raises:
        ManifestError: If a list is not there or cannot be read, or clips that it names are missing.
    """
    absent = [name for name in LISTS.values() if not (source / name).is_file()]
    if absent:
        raise ManifestError(
            f"{source}: lacks {', '.join(absent)}; give the folder of the unpacked release, or leave --source "
            "out to download it"
        )
    splits = {split: list(read_list(source, name)) for split, name in LISTS.items()}
    missing = [str(c.audio.relative_to(source)) for s in splits.values() for c in s if not c.audio.is_file()]
    if missing:
        named = ", ".join(missing[:MAX_NAMED]) + ", ..." * (len(missing) > MAX_NAMED)
        raise ManifestError(f"{source}: {len(missing):,} clips of the lists are missing: {named}")
    return splits


def read_list(source: Path, name: str) -> Iterator[Utterance]:
    """Read lines such as ``dataset/zoom in/00000030_NO_01.wav,zoom in``; the first line names the columns.

    Raises:
        ManifestError: If a line is not of that form.
    """
    for number, line in numbered_lines(source / name):
        if number == 1:
            continue
        place = f"{source / name}:{number}"
        path, _, word = line.strip().rpartition(",")
        audio = source / path
        speaker, _, take = audio.stem.partition("_")
        if audio.parent.name != word or not take:
            raise ManifestError(
                f"{place}: must be 'dataset/WORD/SPEAKER_NO_TAKE.wav,WORD', got {line.strip()!r}"
            )
        yield Utterance(
            id=f"{word.replace(' ', '_')}-{audio.stem}",
            audio=find_audio(audio),
            text=word,
            speaker=speaker,
            place=place,
        )


def find_audio(listed: Path) -> Path:
    """Find a clip in whatever format it comes; the listed one if there is none."""
    names = [listed.with_suffix(suffix) for suffix in SUFFIXES]
    return next((name for name in (listed, *names) if name.is_file()), listed)


def lists_digest(splits: dict[str, list[Utterance]]) -> str:
    """Compute a SHA-256 over splits and names of all clips, whatever their format and the order of the lists."""
    lines = sorted(f"{split}/{clip.id}\n" for split, clips in splits.items() for clip in clips)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def refuse_shared_speakers(source: Path, splits: dict[str, list[Utterance]]) -> None:
    """Raise ``ManifestError`` if somebody is in two splits."""
    split_of: dict[str | None, str] = {}
    for split, clips in splits.items():
        for speaker in sorted({str(clip.speaker) for clip in clips}):
            if speaker in split_of:
                raise ManifestError(
                    f"{source}: speaker {speaker} is in {LISTS[split_of[speaker]]} and in {LISTS[split]}, so "
                    "results would not be those of unseen speakers"
                )
            split_of[speaker] = split


def prepare(args: argparse.Namespace) -> "list[PreparedManifest]":
    """Prepare what the command line asks for."""
    source = args.source
    if source is None:
        with megabytes("downloading Arabic Speech Commands") as on_progress:
            source = download_arabic_speech_commands(args.out / "release", on_progress=on_progress)
    with Progress("preparing Arabic Speech Commands", total=NUM_CLIPS) as progress:
        return prepare_arabic_speech_commands(
            source, args.out, overwrite=args.overwrite, on_file=progress.advance
        )


def main(argv: Sequence[str] | None = None) -> int:
    """Run the recipe's command line and return the exit status."""
    parser = recipe_parser(
        "Prepare the Arabic Speech Commands: the official split.",
        out="exp/arabic_speech_commands/data",
        default_source="the official release, which is downloaded",
    )
    return run_recipe(parser.parse_args(argv), prepare)


if __name__ == "__main__":
    sys.exit(main())
