"""``speechrnn lm build``: from text to a language model."""

import argparse
from collections.abc import Iterable, Iterator
from pathlib import Path

from speechrnn.cli.console import UsageError, put, stages
from speechrnn.cli.lm_text import add_text_arguments, read_texts
from speechrnn.cli.model_options import add_pronunciations_option
from speechrnn.errors import TextError
from speechrnn.lm import estimate_model, write_lm
from speechrnn.lm.files import check_name
from speechrnn.lm.ngram import LM_UNITS
from speechrnn.new_file import refuse_existing
from speechrnn.pronunciations import Pronunciations


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the texts and options."""
    add_text_arguments(parser)
    parser.add_argument(
        "--output",
        "-o",
        required=True,
        type=Path,
        metavar="FILE",
        help="model to write: .arpa, .arpa.gz, .srlm, which opens at once, or .srlm.xz, which is small",
    )
    parser.add_argument("--order", type=int, default=4, metavar="N", help="words of the longest n-grams (4)")
    parser.add_argument("--unit", choices=LM_UNITS, default="word", help="what the model predicts (word)")
    parser.add_argument(
        "--prune",
        type=int,
        nargs="+",
        default=[],
        metavar="COUNT",
        help="for each order, leave out n-grams that come so often or less; the last goes for the orders "
        "behind: `0 0 1` leaves out what comes once, from trigrams on",
    )
    parser.add_argument(
        "--vocabulary",
        type=Path,
        metavar="FILE",
        help="leave out n-grams with a word that is not in this file",
    )
    parser.add_argument(
        "--most-words",
        type=int,
        metavar="N",
        help="keep n-grams of the N most frequent words only",
    )
    parser.add_argument(
        "--most-ngrams",
        type=int,
        metavar="N",
        help="keep N n-grams at most, those that the model would miss most; each takes 24 bytes of a .srlm",
    )
    add_pronunciations_option(
        parser,
        "build a model of phones: words as this dictionary says them; sentences with a word that it lacks are left out",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace FILE if it exists")


def run(args: argparse.Namespace) -> int:
    """Build, write and tell the size."""
    check_name(args.output)
    refuse_existing(args.output, overwrite=args.overwrite)
    if args.pronunciations and args.unit != "word":
        raise UsageError("--pronunciations says words: it does not go with --unit character")
    vocabulary = None if args.vocabulary is None else read_words(args.vocabulary)
    said = Pronunciations.read(args.pronunciations) if args.pronunciations else None
    with stages() as begin:
        sentences = read_texts(args.texts, unit=args.unit, normalization=args.normalize, begin=begin)
        model = estimate_model(
            sentences if said is None else say_sentences(sentences, said),
            order=args.order,
            unit=args.unit,
            prune=args.prune,
            vocabulary=vocabulary,
            most_words=args.most_words,
            most_ngrams=args.most_ngrams,
            on_progress=begin("estimating"),
        )
        write_lm(model, args.output, overwrite=args.overwrite, on_progress=begin(f"writing {args.output}"))
    counts = ", ".join(f"{count} {order}-grams" for order, count in enumerate(model.counts, start=1))
    put(f"{args.output}: {counts} of {model.unit}s")
    return 0


def say_sentences(sentences: Iterable[list[str]], said: Pronunciations) -> Iterator[list[str]]:
    """Turn words into phones, each said in the usual way; sentences with a word that nobody says are left out."""
    for sentence in sentences:
        ways = [said.of(word) for word in sentence]
        if all(ways):
            yield " ".join(way[0] for way in ways).split()


def read_words(path: Path) -> list[str]:
    """Read words parted by white space.

    Raises:
        TextError: If the file cannot be read or is no UTF-8 text.
    """
    try:
        return path.read_text(encoding="utf-8-sig").split()
    except OSError as error:
        raise TextError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise TextError(f"{path}: is not UTF-8 text: {error}") from error
