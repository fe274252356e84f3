"""Pictures of a whole evaluation: intervals by group, calibration, detection error trade-off."""

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure

from speechrnn.evaluation.calibration import Calibration
from speechrnn.evaluation.results import Breakdown
from speechrnn.report.pictures import BLUE, COLOURS, DASHES, GREY, INK, VERMILION, house_style, visible

MOST_GROUPS = 40
CROWDED = 0.1  # the axis has its own numbers below
LEAST_FALSE_ALARMS = 0.01  # per hour; where none was heard the curve is drawn here


@dataclass(frozen=True, kw_only=True)
class DetCurve:
    """How many of a keyword's occurrences are missed at how many false alarms, over thresholds."""

    name: str
    false_alarms_per_hour: Sequence[float]
    """(n,), each >= 0."""
    miss_rate: Sequence[float]
    """(n,) in [0, 1], at the same thresholds."""
    operating_point: tuple[float, float] | None = None
    """False alarms per hour and miss rate at the threshold that the model has."""


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


def plot_det(curves: Sequence[DetCurve]) -> Figure:
    """Draw misses against false alarms per hour, a line for each keyword."""
    with house_style():
        figure = Figure(figsize=(6.5, 4.2), layout="constrained")
        axes = figure.subplots()
        for place, curve in enumerate(curves):
            colour, dashes = COLOURS[place % len(COLOURS)], DASHES[place // len(COLOURS) % len(DASHES)]
            pairs = sorted(zip(curve.false_alarms_per_hour, curve.miss_rate, strict=True), key=by_alarms)
            alarms = [max(alarm, LEAST_FALSE_ALARMS) for alarm, _ in pairs]
            misses = [100 * miss for _, miss in pairs]
            axes.step(alarms, misses, where="post", color=colour, linestyle=dashes, label=visible(curve.name))
            if curve.operating_point is not None:
                alarm, miss = curve.operating_point
                axes.plot(max(alarm, LEAST_FALSE_ALARMS), 100 * miss, "D", color=INK, markersize=6)
        axes.set_xscale("log")
        axes.set(xlabel="false alarms per hour", ylabel="missed (%)", ylim=(0, 100))
        axes.grid(color=GREY, alpha=0.3)
        axes.legend(frameon=False, fontsize=8)
    return figure


def by_alarms(pair: tuple[float, float]) -> tuple[float, float]:
    """Order the points of a curve: by alarms, and downwards where they are as many."""
    return pair[0], -pair[1]
