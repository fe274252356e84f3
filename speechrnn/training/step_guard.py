"""What surrounds each training step: its own random numbers, and no step with what is no number."""

import logging
import os
import random
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from torch import Tensor

from speechrnn.errors import TrainingError
from speechrnn.training.utterances import SpeechBatch

logger = logging.getLogger("speechrnn")
MAX_NAMED = 10


class StepSeed(Callback):
    """Draw the random numbers of each step from (seed, epoch, batch, process) alone.

    So there is no generator whose state a checkpoint would have to carry for each process and device: a resumed
    run draws the same dropout and augmentation, wherever in an epoch it was cut.
    """

    def __init__(self) -> None:
        self.seed: int | None = None

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Seed torch on all devices, NumPy and Python."""
        if self.seed is None:
            self.seed = int(os.environ.get("PL_GLOBAL_SEED", "0"))  # where seed_everything leaves it
        place = (self.seed, trainer.current_epoch, batch_idx, trainer.global_rank)
        seed, small = np.random.SeedSequence(place).generate_state(2)
        torch.manual_seed(int(seed))
        np.random.seed(int(small))
        random.seed(int(seed))

    def state_dict(self) -> dict[str, Any]:
        """Keep the seed."""
        return {"seed": self.seed}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on with the seed of the run before, whatever seed this one was given."""
        self.seed = state_dict["seed"]


class NonFiniteGuard(Callback):
    """Skip a step whose loss or gradient is not finite, name its utterances, and stop after some in a row.

    Gradients are looked at after processes have averaged them, so all skip the same steps. Weights, moments and
    averages stay as they were; only the learning rate goes on.
    """

    def __init__(self, patience: int = 3) -> None:
        self.patience = patience
        self.num_in_a_row = 0
        self.utterances: list[str] = []

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Remember who is in the step; there are several batches where gradients are accumulated."""
        if isinstance(batch, SpeechBatch):
            self.utterances += batch.utterances

    def on_before_backward(self, trainer: pl.Trainer, pl_module: pl.LightningModule, loss: Tensor) -> None:
        """Let a loss that is not finite have a gradient that is not, which reaches all processes."""
        # x * 0 + 1 is 1 for a number, NaN otherwise.
        factor = loss.detach() * 0 + 1
        loss.register_hook(lambda grad: grad * factor)  # type: ignore[no-untyped-call]

    def on_before_optimizer_step(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, optimizer: torch.optim.Optimizer
    ) -> None:
        """Drop gradients that are not finite, by which the optimizer leaves all as it is.

        Raises:
            TrainingError: If it happened too many times in a row.
        """
        gradients = [p.grad for p in pl_module.parameters() if p.grad is not None]
        if not gradients or bool(torch.stack(torch._foreach_norm(gradients)).isfinite().all()):
            self.num_in_a_row, self.utterances = 0, []
            return
        optimizer.zero_grad(set_to_none=True)
        named, self.utterances = self.utterances, []
        # Half precision finds its scale by going too far: there the scaler skips the step itself.
        if getattr(trainer.precision_plugin, "scaler", None) is not None:
            return
        self.num_in_a_row += 1
        logger.warning("step %d skipped: loss or gradient not finite%s", trainer.global_step, among(named))
        if self.num_in_a_row >= self.patience:
            raise TrainingError(
                f"loss or gradient was not finite {self.num_in_a_row} steps in a row, last at step "
                f"{trainer.global_step}{among(named)}; lower model.optimization.lr, or look at these recordings "
                "with `speechrnn check`"
            )


def among(utterances: list[str]) -> str:
    """Name the utterances of a step, if it had any."""
    if not utterances:
        return ""
    dots = ", …" if len(utterances) > MAX_NAMED else ""
    return f", among the utterances {', '.join(utterances[:MAX_NAMED])}{dots}"
