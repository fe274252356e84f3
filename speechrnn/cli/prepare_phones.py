"""``speechrnn prepare phones``: transcripts in phones instead of words."""

import argparse
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from speechrnn.cli.console import Progress, put, say
from speechrnn.errors import TextError
from speechrnn.manifest import Utterance, read_manifest
from speechrnn.pronunciations import Pronunciations

EPILOG = """\
A model of phones needs less speech than one of letters, and finds typed keywords that it never heard: their spelling
does not matter, only how they are said. Dictionaries are in the layout of CMUdict, a word a line and its phones behind
it; stress is left out, and the first way to say a word is taken. A word that no dictionary has is taken apart into one
that is there and an English ending, or into two words.

examples:
  speechrnn prepare phones data/dev.jsonl.gz phones/dev.jsonl.gz --pronunciations cmudict.dict
  speechrnn prepare phones data/train.jsonl.gz phones/train.jsonl.gz --pronunciations cmudict.dict --skip-unknown
"""
MOST_NAMED = 20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add source, target and dictionaries."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = EPILOG
    parser.add_argument("source", metavar="SRC", help="a manifest, or whatever `speechrnn prepare` reads")
    parser.add_argument("out", metavar="OUT", help="manifest to write, .jsonl.gz")
    parser.add_argument(
        "--pronunciations",
        action="append",
        required=True,
        type=Path,
        metavar="FILE",
        help="dictionary; may be given several times: the first that has a word counts",
    )
    parser.add_argument(
        "--skip-unknown",
        action="store_true",
        help="leave out utterances with words that no dictionary has; without it, that is an error",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace an existing manifest")


def run(args: argparse.Namespace) -> int:
    """Translate, write and sum up.

    Raises:
        TextError: If there are unknown words, and utterances must not be left out.
    """
    pronunciations = Pronunciations.read(args.pronunciations)
    utterances = read_manifest(args.source)
    unknown = count_unknown(utterances, pronunciations)
    if unknown and not args.skip_unknown:
        raise TextError(
            f"{args.source}: the dictionary has no {name_most(unknown)}. Add them, as a second --pronunciations, or "
            "leave utterances with them out: --skip-unknown"
        )
    from speechrnn.training.prepare import prepare_utterances  # lhotse takes seconds to import

    with Progress("writing", total=len(utterances)) as progress:

        def translated() -> Iterator[Utterance]:
            for utterance in utterances:
                progress.advance()
                if not any(word in unknown for word in utterance.text.split()):
                    yield replace(utterance, text=pronunciations.of_phrase(utterance.text)[0])

        prepared = prepare_utterances(translated(), args.out, overwrite=args.overwrite)
    put(str(prepared))
    if unknown:
        left_out = sum(any(word in unknown for word in each.text.split()) for each in utterances)
        say(f"left out {left_out} utterances with {name_most(unknown)}")
    return 0


def count_unknown(utterances: Sequence[Utterance], pronunciations: Pronunciations) -> Counter[str]:
    """Count the words that no dictionary has."""
    words = Counter(word for utterance in utterances for word in utterance.text.split())
    return Counter({word: count for word, count in words.items() if not pronunciations.of(word)})


def name_most(words: Counter[str]) -> str:
    """Name the most frequent of words."""
    named = ", ".join(f"{word!r} ({count}×)" for word, count in words.most_common(MOST_NAMED))
    return named + (f" and {len(words) - MOST_NAMED} more words" if len(words) > MOST_NAMED else "")
