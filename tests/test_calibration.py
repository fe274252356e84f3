"""Calibration error and temperature, by hand and by brute force."""

import numpy as np
import pytest

from speechrnn.errors import ConfigError
from speechrnn.evaluation.calibration import fit_temperature, log_loss, measure_calibration


def test_the_error_is_the_mean_gap_of_the_bins() -> None:
    calibration = measure_calibration([0.95, 0.95, 0.95, 0.95, 0.32, 0.38], [1, 1, 1, 0, 0, 1])
    # 4 of 6 answers at 0.95, 3/4 right: gap 0.2; 2 at 0.35 on average, half right: gap 0.15.
    assert calibration.error == pytest.approx((4 * 0.2 + 2 * 0.15) / 6)
    low, high = calibration.bins
    assert (low.count, low.confidence, low.accuracy) == pytest.approx((2, 0.35, 0.5))
    assert (high.count, high.confidence, high.accuracy) == pytest.approx((4, 0.95, 0.75))


def test_both_ends_of_the_range_have_a_bin() -> None:
    calibration = measure_calibration([0.0, 1.0], [False, True])
    assert calibration.error == 0
    assert [b.count for b in calibration.bins] == [1, 1]


def test_one_bin_compares_the_means() -> None:
    assert measure_calibration([0.2, 0.8], [True, True], num_bins=1).error == pytest.approx(0.5)


def test_nothing_has_no_calibration_error() -> None:
    with pytest.raises(ConfigError, match="one answer at least"):
        measure_calibration([], [])
    with pytest.raises(ConfigError, match="num_bins must be >= 1, got 0"):
        measure_calibration([0.5], [True], num_bins=0)


def test_the_temperature_has_the_least_log_loss() -> None:
    generator = np.random.default_rng(0)
    true = generator.random(400)
    right = (generator.random(400) < true).tolist()
    odds = np.log(true / (1 - true))
    too_sure = (1 / (1 + np.exp(-2.5 * odds))).tolist()
    fitted = fit_temperature(too_sure, right)
    tried = np.exp(np.linspace(-3, 3, 2001))
    best = tried[np.argmin([log_loss(too_sure, right, temperature=t) for t in tried])]
    assert fitted == pytest.approx(best, rel=0.01)
    assert 2.0 < fitted < 3.0  # they were made too sure by 2.5


def test_the_log_loss_is_that_of_what_came_true() -> None:
    assert log_loss([0.8, 0.8], [True, False]) == pytest.approx(-(np.log(0.8) + np.log(0.2)) / 2)


@pytest.mark.parametrize(
    ("right", "said"),
    [
        ([True, True], "2 words: all of them are right"),
        ([False], "none of them is right"),
        ([], "0 words: there are none"),
    ],
)
def test_a_temperature_needs_right_and_wrong_answers(right: list[bool], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        fit_temperature([0.5] * len(right), right)
