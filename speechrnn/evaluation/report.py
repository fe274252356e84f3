"""An evaluation as text for the terminal."""

from collections.abc import Iterator, Sequence

from speechrnn.evaluation.calibration import Calibration
from speechrnn.evaluation.comparison import Comparison, Difference
from speechrnn.evaluation.evaluate import worst_first
from speechrnn.evaluation.results import LEVEL, Evaluation, Measure, UtteranceResult
from speechrnn.metrics import MARKS, ClassificationCounts, bound_without_errors

WIDTH = 80
MOST_UTTERANCES = 20
LABELS = ("   reference   ", "   hypothesis  ", "               ")
UNITS = {"WER": "words", "CER": "characters", "accuracy": "clips"}


def render_listing(evaluation: Evaluation, *, most: int | None = MOST_UTTERANCES, width: int = WIDTH) -> str:
    """Write reference beside hypothesis for each utterance, or for the ``most`` worst ones if there are more.

    Words are aligned, and marked S (substituted), D (deleted) or I (inserted) where they differ.

    Args:
        evaluation: What ``evaluate`` returned.
        most: Utterances to show at most; all when None.
        width: Columns of the terminal.
    """
    utterances = choose(evaluation, most)
    lines = []
    if len(utterances) < len(evaluation.utterances):
        lines = [f"The {len(utterances)} worst of {len(evaluation.utterances)} utterances:", ""]
    if evaluation.task == "classification":
        lines += label_rows(utterances)
    else:
        for utterance in utterances:
            lines += [*transcript_rows(utterance, width), ""]
    return "\n".join(lines).rstrip()


def choose(evaluation: Evaluation, most: int | None) -> Sequence[UtteranceResult]:
    """Choose what to show: everything in its order, or the worst first (of labels, the surest mistakes)."""
    if most is None or len(evaluation.utterances) <= most:
        return evaluation.utterances
    return worst_first(evaluation.utterances)[:most]


def transcript_rows(utterance: UtteranceResult, width: int) -> Iterator[str]:
    """Write an utterance's name, its verdict, and its aligned words, folded to ``width`` columns."""
    errors, length = utterance.words.errors, utterance.words.reference_length
    verdict = f"{count(errors, 'error')} in {count(length, 'word')}" if errors else "correct"
    yield f"{utterance.id}  {verdict:>{max(0, width - len(utterance.id) - 2)}}"
    for cells in fold(word_cells(utterance), width - len(LABELS[0])):
        for label, row in zip(LABELS, zip(*cells, strict=True), strict=True):
            text = " ".join(row).rstrip()
            if text or label.strip():
                yield f"{label}{text}".rstrip()


def count(number: int, noun: str) -> str:
    """Write a number and its noun."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def word_cells(utterance: UtteranceResult) -> list[tuple[str, str, str]]:
    """Align the words: reference, hypothesis and mark, padded to the same width."""
    cells = []
    for operation, reference, hypothesis in utterance.alignment:
        width = max(len(reference or ""), len(hypothesis or ""))
        words = (reference or "*" * width, hypothesis or "*" * width, MARKS[operation])
        cells.append((words[0].ljust(width), words[1].ljust(width), words[2].ljust(width)))
    return cells or [("(empty)", "(empty)", "")]


def fold(cells: Sequence[tuple[str, str, str]], width: int) -> Iterator[list[tuple[str, str, str]]]:
    """Cut a row of cells into rows of at most ``width`` columns, one cell at least in each."""
    row: list[tuple[str, str, str]] = []
    used = 0
    for cell in cells:
        if row and used + len(cell[0]) > width:
            yield row
            row, used = [], 0
        row.append(cell)
        used += len(cell[0]) + 1
    if row:
        yield row


def label_rows(utterances: Sequence[UtteranceResult]) -> list[str]:
    """Write one row for each clip: its label, the model's answer, and S where they differ."""
    header = ("", "utterance", "reference", "hypothesis", "confidence")
    rows = [
        ("S" if u.words.errors else "", u.id, u.reference, u.hypothesis, f"{100 * u.confidence:.1f} %")
        for u in utterances
    ]
    return table_rows([header, *rows])


def table_rows(rows: Sequence[Sequence[str]]) -> list[str]:
    """Line up columns, two spaces between them."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    padded = ("  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) for row in rows)
    return [row.rstrip() for row in padded]


def class_rows(table: ClassificationCounts) -> list[str]:
    """Write precision, recall and number of clips of each class."""
    header = ("class", "precision", "recall", "clips")
    rows = [
        (c.label, f"{100 * c.precision:.1f} %", f"{100 * c.recall:.1f} %", str(c.support))
        for c in table.classes
    ]
    return table_rows([header, *rows])


def render_summary(evaluation: Evaluation) -> str:
    """Write the measures with their intervals, and the per-class table of labels."""
    num_utterances = count(len(evaluation.utterances), "utterance")
    lines = [f"{evaluation.model} on {num_utterances}, {evaluation.duration_s:.1f} s of audio"]
    if evaluation.failures:
        lines.append(f"{count(len(evaluation.failures), 'utterance')} left out, see the errors")
    if evaluation.table is not None:
        lines += ["", *class_rows(evaluation.table), ""]
    lines += [measure_row(measure) for measure in evaluation.measures]
    if evaluation.calibration is not None:
        lines.append(
            calibration_row(evaluation.calibration, "words" if evaluation.table is None else "clips")
        )
    over = num_utterances if evaluation.num_speakers is None else f"{evaluation.num_speakers} speakers"
    legend = f"[ ] {100 * LEVEL:.0f} % bootstrap over {over}"
    if evaluation.table is None:
        legend += "; S substituted, D deleted, I inserted"
    lines.append(legend)
    if not any(utterance.characters.errors for utterance in evaluation.utterances):
        bound = 100 * bound_without_errors(len(evaluation.utterances), LEVEL)
        lines.append(f"no errors: if the utterances are independent, at most {bound:.2f} % of such have one")
    return "\n".join(lines)


def measure_row(measure: Measure) -> str:
    """Write one measure."""
    low, high = 100 * measure.interval.low, 100 * measure.interval.high
    row = f"{measure.name}  {100 * measure.value:.2f} %  [{low:.2f}, {high:.2f}]  "
    counts, out_of = measure.counts, f"{measure.denominator} {UNITS[measure.name]}"
    if counts is None:
        return f"{row}{measure.numerator} of {out_of}"
    edits = f"{counts.substitutions} S, {counts.deletions} D, {counts.insertions} I"
    return f"{row}{count(measure.numerator, 'error')} in {out_of}: {edits}"


def calibration_row(calibration: Calibration, unit: str) -> str:
    """Write the calibration error."""
    error = f"ECE  {100 * calibration.error:.2f} %"
    return f"{error}  expected calibration error of the confidences of {calibration.count} {unit}"


def render_comparison(comparison: Comparison) -> str:
    """Write what a comparison found, a line for each measure."""
    drawn = (
        count(comparison.num_utterances, "utterance")
        if comparison.num_speakers is None
        else f"{comparison.num_speakers} speakers"
    )
    lines = [
        f"{comparison.model} beside {comparison.baseline} on {count(comparison.num_utterances, 'utterance')}: "
        f"{comparison.num_better} better, {comparison.num_worse} worse"
    ]
    if comparison.num_unpaired:
        lines.append(f"{count(comparison.num_unpaired, 'utterance')} left out, which only one of them has")
    lines += [difference_row(difference) for difference in comparison.differences]
    lines.append(f"[ ] {100 * LEVEL:.0f} % matched-pairs bootstrap over {drawn}; p two-sided")
    return "\n".join(lines)


def difference_row(found: Difference) -> str:
    """Write one measure of two runs."""
    values = f"{100 * found.baseline.value:.2f} to {100 * found.measure.value:.2f} %"
    low, high = 100 * found.difference.interval.low, 100 * found.difference.interval.high
    verdict = "significant" if found.is_significant else "may be chance"
    change = f"{100 * found.difference.value:+.2f} [{low:+.2f}, {high:+.2f}]"
    return f"{found.name}  {values}  {change}  p = {found.difference.p_value:.4f}, {verdict}"
