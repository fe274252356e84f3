"""Pictures of a whole evaluation: intervals by group, calibration, detection error trade-off."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from speechrnn.evaluation.calibration import Calibration
from speechrnn.evaluation.keywords import KeywordResult
from speechrnn.evaluation.results import Breakdown
from speechrnn.report.pictures import BLUE, COLOURS, DASHES, GREY, INK, VERMILION, house_style, visible

MOST_GROUPS = 40
CROWDED = 0.1  # the axis has its own numbers below
LEAST_FALSE_ALARMS = 0.05  # per hour, on an axis without an end; where none was heard the curve begins here


def plot_breakdown(breakdown: Breakdown) -> Figure:
    """Draw the first measure of each group with its interval."""
    groups = breakdown.groups[:MOST_GROUPS]
    with house_style():
        figure = Figure(figsize=(6.5, 0.7 + 0.22 * len(groups)), layout="constrained")
        axes = figure.subplots()
        for place, group in enumerate(groups):
            measure = group.measures[0]
            low, high = 100 * measure.interval.low, 100 * measure.interval.high
            axes.plot([low, high], [place, place], color=GREY, linewidth=2, solid_capstyle="round")
            axes.plot(100 * measure.value, place, "o", color=BLUE, markersize=6)
        axes.set_yticks(range(len(groups)), [visible(group.name) for group in groups])
        axes.set_ylim(len(groups) - 0.5, -0.5)
        axes.set_xlim(left=min(0, axes.get_xlim()[0]))
        axes.set_xlabel(f"{groups[0].measures[0].name} (%) and its 95 % interval")
    return figure


def plot_calibration(calibration: Calibration) -> Figure:
    """Draw how many of the answers are right against how sure the model was."""
    with house_style():
        figure = Figure(figsize=(4.2, 3.6), layout="constrained")
        axes = figure.subplots()
        axes.plot([0, 1], [0, 1], color=GREY, linestyle="--", linewidth=1, label="as it should be")
        sure = [part.confidence for part in calibration.bins]
        right = [part.accuracy for part in calibration.bins]
        axes.vlines(sure, sure, right, color=VERMILION, linewidth=2, label="gap")
        axes.plot(sure, right, "o", color=BLUE, label="answers")
        for part in calibration.bins:
            is_above = part.accuracy > part.confidence or part.accuracy < CROWDED
            axes.annotate(
                str(part.count),
                (part.confidence, part.accuracy),
                xytext=(0, 6 if is_above else -6),
                textcoords="offset points",
                ha="center",
                va="bottom" if is_above else "top",
                fontsize=7,
            )
        axes.set(xlim=(0, 1.04), ylim=(0, 1.1), xlabel="mean confidence", ylabel="share that is right")
        axes.legend(frameon=False, fontsize=8, loc="upper left")
    return figure


def plot_det(keywords: Sequence[KeywordResult]) -> Figure:
    """Draw misses against false alarms per hour, a line for each keyword with positives, a diamond for its threshold.

    What is left of half a false alarm in all negatives is not known, and not drawn.
    """
    with house_style():
        figure = Figure(figsize=(6.5, 4.2), layout="constrained")
        axes = figure.subplots()
        for place, keyword in enumerate(keyword for keyword in keywords if keyword.curve):
            plot_curve(
                axes, keyword, COLOURS[place % len(COLOURS)], DASHES[place // len(COLOURS) % len(DASHES)]
            )
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter("{x:g}")
        axes.set(xlabel="false alarms per hour", ylabel="missed (%)", ylim=(-2, 102))
        axes.grid(color=GREY, alpha=0.3)
        figure.legend(loc="outside right upper", frameon=False, fontsize=8)
    return figure


def plot_curve(axes: Axes, keyword: KeywordResult, colour: str, dashes: str) -> None:
    """Draw one keyword's steps, and the point where its threshold is."""
    assert keyword.curve is not None
    least = max(LEAST_FALSE_ALARMS, 0.5 / keyword.negatives.hours)
    alarms = np.maximum(keyword.curve.false_alarms_per_hour, least)
    misses = 100 * keyword.curve.miss_rates
    axes.step(alarms, misses, where="post", color=colour, linestyle=dashes, label=visible(keyword.label))
    own = keyword.own
    assert own.miss_rate is not None
    axes.plot(
        max(own.false_alarms_per_hour, least), 100 * own.miss_rate, "D", color=colour, markeredgecolor=INK
    )
