"""Augmentation: what it changes, that lengths follow, and that evaluation never sees it."""

from typing import Any

import pytest
import torch
from networks import noise

from speechrnn.errors import ConfigError
from speechrnn.nn.augmentation import (
    AugmentationConfig,
    SpecAugment,
    WaveformAugmentation,
    add_noise,
    change_speed,
    draw_warps,
)

EVERYTHING = AugmentationConfig(
    speeds=(0.9, 1.1), narrowband=1.0, noise_db=0.0, time_masks=2, frequency_masks=2
)


def tone(hz: float, sample_rate: int = 8000, num_samples: int = 8000) -> torch.Tensor:
    return torch.sin(2 * torch.pi * hz * torch.arange(num_samples) / sample_rate).unsqueeze(0)


def pitch(waveform: torch.Tensor, sample_rate: int = 8000) -> float:
    spectrum = torch.fft.rfft(waveform[0]).abs()
    return float(spectrum.argmax()) * sample_rate / waveform.shape[1]


def test_evaluation_is_left_alone() -> None:
    waveform, lengths = noise(2, 800), torch.tensor([800, 500])
    augmented, new_lengths = WaveformAugmentation(EVERYTHING).eval()(waveform, lengths)
    assert augmented is waveform
    assert new_lengths is lengths
    features = torch.ones(2, 20, 8)
    assert SpecAugment(EVERYTHING).eval()(features, torch.tensor([20, 10])) is features


def test_nothing_happens_unless_it_is_switched_on() -> None:
    waveform, lengths = noise(2, 800), torch.tensor([800, 500])
    assert torch.equal(WaveformAugmentation(AugmentationConfig()).train()(waveform, lengths)[0], waveform)
    features = torch.ones(2, 20, 8)
    assert torch.equal(SpecAugment(AugmentationConfig()).train()(features, torch.tensor([20, 10])), features)


@pytest.mark.parametrize(("speed", "num_samples"), [(0.9, 8889), (1.1, 7273), (1.0, 8000)])
def test_speed_changes_length_and_pitch(speed: float, num_samples: int) -> None:
    # ceil(8000 / 0.9) = 8889, ceil(8000 / 1.1) = 7273
    changed, lengths = change_speed(tone(500), torch.tensor([8000]), speed)
    assert changed.shape[1] == int(lengths) == num_samples
    assert pitch(changed) == pytest.approx(500 * speed, abs=2)


def test_lengths_in_a_batch_follow_the_speed_and_stay_inside() -> None:
    changed, lengths = change_speed(noise(3, 1000), torch.tensor([1000, 333, 1]), 0.9)
    assert lengths.tolist() == [1112, 370, 2]
    assert int(lengths.max()) <= changed.shape[1]


def test_narrowband_removes_the_upper_half_of_the_spectrum() -> None:
    augment = WaveformAugmentation(AugmentationConfig(narrowband=1.0)).train()
    high, _ = augment(tone(3000), torch.tensor([8000]))
    low, _ = augment(tone(1000), torch.tensor([8000]))
    assert high.square().mean() < 1e-3 * low.square().mean()
    assert high.shape == (1, 8000)


def test_noise_has_the_level_asked_for() -> None:
    torch.manual_seed(0)
    waveform = tone(500, num_samples=200_000)
    levels = torch.stack(
        [(add_noise(waveform, torch.tensor([200_000]), -10.0) - waveform).square().mean() for _ in range(40)]
    )
    level_db = 10 * (levels / waveform.square().mean()).log10()
    assert level_db.max() <= -9.9
    assert level_db.min() >= -40.1
    assert level_db.max() - level_db.min() > 10


def test_each_clip_of_a_batch_draws_its_own_warp_within_the_range() -> None:
    torch.manual_seed(0)
    warps = draw_warps(AugmentationConfig(frequency_warp=0.1), 1000, torch.device("cpu"))
    assert warps is not None
    assert 0.9 <= float(warps.min()) < 0.91
    assert 1.09 < float(warps.max()) <= 1.1
    assert draw_warps(AugmentationConfig(), 2, torch.device("cpu")) is None


def test_masks_stay_within_the_utterance_and_its_fifth() -> None:
    torch.manual_seed(0)
    augment = SpecAugment(AugmentationConfig(time_masks=1, time_mask_frames=100)).train()
    widest = 0
    for _ in range(200):
        masked = augment(torch.ones(1, 60, 4), torch.tensor([40]))
        gone = (masked[0].sum(1) == 0).nonzero().flatten()
        widest = max(widest, len(gone))
        assert not len(gone) or int(gone.max()) < 40
    assert widest == 8  # a fifth of 40 frames


def test_frequency_masks_are_stripes_over_all_time() -> None:
    torch.manual_seed(0)
    augment = SpecAugment(AugmentationConfig(frequency_masks=1, frequency_mask_size=3)).train()
    masked = torch.cat([augment(torch.ones(1, 5, 8), torch.tensor([5])) for _ in range(50)])
    gone = (masked == 0).sum(2)
    assert int(gone.max()) == 3
    assert torch.equal(gone, gone[:, :1].expand_as(gone))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"speeds": (3.0,)}, r"augmentation.speeds must be in \[0.5, 2\]"),
        ({"frequency_warp": 0.5}, r"augmentation.frequency_warp must be in \[0, 0.5\), got 0.5"),
        ({"narrowband": 1.5}, "augmentation.narrowband must be in"),
        ({"time_masks": -1}, "augmentation.time_masks must be >= 0, got -1"),
    ],
)
def test_a_wrong_setting_is_named(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        AugmentationConfig(**options)
