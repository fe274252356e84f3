"""AdamW, its learning-rate schedule, and whether weights are averaged."""

import math
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import nn

from speechrnn.nn.config import require


@dataclass(frozen=True, kw_only=True)
class OptimizationConfig:
    """AdamW (Loshchilov and Hutter, 2019, arXiv:1711.05101) with a warm-up and a decay."""

    lr: float = 2e-3
    """Highest learning rate."""
    weight_decay: float = 1e-2
    """Decoupled weight decay; of matrices only, not of biases and normalisation."""
    schedule: Literal["constant", "cosine"] = "cosine"
    """After the warm-up: stay, or fall along a cosine to ``final_share`` (one cycle; Smith, 2018)."""
    warmup_share: float = 0.1
    """Share of all steps in which the rate rises from near zero."""
    final_share: float = 1e-3
    """Learning rate at the end as a share of ``lr``."""
    ema_decay: float | None = None
    """Validate, save and export an average of the weights, of which each step keeps this share, in (0, 1), such as
    0.999; none by default. Steps early on keep less (see ``WeightAverage``)."""

    def __post_init__(self) -> None:
        """Check every range.

        Raises:
            ConfigError: Naming the option, its value and its range.
        """
        require(self.lr > 0, "optimization.lr", self.lr, "> 0")
        require(self.weight_decay >= 0, "optimization.weight_decay", self.weight_decay, ">= 0")
        require(
            self.schedule in ("constant", "cosine"),
            "optimization.schedule",
            self.schedule,
            "constant or cosine",
        )
        require(0 <= self.warmup_share < 1, "optimization.warmup_share", self.warmup_share, "in [0, 1)")
        require(0 <= self.final_share <= 1, "optimization.final_share", self.final_share, "in [0, 1]")
        require(
            self.ema_decay is None or 0 < self.ema_decay < 1,
            "optimization.ema_decay",
            self.ema_decay,
            "in (0, 1)",
        )


def make_optimizer(model: nn.Module, config: OptimizationConfig, total_steps: float) -> dict[str, Any]:
    """Make what ``configure_optimizers`` returns: optimizer and a schedule that advances each step."""
    matrices = [p for p in model.parameters() if p.ndim > 1]
    vectors = [p for p in model.parameters() if p.ndim <= 1]
    groups: list[dict[str, Any]] = [{"params": matrices}, {"params": vectors, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=config.lr, weight_decay=config.weight_decay)
    scheduler = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: learning_rate_share(step, total_steps, config)
    )
    return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}


def learning_rate_share(step: int, total_steps: float, config: OptimizationConfig) -> float:
    """Give the learning rate of a step as a share of the highest."""
    warmup = config.warmup_share * total_steps
    if step < warmup:
        return (step + 1) / (warmup + 1)
    if config.schedule == "constant" or math.isinf(total_steps):
        return 1.0
    progress = min(1.0, (step - warmup) / max(1.0, total_steps - warmup))
    return config.final_share + (1 - config.final_share) * (1 + math.cos(math.pi * progress)) / 2
