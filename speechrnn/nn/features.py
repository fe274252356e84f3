"""Waveforms to MFCC or log-mel features, over padded batches."""

import torch
import torchaudio.functional as AF
from torch import Tensor, nn

from speechrnn.nn.config import FeatureConfig
from speechrnn.nn.masking import frame_mask, masked_mean_and_variance

VARIANCE_FLOOR = 1e-2  # a band that hears nothing varies by rounding errors; they must not be enlarged
WARP_BOUNDARY = 0.6  # of half the sample rate: 4.8 kHz at 16 kHz, where Jaitly and Hinton put it
DELTA_REACH = 2  # frames to each side of the slope's window, as in HTK and librosa's width 5


class Features(nn.Module):
    """Turn waveforms into features; the answer for a clip does not depend on the padding behind it."""

    window: Tensor
    mel_bands: Tensor
    dct: Tensor
    mean: Tensor
    variance: Tensor
    has_statistics: Tensor

    def __init__(self, config: FeatureConfig) -> None:
        super().__init__()
        self.config = config
        # All but the statistics follow from the configuration, so they stay out of checkpoints.
        self.register_buffer("window", frame_window(config), persistent=False)
        self.register_buffer("mel_bands", mel_bands(config), persistent=False)
        self.register_buffer("dct", AF.create_dct(config.n_mfcc, config.n_mels, "ortho"), persistent=False)
        self.register_buffer("mean", torch.zeros(config.n_features))
        self.register_buffer("variance", torch.ones(config.n_features))
        self.register_buffer("has_statistics", torch.tensor(False))

    def forward(
        self, waveform: Tensor, waveform_lengths: Tensor, warps: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Compute normalised features.

        Args:
            waveform: (batch, samples) in [-1, 1]; what lies beyond a clip's length is ignored.
            waveform_lengths: (batch,) int64, samples.
            warps: (batch,) factors by which to stretch each clip's frequency axis, as a longer or shorter
                vocal tract would; in augmentation.

        Returns:
            features (batch, time, n_features), zero beyond each clip's frames, and input_lengths (batch,)
            int64; a clip shorter than ``n_fft`` samples has no frames.
        """
        features, input_lengths = self.unnormalized(waveform, waveform_lengths, warps)
        mask = frame_mask(input_lengths, features.shape[1])
        if self.config.normalization == "utterance":
            mean, variance = masked_mean_and_variance(features, mask, dims=(1,))
            features = (features - mean) * (variance + VARIANCE_FLOOR).rsqrt()
        elif self.config.normalization == "global":
            features = (features - self.mean) * (self.variance + VARIANCE_FLOOR).rsqrt()
        return features.masked_fill(~mask, 0.0), input_lengths

    def unnormalized(
        self, waveform: Tensor, waveform_lengths: Tensor, warps: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Compute features before mean and variance normalisation; shapes as ``forward``."""
        # Half precision has neither the range nor the digits for a power spectrum.
        with torch.autocast(waveform.device.type, enabled=False):
            log_mel = self.log_mel(waveform.float(), warps)
            features = log_mel if self.config.kind == "log_mel" else log_mel @ self.dct
            input_lengths = self.num_frames(waveform_lengths)
            return append_deltas(features, input_lengths, self.config.deltas), input_lengths

    def log_mel(self, waveform: Tensor, warps: Tensor | None = None) -> Tensor:
        """Compute log(mel power + floor) of every full frame: (batch, samples) to (batch, time, n_mels)."""
        config = self.config
        if waveform.shape[1] < config.n_fft:
            waveform = nn.functional.pad(waveform, (0, config.n_fft - waveform.shape[1]))
        if self.training and config.dither > 0:
            waveform = waveform + config.dither * torch.randn_like(waveform)
        if config.preemphasis > 0:
            previous = nn.functional.pad(waveform[:, :-1], (1, 0))
            waveform = waveform - config.preemphasis * previous
        frames = waveform.unfold(1, config.n_fft, config.hop_length) * self.window
        power = torch.view_as_real(torch.fft.rfft(frames)).square().sum(-1)
        bands = self.mel_bands if warps is None else warp_bands(self.mel_bands, warps)
        return (power @ bands + config.floor).log()

    def num_frames(self, waveform_lengths: Tensor) -> Tensor:
        """Count frames: (batch,) int64 samples to (batch,) int64 frames."""
        whole_hops = torch.div(
            waveform_lengths - self.config.n_fft, self.config.hop_length, rounding_mode="floor"
        )
        return (whole_hops + 1).clamp(min=0)

    def set_statistics(self, mean: Tensor, variance: Tensor) -> None:
        """Store the training set's mean and variance, each (n_features,), for ``global`` normalisation."""
        self.mean.copy_(mean)
        self.variance.copy_(variance)
        self.has_statistics.fill_(True)


def frame_window(config: FeatureConfig) -> Tensor:
    """Make the periodic Hann window of ``win_length``, centred in ``n_fft`` samples as librosa does."""
    window = torch.hann_window(config.win_length)
    left = (config.n_fft - config.win_length) // 2
    return nn.functional.pad(window, (left, config.n_fft - config.win_length - left))


def mel_bands(config: FeatureConfig) -> Tensor:
    """Make the triangular mel filters, (n_fft // 2 + 1, n_mels)."""
    bands: Tensor = AF.melscale_fbanks(
        n_freqs=config.n_fft // 2 + 1,
        f_min=config.f_min,
        f_max=config.highest_frequency,
        n_mels=config.n_mels,
        sample_rate=config.sample_rate,
        norm="slaney" if config.mel_scale == "slaney" else None,
        mel_scale=config.mel_scale,
    )
    return bands


def warp_bands(bands: Tensor, warps: Tensor) -> Tensor:
    """Move mel filters along the frequency axis: (bins, n_mels) to (batch, bins, n_mels).

    Vocal tract length perturbation (Jaitly and Hinton, 2013): a bin at frequency f is heard at warp * f up to
    a boundary, above which the map runs straight to half the sample rate, so that no band loses its input.
    """
    last = bands.shape[0] - 1
    bins = torch.arange(last + 1, device=bands.device, dtype=bands.dtype)
    factor = warps.to(bands.dtype).unsqueeze(1)
    boundary = WARP_BOUNDARY * last * factor.clamp(max=1) / factor
    above = last - (last - factor * boundary) / (last - boundary) * (last - bins)
    heard_at = torch.where(bins <= boundary, factor * bins, above)
    lower = heard_at.floor().clamp(0, last - 1)
    share = (heard_at - lower).unsqueeze(2)
    lower_bin = lower.long()
    return bands[lower_bin] * (1 - share) + bands[lower_bin + 1] * share


def append_deltas(features: Tensor, input_lengths: Tensor, order: int) -> Tensor:
    """Append ``order`` regression slopes: (batch, time, n) to (batch, time, n * (1 + order)).

    d[t] = sum_k k (x[t+k] - x[t-k]) / (2 sum_k k^2), k = 1..2 (Young et al., The HTK Book, 5.9).
    Frames beyond an utterance's ends repeat its first and last frame.
    """
    parts = [features]
    for _ in range(order):
        parts.append(deltas(parts[-1], input_lengths))
    return torch.cat(parts, dim=-1)


def deltas(features: Tensor, input_lengths: Tensor) -> Tensor:
    """Compute the slope of each feature over time; shapes as ``append_deltas`` with order 1."""
    last = (input_lengths - 1).clamp(min=0).unsqueeze(1)
    time = torch.arange(features.shape[1], device=features.device)

    def shifted(offset: int) -> Tensor:
        index = torch.minimum((time + offset).clamp(min=0), last)
        return features.gather(1, index.unsqueeze(-1).expand_as(features))

    reach = range(1, DELTA_REACH + 1)
    slope = torch.stack([k * (shifted(k) - shifted(-k)) for k in reach]).sum(0)
    return slope / (2 * sum(k * k for k in reach))
