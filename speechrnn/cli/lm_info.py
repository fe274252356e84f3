"""``speechrnn lm info``: how large a language model is, and of what."""

import argparse
import json
from pathlib import Path
from typing import Any

from speechrnn.cli.console import put, stages
from speechrnn.lm import read_lm
from speechrnn.lm.binary import is_binary
from speechrnn.runtime.model_registry import find_lm


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the model and the form of the answer."""
    parser.add_argument("model", metavar="LM", help="language model, or the name of a shipped one")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    """Check the whole file and print."""
    with stages() as begin:
        description = describe(find_lm(args.model), begin(f"reading {args.model}"))
    if args.json:
        put(json.dumps(description, ensure_ascii=False, indent=2))
        return 0
    counts = {f"{order}-grams": count for order, count in enumerate(description.pop("counts"), start=1)}
    for key, value in (description | counts).items():
        put(f"{key:<11}  {value}")
    return 0


def describe(path: Path, on_progress: Any) -> dict[str, Any]:
    """Tell what is in a model, as plain data."""
    model = read_lm(path, verify=True, on_progress=on_progress)
    return {
        "path": str(path),
        "format": "binary" if is_binary(path) else "ARPA",
        "size_bytes": path.stat().st_size,
        "unit": model.unit,
        "order": model.order,
        "vocabulary": len(model.vocabulary),
        "counts": list(model.counts),
    }
