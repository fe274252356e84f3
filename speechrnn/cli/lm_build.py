"""``speechrnn lm build``: from text to a language model."""

import argparse
from pathlib import Path

from speechrnn.cli.console import put, stages
from speechrnn.cli.lm_text import add_text_arguments, read_texts
from speechrnn.errors import TextError
from speechrnn.lm import estimate_model, write_lm
from speechrnn.lm.files import check_name
from speechrnn.lm.ngram import LM_UNITS
from speechrnn.new_file import refuse_existing


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the texts and options."""
    add_text_arguments(parser)
    parser.add_argument(
        "--output",
        "-o",
        required=True,
        type=Path,
        metavar="FILE",
        help="model to write: .arpa, .arpa.gz, or .srlm, which opens at once",
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
    parser.add_argument("--overwrite", action="store_true", help="replace FILE if it exists")


def run(args: argparse.Namespace) -> int:
    """Build, write and tell the size."""
    check_name(args.output)
    refuse_existing(args.output, overwrite=args.overwrite)
    vocabulary = None if args.vocabulary is None else read_words(args.vocabulary)
    with stages() as begin:
        model = estimate_model(
            read_texts(args.texts, unit=args.unit, normalization=args.normalize, begin=begin),
            order=args.order,
            unit=args.unit,
            prune=args.prune,
            vocabulary=vocabulary,
            on_progress=begin("estimating"),
        )
        write_lm(model, args.output, overwrite=args.overwrite, on_progress=begin(f"writing {args.output}"))
    counts = ", ".join(f"{count} {order}-grams" for order, count in enumerate(model.counts, start=1))
    put(f"{args.output}: {counts} of {model.unit}s")
    return 0


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
