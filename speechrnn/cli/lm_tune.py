"""``speechrnn lm tune``: find the weights of a language model on a development set."""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from speechrnn.cli.calibrate import describe_fit
from speechrnn.cli.console import Progress, put, say
from speechrnn.cli.decoding_options import open_lm
from speechrnn.cli.model_options import add_model_options, introduce, number, open_transcriber, positive_count
from speechrnn.cli.tuned_model import add_into_option, keep_choice, writable_model
from speechrnn.decoding import ConfidenceScale, DecodingOptions
from speechrnn.errors import ConfigError
from speechrnn.evaluation.tune import (
    ALPHAS,
    BETAS,
    GridPoint,
    Reading,
    choose,
    compute_readings,
    fit_confidences,
    make_grid,
    search_grid,
)
from speechrnn.manifest import read_manifest
from speechrnn.runtime import ModelFile, Transcriber
from speechrnn.runtime.decoding_choice import LmChoice


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add language model, manifest and grid."""
    parser.add_argument(
        "--lm", required=True, metavar="FILE", help="language model, or the name of a shipped one"
    )
    parser.add_argument(
        "--manifest", required=True, metavar="FILE", help="recordings that the model was not trained on"
    )
    add_model_options(parser)
    add_into_option(parser)
    parser.add_argument(
        "--beam-size",
        type=positive_count,
        metavar="N",
        help="default: 50, or 500 where phones are read as words",
    )
    parser.add_argument("--lexicon", type=Path, metavar="FILE", help="the only words that may occur")
    for name, values in (("--alphas", ALPHAS), ("--betas", BETAS)):
        parser.add_argument(
            name,
            type=numbers,
            default=values,
            metavar="A,B,…",
            help=f"default: {','.join(f'{value:g}' for value in values)}",
        )


def numbers(text: str) -> tuple[float, ...]:
    """Parse numbers between commas."""
    return tuple(map(number(), text.split(",")))


def run(args: argparse.Namespace) -> int:
    """Measure the grid, print it, and keep the best pair in the model file."""
    target = writable_model(args)
    utterances = read_manifest(args.manifest)
    options = DecodingOptions(lm=open_lm(args.lm), beam_size=args.beam_size, lexicon=args.lexicon)
    transcriber = open_transcriber(args, options)
    say(introduce(transcriber))
    with Progress("computing", total=len(utterances)) as progress:
        readings = compute_readings(transcriber, utterances, on_utterance=progress.advance)
    grid = make_grid(args.alphas, args.betas)
    points = []
    with Progress("decoding", total=len(grid)) as progress:
        for point in search_grid(transcriber, readings, options, grid):
            points.append(point)
            progress.advance()
    best = choose(points)
    put(render_grid(points, best))
    weighted = replace(options, alpha=best.alpha, beta=best.beta)
    before = ModelFile(target).info.decoding.lm
    scale = fit_or_leave(
        transcriber, readings, weighted, ConfidenceScale() if before is None else before.scale
    )
    lm = LmChoice(alpha=best.alpha, beta=best.beta, temperature=scale.temperature, bias=scale.bias)
    keep_choice(target, lambda choice: replace(choice, lm=lm))
    return 0


def fit_or_leave(
    transcriber: Transcriber, readings: Sequence[Reading], options: DecodingOptions, before: ConfidenceScale
) -> ConfidenceScale:
    """Fit the scale of confidences, or say why it stays what it was before."""
    try:
        fitted = fit_confidences(transcriber, readings, options)
    except ConfigError as error:
        say(f"speechrnn: warning: confidences stay as they are: {error}")
        return before
    put(describe_fit(*fitted))
    return fitted[0]


def render_grid(points: Sequence[GridPoint], best: GridPoint) -> str:
    """Write word error rates, alpha downwards and beta to the right, the choice marked."""
    betas = sorted({point.beta for point in points})
    found = {(point.alpha, point.beta): point for point in points}
    lines = [
        "word error rate, %",
        f"{'alpha':>7}" + "".join(f"{f'beta {beta:g}':>10} " for beta in betas).rstrip(),
    ]
    for alpha in sorted({point.alpha for point in points}):
        cells = [found.get((alpha, beta)) for beta in betas]
        row = f"{alpha:>7g}" + "".join(f"{render_cell(cell, best):>11}" for cell in cells)
        lines.append(row.rstrip())
    counts = best.counts
    lines.append(
        f"chosen *: alpha {best.alpha:g}, beta {best.beta:g}: {100 * counts.rate:.2f} %, "
        f"{counts.errors} errors in {counts.reference_length} words"
    )
    return "\n".join(lines)


def render_cell(point: GridPoint | None, best: GridPoint) -> str:
    """Write one cell of the grid."""
    if point is None:
        return "- "
    return f"{100 * point.counts.rate:.2f}{'*' if point is best else ' '}"
