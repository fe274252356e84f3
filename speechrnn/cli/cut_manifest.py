"""What commands that cut the utterances of a manifest have in common."""

import argparse
from collections.abc import Iterator, Sequence

from speechrnn.cli.console import Progress, put, say
from speechrnn.cli.model_options import add_model_options
from speechrnn.errors import SpeechRNNError
from speechrnn.manifest import Utterance


def add_cut_arguments(parser: argparse.ArgumentParser) -> None:
    """Add source, target and model."""
    parser.add_argument("source", metavar="SRC", help="a manifest, or whatever `speechrnn prepare` reads")
    parser.add_argument("out", metavar="OUT", help="manifest to write, .jsonl.gz")
    parser.add_argument("--overwrite", action="store_true", help="replace an existing manifest")
    add_model_options(parser)


def write_pieces(
    cut: Iterator[Sequence[Utterance] | SpeechRNNError], args: argparse.Namespace, *, total: int
) -> int:
    """Write the pieces and sum up; status 1 if utterances had to be left out, each named."""
    from speechrnn.training.prepare import prepare_utterances  # lhotse takes seconds to import

    failed: list[SpeechRNNError] = []

    def pieces() -> Iterator[Utterance]:
        for found in cut:
            progress.advance()
            if isinstance(found, SpeechRNNError):
                failed.append(found)
                say(f"speechrnn: error: {found}; left out")
            else:
                yield from found

    with Progress("cutting", total=total) as progress:
        prepared = prepare_utterances(pieces(), args.out, overwrite=args.overwrite)
    put(f"{prepared}" + (f"; left out: {len(failed)}" if failed else ""))
    return 1 if failed else 0
