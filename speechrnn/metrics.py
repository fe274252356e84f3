"""How wrong an answer is: alignment, word and character error rates, accuracy, and intervals for all of them.

Counts are integers and add up; a rate is a ratio of sums, never a mean of rates. With an empty reference the
rate is the number of insertions, and 0 if there is none, as in jiwer 4.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from speechrnn.errors import ConfigError

Operation = Literal["hit", "substitution", "deletion", "insertion"]
Pair = tuple[Operation, str | None, str | None]
NUM_RESAMPLES = 2_000
MOST_DRAWN = 500_000  # utterances at a time
MARKS = {"hit": "", "substitution": "S", "deletion": "D", "insertion": "I"}


@dataclass(frozen=True, kw_only=True)
class ErrorCounts:
    """Edits that lead from a reference to a hypothesis, over any number of utterances.

    Example:
        >>> word_errors("a b c", "a x c d").errors
        2
    """

    hits: int = 0
    substitutions: int = 0
    deletions: int = 0
    insertions: int = 0

    def __add__(self, other: "ErrorCounts") -> "ErrorCounts":
        """Add up two sets of counts."""
        return ErrorCounts(
            hits=self.hits + other.hits,
            substitutions=self.substitutions + other.substitutions,
            deletions=self.deletions + other.deletions,
            insertions=self.insertions + other.insertions,
        )

    @property
    def errors(self) -> int:
        """Substitutions, deletions and insertions together."""
        return self.substitutions + self.deletions + self.insertions

    @property
    def reference_length(self) -> int:
        """Tokens of the reference."""
        return self.hits + self.substitutions + self.deletions

    @property
    def rate(self) -> float:
        """Errors over reference length; the insertions themselves when the reference is empty."""
        return self.errors / self.reference_length if self.reference_length else float(self.insertions)


@dataclass(frozen=True)
class Interval:
    """Where a measure lies, given the utterances (or speakers) that happened to be drawn."""

    low: float
    high: float
    level: float = 0.95

    def __str__(self) -> str:
        """Write the interval in percent."""
        return f"[{100 * self.low:.2f}, {100 * self.high:.2f}] %"


def word_errors(reference: str, hypothesis: str) -> ErrorCounts:
    """Count the errors in words, split at white space."""
    return count_errors(reference.split(), hypothesis.split())


def character_errors(reference: str, hypothesis: str) -> ErrorCounts:
    """Count the errors in characters, spaces included."""
    return count_errors(reference, hypothesis)


def count_errors(reference: Sequence[str], hypothesis: Sequence[str]) -> ErrorCounts:
    """Count the edits of an alignment of two sequences of tokens."""
    operations = [operation for operation, _, _ in align(reference, hypothesis)]
    return ErrorCounts(
        hits=operations.count("hit"),
        substitutions=operations.count("substitution"),
        deletions=operations.count("deletion"),
        insertions=operations.count("insertion"),
    )


def align(reference: Sequence[str], hypothesis: Sequence[str]) -> tuple[Pair, ...]:
    """Align two sequences of tokens with the fewest edits (Levenshtein, 1966).

    Among alignments with equally few edits the choice is fixed, but others' tools may choose another: the
    number of errors is unique, its split into substitutions, deletions and insertions is not.

    Returns:
        (operation, reference token or None, hypothesis token or None), in order.
    """
    costs = edit_costs(reference, hypothesis)
    pairs: list[Pair] = []
    i, j = len(reference), len(hypothesis)
    while i or j:
        cost = costs[i, j]
        if i and j and cost == costs[i - 1, j - 1] + (reference[i - 1] != hypothesis[j - 1]):
            i, j = i - 1, j - 1
            same = reference[i] == hypothesis[j]
            pairs.append(("hit" if same else "substitution", reference[i], hypothesis[j]))
        elif i and cost == costs[i - 1, j] + 1:
            i -= 1
            pairs.append(("deletion", reference[i], None))
        else:
            j -= 1
            pairs.append(("insertion", None, hypothesis[j]))
    return tuple(reversed(pairs))


def edit_costs(reference: Sequence[str], hypothesis: Sequence[str]) -> NDArray[np.int64]:
    """Compute the fewest edits between all beginnings: (len(reference) + 1, len(hypothesis) + 1)."""
    numbers = {token: number for number, token in enumerate({*reference, *hypothesis})}
    tokens = np.array([numbers[token] for token in hypothesis], dtype=np.int64)
    columns = np.arange(len(hypothesis) + 1)
    costs = np.empty((len(reference) + 1, len(hypothesis) + 1), dtype=np.int64)
    costs[0] = columns
    for row, token in enumerate(reference, start=1):
        above = costs[row - 1] + 1
        above[1:] = np.minimum(above[1:], costs[row - 1, :-1] + (tokens != numbers[token]))
        # Insertions run along the row: the least of all cells to the left plus their distance.
        costs[row] = np.minimum.accumulate(above - columns) + columns
    return costs


def format_alignment(pairs: Sequence[Pair]) -> str:
    """Write an alignment as three lines: REF, HYP and the marks S, D, I beneath them.

    Example:
        >>> print(format_alignment(align(["go", "north"], ["no", "north", "east"])))
        REF: go north ****
        HYP: no north east
             S        I
    """
    rows: list[list[str]] = [["REF:"], ["HYP:"], ["    "]]
    for operation, reference, hypothesis in pairs:
        width = max(len(reference or ""), len(hypothesis or ""))
        cells = (reference or "*" * width, hypothesis or "*" * width, MARKS[operation])
        for row, cell in zip(rows, cells, strict=True):
            row.append(cell.ljust(width))
    return "\n".join(" ".join(row).rstrip() for row in rows)


def bootstrap_interval(
    errors: ArrayLike,
    totals: ArrayLike,
    *,
    groups: Sequence[str] | None = None,
    level: float = 0.95,
    num_resamples: int = NUM_RESAMPLES,
    seed: int = 0,
) -> Interval:
    """Estimate the interval of a ratio of sums by the percentile bootstrap (Bisani and Ney, 2004).

    Args:
        errors: (n,) counts above the line, one an utterance.
        totals: (n,) counts below it.
        groups: Speaker of each utterance; speakers are then drawn instead of utterances, whose errors are
            not independent.
        level: Share of draws that the interval holds, in (0, 1).
        num_resamples: Draws.
        seed: Of the draws.

    Raises:
        ConfigError: If there is no utterance, counts or groups do not pair, or ``level`` or
            ``num_resamples`` is out of range.
    """
    above, below = np.asarray(errors, dtype=float), np.asarray(totals, dtype=float)
    if above.ndim != 1 or above.shape != below.shape or not len(above):
        raise ConfigError(f"errors and totals must be (n,) with n > 0, got {above.shape} and {below.shape}")
    if not 0 < level < 1:
        raise ConfigError(f"level must be in (0, 1), got {level}")
    if num_resamples < 1:
        raise ConfigError(f"num_resamples must be >= 1, got {num_resamples}")
    counts = np.stack([above, below], axis=-1)
    sums = resample_sums(counts, groups=groups, num_resamples=num_resamples, seed=seed)
    low, high = np.quantile(divide(sums[:, 0], sums[:, 1]), [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(low), float(high), level)


def resample_sums(
    counts: NDArray[np.float64],
    *,
    groups: Sequence[str] | None = None,
    num_resamples: int = NUM_RESAMPLES,
    seed: int = 0,
) -> NDArray[np.float64]:
    """Add up counts (n, k) over draws with replacement of n utterances, or of as many groups as there are.

    Returns:
        (num_resamples, k) sums, the same for the same seed.
    """
    if groups is not None:
        counts = sum_groups(counts, groups)
    generator, n = np.random.default_rng(seed), len(counts)
    most = max(1, MOST_DRAWN // n)
    sizes = (min(most, num_resamples - done) for done in range(0, num_resamples, most))
    return np.concatenate([counts[generator.integers(n, size=(size, n))].sum(axis=1) for size in sizes])


def divide(above: NDArray[np.float64], below: NDArray[np.float64]) -> NDArray[np.float64]:
    """Divide sums of errors by sums of lengths; errors themselves where there is no length."""
    return np.divide(above, below, out=above.copy(), where=below > 0)


@dataclass(frozen=True, kw_only=True)
class PairedDifference:
    """How much a rate differs between two systems that were measured on the same utterances."""

    value: float
    """Second rate minus first."""
    interval: Interval
    p_value: float
    """How often chance alone makes such a difference, if there is none; two-sided, in (0, 1]."""


def paired_bootstrap(
    errors: ArrayLike,
    other_errors: ArrayLike,
    totals: ArrayLike,
    *,
    groups: Sequence[str] | None = None,
    level: float = 0.95,
    num_resamples: int = NUM_RESAMPLES,
    seed: int = 0,
) -> PairedDifference:
    """Test whether two systems differ, by drawing utterances with the answers of both (Bisani and Ney, 2004).

    The p-value is twice the share of draws in which the difference is zero or has the other sign, draws
    counted with one added to them so that it is never 0 (Davison and Hinkley, 1997, 4.2.1).

    Args:
        errors: (n,) counts above the line of the first system.
        other_errors: (n,) of the second.
        totals: (n,) counts below it, the same for both.
        groups: Speaker of each utterance; speakers are then drawn.
        level: Share of draws that the interval holds, in (0, 1).
        num_resamples: Draws.
        seed: Of the draws.

    Raises:
        ConfigError: If the three do not pair, or there is nothing.

    Example:
        >>> paired_bootstrap([1] * 8, [0] * 8, [2] * 8).value
        -0.5
    """
    first, second, below = (np.asarray(x, dtype=float) for x in (errors, other_errors, totals))
    if first.ndim != 1 or not first.shape == second.shape == below.shape or not len(first):
        shapes = f"{first.shape}, {second.shape} and {below.shape}"
        raise ConfigError(f"errors, other_errors and totals must be (n,) with n > 0, got {shapes}")
    counts = np.stack([second - first, below], axis=-1)
    sums = resample_sums(counts, groups=groups, num_resamples=num_resamples, seed=seed)
    draws = divide(sums[:, 0], sums[:, 1])
    low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2])
    fewer = min(int((draws <= 0).sum()), int((draws >= 0).sum()))
    total = counts.sum(axis=0, keepdims=True)
    return PairedDifference(
        value=float(divide(total[:, 0], total[:, 1])[0]),
        interval=Interval(float(low), float(high), level),
        p_value=min(1.0, 2 * (fewer + 1) / (num_resamples + 1)),
    )


def bound_without_errors(num_trials: int, level: float = 0.95) -> float:
    """Bound the error rate from above when no error was seen, where a bootstrap knows nothing.

    1 - (1 - level)^(1/n): the highest rate at which n independent trials still pass without an error with
    probability 1 - level; about 3/n at 95 % (Hanley and Lippman-Hand, 1983, "If nothing goes wrong").

    Raises:
        ConfigError: If there is no trial or ``level`` is out of range.

    Example:
        >>> round(bound_without_errors(300), 4)
        0.0099
    """
    if num_trials < 1:
        raise ConfigError(f"num_trials must be >= 1, got {num_trials}")
    if not 0 < level < 1:
        raise ConfigError(f"level must be in (0, 1), got {level}")
    return float(1 - (1 - level) ** (1 / num_trials))


def sum_groups(counts: NDArray[Any], groups: Sequence[str]) -> NDArray[Any]:
    """Add up (n, k) counts by group."""
    if len(groups) != len(counts):
        raise ConfigError(f"groups must name {len(counts)} utterances, got {len(groups)}")
    numbers = {name: number for number, name in enumerate(dict.fromkeys(groups))}
    sums = np.zeros((len(numbers), counts.shape[1]))
    np.add.at(sums, [numbers[name] for name in groups], counts)
    return sums


@dataclass(frozen=True, kw_only=True)
class ClassCounts:
    """One class of a classification."""

    label: str
    hits: int
    """Clips of the class that were called so."""
    support: int
    """Clips of the class."""
    predicted: int
    """Clips that were called so."""

    @property
    def recall(self) -> float:
        """Share of the class that was found; 0 if there is none of it."""
        return self.hits / self.support if self.support else 0.0

    @property
    def precision(self) -> float:
        """Share of what was called so that is so; 0 if nothing was."""
        return self.hits / self.predicted if self.predicted else 0.0


@dataclass(frozen=True, kw_only=True)
class ClassificationCounts:
    """How a set of clips was classified."""

    labels: tuple[str, ...]
    """All labels that occur, sorted."""
    confusion: NDArray[np.int64]
    """(labels, labels): rows are references, columns hypotheses."""

    @property
    def hits(self) -> int:
        """Clips called right."""
        return int(np.trace(self.confusion))

    @property
    def total(self) -> int:
        """All clips."""
        return int(self.confusion.sum())

    @property
    def accuracy(self) -> float:
        """Share of clips called right; 0 if there is none."""
        return self.hits / self.total if self.total else 0.0

    @property
    def classes(self) -> tuple[ClassCounts, ...]:
        """The table, a row a class."""
        hits = np.diag(self.confusion).tolist()
        support, predicted = self.confusion.sum(1).tolist(), self.confusion.sum(0).tolist()
        rows = zip(self.labels, hits, support, predicted, strict=True)
        return tuple(ClassCounts(label=a, hits=b, support=c, predicted=d) for a, b, c, d in rows)


def accuracy_table(references: Sequence[str], hypotheses: Sequence[str]) -> ClassificationCounts:
    """Count how clips were classified.

    Raises:
        ConfigError: If there are not as many hypotheses as references.
    """
    if len(references) != len(hypotheses):
        raise ConfigError(f"{len(references)} references, but {len(hypotheses)} hypotheses")
    labels = tuple(sorted({*references, *hypotheses}))
    numbers = {label: number for number, label in enumerate(labels)}
    confusion = np.zeros((len(labels), len(labels)), dtype=np.int64)
    for reference, hypothesis in zip(references, hypotheses, strict=True):
        confusion[numbers[reference], numbers[hypothesis]] += 1
    return ClassificationCounts(labels=labels, confusion=confusion)
