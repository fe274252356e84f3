"""Whether one model is better than another, or was luckier with these recordings."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from speechrnn.errors import ManifestError
from speechrnn.evaluation.breakdown import measure_all, speakers_of
from speechrnn.evaluation.results import Evaluation, Measure, Results, UtteranceResult
from speechrnn.metrics import PairedDifference, paired_bootstrap

SIGNIFICANT = 0.05


@dataclass(frozen=True, kw_only=True)
class Difference:
    """One measure of two runs, and what lies between them."""

    name: str
    """``WER``, ``CER`` or ``accuracy``."""
    baseline: Measure
    measure: Measure
    difference: PairedDifference
    """Measure minus baseline."""

    @property
    def is_significant(self) -> bool:
        """Whether chance alone makes such a difference in less than 5 % of cases."""
        return self.difference.p_value < SIGNIFICANT


@dataclass(frozen=True, kw_only=True)
class Change:
    """An utterance to which two models answered differently well."""

    id: str
    reference: str
    baseline: str
    hypothesis: str
    difference: int
    """Errors in words, or labels, minus the baseline's."""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """A run beside a baseline, over the utterances that both have."""

    baseline: str
    baseline_sha256: str
    model: str
    model_sha256: str
    num_utterances: int
    num_unpaired: int
    """Utterances that only one of the two has."""
    num_speakers: int | None
    """How many speakers the test draws; None if it draws utterances."""
    differences: tuple[Difference, ...]
    num_better: int
    """Utterances with fewer errors than in the baseline."""
    num_worse: int
    changes: tuple[Change, ...]
    """The largest first; what got worse before what got better by as much."""

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return asdict(self)


def compare_runs(run: Evaluation | Results, baseline: Evaluation | Results) -> Comparison:
    """Compare two runs over the same utterances by the matched-pairs bootstrap, seed 0.

    Args:
        run: The one of interest.
        baseline: What it is compared with.

    Raises:
        ManifestError: If they have no utterance in common, not the same task, or another reference for one.
    """
    if run.task != baseline.task:
        raise ManifestError(f"one model is for {run.task}, the other for {baseline.task}: nothing to compare")
    others = {result.id: result for result in baseline.utterances}
    pairs = [(others[result.id], result) for result in run.utterances if result.id in others]
    if not pairs:
        raise ManifestError("the two runs have no utterance in common: were they made of one manifest?")
    for before, after in pairs:
        if before.reference != after.reference:
            raise ManifestError(
                f"utterance {after.id!r} has the reference {after.reference!r} here and {before.reference!r} "
                "there; compare runs over the same manifest, of models that normalise text alike"
            )
    changes = [describe_change(*pair) for pair in pairs if pair[0].words.errors != pair[1].words.errors]
    speakers = speakers_of([after for _, after in pairs])
    return Comparison(
        baseline=baseline.model,
        baseline_sha256=baseline.model_sha256,
        model=run.model,
        model_sha256=run.model_sha256,
        num_utterances=len(pairs),
        num_unpaired=len(run.utterances) + len(others) - 2 * len(pairs),
        num_speakers=None if speakers is None else len(set(speakers)),
        differences=tuple(find_differences(pairs, run.task, speakers)),
        num_better=sum(change.difference < 0 for change in changes),
        num_worse=sum(change.difference > 0 for change in changes),
        changes=tuple(sorted(changes, key=lambda c: (-abs(c.difference), -c.difference))),
    )


def describe_change(before: UtteranceResult, after: UtteranceResult) -> Change:
    """Put two answers beside each other."""
    return Change(
        id=after.id,
        reference=after.reference,
        baseline=before.hypothesis,
        hypothesis=after.hypothesis,
        difference=after.words.errors - before.words.errors,
    )


def find_differences(
    pairs: Sequence[tuple[UtteranceResult, UtteranceResult]], task: str, speakers: Sequence[str] | None
) -> list[Difference]:
    """Test each measure."""
    sides = [[pair[side] for pair in pairs] for side in (0, 1)]
    differences = []
    for old, new in zip(*(measure_all(side, task) for side in sides), strict=True):
        (errors, totals), (other_errors, _) = (count(side, old.name) for side in sides)
        difference = paired_bootstrap(errors, other_errors, totals, groups=speakers)
        differences.append(Difference(name=old.name, baseline=old, measure=new, difference=difference))
    return differences


def count(results: Sequence[UtteranceResult], measure: str) -> tuple[list[int], list[int]]:
    """List what a measure has above and below its line, for each utterance."""
    if measure == "accuracy":
        return [result.words.hits for result in results], [1] * len(results)
    counts = [result.words if measure == "WER" else result.characters for result in results]
    return [c.errors for c in counts], [c.reference_length for c in counts]
