"""``speechrnn lm sample``: sentences that a recurrent language model makes up."""

import argparse
from pathlib import Path

from speechrnn.cli.console import Progress, put, say
from speechrnn.cli.model_options import positive_count
from speechrnn.runtime.checkpoint_cache import exported_checkpoint
from speechrnn.runtime.language_model import RecurrentLM, SamplingConfig


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the model and how to draw from it."""
    defaults = SamplingConfig()
    parser.add_argument(
        "model", metavar="MODEL", help="recurrent language model (.onnx), or its checkpoint (.ckpt)"
    )
    parser.add_argument(
        "--num", type=positive_count, default=1, metavar="N", help="sentences to draw; default: 1"
    )
    parser.add_argument(
        "--temperature",
        type=float,
        default=defaults.temperature,
        metavar="T",
        help="below 1 more of the usual, 0 always the most probable token; default: 1",
    )
    parser.add_argument(
        "--top-k", type=positive_count, metavar="K", help="draw from the K most probable tokens only"
    )
    parser.add_argument(
        "--num-tokens",
        type=positive_count,
        default=defaults.num_tokens,
        metavar="N",
        help=f"most words or characters of a sentence; default: {defaults.num_tokens}",
    )
    parser.add_argument(
        "--seed", type=int, default=defaults.seed, metavar="SEED", help="fixes the sentences; default: 0"
    )
    parser.add_argument("--prompt", default="", metavar="TEXT", help="how each sentence begins")


def run(args: argparse.Namespace) -> int:
    """Draw sentences, one a line.

    Raises:
        ConfigError: If an option is out of its range.
        ModelFileError: If the file is not a recurrent language model.
        CheckpointError: If a checkpoint cannot be exported.
    """
    config = SamplingConfig(
        temperature=args.temperature, top_k=args.top_k, num_tokens=args.num_tokens, seed=args.seed
    )
    path = Path(args.model)
    model = open_language_model(path)
    say(f"language model {model.info.card.get('name') or path.stem}: {model.info.knows}")
    for sentence in model.sample(args.num, prompt=args.prompt, config=config):
        put(sentence)
    return 0


def open_language_model(path: Path) -> RecurrentLM:
    """Open a model file or a checkpoint, which is exported once and kept; errors as ``run``."""
    with Progress("opening the model", total=1):
        return RecurrentLM(exported_checkpoint(path) if path.suffix == ".ckpt" else path)
