"""Padding: which frames of a padded batch are real, and sums that leave the others out."""

from typing import Any

import torch
import torch.distributed
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


def joint_mean_and_variance(values: Tensor, mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Average (batch, time, n) values over the real frames of all processes; gradients flow to each of them.

    Returns:
        Mean and (biased) variance (1, 1, n), the same on every process and zeros where no frame is real, and
        the number of real frames (1, 1, 1).
    """
    count = mask.sum((0, 1), keepdim=True)
    if not is_distributed():
        return *masked_mean_and_variance(values, mask, dims=(0, 1)), count
    count = sum_over_processes(count.to(values.dtype))
    mean = sum_over_processes(values.masked_fill(~mask, 0.0).sum((0, 1), keepdim=True)) / count.clamp(min=1)
    squares = (values - mean).masked_fill(~mask, 0.0).square().sum((0, 1), keepdim=True)
    return mean, sum_over_processes(squares) / count.clamp(min=1), count


def is_distributed() -> bool:
    """Tell whether several processes work together."""
    return torch.distributed.is_available() and torch.distributed.is_initialized()


class SumOverProcesses(torch.autograd.Function):
    """Add up a tensor over processes; each process's loss depends on the sum, so gradients add up likewise."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        """Return the sum, the same on every process."""
        total = values.clone()
        torch.distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, *grad: Tensor) -> Tensor:
        """Return the sum of the gradients."""
        total = grad[0].clone()
        torch.distributed.all_reduce(total)
        return total


def sum_over_processes(values: Tensor) -> Tensor:
    """Add up a tensor over processes, differentiably."""
    total: Tensor = SumOverProcesses.apply(values)  # type: ignore[no-untyped-call]
    return total
