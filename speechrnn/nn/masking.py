"""Padding: which frames of a padded batch are real, and sums that leave the others out."""

import torch
from torch import Tensor


def frame_mask(lengths: Tensor, num_frames: int) -> Tensor:
    """Mark real frames: (batch,) int64 lengths to (batch, num_frames, 1) bool."""
    time = torch.arange(num_frames, device=lengths.device)
    return (time < lengths.unsqueeze(1)).unsqueeze(-1)


def masked_mean_and_variance(values: Tensor, mask: Tensor, dims: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """Average over ``dims`` of (batch, time, n) values, real frames only; reduced dimensions are kept.

    Returns:
        Mean and (biased) variance; zeros where no frame is real.
    """
    count = mask.sum(dims, keepdim=True).clamp(min=1)
    # Filled, not multiplied: padding may hold NaN or infinity, and 0 * NaN is NaN.
    mean = values.masked_fill(~mask, 0.0).sum(dims, keepdim=True) / count
    variance = (values - mean).masked_fill(~mask, 0.0).square().sum(dims, keepdim=True) / count
    return mean, variance
