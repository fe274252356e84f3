"""Shares whose integer counts add up over batches and processes."""

import torch
from torch import Tensor
from torchmetrics import Metric


class Share(Metric):
    """A part over a total, both integers until the very end; 0 when nothing was counted."""

    full_state_update = False
    part: Tensor
    total: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("part", torch.tensor(0), dist_reduce_fx="sum")
        self.add_state("total", torch.tensor(0), dist_reduce_fx="sum")

    def update(self, part: int, total: int) -> None:
        """Count a part of a total."""
        # Not in place: after a validation alone these are inference tensors, and a fit that follows cannot change them.
        self.part = self.part + part
        self.total = self.total + total

    def compute(self) -> Tensor:
        """Divide."""
        return self.part / self.total.clamp(min=1)


class Mean(Metric):
    """A sum over a count of what was summed; 0 when nothing was counted.

    torchmetrics' ``MeanMetric`` ignores the weights when it is not to look for NaN, and removes NaN when it is.
    """

    full_state_update = False
    sum: Tensor
    count: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("sum", torch.tensor(0.0), dist_reduce_fx="sum")
        self.add_state("count", torch.tensor(0), dist_reduce_fx="sum")

    def update(self, sum: Tensor, count: Tensor) -> None:
        """Add a sum, a scalar, of so many."""
        self.sum = self.sum + sum
        self.count = self.count + count

    def compute(self) -> Tensor:
        """Divide."""
        return self.sum / self.count.clamp(min=1)
