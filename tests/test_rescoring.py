"""Rescoring: an n-best list ranked again with a second language model."""

import pytest

from speechrnn.decoding import Hypothesis
from speechrnn.decoding.rescoring import rescore
from speechrnn.errors import ConfigError


def make(text: str, score: float) -> Hypothesis:
    return Hypothesis(text, (), (), log_prob=-1.0, confidence=1.0, score=score)


def test_the_sum_of_score_and_weighted_log_probability_ranks() -> None:
    # -3 + 0.5 * -6 = -6; -4 + 0.5 * -2 = -5; -5 + 0.5 * -3 = -6.5
    found = rescore([make("a", -3), make("b", -4), make("c", -5)], [-6, -2, -3], weight=0.5)
    assert [(h.text, h.score) for h in found] == [("b", -5), ("a", -6), ("c", -6.5)]


def test_nothing_but_the_score_of_a_hypothesis_changes() -> None:
    before = Hypothesis("a b", (1, 2), (3, 4), -2.0, 0.5, ends=(5, 6), peaks=(0.5, 0.5), score=-2.0)
    [after] = rescore([before], [-4.0], weight=1)
    assert after == Hypothesis("a b", (1, 2), (3, 4), -2.0, 0.5, ends=(5, 6), peaks=(0.5, 0.5), score=-6.0)
    assert before.score == -2.0


def test_a_weight_of_zero_keeps_the_order_exactly_even_one_that_no_score_explains() -> None:
    hypotheses = [make("worse", -9), make("better", -1), make("equal", -1)]
    assert rescore(hypotheses, [-1, -5, 0], weight=0) == hypotheses


def test_equal_sums_keep_their_order() -> None:
    found = rescore([make("first", -2), make("second", -1), make("third", -2)], [-1, -2, -1], weight=1)
    assert [h.text for h in found] == ["first", "second", "third"]


def test_an_empty_list_stays_empty() -> None:
    assert rescore([], [], weight=1) == []


@pytest.mark.parametrize("weight", [-0.1, float("nan"), float("inf")])
def test_a_weight_out_of_range_is_refused(weight: float) -> None:
    with pytest.raises(ConfigError, match="weight of the rescoring must be >= 0 and finite, got"):
        rescore([make("a", 0)], [0], weight=weight)


@pytest.mark.parametrize("weight", [0, 1])
def test_scores_that_do_not_fit_are_refused_whatever_the_weight(weight: float) -> None:
    with pytest.raises(ConfigError, match=r"2 hypotheses need one score each, got shape \(1,\)"):
        rescore([make("a", 0), make("b", 0)], [0], weight=weight)
    with pytest.raises(ConfigError, match="score of hypothesis 1 must be finite, got -inf"):
        rescore([make("a", 0), make("b", 0)], [0, float("-inf")], weight=weight)
