"""Calibration error and the scale of confidences, by hand and by brute force."""

import numpy as np
import pytest

from speechrnn.decoding import ConfidenceScale
from speechrnn.errors import ConfigError
from speechrnn.evaluation.calibration import fit_scale, log_loss, measure_calibration


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


def answers_of(
    temperature: float, bias: float, *, num: int, center: float = 0.0, seed: int = 0
) -> tuple[list[float], list[bool]]:
    """Make probabilities whose log odds lie around ``center``, and answers as right as the scale says of them."""
    generator = np.random.default_rng(seed)
    odds = generator.normal(center, 2.0, num)
    right = generator.random(num) < 1 / (1 + np.exp(-odds / temperature - bias))
    return (1 / (1 + np.exp(-odds))).tolist(), right.tolist()


def scaled(scale: ConfidenceScale, confidences: list[float]) -> list[float]:
    return [scale.confidence_of(confidence) for confidence in confidences]


def smoothed_loss(temperature: float, bias: float, confidences: list[float], right: list[bool]) -> float:
    """Compute what is minimised, as Platt (1999) writes it."""
    positive, negative = right.count(True), right.count(False)
    loss = 0.0
    for p, is_right in zip(confidences, right, strict=True):
        target = (positive + 1) / (positive + 2) if is_right else 1 / (negative + 2)
        odds = np.log(p / (1 - p)) / temperature + bias
        loss += target * np.logaddexp(0, -odds) + (1 - target) * np.logaddexp(0, odds)
    return loss


@pytest.mark.parametrize(
    ("temperature", "bias", "center"), [(2.5, 0.0, 0.0), (0.6, -1.0, 1.0), (3.0, 2.0, -3.0)]
)
def test_no_scale_of_a_grid_has_a_lower_loss(temperature: float, bias: float, center: float) -> None:
    confidences, right = answers_of(temperature, bias, num=60, center=center, seed=1)
    fitted = fit_scale(confidences, right)
    assert 0.05 < fitted.temperature < 20
    least = smoothed_loss(fitted.temperature, fitted.bias, confidences, right)
    coarse = [(t, b) for t in np.geomspace(0.05, 20, 30) for b in np.linspace(-6, 6, 31)]
    near = [
        (fitted.temperature * t, fitted.bias + b) for t in (0.99, 0.999, 1, 1.01) for b in (-0.01, 0, 1e-3)
    ]
    for t, b in coarse + near:
        assert smoothed_loss(t, b, confidences, right) >= least - 1e-9


@pytest.mark.parametrize(
    ("temperature", "bias", "center"),
    [
        (2.5, 0.0, 0.0),  # too sure
        (0.5, 0.0, 0.0),  # too unsure
        (1.0, 0.0, 0.0),
        (3.0, 3.0, -4.0),  # mostly right where hardly anything was thought so
        (0.8, -2.0, 2.0),
    ],
)
def test_a_known_scale_is_found_again(temperature: float, bias: float, center: float) -> None:
    confidences, right = answers_of(temperature, bias, num=20_000, center=center)
    fitted = fit_scale(confidences, right)
    assert fitted.temperature == pytest.approx(temperature, rel=0.1)
    assert fitted.bias == pytest.approx(bias, abs=0.15)
    assert measure_calibration(scaled(fitted, confidences), right).error < 0.015


def test_a_bias_mends_what_no_temperature_can() -> None:
    # 85 % are right, and hardly one was given more than a half: a temperature alone leaves them below a half.
    confidences, right = answers_of(4.0, 3.0, num=2000, center=-5.0)
    assert 0.8 < np.mean(right) < 0.9
    without = [
        measure_calibration(scaled(ConfidenceScale(temperature=t), confidences), right).error
        for t in np.geomspace(0.05, 20, 50)
    ]
    assert min(without) > 0.3
    assert measure_calibration(scaled(fit_scale(confidences, right), confidences), right).error < 0.03


@pytest.mark.parametrize("num", [2, 3, 5, 20, 200])
def test_the_log_loss_never_rises(num: int) -> None:
    raised = []
    for seed in range(40):
        confidences, right = answers_of(1.0, 0.0, num=num, seed=seed)
        if len(set(right)) == 2:
            fitted = scaled(fit_scale(confidences, right), confidences)
            raised.append(log_loss(fitted, right) > log_loss(confidences, right))
    assert raised
    assert not any(raised)


def test_confidences_that_say_nothing_give_way_to_the_share_of_right_answers() -> None:
    scale = fit_scale([0.8] * 4000, [True, False, False, False] * 1000)
    assert scale.temperature == 20
    assert scale.confidence_of(0.8) == pytest.approx(0.25, abs=1e-3)


def test_confidences_that_point_the_wrong_way_are_hardly_heard() -> None:
    scale = fit_scale([0.9] * 50 + [0.6] * 50, [False] * 40 + [True] * 10 + [True] * 45 + [False] * 5)
    assert scale.temperature == 20
    assert np.mean(scaled(scale, [0.9, 0.6])) == pytest.approx(0.55, abs=0.01)


def test_a_narrow_border_between_right_and_wrong_has_the_lowest_temperature() -> None:
    scale = fit_scale([0.501] * 500 + [0.499] * 500, [True] * 500 + [False] * 500)
    assert scale.temperature == pytest.approx(0.05)
    assert scale.bias == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("sure", [0.9, 1.0])
def test_answers_that_a_threshold_tells_apart_have_a_finite_scale(sure: float) -> None:
    confidences = [sure] * 100 + [1 - sure] * 100
    scale = fit_scale(confidences, [True] * 100 + [False] * 100)
    assert 0.05 <= scale.temperature <= 20
    assert abs(scale.bias) < 1e-6
    assert 0.98 < scale.confidence_of(sure) <= 1


@pytest.mark.parametrize("num_right", [1, 999])
def test_one_exception_of_very_sure_answers_is_fitted(num_right: int) -> None:
    right = [True] * num_right + [False] * (1000 - num_right)
    confidences = np.linspace(1e-9, 1e-5, 1000).tolist()
    assert np.mean(scaled(fit_scale(confidences, right), confidences)) == pytest.approx(
        num_right / 1000, abs=2e-3
    )


def test_the_log_loss_is_that_of_what_came_true() -> None:
    assert log_loss([0.8, 0.8], [True, False]) == pytest.approx(-(np.log(0.8) + np.log(0.2)) / 2)


@pytest.mark.parametrize(
    ("right", "said"),
    [
        ([True, True], "confidences cannot be fitted to 2 words: all of them are right; take more"),
        ([False], "none of them is right"),
        ([], "0 words: there are none"),
    ],
)
def test_a_scale_needs_right_and_wrong_answers(right: list[bool], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        fit_scale([0.5] * len(right), right)
