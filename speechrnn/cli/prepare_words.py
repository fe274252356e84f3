"""``speechrnn prepare words``: words cut out of transcribed speech."""

import argparse

from speechrnn.cli.console import say
from speechrnn.cli.cut_manifest import add_cut_arguments, write_pieces
from speechrnn.cli.model_options import number, open_transcriber
from speechrnn.cutting.word_clips import cut_words, that_say
from speechrnn.decoding import DecodingOptions
from speechrnn.manifest import read_manifest

WITHOUT_LM = DecodingOptions(alpha=0.0)  # the text is known
EPILOG = """\
Clips to train a keyword model on, of people who never recorded any: the text is known, and a CTC model of characters
or of phones tells where in the audio each word is.

examples:
  speechrnn prepare words data/train.jsonl.gz words/train.jsonl.gz --words "zero, one, two" -m phones-en
  speechrnn prepare words data/train.jsonl.gz words/train.jsonl.gz --words "go, stop" --clip-seconds 1
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add source, target, model and words."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = EPILOG
    add_cut_arguments(parser)
    parser.add_argument(
        "--words", required=True, metavar="WORDS", help="which ones, with commas between; they are the labels"
    )
    parser.add_argument(
        "--clip-seconds",
        type=number(least=0.1),
        metavar="S",
        help="clips of that length, the word in the middle and around it what is said there; default: the word alone",
    )


def run(args: argparse.Namespace) -> int:
    """Cut, write and sum up; status 1 if utterances had to be left out, each named."""
    words = [word.strip() for word in args.words.split(",")]
    if not all(words) or any(len(word.split()) > 1 for word in words):
        say(
            f"speechrnn prepare words: error: --words must be single words, commas between; got {args.words!r}"
        )
        return 2
    utterances = that_say(words, read_manifest(args.source))
    pieces = cut_words(utterances, open_transcriber(args, WITHOUT_LM), words, clip_s=args.clip_seconds)
    return write_pieces(pieces, args, total=len(utterances))
