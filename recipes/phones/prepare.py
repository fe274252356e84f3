"""English phones: the manifests of other recipes, their words said as CMUdict says them.

It trains on LibriSpeech, AN4 and Speech Commands, whose recipes are prepared before; dev and test are LibriSpeech's.
Utterances with words that the dictionary lacks are left out.

Example:
    python recipes/phones/prepare.py                  # downloads CMUdict, 4 MB
    python recipes/phones/prepare.py --source DIR     # has cmudict.dict already
"""

import argparse
import itertools
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from speechrnn.cli.console import say
from speechrnn.cli.recipe import add_more_option, megabytes, recipe_parser, run_recipe
from speechrnn.errors import ManifestError
from speechrnn.manifest import Utterance, read_manifest
from speechrnn.pronunciations import Pronunciations
from speechrnn.training.download import download, ignore_progress
from speechrnn.training.phone_texts import name_unknown, to_phones

if TYPE_CHECKING:
    from speechrnn.training.cuts import PreparedManifest

DICTIONARY = "cmudict.dict"
COMMIT = "0f8072f814306c5ee4fbf992ed853601b12c01f9"
URLS = (
    f"https://raw.githubusercontent.com/cmusphinx/cmudict/{COMMIT}/{DICTIONARY}",
    f"https://cdn.jsdelivr.net/gh/cmusphinx/cmudict@{COMMIT}/{DICTIONARY}",
)
SHA256 = "81917843c7f44ce2b094ac63873c2c7a4cf802040792c455ba3ca406891c3d22"
LETTERS = {"a": ("EY",)}  # AN4's people spell; a word that is one letter is its name


def download_dictionary(
    target: Path, *, on_progress: Callable[[int, int | None], object] = ignore_progress
) -> Path:
    """Download CMUdict, unless it lies there already, and return the folder that holds it.

    Raises:
        DownloadError: If it cannot be had.
    """
    download(URLS, target / DICTIONARY, sha256=SHA256, on_progress=on_progress)
    return target


def prepare_phones(
    dictionary: Path,
    out: Path,
    *,
    librispeech: Path,
    an4: Path,
    speech_commands: Path,
    segments: Path | None = None,
    more: Sequence[Path] = (),
    overwrite: bool = False,
) -> "list[PreparedManifest]":
    """Write ``train.jsonl.gz``, ``dev.jsonl.gz`` and ``test.jsonl.gz``; transcripts are phones.

    Args:
        dictionary: CMUdict, or another in its layout.
        out: Folder for the manifests.
        librispeech: Folder of that recipe's manifests.
        an4: Folder of that recipe's manifests.
        speech_commands: Folder of that recipe's manifests, prepared with ``--classes 35``.
        segments: LibriSpeech's training utterances cut at their pauses; the whole utterances when not given.
        more: Manifests of further speech to train on, synthetic for example.
        overwrite: Replace existing manifests instead of refusing.

    Raises:
        ConfigError: If the dictionary cannot be read.
        ManifestError: If a manifest is missing, none of its utterances can be said, or a manifest exists already.
    """
    from speechrnn.training.cuts import utterances_to_cuts, write_splits  # slow: imports lhotse

    said = Pronunciations.read([dictionary])
    spelled = Pronunciations({**said.ways, **LETTERS})
    sources = {
        "train": [
            (segments or librispeech / "train.jsonl.gz", said),
            (an4 / "train.jsonl.gz", spelled),
            (speech_commands / "train.jsonl.gz", said),
            *((manifest, said) for manifest in more),
        ],
        "dev": [(librispeech / "dev.jsonl.gz", said)],
        "test": [(librispeech / "test.jsonl.gz", said)],
    }
    spoken = {
        split: itertools.chain.from_iterable([say_manifest(path, words) for path, words in manifests])
        for split, manifests in sources.items()
    }
    cuts = {split: utterances_to_cuts(utterances) for split, utterances in spoken.items()}
    return write_splits(cuts, out, overwrite=overwrite)


def say_manifest(path: Path, pronunciations: Pronunciations) -> list[Utterance]:
    """Bring a manifest's utterances to phones, and say what had to be left out; errors as ``prepare_phones``."""
    if not path.is_file():
        raise ManifestError(
            f"{path}: no such manifest; prepare that recipe first, as recipes/phones/README.md has it"
        )
    utterances = read_manifest(path)
    spoken, unknown = to_phones(utterances, pronunciations)
    if not spoken:
        raise ManifestError(
            f"{path}: has words that the dictionary lacks in every utterance: {name_unknown(unknown)}"
        )
    if unknown:
        say(
            f"{path}: left out {len(utterances) - len(spoken)} of {len(utterances)}, with {name_unknown(unknown)}"
        )
    return spoken


def prepare(args: argparse.Namespace) -> "list[PreparedManifest]":
    """Prepare what the command line asks for."""
    source = args.source
    if source is None:
        with megabytes("downloading CMUdict") as on_progress:
            source = download_dictionary(args.out / "release", on_progress=on_progress)
    return prepare_phones(
        source / DICTIONARY,
        args.out,
        librispeech=args.librispeech,
        an4=args.an4,
        speech_commands=args.speech_commands,
        segments=args.segments,
        more=args.more,
        overwrite=args.overwrite,
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run the recipe's command line and return the exit status."""
    parser = recipe_parser(
        "Prepare English phones, from the manifests of other recipes and CMUdict.",
        out="exp/phones/data",
        default_source="the dictionary's release, which is downloaded",
    )
    for corpus, folder in (
        ("librispeech", "exp/librispeech/data"),
        ("an4", "exp/an4/data"),
        ("speech-commands", "exp/speech_commands_35/data"),
    ):
        parser.add_argument(
            f"--{corpus}",
            type=Path,
            default=folder,
            metavar="DIR",
            help=f"manifests of that recipe; default: {folder}",
        )
    parser.add_argument(
        "--segments",
        type=Path,
        metavar="MANIFEST",
        help="LibriSpeech's training utterances, cut by `speechrnn prepare segments`; default: whole",
    )
    add_more_option(parser, "further speech, of `speechrnn prepare synthetic` for example")
    return run_recipe(parser.parse_args(argv), prepare)


if __name__ == "__main__":
    sys.exit(main())
