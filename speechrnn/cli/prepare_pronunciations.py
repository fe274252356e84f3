"""``speechrnn prepare pronunciations``: how the words of a text are said that no dictionary has."""

import argparse
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from speechrnn.cli.console import Progress, put
from speechrnn.cli.model_options import add_pronunciations_option, positive_count
from speechrnn.errors import TextError
from speechrnn.lm.sentences import read_sentences
from speechrnn.new_file import new_file
from speechrnn.pronunciations import Pronunciations

EPILOG = """\
espeak-ng (apt-get install espeak-ng) says the words. Of those that CMUdict has, it says 73 of 100 as it does, with 6 of
100 phones otherwise. What is written is a dictionary in the layout of CMUdict, to be read over and mended where it
matters, and given behind one that people made.

examples:
  speechrnn prepare pronunciations names.txt names.dict
  speechrnn prepare pronunciations books.txt.gz books.dict --least 3 --pronunciations cmudict.dict
  speechrnn export read-en mine.onnx --pronunciations cmudict.dict --pronunciations names.dict
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add texts, target and what is known."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = EPILOG
    parser.add_argument("texts", metavar="TEXT", help="text file (also .gz, - for stdin), or a manifest")
    parser.add_argument("out", metavar="OUT", type=Path, help="dictionary to write")
    add_pronunciations_option(parser, "dictionary whose words, and what it can make of them, are left out")
    parser.add_argument(
        "--least",
        type=positive_count,
        default=1,
        metavar="N",
        help="leave out words that come less often; default: 1",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace OUT if it exists")


def run(args: argparse.Namespace) -> int:
    """Say, write and sum up.

    Raises:
        ConfigError: If a dictionary cannot be read.
        SynthesisError: If espeak-ng is not installed, or fails.
        TextError: If the text cannot be read, has no word that is looked for, or OUT exists.
    """
    from speechrnn.training.espeak_phones import say_words

    with new_file(args.out, overwrite=args.overwrite, error=TextError) as partial:
        wanted = unknown_words(args.texts, args.pronunciations, least=args.least)
        with Progress("saying words", total=len(wanted)) as progress:
            said = [f"{word}  {phones}\n" for word, phones in say_words(wanted, on_word=progress.advance)]
        partial.write_text("".join(said), encoding="utf-8")
    passed_over = f", {len(wanted) - len(said):,} passed over" if len(said) < len(wanted) else ""
    put(f"{args.out}: {len(said):,} words{passed_over}")
    return 0


def unknown_words(texts: str, dictionaries: Sequence[Path], *, least: int) -> list[str]:
    """List the words of a text that come often enough and that dictionaries lack, sorted; errors as ``run``."""
    known = Pronunciations.read(dictionaries) if dictionaries else Pronunciations({})
    sentences: Iterable[Sequence[str]] = read_sentences(
        texts, normalization=("lowercase", "strip_punctuation")
    )
    counts = Counter(word for sentence in sentences for word in sentence)
    words = sorted(word for word, count in counts.items() if count >= least and not known.of(word))
    if not words:
        raise TextError(f"{texts}: no word comes {least} times and is not in the dictionaries")
    return words
