"""``speechrnn prepare segments``: long utterances, cut at their pauses."""

import argparse

from speechrnn.cli.cut_manifest import add_cut_arguments, write_pieces
from speechrnn.cli.model_options import number, open_transcriber
from speechrnn.cutting.segmentation import SegmentationOptions, segment_utterances
from speechrnn.decoding import DecodingOptions
from speechrnn.manifest import read_manifest

WITHOUT_LM = DecodingOptions(alpha=0.0)  # the text is known
EPILOG = """\
The model need not be good, one of a few epochs will do: pauses are found by energy, the text is known, and the
model tells between which words a pause lies.

examples:
  speechrnn prepare segments data/train.jsonl.gz segments/train.jsonl.gz -m phones-en
  speechrnn prepare segments data/train.jsonl.gz segments/train.jsonl.gz -m first.ckpt
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add source, target and options."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = EPILOG
    add_cut_arguments(parser)
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
    utterances = read_manifest(args.source)
    options = SegmentationOptions(min_pause_s=args.min_pause, min_piece_s=args.min_piece)
    model = open_transcriber(args, WITHOUT_LM)
    return write_pieces(segment_utterances(utterances, model, options), args, total=len(utterances))
