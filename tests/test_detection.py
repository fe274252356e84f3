"""Misses and false alarms, by hand and by counting."""

import math

import numpy as np
import pytest

from speechrnn.errors import ConfigError
from speechrnn.evaluation.detection import (
    FAINTEST,
    Negatives,
    bound_count,
    check_hours,
    find_peaks,
    find_threshold,
    measure_point,
    measure_threshold,
    trace_curve,
)
from speechrnn.metrics import Interval


def negatives(*scores: float, hours: float = 2.0) -> Negatives:
    """Two recordings of equal length; scores take turns between them."""
    return Negatives(
        scores=np.array(scores), recordings=np.arange(len(scores)) % 2, durations_s=np.full(2, hours * 1800)
    )


def test_the_threshold_lies_just_above_the_first_false_alarm_too_many() -> None:
    scores = np.array([0.9, 0.8, 0.7, 0.6])
    for rate, allowed in [(0.0, 0), (0.49, 0), (0.5, 1), (1.0, 2), (1.7, 3)]:  # in 2 h
        threshold = find_threshold(scores, 2.0, rate)
        assert (scores >= threshold).sum() == allowed
        assert threshold == math.nextafter(np.sort(scores)[::-1][allowed], 2)


def test_the_lowest_threshold_is_where_counting_begins() -> None:
    assert find_threshold(np.array([0.9, 0.8]), 2.0, 1.0) == FAINTEST
    assert find_threshold(np.zeros(0), 2.0, 0.0) == FAINTEST
    assert measure_threshold(None, negatives(), 0.0).threshold == FAINTEST


def test_a_positive_fainter_than_any_false_alarm_could_be_is_missed() -> None:
    """False alarms below 0.01 are not counted; to count positives there would find clips of anything."""
    positives = np.array([0.9, 0.01, 0.009, 0.0])
    point = measure_point(positives, negatives(), 0.5)
    assert (point.threshold, point.num_false_alarms, point.num_misses) == (0.01, 0, 2)
    curve = trace_curve(positives, negatives())
    assert curve.thresholds[1:].tolist() == [0.9, 0.01]
    assert curve.miss_rates.tolist() == [1, 0.75, 0.5]
    # No draw finds what has no confidence at all.
    interval = measure_point(np.zeros(4), negatives(), 0.5).miss_interval
    assert interval is not None
    assert interval.high == 1


def test_equal_scores_pass_or_fail_together() -> None:
    assert (np.array([0.9, 0.9, 0.5]) >= find_threshold(np.array([0.9, 0.9, 0.5]), 2.0, 0.5)).sum() == 0


def test_a_certain_false_alarm_can_be_shut_out_by_no_confidence() -> None:
    assert find_threshold(np.array([1.0]), 1.0, 0.0) > 1


def test_a_point_counts_misses_and_false_alarms() -> None:
    point = measure_point(np.array([0.95, 0.75, 0.7, 0.2]), negatives(0.9, 0.8, 0.7, 0.6), 1.0)
    assert point.threshold == math.nextafter(0.7, 2)
    assert (point.num_false_alarms, point.false_alarms_per_hour) == (2, 1.0)
    assert (point.num_misses, point.num_positives, point.miss_rate) == (2, 4, 0.5)
    assert not point.is_extrapolated
    assert measure_point(None, negatives(0.9), 0.4).is_extrapolated  # 0.8 false alarms in 2 h


def test_a_threshold_that_was_set_beforehand_is_measured_as_it_is() -> None:
    point = measure_threshold(np.array([0.95, 0.75, 0.7, 0.2]), negatives(0.9, 0.8, 0.7, 0.6), 0.75)
    assert (point.target, point.threshold) == (None, 0.75)
    assert (point.num_false_alarms, point.num_misses) == (2, 2)
    assert not point.is_extrapolated
    # Only the positives are drawn anew: of 4, between 0 and 4 below 0.75.
    assert point.miss_interval == Interval(0.0, 1.0, 0.95)


def test_without_positives_misses_are_unknown() -> None:
    point = measure_point(None, negatives(0.9, 0.8), 0.5)
    assert (point.miss_rate, point.miss_interval) == (None, None)


def test_the_interval_holds_the_rate_and_knows_of_the_threshold_s_own_chance() -> None:
    generator = np.random.default_rng(0)
    positives = generator.random(200)
    few = measure_point(positives, negatives(0.9, 0.5), 0.5)
    many = Negatives(
        scores=np.tile([0.9, 0.5], 50), recordings=np.arange(100), durations_s=np.full(100, 72.0)
    )
    assert few.miss_interval is not None
    assert few.miss_rate is not None
    assert few.miss_interval.low <= few.miss_rate <= few.miss_interval.high
    # A draw of two recordings may hold 0.9 twice, or never: the threshold jumps.
    steady = measure_point(positives, many, 25.0).miss_interval
    assert steady is not None
    assert few.miss_interval.high - few.miss_interval.low > steady.high - steady.low


@pytest.mark.parametrize(
    ("score", "low", "high"),
    [
        (0.9, 0.0, 0.30850),
        (0.1, 0.69150, 1.0),
    ],  # 1 - 0.025^(1/10), as the tables of Clopper and Pearson have it
)
def test_ten_of_ten_leave_room_for_chance(score: float, low: float, high: float) -> None:
    point = measure_threshold(np.full(10, score), negatives(0.5), 0.5)
    assert point.is_all_or_none
    assert point.miss_interval is not None
    assert (point.miss_interval.low, point.miss_interval.high) == pytest.approx((low, high), abs=1e-5)


def test_the_exact_interval_narrows_none() -> None:
    """Of 300 positives none is missed, and hardly 1 % would be; but other negatives set a threshold above all."""
    point = measure_point(np.full(300, 0.6), negatives(0.9, 0.5), 0.5)
    assert (point.num_misses, point.miss_interval) == (0, Interval(0.0, 1.0, 0.95))
    assert not measure_point(np.array([0.6, 0.4]), negatives(0.9, 0.5), 0.5).is_all_or_none


def test_speakers_are_drawn_whole() -> None:
    positives = np.array([1.0] * 10 + [0.0] * 10)
    alone = measure_point(positives, negatives(0.5), 0.0)
    by_speaker = measure_point(positives, negatives(0.5), 0.0, groups=["a"] * 10 + ["b"] * 10)
    assert by_speaker.miss_interval is not None
    assert alone.miss_interval is not None
    assert (by_speaker.miss_interval.low, by_speaker.miss_interval.high) == (0.0, 1.0)
    assert alone.miss_interval.high < 0.8


def test_the_curve_counts_at_every_threshold() -> None:
    positives, alarms = np.array([0.9, 0.4, 0.4]), negatives(0.7, 0.4)
    curve = trace_curve(positives, alarms)
    assert curve.thresholds[1:].tolist() == [0.9, 0.7, 0.4]
    for threshold, rate, missed in zip(
        curve.thresholds, curve.false_alarms_per_hour, curve.miss_rates, strict=True
    ):
        assert rate == (alarms.scores >= threshold).sum() / 2.0
        assert missed == (positives < threshold).mean()
    assert (curve.false_alarms_per_hour[0], curve.miss_rates[0]) == (0, 1)


@pytest.mark.parametrize(
    ("count", "bound"), [(0, 2.9957), (1, 4.7439), (2, 6.2958), (10, 16.9622), (100, 118.08)]
)
def test_the_bound_of_a_count_is_that_of_the_tables(count: int, bound: float) -> None:
    assert bound_count(count) == pytest.approx(bound, rel=1e-4)  # half the chi-squared quantile


def test_a_count_below_0_has_no_bound() -> None:
    with pytest.raises(ConfigError, match="count must be >= 0"):
        bound_count(-1)


def test_less_than_a_minute_is_no_basis_for_hours() -> None:
    with pytest.raises(
        ConfigError,
        match=r"the negatives hold 59.9 s in which 'go' is not said; false alarms",
    ):
        check_hours(59.9, "go")
    check_hours(60.0, "go")


def test_peaks_keep_their_distance_and_the_highest_wins() -> None:
    confidences = np.array([0.1, 0.5, 0.9, 0.5, 0.2, 0.8, 0.0, 0.0, 0.3])
    assert find_peaks(confidences, rest=4).tolist() == [2, 8]
    assert find_peaks(confidences, rest=3).tolist() == [2, 5, 8]
    assert find_peaks(confidences, rest=1).tolist() == [2, 5, 8]


def test_a_plateau_is_one_peak_and_nothing_is_none() -> None:
    assert find_peaks(np.array([0.5, 0.5, 0.5]), rest=1).tolist() == [0]
    assert find_peaks(np.zeros(5), rest=1).tolist() == []
    assert find_peaks(np.zeros(0), rest=1).tolist() == []
