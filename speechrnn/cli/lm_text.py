"""The texts that ``speechrnn lm`` builds from and measures on."""

import argparse
from collections.abc import Callable, Iterator, Sequence

from speechrnn.cli.console import Stage
from speechrnn.lm import read_sentences
from speechrnn.lm.ngram import LmUnit
from speechrnn.text import NORMALIZATIONS


def add_text_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the texts and what comes first."""
    parser.add_argument(
        "texts",
        nargs="+",
        metavar="TEXT",
        help="text file with a sentence per line (also .gz, - for stdin), or a manifest (.csv, .tsv, .jsonl, "
        ".json, also .gz), whose transcripts are taken",
    )
    parser.add_argument(
        "--normalize",
        nargs="+",
        default=[],
        metavar="STEP",
        help=f"what to do to each line first, in order: {', '.join(NORMALIZATIONS)}",
    )


def read_texts(
    sources: Sequence[str], *, unit: LmUnit, normalization: Sequence[str], begin: Callable[[str], Stage]
) -> Iterator[list[str]]:
    """Read the sentences of all texts, one after another; errors as ``read_sentences``."""
    for source in sources:
        report = begin(f"reading {source}")
        yield from read_sentences(source, unit=unit, normalization=normalization, on_progress=report)
