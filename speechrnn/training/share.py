"""Shares and means whose sums and counts add up over batches and processes."""

import torch
from torch import Tensor
from torchmetrics import Metric


class Share(Metric):
    """A part over a total, both kept until the very end; 0 when nothing was counted.

    It also is the mean of losses: torchmetrics' ``MeanMetric`` ignores weights when it is not to look for NaN, and
    removes NaN when it is.
    """

    full_state_update = False
    part: Tensor
    total: Tensor

    def __init__(self, part: float = 0) -> None:
        """Begin with 0 for parts that are whole numbers, which add up exactly, and with 0.0 for others."""
        super().__init__()
        self.add_state("part", torch.tensor(part), dist_reduce_fx="sum")
        self.add_state("total", torch.tensor(0), dist_reduce_fx="sum")

    def update(self, part: int | Tensor, total: int | Tensor) -> None:
        """Count a part of a total."""
        # Not in place: after a validation alone these are inference tensors, and a fit that follows cannot change them.
        self.part = self.part + part
        self.total = self.total + total

    def compute(self) -> Tensor:
        """Divide."""
        return self.part / self.total.clamp(min=1)
