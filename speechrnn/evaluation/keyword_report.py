"""A keyword evaluation as text for the terminal."""

from collections.abc import Iterator, Sequence

from speechrnn.evaluation.detection import FAINTEST, OperatingPoint, bound_count
from speechrnn.evaluation.keywords import KeywordEvaluation, KeywordResult
from speechrnn.runtime.keyword_spotter import SpotterOptions

LIVE_CHUNK_S = SpotterOptions.chunk_s
HEADER = ("FA/h", "threshold", "false alarms", "FA/h below*", "missed", "miss rate", "95 % interval")


def render_keywords(evaluation: KeywordEvaluation) -> str:
    """Write a table for each keyword, and what the figures rest on."""
    parts = ["\n".join(render_keyword(keyword)) for keyword in evaluation.keywords]
    return "\n\n".join([*parts, "\n".join(render_notes(evaluation))])


def render_keyword(result: KeywordResult) -> Iterator[str]:
    """Write the table of one keyword."""
    latency = result.median_latency_s
    late = "" if latency is None else f", told {latency:.2f} s after the word (median)"
    counted = f"{len(result.positives)} positives" if len(result.positives) else "no positives"
    left_out = f" ({result.num_left_out} that say it left out)" if result.num_left_out else ""
    yield f"{result.label}: {counted}, {result.negatives.hours:.2f} h of negatives{left_out}{late}"
    yield from align_columns([HEADER, *map(row_of, result.points)])
    for snr, points in result.in_noise.items():
        yield f"with noise, {snr:g} dB below:"
        yield from align_columns([HEADER, *map(row_of, points)])


def row_of(point: OperatingPoint) -> tuple[str, ...]:
    """Write one operating point."""
    rate, interval, mark = point.miss_rate, point.miss_interval, "§" if point.is_all_or_none else ""
    return (
        "own‡" if point.target is None else f"{point.target:g}{'†' if point.is_extrapolated else ''}",
        f"{point.threshold:.4f}" if point.threshold <= 1 else "none",
        str(point.num_false_alarms),
        f"{point.most_false_alarms_per_hour:.2f}",
        "" if rate is None else f"{point.num_misses}/{point.num_positives}",
        "" if rate is None else f"{100 * rate:.1f} %",
        "" if interval is None else f"[{100 * interval.low:.1f}, {100 * interval.high:.1f}]{mark}",
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
    yield "‡ at the threshold that `speechrnn spot` uses for the keyword"
    yield from render_limits(evaluation)
    chunk_s = evaluation.settings.get("chunk_s", LIVE_CHUNK_S)
    if chunk_s != LIVE_CHUNK_S and any(keyword.median_latency_s for keyword in evaluation.keywords):
        yield (
            f"words are told as late as chunks of {chunk_s:g} s make them, which recordings are heard in; live audio "
            f"has chunks of {LIVE_CHUNK_S:g} s, and so has --chunk {LIVE_CHUNK_S:g}"
        )


def render_limits(evaluation: KeywordEvaluation) -> Iterator[str]:
    """Say what the measurement leaves out, in the terminal and on the page."""
    points = [
        point
        for keyword in evaluation.keywords
        for points in (keyword.points, *keyword.in_noise.values())
        for point in points
    ]
    if len(evaluation.keywords) > 1:
        yield (
            "at so many false alarms an hour each keyword is measured as if it were the only one; at their own "
            "thresholds all are heard together, and of two in one place the surer one is told"
        )
    if any(point.is_all_or_none for point in points):
        yield (
            "§ none or all are missed, of which a bootstrap tells nothing: the exact interval (Clopper-Pearson), if "
            "the positives are independent"
        )
    if any(point.threshold == FAINTEST for point in points):
        yield f"thresholds end at {FAINTEST:g}: what is fainter is neither found nor a false alarm"
