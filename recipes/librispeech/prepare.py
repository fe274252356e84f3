"""LibriSpeech: read English, the five hours of Mini LibriSpeech or any official part, to manifests.

``train-clean-5`` alone is split by speaker: two are held out as ``dev``, four as ``test``. With ``--train``,
``--dev`` and ``--test`` any official parts are taken as they are.

Example:
    python recipes/librispeech/prepare.py                     # downloads train-clean-5, 332 MB
    python recipes/librispeech/prepare.py --source DIR        # has it already: .flac, .ogg or .wav
    python recipes/librispeech/prepare.py --source DIR --train train-clean-100 --dev dev-clean --test test-clean
"""

import argparse
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from speechrnn.cli.console import Progress
from speechrnn.cli.recipe import megabytes, recipe_parser, run_recipe
from speechrnn.errors import ManifestError
from speechrnn.manifest import Utterance, numbered_lines
from speechrnn.training.download import DownloadError, download_release, ignore_progress

if TYPE_CHECKING:
    from speechrnn.training.cuts import PreparedManifest

MINI = "train-clean-5"
MIRRORS = ("https://www.openslr.org/resources", "https://us.openslr.org/resources")
# Of OpenSLR's resource 31, whose publisher gives MD5 sums.
MINI_MD5 = {
    MINI: "5df7d4e78065366204ca6845bb08f490",
    "dev-clean-2": "6d7ab67ac6a1d2c993d050e16d61080d",
}
# Of resource 12.
SHA256 = {
    "dev-clean": "76f87d090650617fca0cac8f88b9416e0ebf80350acb97b343a85fa903728ab3",
    "dev-other": "12661c48e8c3fe1de2c1caa4c3e135193bfb1811584f11f569dd12645aa84365",
    "test-clean": "39fde525e59672dc6d1551919b1478f724438a95aa55f874b576be21967e6c23",
    "test-other": "d09c181bba5cf717b3dee7d4d592af11a3ee3a09e08ae025c5506f6ebe961c29",
    "train-clean-100": "d4ddd1d5a6ab303066f14971d768ee43278a5f2a0aa43dc716b0e64ecbbbf6e2",
    "train-clean-360": "146a56496217e96c14334a160df97fffedd6e0a04e66b9c5af0d40be3c792ecf",
    "train-other-500": "ddb22f27f96ec163645d53215559df6aa36515f26e01dd70798188350adcb6d2",
}

# Of train-clean-5, fixed before anything was trained: a woman and a man, two women and two men.
DEV_SPEAKERS = ("1970", "2136")
TEST_SPEAKERS = ("3242", "3526", "5789", "6848")

SUFFIXES = (".flac", ".ogg", ".wav")
MAX_NAMED = 10


def download_librispeech(
    target: Path, parts: Sequence[str], *, on_progress: Callable[[int, int | None], object] = ignore_progress
) -> Path:
    """Download and unpack official parts, unless they lie there already.

    Args:
        target: Folder for them.
        parts: Names such as ``train-clean-5``.
        on_progress: Called with the bytes that are there and those of the whole archive.

    Returns:
        The folder that holds the parts.

    Raises:
        DownloadError: If there is no such part, or it cannot be had or unpacked.
    """
    root = target / "LibriSpeech"
    for part in parts:
        md5, sha256 = MINI_MD5.get(part), SHA256.get(part)
        if md5 is None and sha256 is None:
            raise DownloadError(f"no part {part!r}; parts are {', '.join((*MINI_MD5, *SHA256))}")
        if not (root / part).is_dir():
            urls = [f"{mirror}/{31 if md5 else 12}/{part}.tar.gz" for mirror in MIRRORS]
            unpacked = target / f"{part}.partial"  # a part that is there is there as a whole
            archive = unpacked / f"{part}.tar.gz"
            download_release(urls, archive, sha256=sha256, md5=md5, on_progress=on_progress)
            root.mkdir(exist_ok=True)
            os.replace(unpacked / "LibriSpeech" / part, root / part)
    return root


def prepare_librispeech(
    source: Path,
    out: Path,
    *,
    train: str = MINI,
    dev: str | None = None,
    test: str | None = None,
    overwrite: bool = False,
    on_file: Callable[[], object] = bool,
) -> "list[PreparedManifest]":
    """Write ``train.jsonl.gz``, ``dev.jsonl.gz`` and ``test.jsonl.gz``; transcripts in lower case.

    Args:
        source: The unpacked release: a folder that holds the parts.
        out: Folder for the manifests.
        train: Part to train on.
        dev: Part for validation; together with ``test`` left out, ``train`` is split by speaker.
        test: Part to test on.
        overwrite: Replace existing manifests instead of refusing.
        on_file: Called for each utterance, for a progress bar.

    Raises:
        ManifestError: If a part is not there or damaged, or only one of ``dev`` and ``test`` is given, or a
            manifest exists, or something cannot be written.
        AudioError: If a recording cannot be read.
    """
    from speechrnn.training.cuts import utterances_to_cuts, write_splits  # slow: imports lhotse

    if (dev is None) != (test is None):
        raise ManifestError("--dev and --test go together; without both, --train is split by speaker")
    if dev is None or test is None:
        splits = hold_out(read_part(source, train, on_file))
    else:
        parts = {"train": train, "dev": dev, "test": test}
        splits = {split: read_part(source, part, on_file) for split, part in parts.items()}
    cuts = {split: utterances_to_cuts(utterances) for split, utterances in splits.items()}
    return write_splits(cuts, out, overwrite=overwrite)


def read_part(source: Path, part: str, on_file: Callable[[], object] = bool) -> list[Utterance]:
    """Read all utterances of a part, in the order of their names.

    Raises:
        ManifestError: If the part is not there, or recordings that it names are missing.
    """
    transcripts = sorted(find_part(source, part).glob("*/*/*.trans.txt"))
    utterances = []
    for transcript in transcripts:
        for utterance in read_transcripts(transcript):
            on_file()
            utterances.append(utterance)
    if not utterances:
        raise ManifestError(f"{source / part}: holds no transcript (SPEAKER/CHAPTER/*.trans.txt)")
    missing = [utterance.id for utterance in utterances if not utterance.audio.is_file()]
    if missing:
        named = ", ".join(missing[:MAX_NAMED]) + ", ..." * (len(missing) > MAX_NAMED)
        raise ManifestError(
            f"{source / part}: {len(missing):,} utterances have no recording ({', '.join(SUFFIXES)}): {named}"
        )
    return utterances


def find_part(source: Path, part: str) -> Path:
    """Find the folder of a part.

    Raises:
        ManifestError: If it is not there.
    """
    for folder in (source / part, source / "LibriSpeech" / part, source):
        if folder.is_dir() and folder.name == part:
            return folder
    raise ManifestError(
        f"{source}: has no folder {part}; give the folder of the unpacked release, or leave --source out "
        "to download it"
    )


def read_transcripts(path: Path) -> Iterator[Utterance]:
    """Read a chapter's lines, such as ``1088-134315-0000 AS YOU KNOW``.

    Raises:
        ManifestError: If a line is not of that form.
    """
    for number, line in numbered_lines(path):
        place = f"{path}:{number}"
        name, _, text = line.strip().partition(" ")
        if not text:
            raise ManifestError(f"{place}: must be 'UTTERANCE TEXT', got {line.strip()!r}")
        yield Utterance(
            id=name,
            audio=find_audio(path.parent / name),
            text=text.lower(),
            speaker=path.parent.parent.name,
            place=place,
        )


def find_audio(stem: Path) -> Path:
    """Find a recording in whatever format it comes; the official one if there is none."""
    names = [stem.with_name(stem.name + suffix) for suffix in SUFFIXES]
    return next((name for name in names if name.is_file()), names[0])


def hold_out(utterances: Sequence[Utterance]) -> dict[str, list[Utterance]]:
    """Split train-clean-5 by speaker."""
    held_out = dict.fromkeys(DEV_SPEAKERS, "dev") | dict.fromkeys(TEST_SPEAKERS, "test")
    splits: dict[str, list[Utterance]] = {"train": [], "dev": [], "test": []}
    for utterance in utterances:
        splits[held_out.get(utterance.speaker or "", "train")].append(utterance)
    return splits


def prepare(args: argparse.Namespace) -> "list[PreparedManifest]":
    """Prepare what the command line asks for."""
    parts = [part for part in (args.train, args.dev, args.test) if part]
    source = args.source
    if source is None:
        with megabytes("downloading LibriSpeech") as on_progress:
            source = download_librispeech(args.out / "release", parts, on_progress=on_progress)
    num_lines = sum(1 for part in parts for _ in find_part(source, part).glob("*/*/*-*.*"))
    with Progress("preparing LibriSpeech", total=num_lines) as progress:
        return prepare_librispeech(
            source,
            args.out,
            train=args.train,
            dev=args.dev,
            test=args.test,
            overwrite=args.overwrite,
            on_file=progress.advance,
        )


def main(argv: Sequence[str] | None = None) -> int:
    """Run the recipe's command line and return the exit status."""
    parser = recipe_parser(
        "Prepare LibriSpeech: five hours split by speaker, or official parts.",
        out="exp/librispeech/data",
        default_source="the official release, which is downloaded",
    )
    parser.add_argument("--train", metavar="PART", default=MINI, help=f"part to train on; default: {MINI}")
    parser.add_argument("--dev", metavar="PART", help="part for validation, such as dev-clean")
    parser.add_argument("--test", metavar="PART", help="part to test on, such as test-clean")
    return run_recipe(parser.parse_args(argv), prepare)


if __name__ == "__main__":
    sys.exit(main())
