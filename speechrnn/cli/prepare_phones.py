"""``speechrnn prepare phones``: transcripts in phones instead of words."""

import argparse
from collections.abc import Iterator, Sequence

from speechrnn.cli.console import Progress, put, say
from speechrnn.cli.model_options import add_pronunciations_option
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


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add source, target and dictionaries."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = EPILOG
    parser.add_argument("source", metavar="SRC", help="a manifest, or whatever `speechrnn prepare` reads")
    parser.add_argument("out", metavar="OUT", help="manifest to write, .jsonl.gz")
    add_pronunciations_option(parser, "dictionary", required=True)
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
    from speechrnn.training.phone_texts import name_unknown, to_phones
    from speechrnn.training.prepare import prepare_utterances  # lhotse takes seconds to import

    utterances = read_manifest(args.source)
    spoken, unknown = to_phones(utterances, Pronunciations.read(args.pronunciations))
    if unknown and not args.skip_unknown:
        raise TextError(
            f"{args.source}: the dictionary has no {name_unknown(unknown)}. Add them, as one more --pronunciations, or "
            "leave utterances with them out: --skip-unknown"
        )
    with Progress("writing", total=len(spoken)) as progress:
        prepared = prepare_utterances(advancing(spoken, progress), args.out, overwrite=args.overwrite)
    put(str(prepared))
    if unknown:
        say(f"left out {len(utterances) - len(spoken)} utterances with {name_unknown(unknown)}")
    return 0


def advancing(utterances: Sequence[Utterance], progress: Progress) -> Iterator[Utterance]:
    """Pass utterances on, and the bar with them."""
    for utterance in utterances:
        progress.advance()
        yield utterance
