"""A wake word that nobody has recorded: synthetic speech of it and of what could be taken for it.

Positives and confusable negatives come from the speech synthesisers of this machine, in the same voices, so that
a voice is no sign of the word. Running speech and noise are real.

Example:
    python recipes/wake_word/prepare.py --phrase "view glass" --speech exp/librispeech/data --noise exp/noise
    python recipes/wake_word/prepare.py --phrase alexa ... --recordings DIR    # real ones, to test on
    python recipes/wake_word/prepare.py --phrase alexa ... --recordings DIR --num-real 50    # and to train on
"""

import argparse
import hashlib
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from speechrnn.cli.console import Progress, messages_on_stderr, put, say
from speechrnn.cli.main import INTERRUPTED, OK, fail
from speechrnn.cli.model_options import count, positive_count
from speechrnn.errors import ManifestError, SpeechRNNError
from speechrnn.manifest import Utterance, read_manifest
from speechrnn.training.stretches import consecutive_stretches, middle_stretch

if TYPE_CHECKING:
    from speechrnn.training.cuts import PreparedManifest

OTHER = "_other_"
SUFFIXES = (".wav", ".flac", ".ogg", ".opus", ".mp3")
CLIP_S = 1.0
DEV_EVERY = 10  # synthetic clips: the first of ten
REAL_REPEATS = 10  # of a real positive among hundreds of synthetic ones


def prepare_wake_word(
    phrases: Sequence[str],
    out: Path,
    *,
    speech: Path,
    noise: Path,
    recordings: Path | None = None,
    num_real: int = 0,
    num_clips: int = 1200,
    seed: int = 1,
    overwrite: bool = False,
    on_clip: Callable[[], object] = bool,
) -> "list[PreparedManifest]":
    """Write ``train.jsonl.gz``, ``dev.jsonl.gz`` and ``test.jsonl.gz``, labels the phrases and ``_other_``.

    Dev has synthetic clips that were not trained on, and speech of the dev manifest. Test has the real recordings,
    and speech and noise of the test manifests; without recordings it is dev.

    Args:
        phrases: The wake words.
        out: Folder for the manifests and the synthetic clips.
        speech: Folder with ``train``, ``dev`` and ``test.jsonl.gz`` of running speech, as a recipe makes them.
        noise: Folder with ``train`` and ``test.jsonl.gz`` of noise.
        recordings: Folder of real recordings, in folders named after the phrases, such as ``view_glass``.
        num_real: How many of each phrase to train on, by a hash of their names; the others are the test set.
        num_clips: Synthetic clips of each phrase, and as many of phrases that it could be taken for.
        seed: Of voices and phrases.
        overwrite: Replace existing manifests instead of refusing.
        on_clip: Called for each synthetic clip, for a progress bar.

    Raises:
        ManifestError: If a phrase is not one or is given twice, a manifest or recordings are missing or too few,
            or something exists or cannot be written.
        SynthesisError: If no synthesiser is installed, or one fails.
        AudioError: If a recording cannot be read.
    """
    from speechrnn.training.cuts import utterances_to_cuts, write_splits  # slow: imports lhotse

    phrases = check_phrases(phrases)
    if num_real and recordings is None:
        raise ManifestError(f"--num-real {num_real} needs --recordings, of which so many are trained on")
    made: list[Utterance] = []
    real: dict[str, list[Utterance]] = {"train": [], "test": []}
    words = {word for u in read_split(speech, "train") for word in u.text.lower().split()}
    for phrase in phrases:
        folder = out / "synthetic" / phrase.replace(" ", "_")
        made += make_clips(phrase, words, folder, number=num_clips, seed=seed, on_clip=on_clip)
        if recordings is not None:
            found = read_recordings(recordings / phrase.replace(" ", "_"), phrase, more_than=num_real)
            real["train"] += repeated(found[:num_real], REAL_REPEATS)
            real["test"] += found[num_real:]
    dev = [*made[::DEV_EVERY], *middles(without(phrases, read_split(speech, "dev")))]
    trained = [clip for index, clip in enumerate(made) if index % DEV_EVERY]
    background = {
        split: without(phrases, read_split(speech, split) + read_split(noise, split)) for split in real
    }
    splits = {
        "train": [*trained, *real["train"], *seconds(background["train"])],
        "dev": dev,
        "test": [*real["test"], *middles(background["test"])] if real["test"] else dev,
    }
    cuts = {name: utterances_to_cuts(split) for name, split in splits.items()}
    return write_splits(cuts, out, overwrite=overwrite)


def make_clips(
    phrase: str, words: set[str], folder: Path, *, number: int, seed: int, on_clip: Callable[[], object]
) -> list[Utterance]:
    """Say a phrase, and as often phrases that it could be taken for; errors as ``prepare_wake_word``."""
    from speechrnn.training.confusable import confusable_phrases
    from speechrnn.training.synthetic_speech import synthesize

    texts = [phrase] * number + confusable_phrases(phrase, words, number=number, seed=seed)
    return [
        Utterance(
            id=f"synthetic-{folder.name}-{path.stem}",
            audio=path,
            text=phrase if text == phrase else OTHER,
            speaker=voice.name,
        )
        for path, text, voice in synthesize(texts, folder, seed=seed, on_clip=on_clip)
    ]


def check_phrase(phrase: str) -> str:
    """Bring a phrase to lower case and single spaces.

    Raises:
        ManifestError: If it is empty, or has signs that nobody says.
    """
    words = phrase.lower().split()
    if not words or not all(word.replace("'", "").isalpha() for word in words):
        raise ManifestError(f"--phrase must be a word or a few, of letters, got {phrase!r}")
    return " ".join(words)


def check_phrases(phrases: Sequence[str]) -> list[str]:
    """Bring phrases to what ``check_phrase`` makes of them; raises as it does, and if two are the same."""
    checked = [check_phrase(phrase) for phrase in phrases]
    for phrase in checked:
        if checked.count(phrase) > 1:
            raise ManifestError(f"--phrase {phrase!r} is given {checked.count(phrase)} times")
    return checked


def read_split(folder: Path, split: str) -> list[Utterance]:
    """Read a split's manifest; raises ``ManifestError`` if it cannot be read."""
    return read_manifest(folder / f"{split}.jsonl.gz")


def without(phrases: Sequence[str], utterances: Iterable[Utterance]) -> list[Utterance]:
    """Choose the utterances in which no phrase is said."""
    return [u for u in utterances if not any(phrase in u.text.lower() for phrase in phrases)]


def middles(utterances: Iterable[Utterance]) -> Iterator[Utterance]:
    """Take a second from the middle of each utterance: to test on as many as there are utterances."""
    return (middle_stretch(utterance, CLIP_S, OTHER) for utterance in utterances)


def seconds(utterances: Iterable[Utterance]) -> Iterator[Utterance]:
    """Take every second of each utterance: what is to be told from the phrases in a stream, as much as there is."""
    for utterance in utterances:
        yield from consecutive_stretches(utterance, CLIP_S, OTHER)


def read_recordings(folder: Path, phrase: str, *, more_than: int) -> list[Utterance]:
    """Find recordings of a phrase, in the order of a hash of their names.

    Raises:
        ManifestError: If there are not more than ``more_than``.
    """
    found = [path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES] if folder.is_dir() else []
    if len(found) <= more_than:
        raise ManifestError(
            f"{folder}: must hold more than {more_than} recordings ({', '.join(SUFFIXES)}), got {len(found)}"
        )
    names = {f"{folder.name}/{path.relative_to(folder).as_posix()}": path for path in found}
    ordered = sorted(names, key=lambda name: hashlib.sha256(name.encode()).digest())
    return [Utterance(id=f"real-{name}", audio=names[name], text=phrase) for name in ordered]


def repeated(utterances: Sequence[Utterance], times: int) -> list[Utterance]:
    """List utterances several times, so that few weigh as much as many."""
    return [replace(u, id=f"{u.id}-{turn}") for turn in range(times) for u in utterances]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the recipe's command line and return the exit status."""
    parser = argparse.ArgumentParser(
        description="Prepare a wake word from synthetic speech.", allow_abbrev=False
    )
    parser.add_argument(
        "--phrase", required=True, action="append", help="the wake word; may be given several times"
    )
    parser.add_argument(
        "--speech", metavar="DIR", type=Path, required=True, help="prepared manifests of speech"
    )
    parser.add_argument(
        "--noise", metavar="DIR", type=Path, required=True, help="prepared manifests of noise"
    )
    parser.add_argument(
        "--recordings", metavar="DIR", type=Path, help="real recordings of the phrase, to test on"
    )
    parser.add_argument(
        "--num-real",
        metavar="N",
        type=count,
        default=0,
        help="how many of each to train on, the rest tests; default: 0",
    )
    parser.add_argument(
        "--num-clips",
        metavar="N",
        type=positive_count,
        default=1200,
        help="synthetic clips of the phrase; default: 1200",
    )
    parser.add_argument("--seed", metavar="N", type=int, default=1, help="of voices and phrases; default: 1")
    parser.add_argument(
        "--out",
        metavar="OUT",
        type=Path,
        default=Path("exp/wake_word/data"),
        help="default: exp/wake_word/data",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace existing manifests")
    args = parser.parse_args(argv)
    options = {name: value for name, value in vars(args).items() if name not in ("phrase", "out")}
    with messages_on_stderr():
        try:
            with Progress("making synthetic speech", total=2 * args.num_clips * len(args.phrase)) as progress:
                made = prepare_wake_word(args.phrase, args.out, **options, on_clip=progress.advance)
            for manifest in made:
                put(str(manifest))
            return OK
        except SpeechRNNError as error:
            return fail(str(error))
        except KeyboardInterrupt:
            say("speechrnn: interrupted")
            return INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
