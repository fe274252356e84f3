"""Augmentation of training batches, on their own device: speed, telephone band and SpecAugment."""

from dataclasses import dataclass

import torch
import torchaudio.functional as AF
from torch import Tensor, nn

from speechrnn.nn.config import require


@dataclass(frozen=True, kw_only=True)
class AugmentationConfig:
    """What happens to a batch in training, and only there."""

    speeds: tuple[float, ...] = ()
    """Speeds, one drawn for each batch: 0.9, 1.0, 1.1 (Ko et al., 2015); to two decimals; none switches it off."""
    narrowband: float = 0.0
    """Share of batches limited to half their bandwidth, as a telephone does."""
    frequency_warp: float = 0.0
    """Largest stretch of a clip's frequency axis either way, 0.1 say: other vocal tracts (Jaitly and Hinton, 2013)."""
    noise_db: float | None = None
    """Highest level of white noise in dB below the clip's own; each clip draws from 30 dB less; none: off."""
    time_masks: int = 0
    """SpecAugment time masks in an utterance (Park et al., 2019, arXiv:1904.08779)."""
    time_mask_frames: int = 25
    """Longest time mask in feature frames; never more than a fifth of the utterance."""
    frequency_masks: int = 0
    """SpecAugment frequency masks in an utterance."""
    frequency_mask_size: int = 12
    """Widest frequency mask in features."""

    def __post_init__(self) -> None:
        """Check every range.

        Raises:
            ConfigError: Naming the option, its value and its range.
        """
        require(
            all(0.5 <= speed <= 2 for speed in self.speeds), "augmentation.speeds", self.speeds, "in [0.5, 2]"
        )
        require(0 <= self.narrowband <= 1, "augmentation.narrowband", self.narrowband, "in [0, 1]")
        require(
            0 <= self.frequency_warp < 0.5, "augmentation.frequency_warp", self.frequency_warp, "in [0, 0.5)"
        )
        for name in ("time_masks", "time_mask_frames", "frequency_masks", "frequency_mask_size"):
            require(getattr(self, name) >= 0, f"augmentation.{name}", getattr(self, name), ">= 0")


class WaveformAugmentation(nn.Module):
    """Change speed and bandwidth of a batch of waveforms; the identity in evaluation."""

    def __init__(self, config: AugmentationConfig) -> None:
        super().__init__()
        self.config = config

    def forward(self, waveform: Tensor, waveform_lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Augment (batch, samples) waveforms; lengths (batch,) int64 follow the speed."""
        if not self.training:
            return waveform, waveform_lengths
        if self.config.speeds:
            choice = int(torch.randint(len(self.config.speeds), ()))
            waveform, waveform_lengths = change_speed(waveform, waveform_lengths, self.config.speeds[choice])
        if torch.rand(()) < self.config.narrowband:
            halved = AF.resample(waveform, 2, 1)
            waveform = AF.resample(halved, 1, 2)[:, : waveform.shape[1]]
        if self.config.noise_db is not None:
            waveform = add_noise(waveform, waveform_lengths, self.config.noise_db)
        return waveform, waveform_lengths


def change_speed(waveform: Tensor, waveform_lengths: Tensor, speed: float) -> tuple[Tensor, Tensor]:
    """Play (batch, samples) faster, pitch included; lengths are rounded up as the resampler does."""
    percent = round(100 * speed)
    if percent == 100:
        return waveform, waveform_lengths
    changed = AF.resample(waveform, percent, 100)
    lengths = (waveform_lengths * 100 + percent - 1).div(percent, rounding_mode="floor")
    return changed, lengths.clamp(max=changed.shape[1])


def add_noise(waveform: Tensor, waveform_lengths: Tensor, highest_db: float) -> Tensor:
    """Add white noise to each clip at a level drawn from [highest_db - 30, highest_db] dB of its power."""
    power = waveform.square().sum(1, keepdim=True) / waveform_lengths.clamp(min=1).unsqueeze(1)
    level_db = highest_db - 30 * torch.rand_like(power)
    return waveform + torch.randn_like(waveform) * (power * 10 ** (level_db / 10)).sqrt()


def draw_warps(config: AugmentationConfig, batch_size: int, device: torch.device) -> Tensor | None:
    """Draw a factor of the frequency axis for each clip of a batch, (batch,); none when switched off."""
    if not config.frequency_warp:
        return None
    draws = 2 * torch.rand(batch_size, device=device) - 1
    return 1 + config.frequency_warp * draws


class SpecAugment(nn.Module):
    """Mask stripes of time and frequency with the utterance's mean; the identity in evaluation.

    The mean is zero, because it follows the features' normalisation.
    """

    def __init__(self, config: AugmentationConfig) -> None:
        super().__init__()
        self.config = config

    def forward(self, features: Tensor, input_lengths: Tensor) -> Tensor:
        """Mask (batch, time, n_features) features."""
        if not self.training:
            return features
        config = self.config
        _, num_frames, n_features = features.shape
        longest = (input_lengths // 5).clamp(max=config.time_mask_frames)
        widest = torch.full_like(input_lengths, min(config.frequency_mask_size, n_features))
        for _ in range(config.time_masks):
            stripe = random_stripe(input_lengths, longest, num_frames)
            features = features.masked_fill(stripe.unsqueeze(2), 0.0)
        for _ in range(config.frequency_masks):
            stripe = random_stripe(torch.full_like(input_lengths, n_features), widest, n_features)
            features = features.masked_fill(stripe.unsqueeze(1), 0.0)
        return features


def random_stripe(extent: Tensor, longest: Tensor, size: int) -> Tensor:
    """Draw one stripe a row: (batch, size) bool, of 0..longest positions within the row's first ``extent``."""
    length = (torch.rand(extent.shape, device=extent.device) * (longest + 1)).floor()
    start = (torch.rand(extent.shape, device=extent.device) * (extent - length + 1)).floor()
    position = torch.arange(size, device=extent.device)
    return (position >= start.unsqueeze(1)) & (position < (start + length).unsqueeze(1))
