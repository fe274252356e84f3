"""A keyword evaluation for people: tables, and a plot of misses against false alarms."""

import importlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from speechrnn.errors import ConfigError
from speechrnn.evaluation.detection import OperatingPoint, bound_count
from speechrnn.evaluation.keywords import KeywordEvaluation, KeywordResult
from speechrnn.new_file import new_file

HEADER = ("FA/h", "threshold", "false alarms", "FA/h below*", "missed", "miss rate", "95 % interval")
INSTALL_PLOT = 'pip install "speechrnn[report]"'
LEAST_SHOWN = 0.05  # false alarms an hour, on the axis of the plot


def render_keywords(evaluation: KeywordEvaluation) -> str:
    """Write a table for each keyword, and what the figures rest on."""
    parts = ["\n".join(render_keyword(keyword)) for keyword in evaluation.keywords]
    return "\n\n".join([*parts, "\n".join(render_notes(evaluation))])


def render_keyword(result: KeywordResult) -> Iterator[str]:
    """Write the table of one keyword."""
    latency = result.median_latency_s
    late = "" if latency is None else f", told {latency:.2f} s after the word (median)"
    counted = f"{len(result.positives)} positives" if len(result.positives) else "no positives"
    yield f"{result.label}: {counted}, {result.negatives.hours:.2f} h of negatives{late}"
    yield from align_columns([HEADER, *map(row_of, result.points)])
    for snr, points in result.in_noise.items():
        yield f"with noise, {snr:g} dB below:"
        yield from align_columns([HEADER, *map(row_of, points)])


def row_of(point: OperatingPoint) -> tuple[str, ...]:
    """Write one operating point."""
    rate, interval = point.miss_rate, point.miss_interval
    return (
        f"{point.target:g}{'†' if point.is_extrapolated else ''}",
        f"{point.threshold:.4f}" if point.threshold <= 1 else "none",
        str(point.num_false_alarms),
        f"{point.most_false_alarms_per_hour:.2f}",
        "" if rate is None else f"{point.num_misses}/{point.num_positives}",
        "" if rate is None else f"{100 * rate:.1f} %",
        "" if interval is None else f"[{100 * interval.low:.1f}, {100 * interval.high:.1f}]",
    )


def align_columns(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Write rows with their cells flush right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  " + "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True))


def render_notes(evaluation: KeywordEvaluation) -> Iterator[str]:
    """Say what the figures rest on, and what they cannot say."""
    yield "* with 95 % confidence, from the number of false alarms that were seen (Poisson)"
    points = [point for keyword in evaluation.keywords for point in keyword.points]
    if any(point.is_extrapolated for point in points):
        most = bound_count(0) / evaluation.hours
        yield (
            f"† less than one false alarm is allowed in {evaluation.hours:.2f} h; without one, all that is known "
            f"is a rate below {most:.1f} an hour. More negatives tell more"
        )


def plot_curves(evaluation: KeywordEvaluation, path: Path, *, overwrite: bool = False) -> None:
    """Plot misses against false alarms an hour as PNG, SVG or PDF, by the file's suffix.

    Raises:
        ConfigError: If Matplotlib is missing, there are no positives, or the file exists or cannot be
            written.
    """
    if not all(keyword.curve for keyword in evaluation.keywords):
        raise ConfigError("misses cannot be plotted without positives")
    figure = import_figure().Figure(figsize=(6.4, 4.8), layout="constrained")
    axes = figure.subplots()
    for keyword in evaluation.keywords:
        plot_curve(axes, keyword)
    axes.set(xscale="log", ylim=(0, 100), xlabel="false alarms per hour", ylabel="missed, %")
    axes.set_title(f"{evaluation.model}, {evaluation.hours:.2f} h of negatives")
    axes.grid(visible=True, which="both", alpha=0.3)
    axes.legend()
    kind = path.suffix[1:] or "png"
    try:
        with new_file(path, overwrite=overwrite, error=ConfigError) as partial:
            figure.savefig(partial, format=kind, dpi=150)
    except ValueError as error:
        raise ConfigError(f"{path}: cannot be plotted as {kind!r}; use .png, .svg or .pdf") from error


def plot_curve(axes: Any, keyword: KeywordResult) -> None:
    """Draw one keyword's steps; what is left of one false alarm in all negatives is not known."""
    assert keyword.curve is not None
    least = max(LEAST_SHOWN, 0.5 / keyword.negatives.hours)
    rates = np.maximum(keyword.curve.false_alarms_per_hour, least)
    axes.step(rates, 100 * keyword.curve.miss_rates, where="post", label=keyword.label)


def import_figure() -> Any:
    """Import Matplotlib's figures, which need no display.

    Raises:
        ConfigError: With what to install.
    """
    try:
        return importlib.import_module("matplotlib.figure")
    except ModuleNotFoundError as error:
        raise ConfigError(f"a plot needs Matplotlib; install it with: {INSTALL_PLOT}") from error
