"""Decoding AN4's test set with a 3-gram: our beam search against flashlight's and pyctcdecode's."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import NamedTuple

from an4_task import An4Source, An4Task, LogProbs, load_task
from decoders import (
    FLASHLIGHT,
    OURS,
    PYCTCDECODE,
    Answer,
    Decode,
    Pruning,
    close_words,
    make_flashlight,
    make_ours,
    make_pyctcdecode,
)
from timing import Comparison, Target, compare, time_in_turn

REPEATS = 5
LIKE_FLASHLIGHT, LIKE_PYCTCDECODE = Target(at_least=1), Target(at_least=10)
NUM_UNPRUNED = 13  # utterances; pyctcdecode takes 2 s for each
SAME_SCORE = 1e-2  # nats: float32 sums over hundreds of frames
MOST_DIFFERENT = 0.05  # share of utterances


def measure_flashlight(*, repeats: int = REPEATS, an4: An4Source) -> Iterator[Comparison]:
    """Compare the time for all test utterances, one after the other: pruned alike, then each as it comes.

    Making a decoder, reading the language model and compiling are left out: a warm-up round comes first. Both
    have the same lexicon, flashlight one frame more.

    Raises:
        RuntimeError: If the two do not answer the same where they search for the same.
    """
    task = load_task(an4)
    theirs = [close_words(log_probs, task.vocabulary) for log_probs in task.test_log_probs]
    check_agreement(task, theirs)
    narrower = Pruning(beam_threshold=OURS.beam_threshold)
    alike = [(pruning, pruning, log_add) for pruning in (FLASHLIGHT, narrower) for log_add in (False, True)]
    for their_pruning, our_pruning, log_add in [*alike, (FLASHLIGHT, OURS, True)]:
        works = {
            "flashlight": (make_flashlight(task, their_pruning, log_add=log_add), theirs),
            "speechrnn": (make_ours(task, our_pruning, log_add=log_add), task.test_log_probs),
        }
        title = f"{'sum of paths' if log_add else 'best path'}; {describe(their_pruning, our_pruning)}"
        target = LIKE_FLASHLIGHT if their_pruning == our_pruning else None
        yield time_decoders(title, works, repeats, target, audio_s=task.test_s)


def measure_pyctcdecode(*, repeats: int = REPEATS, an4: An4Source) -> Iterator[Comparison]:
    """Compare as ``measure_flashlight`` does, but over any words; without pruning on a few utterances."""
    task = load_task(an4)
    pairs = [(PYCTCDECODE, PYCTCDECODE), (OURS, OURS), (Pruning(), Pruning()), (PYCTCDECODE, OURS)]
    for their_pruning, our_pruning in pairs:
        few = task.test_log_probs[: NUM_UNPRUNED if their_pruning == Pruning() else None]
        works = {
            "pyctcdecode": (make_pyctcdecode(task, their_pruning), few),
            "speechrnn": (make_ours(task, our_pruning, closed=False), few),
        }
        title = f"{len(few)} utterances; {describe(their_pruning, our_pruning)}"
        target = LIKE_PYCTCDECODE if their_pruning == our_pruning else None
        yield time_decoders(title, works, repeats, target)


def describe(their_pruning: Pruning, our_pruning: Pruning) -> str:
    """Write what two searches drop."""
    both = their_pruning == our_pruning
    return f"both drop {our_pruning}" if both else f"A drops {their_pruning}, B {our_pruning}"


def measure_pruning(*, repeats: int = REPEATS, an4: An4Source) -> Iterator[Comparison]:
    """Compare ours with the beam as its only limit and with its own pruning."""
    task = load_task(an4)
    for closed, title in ((True, "words of a lexicon"), (False, "any words")):
        works = {
            name: (make_ours(task, pruning, closed=closed), task.test_log_probs)
            for name, pruning in (("the beam alone", Pruning()), ("pruned as it comes", OURS))
        }
        yield time_decoders(title, works, repeats, audio_s=task.test_s)


def time_decoders(
    title: str,
    works: Mapping[str, tuple[Decode, Sequence[LogProbs]]],
    repeats: int,
    target: Target | None = None,
    *,
    audio_s: float | None = None,
) -> Comparison:
    """Time two decoders in turn, each on its own input."""
    runs = {name: partial(decode, batch) for name, (decode, batch) in works.items()}
    first, second = runs
    return compare(title, first, second, time_in_turn(runs, repeats=repeats), target=target, audio_s=audio_s)


def check_agreement(task: An4Task, theirs: Sequence[LogProbs]) -> None:
    """Check that ours and flashlight's find the same best paths; errors as ``measure_flashlight``."""
    expected = make_flashlight(task)(theirs)
    found = make_ours(task, FLASHLIGHT, log_add=False)(task.test_log_probs)
    same = count_same(expected, found)
    if len(found) - same.scores > MOST_DIFFERENT * len(found):
        raise RuntimeError(f"only {same.scores} of {len(found)} answers are those of flashlight")


class Same(NamedTuple):
    """How many answers of two decoders are the same."""

    texts: int
    scores: int
    """Of those the ones with the same score, too."""


def count_same(expected: Sequence[Answer], found: Sequence[Answer]) -> Same:
    """Count answers of the same text, and of the same score as well."""
    pairs = [(a, b) for a, b in zip(expected, found, strict=True) if a.text == b.text]
    return Same(len(pairs), sum(abs(a.score - b.score) <= SAME_SCORE for a, b in pairs))
