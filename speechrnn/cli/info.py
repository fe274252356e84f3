"""``speechrnn info``: everything that a model file or a checkpoint says of itself."""

import argparse
import json
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from speechrnn.cli.console import put
from speechrnn.runtime import ModelFile, find_model
from speechrnn.runtime.language_model import RecurrentLM, read_task
from speechrnn.text import LANGUAGE_MODEL_TASK

WIDTH = 100


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the file and the form of the answer."""
    parser.add_argument(
        "file",
        metavar="FILE",
        help="model file (.onnx), checkpoint (.ckpt) or name of a shipped model",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    """Print it."""
    path = find_model(args.file)
    description = describe_checkpoint(path) if path.suffix == ".ckpt" else describe_model_file(path)
    if args.json:
        put(json.dumps(description, ensure_ascii=False, indent=2))
    else:
        put("\n".join(outline(description)))
    return 0


def describe_model_file(path: Path) -> dict[str, Any]:
    """Tell what a model file holds, as plain data."""
    if read_task(path) == LANGUAGE_MODEL_TASK:
        return describe_language_model(path)
    model = ModelFile(path)
    return {
        "kind": "model file",
        "path": str(path),
        "size_bytes": path.stat().st_size,
        "sha256": model.sha256,
        "format_version": model.info.format_version,
        "name": model.info.name,
        "hears": model.info.hears,
        "card": dict(model.info.card),
        "decoding": model.info.decoding.to_dict(),
        "config": dict(model.info.config),
    }


def describe_language_model(path: Path) -> dict[str, Any]:
    """Tell what the file of a language model holds, as plain data."""
    info = RecurrentLM(path).info
    return {
        "kind": "language model",
        "path": str(path),
        "size_bytes": path.stat().st_size,
        "format_version": info.format_version,
        "name": info.name,
        "knows": info.knows,
        "card": dict(info.card),
        "config": dict(info.config),
    }


def describe_checkpoint(path: Path) -> dict[str, Any]:
    """Tell what a checkpoint holds, as plain data; this takes torch."""
    from speechrnn.nn import checkpoint

    return {"path": str(path), **checkpoint.describe_checkpoint(path)}


def outline(values: Mapping[str, Any], depth: int = 0) -> Iterator[str]:
    """Write nested values as indented lines; lists go in one, empty values are a dash."""
    margin = "  " * depth
    width = max((len(key) for key in values), default=0)
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            yield f"{margin}{key}"
            yield from outline(value, depth + 1)
        else:
            lead = f"{margin}{key:<{width}}  "
            yield textwrap.fill(
                in_a_line(value),
                WIDTH,
                initial_indent=lead,
                subsequent_indent=" " * len(lead),
                break_long_words=False,
                break_on_hyphens=False,
            )


def in_a_line(value: Any) -> str:
    """Write a value; tokens that cannot be seen are quoted."""
    if isinstance(value, Sequence) and not isinstance(value, str):
        return " ".join(token if str(token).strip() else repr(token) for token in map(str, value)) or "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "-" if value is None or value == "" or value == {} else str(value)
