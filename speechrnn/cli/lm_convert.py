"""``speechrnn lm convert``: the same language model in another form."""

import argparse
from pathlib import Path

from speechrnn.cli.console import stages
from speechrnn.lm import read_lm, write_lm
from speechrnn.lm.files import check_name
from speechrnn.new_file import refuse_existing


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the files."""
    parser.add_argument(
        "input",
        metavar="IN",
        type=Path,
        help="language model: ARPA, gzipped or not, .srlm, packed or not, or CMU Sphinx's .lm.bin",
    )
    parser.add_argument(
        "output",
        metavar="OUT",
        type=Path,
        help="model to write: .arpa, .arpa.gz, .srlm, which opens at once, or .srlm.xz, which is small",
    )
    parser.add_argument(
        "--step",
        type=float,
        metavar="NATS",
        help="round log probabilities to multiples of this, such as 0.125: a packed model is half as large then",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace OUT if it exists")


def run(args: argparse.Namespace) -> int:
    """Read and write."""
    check_name(args.output)
    refuse_existing(args.output, overwrite=args.overwrite)
    with stages() as begin:
        model = read_lm(args.input, verify=True, on_progress=begin(f"reading {args.input}"))
        model = model if args.step is None else model.rounded(args.step)
        write_lm(model, args.output, overwrite=args.overwrite, on_progress=begin(f"writing {args.output}"))
    return 0
