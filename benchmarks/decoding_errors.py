"""Word errors of the decoders on AN4 with a 3-gram: the same beam, weights and language model for all of them."""

import functools
import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain

from an4_task import An4Source, An4Task, load_task
from decoders import (
    FLASHLIGHT,
    Answer,
    Decode,
    close_words,
    make_flashlight,
    make_ours,
    make_pyctcdecode,
    missing_packages,
)
from decoding import Same, count_same
from timing import Target

from speechrnn.decoding import greedy_decode
from speechrnn.evaluation.tune import Reading
from speechrnn.metrics import ErrorCounts, word_errors

BELOW_GREEDY = Target(at_least=0.3)
GREEDY = "greedy"
THEIR_BEST, THEIR_SUM, THEIR_WORDS = "flashlight, best path", "flashlight, sum of paths", "pyctcdecode"
OUR_BEST, OUR_SUM = "speechrnn, lexicon, best path, pruned as flashlight", "speechrnn, lexicon"
OUR_WORDS = "speechrnn, any words"
DECODERS: Mapping[str, Callable[[An4Task], Decode]] = {
    THEIR_BEST: make_flashlight,
    OUR_BEST: partial(make_ours, pruning=FLASHLIGHT, log_add=False),
    THEIR_SUM: partial(make_flashlight, log_add=True),
    OUR_SUM: make_ours,
    THEIR_WORDS: make_pyctcdecode,
    OUR_WORDS: partial(make_ours, closed=False),
}
COUNTERPARTS = {OUR_BEST: THEIR_BEST, OUR_SUM: THEIR_SUM, OUR_WORDS: THEIR_WORDS}  # that may say the same


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a decoder made of the test set."""

    decoder: str
    counts: ErrorCounts
    """Word errors."""
    counterpart: str = ""
    """Decoder that ours is held against."""
    same: Same | None = None
    """Answers that are the counterpart's, too."""

    def below(self, greedy: "Outcome") -> float:
        """Return by what share of greedy decoding's errors there are fewer; both are of the same references."""
        return (greedy.counts.errors - self.counts.errors) / greedy.counts.errors


def measure(*, repeats: int | None, an4: An4Source) -> Iterator[Outcome]:
    """Decode the test set greedily, then with each decoder that is installed; nothing is repeated."""
    del repeats
    task = load_task(an4)
    yield Outcome(decoder=GREEDY, counts=count_errors(task.test, decode_greedily(task)))
    answers: dict[str, list[Answer]] = {}
    for name, make in DECODERS.items():
        if missing_packages(package_of(name)):
            continue
        answers[name] = decode_test(make(task), task, closes=package_of(name) == "flashlight")
        counterpart = COUNTERPARTS.get(name, "")
        yield Outcome(
            decoder=name,
            counts=count_errors(task.test, answers[name]),
            counterpart=counterpart,
            same=count_same(answers[counterpart], answers[name]) if counterpart in answers else None,
        )


def package_of(name: str) -> str:
    """Return the package of a decoder."""
    return name.partition(",")[0]


def decode_greedily(task: An4Task) -> list[Answer]:
    """Decode the test set without a search."""
    found = (greedy_decode(rows[None], [len(rows)], task.vocabulary)[0] for rows in task.test_log_probs)
    return [Answer(best.text, best.score) for best in found]


def decode_test(decode: Decode, task: An4Task, *, closes: bool) -> list[Answer]:
    """Decode the test set, where asked with a closing separator."""
    batch = task.test_log_probs
    return decode([close_words(log_probs, task.vocabulary) for log_probs in batch] if closes else batch)


def count_errors(readings: Sequence[Reading], answers: Sequence[Answer]) -> ErrorCounts:
    """Add up word errors."""
    pairs = zip(readings, answers, strict=True)
    return functools.reduce(operator.add, (word_errors(r.reference, a.text) for r, a in pairs))


def table(outcomes: Iterator[Outcome]) -> Iterator[str]:
    """Write outcomes as the lines of a Markdown table; the first is greedy decoding's."""
    header = ["decoder", "WER", "errors", "below greedy", "target", "same answers"]
    greedy = next(outcomes)
    rows = (table_row(outcome, greedy) for outcome in chain([greedy], outcomes))
    for row in chain([header, ["---"] * len(header)], rows):
        yield f"| {' | '.join(row)} |"


def table_row(outcome: Outcome, greedy: Outcome) -> list[str]:
    """Write the cells of one outcome; the target is for ours to reach."""
    counts, below, same = outcome.counts, outcome.below(greedy), outcome.same
    verdict = "met" if BELOW_GREEDY.is_met_by(below) else "missed"
    return [
        outcome.decoder,
        f"{100 * counts.rate:.2f} %",
        f"{counts.errors} / {counts.reference_length}",
        "" if outcome is greedy else f"{100 * below:.0f} %",
        f"≥ {100 * (BELOW_GREEDY.at_least or 0):.0f} %: {verdict}" if is_ours(outcome.decoder) else "",
        "" if same is None else f"{same.texts} texts, {same.scores} scores as {outcome.counterpart}",
    ]


def is_ours(name: str) -> bool:
    """Tell our decoders from others."""
    return package_of(name) == "speechrnn"
