"""``speechrnn export``: a checkpoint, or a model file in other precision, as a model file that needs no torch."""

import argparse
import json
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from speechrnn.cli.console import Progress, put, say
from speechrnn.cli.model_options import add_pronunciations_option
from speechrnn.decoding import DecodingOptions
from speechrnn.errors import ConfigError
from speechrnn.evaluation import Evaluation, evaluate
from speechrnn.manifest import Utterance, read_manifest
from speechrnn.new_file import new_file, refuse_existing
from speechrnn.nn.export import export_model
from speechrnn.nn.graph import Precision
from speechrnn.nn.language_export import export_any_checkpoint
from speechrnn.nn.restore import restore_model
from speechrnn.pronunciations import Pronunciations
from speechrnn.runtime import ModelFile, Transcriber, find_model
from speechrnn.runtime.metadata import write_metadata
from speechrnn.runtime.model_file import DECODING_KEY, PRONUNCIATIONS_KEY
from speechrnn.runtime.own_lm import add_own_lm

CARD_KEYS = ("name", "description", "hears", "data", "licence", "results", "seed", "language_model")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the two files and what goes into the second."""
    parser.add_argument(
        "checkpoint",
        metavar="CHECKPOINT",
        help="training checkpoint (.ckpt), or a model file or its name, to write it in another precision",
    )
    parser.add_argument("output", metavar="MODEL", help="model file to write (.onnx)")
    precision = parser.add_mutually_exclusive_group()
    precision.add_argument(
        "--half",
        dest="precision",
        action="store_const",
        const="half",
        help="store weights in half precision: half the size, computed in single",
    )
    precision.add_argument(
        "--int8",
        dest="precision",
        action="store_const",
        const="int8",
        help="store recurrent weights in 8 bits: a quarter of the size; LSTM layers compute in them, too",
    )
    precision.add_argument(
        "--int8-weights",
        dest="precision",
        action="store_const",
        const="int8_weights",
        help="the same size, computed in single: the same answers on every machine and in a browser",
    )
    parser.set_defaults(precision="single")
    parser.add_argument(
        "--check",
        metavar="MANIFEST",
        help="measure on these recordings what the rounding costs (as `speechrnn evaluate`)",
    )
    parser.add_argument("--card", metavar="FILE", help=f"JSON model card: {', '.join(CARD_KEYS)}")
    add_pronunciations_option(
        parser,
        "dictionary in the layout of CMUdict to store with a model of phones, so that keywords can be typed as words",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace the model file if there is one")


def run(args: argparse.Namespace) -> int:
    """Export, and say what came of it.

    Raises:
        ConfigError: If a check is asked for and nothing is rounded, or a dictionary and the model do not go together.
        ModelFileError: If the model file exists already and is not to be replaced.
    """
    output = Path(args.output)
    refuse_existing(output, overwrite=args.overwrite)
    if args.check and args.precision == "single":
        raise ConfigError("--check measures what --int8, --int8-weights or --half costs; give one of them")
    utterances = read_manifest(args.check) if args.check else []
    card = read_card(Path(args.card)) if args.card else None
    pronunciations = Pronunciations.read(args.pronunciations) if args.pronunciations else None
    with new_file(output, overwrite=args.overwrite) as partial:
        export(args.checkpoint, partial, precision=args.precision, card=card)
        if pronunciations:
            store_pronunciations(partial, pronunciations)
    say(f"{output}: {output.stat().st_size / 1e6:.2f} MB, {describe(output, args.precision)}")
    if args.precision != "single" and not utterances:
        say("what the rounding costs on recordings of yours: the same with --check MANIFEST")
    if utterances:
        for line in compare(args.checkpoint, output, utterances):
            put(line)
    return 0


def export(source: str, output: Path, *, precision: Precision, card: dict[str, Any] | None) -> None:
    """Write a checkpoint or model file anew; a model file keeps its card and what it was tuned to."""
    path = find_model(source)
    if path.suffix != ".onnx":
        export_any_checkpoint(path, output, precision=precision, card=card)
        return
    info = ModelFile(path).info
    export_model(restore_model(path), output, precision=precision, card=info.card if card is None else card)
    kept = {DECODING_KEY: json.dumps(info.decoding.to_dict())}
    if info.packed_pronunciations:
        kept[PRONUNCIATIONS_KEY] = info.packed_pronunciations
    write_metadata(output, kept)


def store_pronunciations(output: Path, pronunciations: Pronunciations) -> None:
    """Write a dictionary into a model file.

    Raises:
        ConfigError: If it hears no phones, or lacks one that the dictionary has.
    """
    vocabulary = ModelFile(output).info.vocabulary
    if vocabulary.unit != "phone":
        raise ConfigError(f"--pronunciations is for models of phones; this one writes {vocabulary.unit}s")
    phones = {phone for ways in pronunciations.ways.values() for way in ways for phone in way.split()}
    lacking = sorted(phones - set(vocabulary.tokens))
    if lacking:
        raise ConfigError(f"--pronunciations: the model has no phone {', '.join(lacking)}")
    write_metadata(output, {PRONUNCIATIONS_KEY: pronunciations.pack()})


def describe(output: Path, precision: Precision) -> str:
    """Say how close a file is to the network that it was made of."""
    if precision != "int8":
        return "equal to torch within 1e-4 at four batch shapes"
    if ModelFile(output).info.config["encoder"]["cell"] == "lstm":
        return "LSTM layers in int8"
    return "stored in int8 and computed in single precision: ONNX Runtime has an int8 LSTM, no other cell"


def compare(source: str, output: Path, utterances: Sequence[Utterance]) -> Iterator[str]:
    """Evaluate the network unrounded and as it was written: size, errors and time, a line each."""
    origin = replace(ModelFile(output).info, path=find_model(source))  # a language model lies beside it
    decoding = add_own_lm(origin, DecodingOptions())
    with tempfile.TemporaryDirectory() as folder:
        single = Path(folder) / "single.onnx"
        export(source, single, precision="single", card=None)
        for path in (single, output):
            transcriber = Transcriber(path, decoding=decoding)
            with Progress("evaluating", total=len(utterances)) as progress:
                start = time.perf_counter()
                evaluation = evaluate(transcriber, utterances, on_utterance=progress.advance)
            elapsed = time.perf_counter() - start
            yield (
                f"{transcriber.info.precision:<12}  {path.stat().st_size / 1e6:6.2f} MB  "
                f"{render_measures(evaluation)}  {elapsed:.1f} s for {evaluation.duration_s:.0f} s of audio"
            )


def render_measures(evaluation: Evaluation) -> str:
    """Write error rates or accuracy with their counts."""
    return "  ".join(
        f"{measure.name} {100 * measure.value:.2f} % ({measure.numerator} of {measure.denominator})"
        for measure in evaluation.measures
    )


def read_card(path: Path) -> dict[str, Any]:
    """Read a model card.

    Raises:
        ConfigError: If it cannot be read, is not JSON, or has a key that no card has.
    """
    try:
        card = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise ConfigError(f"{path}: not JSON: {error}") from error
    if not isinstance(card, dict):
        raise ConfigError(f"{path}: a model card is a JSON object")
    for key, value in card.items():
        if key not in CARD_KEYS or not isinstance(value, str):
            raise ConfigError(f"{path}: {key!r} is not a text under one of {', '.join(CARD_KEYS)}")
    return card
