"""Error rates by hand and against jiwer; intervals against theory."""

import math
from collections.abc import Sequence
from functools import cache
from typing import Any

import jiwer
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from speechrnn.errors import ConfigError
from speechrnn.metrics import (
    ErrorCounts,
    Interval,
    accuracy_table,
    align,
    bootstrap_interval,
    bound_without_errors,
    character_errors,
    format_alignment,
    word_errors,
)

WORDS = st.lists(st.sampled_from(["a", "b", "c", "north", "go"]), max_size=8)
SEQUENCES = st.text("abc", max_size=6)


# ---- Errors -----------------------------------------------------------------------------------


def test_word_errors_by_hand() -> None:
    # the cat sat on the mat
    # the bat sat    the mat now      one substitution, one deletion, one insertion, four hits
    counts = word_errors("the cat sat on the mat", "the bat sat the mat now")
    assert counts == ErrorCounts(hits=4, substitutions=1, deletions=1, insertions=1)
    assert (counts.errors, counts.reference_length) == (3, 6)
    assert counts.rate == 0.5


def test_character_errors_count_spaces_too() -> None:
    # "ab c" to "abc": the space is deleted, 1 of 4
    counts = character_errors("ab c", "abc")
    assert counts == ErrorCounts(hits=3, deletions=1)
    assert counts.rate == 0.25


def test_an_alignment_by_hand() -> None:
    # By hand, kitten → sitting: k/s, i, t, t, e/i, n, and g is new
    assert align("kitten", "sitting") == (
        ("substitution", "k", "s"),
        ("hit", "i", "i"),
        ("hit", "t", "t"),
        ("hit", "t", "t"),
        ("substitution", "e", "i"),
        ("hit", "n", "n"),
        ("insertion", None, "g"),
    )


def test_an_alignment_is_written_in_three_lines_with_marks() -> None:
    pairs = align(["go", "on", "north", "by", "west"], ["no", "north", "by", "west", "now"])
    assert format_alignment(pairs).splitlines() == [
        "REF: go on north by west ***",
        "HYP: ** no north by west now",
        "     D  S                I",
    ]


def test_words_are_split_at_any_white_space() -> None:
    assert word_errors(" a  b\t", "a\nb").errors == 0


def test_the_case_of_letters_counts() -> None:
    assert word_errors("a", "A").substitutions == 1


def test_a_text_of_one_letter_counts() -> None:
    assert word_errors("a", "").deletions == 1
    assert word_errors("", "a").insertions == 1


@pytest.mark.parametrize("hypothesis", ["", "a", "a b c"])
def test_an_empty_reference_gives_the_insertions_as_jiwer_does(hypothesis: str) -> None:
    assert word_errors("", hypothesis).rate == len(hypothesis.split()) == jiwer.wer("", hypothesis)
    assert character_errors("", hypothesis).rate == len(hypothesis) == jiwer.cer("", hypothesis)


@given(WORDS, WORDS)
def test_words_agree_with_jiwer(reference: list[str], hypothesis: list[str]) -> None:
    ours = word_errors(" ".join(reference), " ".join(hypothesis))
    theirs = jiwer.process_words(" ".join(reference), " ".join(hypothesis))
    # How errors split into S, D and I may tie; their sum cannot.
    assert ours.errors == theirs.substitutions + theirs.deletions + theirs.insertions
    assert ours.rate == pytest.approx(theirs.wer, abs=1e-12)
    assert ours.reference_length == len(reference)


@given(st.text("ab c", max_size=12), st.text("ab c", max_size=12))
def test_characters_agree_with_jiwer(reference: str, hypothesis: str) -> None:
    reference, hypothesis = reference.strip(), hypothesis.strip()  # as jiwer does
    theirs = jiwer.process_characters(reference, hypothesis)
    ours = character_errors(reference, hypothesis)
    assert ours.errors == theirs.substitutions + theirs.deletions + theirs.insertions
    assert ours.rate == pytest.approx(theirs.cer, abs=1e-12)


@given(st.lists(st.tuples(WORDS, WORDS), min_size=1, max_size=5))
def test_counts_of_many_utterances_add_up_to_jiwers_rate_of_all(
    pairs: list[tuple[list[str], list[str]]],
) -> None:
    references, hypotheses = zip(*((" ".join(a), " ".join(b)) for a, b in pairs), strict=True)
    total = sum(map(word_errors, references, hypotheses), ErrorCounts())
    assert total.rate == pytest.approx(jiwer.wer(list(references), list(hypotheses)), abs=1e-12)


def test_a_rate_is_a_ratio_of_sums_and_no_mean_of_rates() -> None:
    # 1 of 1 and 0 of 3: 1 of 4, where the mean of the rates would be 1 in 2.
    assert (word_errors("a", "b") + word_errors("a b c", "a b c")).rate == 0.25


def levenshtein(reference: str, hypothesis: str) -> int:
    """The distance by its definition (Levenshtein, 1966)."""

    @cache
    def distance(i: int, j: int) -> int:
        if not i or not j:
            return i + j
        change = distance(i - 1, j - 1) + (reference[i - 1] != hypothesis[j - 1])
        return min(change, distance(i - 1, j) + 1, distance(i, j - 1) + 1)

    return distance(len(reference), len(hypothesis))


@given(SEQUENCES, SEQUENCES)
def test_an_alignment_has_the_fewest_edits_and_spells_both_sides(reference: str, hypothesis: str) -> None:
    pairs = align(reference, hypothesis)
    assert sum(operation != "hit" for operation, _, _ in pairs) == levenshtein(reference, hypothesis)
    assert "".join(token or "" for _, token, _ in pairs) == reference
    assert "".join(token or "" for _, _, token in pairs) == hypothesis
    for operation, a, b in pairs:
        kinds = {(True, True): "hit" if a == b else "substitution", (True, False): "deletion"}
        assert operation == kinds.get((a is not None, b is not None), "insertion")


@given(SEQUENCES, SEQUENCES, SEQUENCES)
def test_errors_are_a_distance(a: str, b: str, c: str) -> None:
    assert character_errors(a, a).errors == 0
    assert character_errors(a, b).errors == character_errors(b, a).errors
    assert character_errors(a, c).errors <= character_errors(a, b).errors + character_errors(b, c).errors


# ---- Intervals --------------------------------------------------------------------------------


def test_an_interval_of_equal_utterances_is_a_point() -> None:
    interval = bootstrap_interval([1, 1, 1], [4, 4, 4])
    assert interval == Interval(0.25, 0.25, 0.95)


def test_an_interval_is_the_same_for_the_same_seed_and_another_for_another() -> None:
    errors = np.arange(20) % 5
    first, again, other = (bootstrap_interval(errors, [6] * 20, seed=seed) for seed in (0, 0, 1))
    assert first == again != other


def test_an_interval_agrees_with_the_normal_one_where_that_holds() -> None:
    # 400 utterances of one word, 100 of them wrong: 0.25 ± 1.96 √(0.25 · 0.75 / 400) = 0.25 ± 0.0424
    errors = [1] * 100 + [0] * 300
    interval = bootstrap_interval(errors, [1] * 400, num_resamples=4_000)
    half = 1.96 * math.sqrt(0.25 * 0.75 / 400)
    assert interval.low == pytest.approx(0.25 - half, abs=0.005)
    assert interval.high == pytest.approx(0.25 + half, abs=0.005)


def test_a_higher_level_gives_a_wider_interval() -> None:
    errors, totals = np.arange(30) % 4, [5] * 30
    narrow, wide = (bootstrap_interval(errors, totals, level=level) for level in (0.5, 0.99))
    assert wide.low < narrow.low < narrow.high < wide.high
    assert wide.level == 0.99


def test_speakers_who_err_together_make_the_interval_wider() -> None:
    # Ten speakers of 20 utterances each: two of them always wrong, the others never.
    errors = np.repeat([1] * 2 + [0] * 8, 20)
    totals = np.ones(200)
    speakers = np.repeat(list("abcdefghij"), 20).tolist()
    alone = bootstrap_interval(errors, totals)
    grouped = bootstrap_interval(errors, totals, groups=speakers)
    # By speakers the deviation is √(0.2 · 0.8 / 10), by utterances √(0.2 · 0.8 / 200): √20 = 4.5 times
    ratio = (grouped.high - grouped.low) / (alone.high - alone.low)
    assert 3.5 < ratio < 5.5


def test_groups_of_one_utterance_are_the_utterances() -> None:
    errors, totals = [0, 1, 2, 3], [5, 6, 7, 8]
    assert bootstrap_interval(errors, totals, groups=list("dbca")) == bootstrap_interval(errors, totals)


def test_a_speaker_who_is_not_known_is_a_group_like_any_other() -> None:
    groups: Any = [None, "a", None]
    assert bootstrap_interval([1, 2, 3], [4, 4, 4], groups=groups) == bootstrap_interval([4, 2], [8, 4])


def test_the_ratio_is_weighted_by_length() -> None:
    # Of 0 of 10 and 10 of 90, a quarter of the draws has 0, half 10 / 100, a quarter 20 / 180: the shares of
    # 0.3 and 0.7 both lie at 0.1. The mean of the two rates would be 0.056.
    assert bootstrap_interval([0, 10], [10, 90], level=0.4) == Interval(0.1, 0.1, 0.4)


def test_draws_without_any_reference_count_insertions_as_rates_do() -> None:
    assert bootstrap_interval([2, 2], [0, 0]) == Interval(4.0, 4.0, 0.95)


def test_totals_may_be_fractions() -> None:
    # 1 false alarm in a quarter of an hour: 4 an hour
    assert bootstrap_interval([1, 1], [0.125, 0.125]).low == pytest.approx(8.0)


def test_an_interval_is_written_in_percent() -> None:
    assert str(Interval(0.0912, 0.12345)) == "[9.12, 12.35] %"


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        (([], []), {}, r"must be \(n,\) with n > 0, got \(0,\) and \(0,\)"),
        (([1, 2], [1]), {}, r"must be \(n,\) with n > 0, got \(2,\) and \(1,\)"),
        (([[1]], [[1]]), {}, r"got \(1, 1\) and \(1, 1\)"),
        ((1, 1), {}, r"got \(\) and \(\)"),
        (([1], [1]), {"level": 0.0}, r"level must be in \(0, 1\), got 0.0"),
        (([1], [1]), {"level": 95}, r"level must be in \(0, 1\), got 95"),
        (([1], [1]), {"num_resamples": 0}, "num_resamples must be >= 1, got 0"),
        (([1, 2], [3, 4]), {"groups": ["a"]}, "groups must name 2 utterances, got 1"),
    ],
)
def test_an_interval_that_cannot_be_is_an_error(
    arguments: tuple[Any, Any], options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        bootstrap_interval(*arguments, **options)


# ---- Accuracy ---------------------------------------------------------------------------------

REFERENCES = ["yes", "yes", "yes", "no", "no", "up"]
HYPOTHESES = ["yes", "yes", "no", "no", "go", "no"]


def test_accuracy_by_hand() -> None:
    table = accuracy_table(REFERENCES, HYPOTHESES)
    assert table.labels == ("go", "no", "up", "yes")
    assert table.confusion.tolist() == [
        [0, 0, 0, 0],
        [1, 1, 0, 0],  # no, no → go, no
        [0, 1, 0, 0],  # up → no
        [0, 1, 0, 2],  # yes, yes, yes → no, yes, yes
    ]
    assert (table.hits, table.total, table.accuracy) == (3, 6, 0.5)


def test_each_class_has_its_precision_recall_and_support() -> None:
    rows = {row.label: row for row in accuracy_table(REFERENCES, HYPOTHESES).classes}
    assert (rows["yes"].recall, rows["yes"].precision, rows["yes"].support) == (2 / 3, 1.0, 3)
    assert (rows["no"].recall, rows["no"].precision, rows["no"].support) == (1 / 2, 1 / 3, 2)
    assert (rows["up"].recall, rows["up"].precision, rows["up"].support) == (0.0, 0.0, 1)
    assert (rows["go"].recall, rows["go"].predicted, rows["go"].support) == (0.0, 1, 0)


def test_no_clips_have_accuracy_0_and_no_classes() -> None:
    table = accuracy_table([], [])
    assert (table.accuracy, table.total, table.classes) == (0.0, 0, ())


def test_an_unpaired_hypothesis_is_an_error() -> None:
    with pytest.raises(ConfigError, match="2 references, but 1 hypotheses"):
        accuracy_table(["a", "b"], ["a"])


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("abc")), min_size=1))
def test_the_table_adds_up(pairs: Sequence[tuple[str, str]]) -> None:
    references, hypotheses = zip(*pairs, strict=True)
    table = accuracy_table(references, hypotheses)
    assert (
        sum(row.support for row in table.classes) == sum(row.predicted for row in table.classes) == len(pairs)
    )
    assert table.accuracy == np.mean([a == b for a, b in pairs])


@pytest.mark.parametrize(("num_trials", "level"), [(1, 0.95), (10, 0.9), (300, 0.99)])
def test_at_the_bound_a_run_without_errors_is_just_as_rare_as_the_level_says(
    num_trials: int, level: float
) -> None:
    assert (1 - bound_without_errors(num_trials, level)) ** num_trials == pytest.approx(1 - level)


@pytest.mark.parametrize(("num_trials", "level"), [(0, 0.95), (3, 0.0), (3, 1.0)])
def test_a_bound_needs_trials_and_a_level(num_trials: int, level: float) -> None:
    with pytest.raises(ConfigError, match="must be"):
        bound_without_errors(num_trials, level)
