"""``speechrnn prepare segments``: long utterances, cut at their pauses."""

import argparse
from collections.abc import Iterator

from speechrnn.cli.console import Progress, put, say
from speechrnn.cli.model_options import add_model_options, number, open_transcriber
from speechrnn.errors import SpeechRNNError
from speechrnn.manifest import Utterance, read_manifest
from speechrnn.segmentation import SegmentationOptions, segment_utterances

EPILOG = """\
The model need not be good, one of a few epochs will do: pauses are found by energy, the text is known, and the
model tells between which words a pause lies.

example:
  speechrnn prepare segments data/train.jsonl.gz segments/train.jsonl.gz -m first.ckpt
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add source, target and options."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = EPILOG
    parser.add_argument("source", metavar="SRC", help="a manifest, or whatever `speechrnn prepare` reads")
    parser.add_argument("out", metavar="OUT", help="manifest to write, .jsonl.gz")
    parser.add_argument("--overwrite", action="store_true", help="replace an existing manifest")
    add_model_options(parser)
    parser.add_argument(
        "--min-pause",
        type=number(least=0.01),
        default=SegmentationOptions.min_pause_s,
        metavar="S",
        help=f"where shorter, nothing is cut; default: {SegmentationOptions.min_pause_s:g}",
    )
    parser.add_argument(
        "--min-piece",
        type=number(least=0.0),
        default=SegmentationOptions.min_piece_s,
        metavar="S",
        help=f"no piece is shorter; default: {SegmentationOptions.min_piece_s:g}",
    )


def run(args: argparse.Namespace) -> int:
    """Cut, write and sum up; status 1 if utterances had to be left out, each named."""
    from speechrnn.training.prepare import prepare_utterances  # lhotse takes seconds to import

    utterances = read_manifest(args.source)
    options = SegmentationOptions(min_pause_s=args.min_pause, min_piece_s=args.min_piece)
    failed: list[SpeechRNNError] = []

    def pieces() -> Iterator[Utterance]:
        for found in segment_utterances(utterances, model, options):
            progress.advance()
            if isinstance(found, SpeechRNNError):
                failed.append(found)
                say(f"speechrnn: error: {found}; left out")
            else:
                yield from found

    model = open_transcriber(args)
    with Progress("cutting", total=len(utterances)) as progress:
        prepared = prepare_utterances(pieces(), args.out, overwrite=args.overwrite)
    put(f"{prepared}" + (f"; left out: {len(failed)}" if failed else ""))
    return 1 if failed else 0
