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
        self.part += part
        self.total += total

    def compute(self) -> Tensor:
        """Divide."""
        return self.part / self.total.clamp(min=1)
