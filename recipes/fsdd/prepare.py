"""Free Spoken Digit Dataset: the clips in ``data/`` or the official release to manifests.

The test set is the official one, the takes 0-4 of each digit by each of the six speakers; ``dev``
are the takes 5-9. With ``--fold SPEAKER`` the test set is all that this speaker says, and training
and ``dev`` hear only the other five.

Example:
    python recipes/fsdd/prepare.py               # the clips in data/, official split
    python recipes/fsdd/prepare.py --fold theo   # to exp/fsdd/fold_theo/data
"""

import argparse
import logging
import re
import sys
import tarfile
from collections.abc import Callable, Sequence
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

from speechrnn.cli.console import Progress
from speechrnn.cli.recipe import add_more_option, megabytes, recipe_parser, run_recipe
from speechrnn.errors import ManifestError, SpeechRNNError
from speechrnn.manifest import Utterance
from speechrnn.training.download import fetch_release, ignore_progress
from speechrnn.training.fingerprint import fingerprint
from speechrnn.training.more_clips import read_more_clips

if TYPE_CHECKING:
    from speechrnn.training.cuts import PreparedManifest

logger = logging.getLogger("speechrnn")

RELEASE = "free-spoken-digit-dataset-1.0.10"
URLS = ("https://github.com/Jakobovski/free-spoken-digit-dataset/archive/refs/tags/v1.0.10.zip",)
# GitHub makes the archive when asked: `TZ=America/Los_Angeles git archive --format=zip` of the tag
# gives these bytes with git 2.39. Should another git make others, data/ and --source are left.
SHA256 = "c680098f5d2355ba7cc4bd8b0ca9e0a24c00ebe3b4c552208889a4d28d4fbc2b"
NUM_BYTES = 16_419_872
FINGERPRINT = "45651b0e63a8525ec0f6c44ab8d5bb72072fcbd5c32c1c4062626073ffd03c9b"

PACKED = Path(__file__).parents[2] / "data" / "fsdd" / "shar"
DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
SPEAKERS = ("george", "jackson", "lucas", "nicolas", "theo", "yweweler")
INDICES = range(50)
TEST_INDICES = range(5)
DEV_INDICES = range(5, 10)

SUFFIXES = (".wav", ".flac")
CLIP = re.compile(r"[0-9]_[a-z]+_[0-9]+\.flac")
MAX_NAMED = 10


def download_fsdd(
    target: Path, *, on_progress: Callable[[int, int | None], object] = ignore_progress
) -> Path:
    """Download and unpack the official release 1.0.10, unless it lies there already.

    Args:
        target: Folder for it.
        on_progress: Called with the bytes that are there and those of the whole archive.

    Returns:
        The folder of the release.

    Raises:
        DownloadError: If the release cannot be had, or its samples are not those of the dataset.
    """
    return fetch_release(
        target / RELEASE,
        is_official,
        URLS,
        target / f"{RELEASE}.zip",
        otherwise="what was downloaded is not FSDD, sample by sample; try again",
        sha256=SHA256,
        num_bytes=NUM_BYTES,
        on_progress=on_progress,
    )


def is_official(root: Path) -> bool:
    """Tell whether a folder holds the whole release, and its samples are the right ones."""
    try:
        return fingerprint(clip.audio for clip in read_clips(root)) == FINGERPRINT
    except SpeechRNNError:
        return False


def prepare_fsdd(
    source: Path,
    out: Path,
    *,
    fold: str | None = None,
    more: Sequence[Path] = (),
    overwrite: bool = False,
    on_file: Callable[[], object] = bool,
) -> "list[PreparedManifest]":
    """Write ``train.jsonl.gz``, ``dev.jsonl.gz`` and ``test.jsonl.gz``.

    Args:
        source: The unpacked release, whose clips stay where they are; or packed clips, the folder
            ``data/fsdd/shar``, which are unpacked in ``OUT/recordings``.
        out: Folder for the manifests.
        fold: Speaker to leave out: all his clips are the test set, the takes 5-9 of the others are
            ``dev`` and the rest of theirs is ``train``. The official split when not given.
        more: Manifests of other clips; those whose text is a digit are trained on, too.
        overwrite: Replace existing manifests instead of refusing.
        on_file: Called once or twice for each clip, for a progress bar.

    Raises:
        ManifestError: If there is no such speaker, clips are missing, packed clips are damaged, another manifest
            cannot be read or holds no digit, or a manifest exists, or something cannot be written.
        AudioError: If a clip cannot be read.
    """
    from speechrnn.training.cuts import utterances_to_cuts, write_splits  # slow: imports lhotse

    if fold is not None and fold not in SPEAKERS:
        raise ManifestError(f"--fold must be one of {', '.join(SPEAKERS)}, got {fold!r}")
    shards = sorted(source.glob("recording.*.tar"))
    clips = read_clips(unpack_clips(shards, out / "recordings", on_file) if shards else source)
    if fingerprint((clip.audio for clip in clips), on_file=on_file) != FINGERPRINT:
        if shards:
            raise ManifestError(f"{source}: the packed clips are damaged; restore the files")
        logger.warning(
            "%s: the samples are not those of the official release (a lossy copy?), so results are "
            "not comparable",
            source,
        )
    splits: dict[str, list[Utterance]] = {"train": [], "dev": [], "test": []}
    for clip in clips:
        splits[split_of(clip, fold)].append(clip)
    for manifest in more:
        splits["train"] += read_more_clips(manifest, DIGITS)
    cuts = {name: utterances_to_cuts(chosen) for name, chosen in splits.items()}
    return write_splits(cuts, out, overwrite=overwrite)


def split_of(clip: Utterance, fold: str | None) -> str:
    """Tell which split a clip belongs to."""
    index = int(clip.id.rpartition("_")[2])
    if clip.speaker == fold or (fold is None and index in TEST_INDICES):
        return "test"
    return "dev" if index in DEV_INDICES else "train"


def read_clips(source: Path) -> list[Utterance]:
    """Find all 3,000 clips in a folder, or in ``recordings`` or the release in it.

    Raises:
        ManifestError: If there are none or some are missing.
    """
    folders = (source / "recordings", source / RELEASE / "recordings", source)
    folder = next((folder for folder in folders if folder.is_dir()), source)
    clips = [
        Utterance(
            id=name,
            audio=next(filter(Path.is_file, candidates), candidates[0]),
            text=DIGITS[digit],
            speaker=speaker,
            place=str(folder),
        )
        for speaker, digit, index in product(SPEAKERS, range(len(DIGITS)), INDICES)
        for name in [f"{digit}_{speaker}_{index}"]
        for candidates in [[folder / f"{name}{suffix}" for suffix in SUFFIXES]]
    ]
    missing = [clip.audio.name for clip in clips if not clip.audio.is_file()]
    if missing:
        named = ", ".join(missing[:MAX_NAMED]) + ", ..." * (len(missing) > MAX_NAMED)
        raise ManifestError(f"{folder}: lacks {len(missing):,} of {len(clips):,} clips: {named}")
    return clips


def unpack_clips(shards: Sequence[Path], folder: Path, on_file: Callable[[], object]) -> Path:
    """Unpack the clips of Lhotse Shar tars, and nothing else in them, into a folder; returns it.

    Raises:
        ManifestError: If a tar cannot be read or a clip cannot be written.
    """
    for shard in shards:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tarfile.open(shard) as archive:
                for member in archive:
                    content = archive.extractfile(member)
                    if content is not None and CLIP.fullmatch(member.name):
                        write_if_new(folder / member.name, content.read())
                        on_file()
        except (tarfile.TarError, OSError) as error:
            raise ManifestError(f"{shard}: cannot be unpacked in {folder}: {error}") from error
    return folder


def write_if_new(path: Path, content: bytes) -> None:
    """Write a file, but leave one alone that is there already: a training may be reading it."""
    if not path.is_file() or path.read_bytes() != content:
        path.write_bytes(content)


def prepare(args: argparse.Namespace) -> "list[PreparedManifest]":
    """Prepare what the command line asks for."""
    source = args.source or PACKED
    if args.download:
        with megabytes("downloading FSDD") as on_progress:
            source = download_fsdd(args.out / "release", on_progress=on_progress)
    num_clips = len(SPEAKERS) * len(DIGITS) * len(INDICES)
    with Progress("preparing FSDD", total=num_clips * (1 + (source == PACKED))) as progress:
        return prepare_fsdd(
            source,
            args.out,
            fold=args.fold,
            more=args.more,
            overwrite=args.overwrite,
            on_file=progress.advance,
        )


def main(argv: Sequence[str] | None = None) -> int:
    """Run the recipe's command line and return the exit status."""
    parser = recipe_parser(
        "Prepare the Free Spoken Digit Dataset: official test set, or one speaker left out.",
        out="exp/fsdd/data",
        default_source="the clips that come with speechrnn, data/fsdd",
    )
    parser.add_argument(
        "--fold",
        metavar="SPEAKER",
        help=f"test on one speaker, train on the others: {', '.join(SPEAKERS)}; "
        "OUT is then exp/fsdd/fold_SPEAKER/data unless given",
    )
    add_more_option(parser, "clips of digits from elsewhere")
    args = parser.parse_args(argv)
    if args.fold and args.out == parser.get_default("out"):
        args.out = args.out.parent / f"fold_{args.fold}" / args.out.name
    return run_recipe(args, prepare)


if __name__ == "__main__":
    sys.exit(main())
