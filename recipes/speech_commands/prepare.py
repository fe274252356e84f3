"""Google Speech Commands: ten words, unknown and silence (12 classes), or all 35 words.

The official release v0.02 is split by its own lists. Any folder of words without these lists, a part of the
release say, is split by speaker: 20 speakers are ``dev``, 40 are ``test``.

Example:
    python recipes/speech_commands/prepare.py                  # downloads the release, 2.4 GB
    python recipes/speech_commands/prepare.py --classes 35
    python recipes/speech_commands/prepare.py --source DIR     # the release, or folders of words
"""

import argparse
import hashlib
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from speechrnn.cli.console import Progress
from speechrnn.cli.recipe import add_more_option, megabytes, recipe_parser, run_recipe
from speechrnn.errors import ManifestError
from speechrnn.manifest import Utterance, numbered_lines, read_manifest
from speechrnn.training.download import fetch_release, ignore_progress
from speechrnn.training.more_clips import read_more_clips
from speechrnn.training.stretches import consecutive_stretches, duration_s, middle_stretch

if TYPE_CHECKING:
    from speechrnn.training.cuts import PreparedManifest

RELEASE = "speech_commands_v0.02"
URLS = (
    "https://storage.googleapis.com/download.tensorflow.org/data/speech_commands_v0.02.tar.gz",
    "http://download.tensorflow.org/data/speech_commands_v0.02.tar.gz",
)
SHA256 = "af14739ee7dc311471de98f5f9d2c9191b18aedfe957f4a6ff791c709868ff58"
NUM_BYTES = 2_428_923_189

COMMANDS = ("yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go")
UNKNOWN, SILENCE = "_unknown_", "_silence_"
BACKGROUND = "_background_noise_"
LISTS = {"dev": "validation_list.txt", "test": "testing_list.txt"}
HELD_OUT = {"dev": 20, "test": 40}  # speakers, where there are no lists
SUFFIXES = (".wav", ".flac", ".ogg", ".opus")
SPEAKER = re.compile(r"(?:^|_)([0-9a-f]{8})_nohash_[0-9]+$")

# As Warden's sampling has it (2018, arXiv:1804.03209): for ten clips of commands one of other words and one
# of background. His were drawn anew by each program; these are fixed by a hash of their names.
SHARE_PER_COMMAND = 0.1
# Training, dev and test hear different parts of each background recording.
BACKGROUND_PARTS = {"train": (0.0, 0.8), "dev": (0.8, 0.9), "test": (0.9, 1.0)}
CLIP_S = 1.0

# Read speech teaches what running speech without commands is. A model of clips hears little of it, of some speakers;
# a detector every third second: all of them would outnumber the commands too far.
NUM_SPEECH_SPEAKERS = 8
SPEECH_EVERY = 3
MAX_NAMED = 10


def download_speech_commands(
    target: Path, *, on_progress: Callable[[int, int | None], object] = ignore_progress
) -> Path:
    """Download and unpack the official release v0.02, unless it lies there already.

    Args:
        target: Folder for it.
        on_progress: Called with the bytes that are there and those of the whole archive.

    Returns:
        The folder of the release.

    Raises:
        DownloadError: If it cannot be had, or is not the release.
    """
    root = target / RELEASE
    return fetch_release(
        root,
        is_official,
        URLS,
        root / f"{RELEASE}.tar.gz",  # which has no folder of its own; its digest makes sure of what is in it
        otherwise=f"lacks {', '.join(LISTS.values())}; remove the folder and try again",
        sha256=SHA256,
        num_bytes=NUM_BYTES,
        on_progress=on_progress,
    )


def is_official(root: Path) -> bool:
    """Tell whether a folder has the official lists."""
    return all((root / name).is_file() for name in LISTS.values())


def prepare_speech_commands(
    source: Path,
    out: Path,
    *,
    num_classes: int = 12,
    more: Sequence[Path] = (),
    speech: Path | None = None,
    noise: Path | None = None,
    detector: bool = False,
    overwrite: bool = False,
    on_file: Callable[[], object] = bool,
) -> "list[PreparedManifest]":
    """Write ``train.jsonl.gz``, ``dev.jsonl.gz`` and ``test.jsonl.gz``.

    Args:
        source: The unpacked release, or folders named after their words.
        out: Folder for the manifests.
        num_classes: 12 (ten commands, ``_unknown_``, ``_silence_``) or 35 (every word).
        more: Manifests of other clips; those whose text is a class are trained on, too.
        speech: Manifest of utterances, of which a second each is more ``_unknown_`` to train on: those of the
            first 8 speakers in which no command is said.
        noise: Manifest of recordings, of which a second each is more ``_silence_`` to train on.
        detector: Take every third second of ``speech``, of all speakers.
        overwrite: Replace existing manifests instead of refusing.
        on_file: Called for each clip, for a progress bar.

    Raises:
        ManifestError: If words, listed clips or speakers are missing, or a manifest exists, or something
            cannot be written.
        AudioError: If a clip cannot be read.
    """
    from speechrnn.training.cuts import utterances_to_cuts, write_splits  # slow: imports lhotse

    clips = list(read_clips(source))
    splits = split_by_lists(source, clips) if is_official(source) else split_by_speaker(clips)
    if num_classes == 12:
        splits = {name: twelve_classes(source, name, split) for name, split in splits.items()}
        splits["train"] += [] if speech is None else list(cut_speech(speech, detector=detector))
        splits["train"] += [] if noise is None else list(cut_noise(noise))
    else:
        splits = {name: [clip for clip in split if is_word(clip)] for name, split in splits.items()}
    labels = sorted({clip.text for clip in splits["train"]})
    for manifest in more:
        splits["train"] += read_more_clips(manifest, labels)
    cuts = {name: utterances_to_cuts(watched(split, on_file)) for name, split in splits.items()}
    return write_splits(cuts, out, overwrite=overwrite)


def watched(clips: Iterable[Utterance], on_file: Callable[[], object]) -> Iterator[Utterance]:
    """Pass clips on, telling of each."""
    for clip in clips:
        on_file()
        yield clip


# ---- Reading ------------------------------------------------------------------------------------


def read_clips(source: Path) -> Iterator[Utterance]:
    """Read all clips, labelled with the folder's name, in the order of their names.

    Raises:
        ManifestError: If a command has no folder, or a clip of a word names no speaker.
    """
    missing = [word for word in COMMANDS if not (source / word).is_dir()]
    if missing:
        raise ManifestError(
            f"{source}: has no folder for {', '.join(missing)}; give the folder of the unpacked release, or "
            "leave --source out to download it"
        )
    for folder in sorted(path for path in source.iterdir() if path.is_dir() and path.name != BACKGROUND):
        for audio in sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES):
            yield read_clip(audio)


def read_clip(audio: Path) -> Utterance:
    """Describe a clip; errors as ``read_clips``."""
    word = audio.parent.name
    match = SPEAKER.search(audio.stem)
    if match is None and word != SILENCE:
        raise ManifestError(f"{audio}: a clip's name must be like 0a7c2a8d_nohash_0.wav, for its speaker")
    return Utterance(
        id=f"{word}-{audio.stem}",
        audio=audio,
        text=word,
        speaker=match[1] if match else None,
        place=str(audio),
    )


def is_word(clip: Utterance) -> bool:
    """Tell whether a clip is labelled with the word that is said in it."""
    return clip.text not in (UNKNOWN, SILENCE)


# ---- Splitting ----------------------------------------------------------------------------------


def split_by_lists(source: Path, clips: Sequence[Utterance]) -> dict[str, list[Utterance]]:
    """Split by the official lists, lines such as ``bed/0a7c2a8d_nohash_0.wav``.

    Raises:
        ManifestError: If a listed clip is missing or a list cannot be read.
    """
    split_of = {
        line.strip().rpartition(".")[0]: split
        for split, name in LISTS.items()
        for _, line in numbered_lines(source / name)
    }
    splits: dict[str, list[Utterance]] = {"train": [], "dev": [], "test": []}
    for clip in clips:
        name = f"{clip.audio.parent.name}/{clip.audio.stem}"
        splits[split_of.pop(name, "train")].append(clip)
    if split_of:
        named = ", ".join(list(split_of)[:MAX_NAMED]) + ", ..." * (len(split_of) > MAX_NAMED)
        raise ManifestError(f"{source}: {len(split_of):,} clips of the official lists are missing: {named}")
    return splits


def split_by_speaker(clips: Sequence[Utterance]) -> dict[str, list[Utterance]]:
    """Hold out speakers among those who say commands; each clip without a speaker goes its own way.

    Raises:
        ManifestError: If there are too few speakers.
    """
    from speechrnn.training.speaker_split import split_speakers

    speakers = {clip.speaker: 1.0 for clip in clips if clip.text in COMMANDS if clip.speaker}
    split_of = split_speakers(speakers, HELD_OUT)
    silences = {clip.id: 1.0 for clip in clips if clip.speaker is None}
    if silences:
        shares = {split: number / len(speakers) for split, number in HELD_OUT.items()}
        split_of |= split_speakers(silences, shares)
    splits: dict[str, list[Utterance]] = {"train": [], "dev": [], "test": []}
    for clip in clips:
        splits[split_of.get(clip.speaker or clip.id, "train")].append(clip)
    return splits


# ---- Twelve classes -----------------------------------------------------------------------------


def twelve_classes(source: Path, split: str, clips: Sequence[Utterance]) -> list[Utterance]:
    """Keep the commands, and label the rest ``_unknown_`` and ``_silence_``.

    In the official release both are sampled. Elsewhere held-out sets keep the folders of these names, where
    the sampling was done, and training takes every other word that it can get.
    """
    commands = [clip for clip in clips if clip.text in COMMANDS]
    others = [replace(clip, text=UNKNOWN) for clip in clips if is_word(clip) and clip.text not in COMMANDS]
    if is_official(source):
        number = round(SHARE_PER_COMMAND * len(commands))
        return commands + sample(others, number) + list(sample_background(source, split, number))
    given = [clip for clip in clips if not is_word(clip)]
    return commands + given + (others if split == "train" or not given else [])


def sample(clips: Iterable[Utterance], number: int) -> list[Utterance]:
    """Take the first clips in the order of a hash of their names: the same ones always and everywhere."""
    return sorted(clips, key=lambda clip: hashlib.sha256(clip.id.encode()).digest())[:number]


def sample_background(source: Path, split: str, number: int) -> Iterator[Utterance]:
    """Take clips of a second at even distances from the split's part of each background recording.

    Raises:
        ManifestError: If there is no background recording.
        AudioError: If one cannot be read.
    """
    recordings = sorted(p for p in (source / BACKGROUND).glob("*") if p.suffix.lower() in SUFFIXES)
    if not recordings:
        raise ManifestError(f"{source / BACKGROUND}: holds no recording of background, for {SILENCE}")
    first, last = BACKGROUND_PARTS[split]
    for index in range(number):
        audio = recordings[index % len(recordings)]
        room_s = (last - first) * duration_s(audio) - CLIP_S
        start_s = first * duration_s(audio) + room_s * (index // len(recordings)) / -(
            -number // len(recordings)
        )
        yield Utterance(
            id=f"{SILENCE}-{audio.stem}-{index}",
            audio=audio,
            text=SILENCE,
            speaker=None,
            start_s=round(start_s, 3),
            duration_s=CLIP_S,
            place=str(audio),
        )


def cut_speech(manifest: Path, *, detector: bool) -> Iterator[Utterance]:
    """Cut seconds out of the utterances in which no command is said.

    The middle one of each utterance of the first speakers by name; for a detector every third one, of all speakers.

    Raises:
        ManifestError: If the manifest cannot be read, or holds no such utterance.
    """
    utterances = read_manifest(manifest)
    speakers = sorted({str(u.speaker) for u in utterances})[: None if detector else NUM_SPEECH_SPEAKERS]
    chosen = [u for u in utterances if str(u.speaker) in speakers and not set(u.text.split()) & set(COMMANDS)]
    if not chosen:
        raise ManifestError(f"{manifest}: --speech holds no utterance without a command")
    for utterance in chosen:
        if detector:
            yield from consecutive_stretches(utterance, CLIP_S, UNKNOWN, every=SPEECH_EVERY)
        else:
            yield middle_stretch(utterance, CLIP_S, UNKNOWN)


def cut_noise(manifest: Path) -> Iterator[Utterance]:
    """Take the middle second of every recording; errors as of ``read_manifest``."""
    yield from (replace(middle_stretch(u, CLIP_S, SILENCE), speaker=None) for u in read_manifest(manifest))


# ---- Command line -------------------------------------------------------------------------------


def prepare(args: argparse.Namespace) -> "list[PreparedManifest]":
    """Prepare what the command line asks for."""
    source = args.source
    if source is None:
        with megabytes("downloading Speech Commands") as on_progress:
            source = download_speech_commands(args.out / "release", on_progress=on_progress)
    with Progress("preparing Speech Commands", total=sum(1 for _ in read_clips(source))) as progress:
        return prepare_speech_commands(
            source,
            args.out,
            num_classes=args.classes,
            more=args.more,
            speech=args.speech,
            noise=args.noise,
            detector=args.detector,
            overwrite=args.overwrite,
            on_file=progress.advance,
        )


def main(argv: Sequence[str] | None = None) -> int:
    """Run the recipe's command line and return the exit status."""
    parser = recipe_parser(
        "Prepare Google Speech Commands: official lists, or folders of words split by speaker.",
        out="exp/speech_commands/data",
        default_source="the official release v0.02, which is downloaded",
    )
    parser.add_argument(
        "--classes",
        type=int,
        choices=(12, 35),
        default=12,
        help="12: ten commands, _unknown_ and _silence_; 35: every word; default: 12",
    )
    add_more_option(parser, "clips of the words from elsewhere")
    parser.add_argument(
        "--speech", metavar="MANIFEST", type=Path, help="read speech, for more of _unknown_ in training"
    )
    parser.add_argument(
        "--noise",
        metavar="MANIFEST",
        type=Path,
        help="recordings without speech, for more of _silence_ in training",
    )
    parser.add_argument(
        "--detector",
        action="store_true",
        help="every third second of --speech, where it is the middle one of each utterance of eight speakers else",
    )
    return run_recipe(parser.parse_args(argv), prepare)


if __name__ == "__main__":
    sys.exit(main())
