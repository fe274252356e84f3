"""``speechrnn compare``: whether two runs over the same recordings differ by more than chance."""

import argparse
from pathlib import Path

from speechrnn.cli.console import put
from speechrnn.evaluation import compare_runs, read_results
from speechrnn.evaluation.report import render_comparison


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the two files."""
    parser.add_argument("baseline", type=Path, metavar="BASELINE", help="results of `evaluate --output`")
    parser.add_argument("results", type=Path, metavar="RESULTS", help="results to compare with them")


def run(args: argparse.Namespace) -> int:
    """Compare and print."""
    put(render_comparison(compare_runs(read_results(args.results), read_results(args.baseline))))
    return 0
