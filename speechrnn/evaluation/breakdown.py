"""Where the errors are: over all, by speaker, by length, by noise, and which words."""

import bisect
import functools
import itertools
import math
import operator
from collections.abc import Callable, Iterable, Mapping, Sequence

from speechrnn.evaluation.results import (
    LEVEL,
    Breakdown,
    FrequentError,
    Group,
    Measure,
    UtteranceResult,
)
from speechrnn.metrics import ErrorCounts, Pair, bootstrap_interval

LENGTHS_S = (1, 2, 5, 10, 20)
RATIOS_DB = (0, 5, 10, 15, 20, 30)


def measure_all(results: Sequence[UtteranceResult], task: str) -> tuple[Measure, ...]:
    """Compute the measures that a task has."""
    speakers = speakers_of(results)
    words = [result.words for result in results]
    if task == "classification":
        return (accuracy(words, speakers),)
    characters = [result.characters for result in results]
    return error_rate("WER", words, speakers), error_rate("CER", characters, speakers)


def speakers_of(results: Sequence[UtteranceResult]) -> list[str] | None:
    """List the speaker of each utterance; None unless all are known and they are several."""
    speakers = [result.speaker for result in results if result.speaker is not None]
    return speakers if len(speakers) == len(results) and len(set(speakers)) > 1 else None


def error_rate(name: str, counts: Sequence[ErrorCounts], groups: Sequence[str] | None) -> Measure:
    """Sum errors over all utterances and divide by the sum of reference lengths."""
    total = functools.reduce(operator.add, counts)
    errors, lengths = [c.errors for c in counts], [c.reference_length for c in counts]
    return Measure(
        name=name,
        value=total.rate,
        numerator=total.errors,
        denominator=total.reference_length,
        interval=bootstrap_interval(errors, lengths, groups=groups, level=LEVEL),
        counts=total,
    )


def accuracy(counts: Sequence[ErrorCounts], groups: Sequence[str] | None) -> Measure:
    """Divide right answers by all."""
    right = [c.hits for c in counts]
    return Measure(
        name="accuracy",
        value=sum(right) / len(right),
        numerator=sum(right),
        denominator=len(right),
        interval=bootstrap_interval(right, [1] * len(right), groups=groups, level=LEVEL),
    )


def break_down(results: Sequence[UtteranceResult], task: str) -> tuple[Breakdown, ...]:
    """Measure by speaker, where all are known, by length, and by signal-to-noise ratio, where there is one."""
    breakdowns = []
    if speakers_of(results) is not None:
        groups = measure_groups(results, task, lambda result: str(result.speaker))
        breakdowns.append(Breakdown(by="speaker", groups=tuple(sorted(groups, key=badness, reverse=True))))
    lengths = bins(LENGTHS_S, "s")
    by_length = measure_groups(results, task, lambda r: name_bin(r.duration_s, LENGTHS_S, lengths), lengths)
    breakdowns.append(Breakdown(by="length", groups=by_length))
    heard = [result for result in results if result.snr_db is not None]
    if heard:
        ratios = bins(RATIOS_DB, "dB")
        by_ratio = measure_groups(heard, task, lambda r: name_bin(r.snr_db, RATIOS_DB, ratios), ratios)
        num_estimated = sum(result.is_snr_estimated for result in heard)
        breakdowns.append(Breakdown(by="SNR", groups=by_ratio, num_estimated=num_estimated))
    return tuple(breakdowns)


def badness(group: Group) -> float:
    """Tell how bad a group's first measure is."""
    first = group.measures[0]
    return -first.value if first.name == "accuracy" else first.value


def bins(edges: Sequence[int], unit: str) -> list[str]:
    """Name the parts into which edges cut the numbers."""
    between = [f"{low} to {high} {unit}" for low, high in itertools.pairwise(edges)]
    return [f"below {edges[0]} {unit}", *between, f"{edges[-1]} {unit} and more"]


def name_bin(value: float | None, edges: Sequence[int], names: Sequence[str]) -> str:
    """Find the part in which a value lies."""
    return names[bisect.bisect_right(edges, math.nan if value is None else value)]


def measure_groups(
    results: Iterable[UtteranceResult],
    task: str,
    name_of: Callable[[UtteranceResult], str],
    order: Sequence[str] = (),
) -> tuple[Group, ...]:
    """Measure the utterances of each name, in a given order or that of their first utterances."""
    groups: dict[str, list[UtteranceResult]] = {name: [] for name in order}
    for result in results:
        groups.setdefault(name_of(result), []).append(result)
    return tuple(
        Group(
            name=name,
            num_utterances=len(members),
            duration_s=math.fsum(member.duration_s for member in members),
            measures=measure_all(members, task),
        )
        for name, members in groups.items()
        if members
    )


def count_frequent_errors(results: Iterable[UtteranceResult]) -> tuple[FrequentError, ...]:
    """Count what was taken for what; the most frequent first, equally frequent ones by their words."""
    counts: dict[Pair, int] = {}
    utterances: dict[Pair, dict[str, None]] = {}
    for result in results:
        for pair in result.alignment:
            if pair[0] != "hit":
                counts[pair] = counts.get(pair, 0) + 1
                utterances.setdefault(pair, {})[result.id] = None
    order = sorted(counts, key=lambda pair: (-counts[pair], pair[0], pair[1] or "", pair[2] or ""))
    return tuple(describe_error(pair, counts[pair], utterances[pair]) for pair in order)


def describe_error(pair: Pair, count: int, utterances: Mapping[str, None]) -> FrequentError:
    """Put together what is known of one kind of error."""
    operation, reference, hypothesis = pair
    return FrequentError(
        operation=operation,
        reference=reference,
        hypothesis=hypothesis,
        count=count,
        utterances=tuple(utterances),
    )
