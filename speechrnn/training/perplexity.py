"""Perplexity from sums over all tokens, which add up over batches and processes."""

import math

import torch
from torch import Tensor
from torchmetrics import Metric

UNITS_PER_NAT = 2**20  # integers add up to the same sum in any order, which floats do not


class Perplexity(Metric):
    """exp(mean of -ln P over all tokens); each batch's sum is rounded to 1e-6 nats, then kept as an integer."""

    full_state_update = False
    units: Tensor
    count: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("units", torch.tensor(0), dist_reduce_fx="sum")
        self.add_state("count", torch.tensor(0), dist_reduce_fx="sum")

    def update(self, log_probs: Tensor) -> None:
        """Count tokens by their natural log probabilities, of any shape."""
        # Summed on the CPU, since not every accelerator has float64.
        nats = -float(log_probs.detach().cpu().double().sum())
        self.units = self.units + round(nats * UNITS_PER_NAT)  # not in place, as ``Share``
        self.count = self.count + log_probs.numel()

    def compute(self) -> Tensor:
        """Return the perplexity, float32; 1 when nothing was counted."""
        return torch.tensor(math.exp(self.mean()), device=self.units.device)

    def mean(self) -> float:
        """Return nats per token of what this process has counted."""
        return int(self.units) / UNITS_PER_NAT / max(int(self.count), 1)
