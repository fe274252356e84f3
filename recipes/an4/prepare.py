"""AN4: the official release to manifests of train, dev and test.

The test set is the official one: 130 utterances of 10 speakers. AN4 has no development set; it is
made of 8 of the 74 training speakers.

Example:
    python recipes/an4/prepare.py                # downloads the release, 64 MB
    python recipes/an4/prepare.py --source an4   # has it already
    python recipes/an4/prepare.py --final --out exp/an4/final/data   # the dev speakers are trained on, too
"""

import argparse
import logging
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import soundfile as sf

from speechrnn.cli.console import Progress
from speechrnn.cli.recipe import megabytes, recipe_parser, run_recipe
from speechrnn.errors import ManifestError, SpeechRNNError
from speechrnn.manifest import Utterance, numbered_lines
from speechrnn.training.download import fetch_release, ignore_progress
from speechrnn.training.fingerprint import fingerprint, read_samples

if TYPE_CHECKING:
    from speechrnn.training.cuts import PreparedManifest

logger = logging.getLogger("speechrnn")

# The page at Carnegie Mellon, the last of these, is often out of reach. It publishes no digest of
# the archive, so what counts is the fingerprint of the samples.
URLS = (
    "https://huggingface.co/datasets/espnet/an4/resolve/main/an4_sphere.tar.gz",
    "https://dldata-public.s3.us-east-2.amazonaws.com/an4_sphere.tar.gz",
    "http://www.speech.cs.cmu.edu/databases/an4/an4_sphere.tar.gz",
)
FINGERPRINT = "c759081d3be136058131671d83fcb18110ef31f1a40f8fef34ae736b2249a044"
NUM_UTTERANCES = 1078

# Of the 21 women (f...) every fifth from the third on, of the 53 men (m...) every 13th from the
# seventh on, in the order of their names.
DEV_SPEAKERS = ("fclc", "fjmd", "fmjc", "fsrb", "mcrt", "mjbh", "mmkw", "mskh")

SUFFIXES = (".sph", ".wav", ".flac")
TRANSCRIPT = re.compile(r"\s*(?:<s>)?(?P<text>.*?)(?:</s>)?\s*\((?P<id>[^()\s]+)\)\s*")
MAX_NAMED = 10


def download_an4(target: Path, *, on_progress: Callable[[int, int | None], object] = ignore_progress) -> Path:
    """Download and unpack the official release, unless it lies there already.

    Args:
        target: Folder for it.
        on_progress: Called with the bytes that are there and those of the whole archive.

    Returns:
        The folder of the release.

    Raises:
        DownloadError: If the release cannot be had, or its samples are not those of AN4.
    """
    return fetch_release(
        target / "an4",
        is_official,
        URLS,
        target / "an4_sphere.tar.gz",
        otherwise="what was downloaded is not AN4, sample by sample; try again",
        on_progress=on_progress,
    )


def is_official(root: Path) -> bool:
    """Tell whether a folder holds the whole release, and its samples are the right ones."""
    try:
        splits = read_release(root)
        return fingerprint(u.audio for split in splits.values() for u in split) == FINGERPRINT
    except SpeechRNNError:
        return False


def prepare_an4(
    source: Path,
    out: Path,
    *,
    final: bool = False,
    overwrite: bool = False,
    on_file: Callable[[], object] = bool,
) -> "list[PreparedManifest]":
    """Write ``train.jsonl.gz``, ``dev.jsonl.gz`` and ``test.jsonl.gz``.

    Transcripts are in lower case, without ``<s>`` and ``</s>``. WAV and FLAC stay where they are;
    SPHERE, which Lhotse reads only with the help of sph2pipe, becomes FLAC in ``OUT/recordings``.

    Args:
        source: The unpacked release, audio as ``.sph``, ``.wav`` or ``.flac``.
        out: Folder for the manifests.
        final: Train on the dev speakers too; dev then says nothing about new speakers.
        overwrite: Replace existing manifests instead of refusing.
        on_file: Called twice for each recording, for a progress bar.

    Raises:
        ManifestError: If the release is not there, its lists do not fit together, recordings are
            missing, or a manifest exists, or something cannot be written.
        AudioError: If a recording cannot be read.
    """
    from speechrnn.training.cuts import utterances_to_cuts, write_splits  # slow: imports lhotse

    release = read_release(find_release(source))
    everything = [utterance for split in release.values() for utterance in split]
    if fingerprint((u.audio for u in everything), on_file=on_file) != FINGERPRINT:
        logger.warning(
            "%s: the samples are not those of the official AN4 (a part of it, or a lossy copy?), "
            "so results are not comparable",
            source,
        )
    splits = {
        name: utterances_to_cuts(as_flac(utterances, out / "recordings", on_file))
        for name, utterances in hold_out(release, final=final).items()
    }
    return write_splits(splits, out, overwrite=overwrite)


def find_release(source: Path) -> Path:
    """Find the folder of the release: the one given, or ``an4`` in it.

    Raises:
        ManifestError: If there is none.
    """
    for folder in (source, source / "an4"):
        if (folder / "etc" / "an4_train.fileids").is_file():
            return folder
    raise ManifestError(
        f"{source}: is not AN4, which has etc/an4_train.fileids; give the folder of the unpacked "
        "release, or leave --source out to download it"
    )


def read_release(root: Path) -> dict[str, list[Utterance]]:
    """Read the official lists, ``train`` and ``test``.

    Raises:
        ManifestError: If a list cannot be read, the lists do not fit together, or recordings that
            they name are missing.
    """
    release = {split: list(read_list(root, split)) for split in ("train", "test")}
    missing = [u.id for split in release.values() for u in split if not u.audio.is_file()]
    if missing:
        named = ", ".join(missing[:MAX_NAMED]) + ", ..." * (len(missing) > MAX_NAMED)
        raise ManifestError(
            f"{root / 'wav'}: {len(missing):,} utterances of the official lists have no recording "
            f"({', '.join(SUFFIXES)}): {named}"
        )
    return release


def read_list(root: Path, split: str) -> Iterator[Utterance]:
    """Read one split's file names and transcripts.

    Raises:
        ManifestError: If they cannot be read, or name different utterances.
    """
    listing = root / "etc" / f"an4_{split}.fileids"
    texts = read_transcripts(root / "etc" / f"an4_{split}.transcription")
    for number, line in numbered_lines(listing):
        name = line.strip()
        utterance = name.rpartition("/")[2]
        place = f"{listing}:{number}"
        if utterance not in texts:
            raise ManifestError(f"{place}: {utterance!r} has no line in an4_{split}.transcription")
        yield Utterance(
            id=utterance,
            audio=find_audio(root / "wav" / name),
            text=texts.pop(utterance),
            speaker=Path(name).parent.name,
            place=place,
        )
    if texts:
        raise ManifestError(f"{listing}: lacks {', '.join(list(texts)[:MAX_NAMED])}")


def read_transcripts(path: Path) -> dict[str, str]:
    """Read lines such as ``<s> GO </s> (an253-fash-b)``; the test set's have no marks around.

    Raises:
        ManifestError: If a line is not of that form, or an utterance comes twice.
    """
    texts: dict[str, str] = {}
    for number, line in numbered_lines(path):
        match = TRANSCRIPT.fullmatch(line)
        if not match or match["id"] in texts:
            raise ManifestError(
                f"{path}:{number}: must be 'TEXT (utterance)', each utterance once, got {line.strip()!r}"
            )
        texts[match["id"]] = " ".join(match["text"].lower().split())
    return texts


def find_audio(stem: Path) -> Path:
    """Find a recording in whatever format it comes; the official one if there is none."""
    names = [stem.with_name(stem.name + suffix) for suffix in SUFFIXES]
    return next((name for name in names if name.is_file()), names[0])


def hold_out(release: dict[str, list[Utterance]], *, final: bool) -> dict[str, list[Utterance]]:
    """Copy the development speakers out of the training set; unless ``final``, take them out."""
    return {
        "train": [u for u in release["train"] if final or u.speaker not in DEV_SPEAKERS],
        "dev": [u for u in release["train"] if u.speaker in DEV_SPEAKERS],
        "test": release["test"],
    }


def as_flac(
    utterances: Sequence[Utterance], folder: Path, on_file: Callable[[], object]
) -> Iterator[Utterance]:
    """Rewrite SPHERE files as FLAC, sample by sample the same; others stay as they are.

    Raises:
        AudioError: If a recording cannot be read.
        ManifestError: If a FLAC file cannot be written.
    """
    for utterance in utterances:
        on_file()
        if utterance.audio.suffix != ".sph":
            yield utterance
            continue
        audio = folder / f"{utterance.id}.flac"
        samples, sample_rate = read_samples(utterance.audio)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            sf.write(audio, samples, sample_rate, subtype="PCM_16")
        except (OSError, sf.SoundFileError) as error:
            raise ManifestError(f"{audio}: cannot be written: {error}") from error
        yield replace(utterance, audio=audio)


def prepare(args: argparse.Namespace) -> "list[PreparedManifest]":
    """Prepare what the command line asks for."""
    source = args.source
    if source is None:
        with megabytes("downloading AN4") as on_progress:
            source = download_an4(args.out / "release", on_progress=on_progress)
    with Progress("preparing AN4", total=2 * NUM_UTTERANCES) as progress:
        return prepare_an4(
            source, args.out, final=args.final, overwrite=args.overwrite, on_file=progress.advance
        )


def main(argv: Sequence[str] | None = None) -> int:
    """Run the recipe's command line and return the exit status."""
    parser = recipe_parser(
        "Prepare AN4: official test set, 8 training speakers held out as dev.",
        out="exp/an4/data",
        default_source="the official release, which is downloaded",
    )
    parser.add_argument(
        "--final",
        action="store_true",
        help="train on the dev speakers too, once everything is chosen; dev then measures nothing",
    )
    return run_recipe(parser.parse_args(argv), prepare)


if __name__ == "__main__":
    sys.exit(main())
