"""Ratios of times measured side by side, so that they mean the same on a slow machine and a busy one."""

import statistics
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain

Work = Callable[[], object]
Clock = Callable[[], float]


@dataclass(frozen=True, kw_only=True)
class Target:
    """What a ratio is to reach."""

    at_least: float | None = None
    """Lowest ratio that will do."""
    at_most: float | None = None
    """Highest ratio that will do."""

    def is_met_by(self, ratio: float) -> bool:
        """Tell whether a ratio lies within the bounds that are given."""
        low = self.at_least is None or ratio >= self.at_least
        return low and (self.at_most is None or ratio <= self.at_most)

    def __str__(self) -> str:
        """Write the bounds: ``≥ 6``."""
        bounds = [("≥", self.at_least), ("≤", self.at_most)]
        return ", ".join(f"{sign} {bound:g}" for sign, bound in bounds if bound is not None)


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Two things timed in turn: how many times as long the first takes as the second."""

    title: str
    """What both do."""
    numerator: str
    """Name of the first."""
    denominator: str
    """Name of the second."""
    numerator_s: Sequence[float] = field(repr=False)
    """Seconds of each run of the first."""
    denominator_s: Sequence[float] = field(repr=False)
    """Seconds of each run of the second; run i came right after the first's."""
    target: Target | None = None
    """What the ratio is to reach, if that was promised."""
    audio_s: float | None = None
    """Seconds of audio that each run goes through, where real-time factors are of interest."""

    @property
    def ratio(self) -> float:
        """Ratio of the medians."""
        return statistics.median(self.numerator_s) / statistics.median(self.denominator_s)

    @property
    def pair_ratios(self) -> list[float]:
        """Ratio of each pair of runs."""
        return [a / b for a, b in zip(self.numerator_s, self.denominator_s, strict=True)]


def time_in_turn(
    works: Mapping[str, Work], *, repeats: int, warm_ups: int = 1, clock: Clock = time.perf_counter
) -> dict[str, list[float]]:
    """Time A B A B …, so that whatever else the machine does slows all alike.

    Args:
        works: What to run, by name.
        repeats: Rounds that count, >= 1.
        warm_ups: Rounds in front of them that do not.
        clock: Tells the time in seconds.

    Returns:
        Seconds of each run, by name.
    """
    seconds: dict[str, list[float]] = {name: [] for name in works}
    for number in range(warm_ups + repeats):
        for name, work in works.items():
            start = clock()
            work()
            elapsed = clock() - start
            if number >= warm_ups:
                seconds[name].append(elapsed)
    return seconds


def compare(
    title: str,
    numerator: str,
    denominator: str,
    seconds: Mapping[str, Sequence[float]],
    *,
    target: Target | None = None,
    audio_s: float | None = None,
) -> Comparison:
    """Compare two of the things that ``time_in_turn`` timed."""
    return Comparison(
        title=title,
        numerator=numerator,
        denominator=denominator,
        numerator_s=seconds[numerator],
        denominator_s=seconds[denominator],
        target=target,
        audio_s=audio_s,
    )


def table(comparisons: Iterable[Comparison]) -> Iterator[str]:
    """Write comparisons as the lines of a Markdown table, each as soon as it is known."""
    header = ["", "A", "", "B", "", "A / B", "pair by pair", "target"]
    for row in chain([header, ["---"] * len(header)], map(table_row, comparisons)):
        yield f"| {' | '.join(row)} |"


def table_row(comparison: Comparison) -> list[str]:
    """Write the cells of one comparison."""
    ratio, pairs, target = comparison.ratio, comparison.pair_ratios, comparison.target
    verdict = "" if target is None else f"{target}: {'met' if target.is_met_by(ratio) else 'missed'}"
    return [
        comparison.title,
        comparison.numerator,
        duration(comparison.numerator_s, comparison.audio_s),
        comparison.denominator,
        duration(comparison.denominator_s, comparison.audio_s),
        f"**{ratio:.2f}**",
        f"{min(pairs):.2f}–{max(pairs):.2f}",
        verdict,
    ]


def duration(seconds: Sequence[float], audio_s: float | None) -> str:
    """Write the median, and its share of the audio's own duration (the real-time factor)."""
    median = statistics.median(seconds)
    text = f"{median:.2f} s" if median >= 1 else f"{1000 * median:.0f} ms"
    return text if audio_s is None else f"{text} (RTF {median / audio_s:.4f})"
