"""``speechrnn lm perplexity``: how well a language model foresees texts, each and all together."""

import argparse
import functools
import json
import operator
from collections.abc import Sequence
from typing import Any

from speechrnn.cli.console import put, stages
from speechrnn.cli.lm_text import add_text_arguments, read_texts
from speechrnn.lm import Perplexity, measure_perplexity, read_lm
from speechrnn.lm.ngram import LmUnit
from speechrnn.runtime.model_registry import find_lm


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the model, the texts and the form of the answer."""
    parser.add_argument("model", metavar="LM", help="language model, or the name of a shipped one")
    add_text_arguments(parser)
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    """Measure and print."""
    measured: dict[str, Perplexity] = {}
    with stages() as begin:
        model = read_lm(find_lm(args.model), on_progress=begin(f"reading {args.model}"))
        for source in dict.fromkeys(args.texts):
            text = read_texts([source], unit=model.unit, normalization=args.normalize, begin=begin)
            measured[source] = measure_perplexity(model, text)
    total = functools.reduce(operator.add, measured.values())
    if args.json:
        texts = {source: describe(each, model.unit) for source, each in measured.items()}
        put(json.dumps({"texts": texts, "total": describe(total, model.unit)}, ensure_ascii=False, indent=2))
    else:
        put(render(measured if len(measured) == 1 else {**measured, "total": total}, model.unit))
    return 0


def describe(measured: Perplexity, unit: LmUnit) -> dict[str, Any]:
    """Put a measurement into plain data."""
    return {
        "sentences": measured.num_sentences,
        f"{unit}s": measured.num_tokens - measured.num_sentences,
        "unknown": measured.num_unknown,
        "perplexity": measured.perplexity,
        "perplexity_of_known": measured.perplexity_of_known,
        "log_prob": measured.log_prob,
    }


def render(rows: dict[str, Perplexity], unit: LmUnit) -> str:
    """Write a table with a line for each text."""
    columns = ("sentences", f"{unit}s", "unknown", "perplexity", "without unknown")
    widths = [max(map(len, rows)), *(max(len(column), 9) for column in columns)]
    lines = [["", *columns]]
    for name, measured in rows.items():
        *counts, perplexity, of_known, _ = describe(measured, unit).values()
        lines.append([name, *map(str, counts), f"{perplexity:.2f}", f"{of_known:.2f}"])
    return "\n".join(align(cells, widths) for cells in lines)


def align(cells: Sequence[str], widths: Sequence[int]) -> str:
    """Set cells in columns, the first to the left, the others to the right."""
    first, *others = (
        f"{cell:{side}{width}}" for cell, side, width in zip(cells, "<>>>>>", widths, strict=True)
    )
    return "  ".join([first, *others])
