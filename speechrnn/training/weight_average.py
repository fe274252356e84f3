"""An average of the weights over the steps: what is validated, kept as the best, and exported."""

from collections.abc import Mapping
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback, ModelCheckpoint
from torch import Tensor

from speechrnn.errors import ConfigError
from speechrnn.training.optimization import OptimizationConfig

TRAINED = "trained_weights"  # the key in a checkpoint of what training goes on with


class WeightAverage(Callback):
    """Keep an exponential moving average of the weights (Polyak and Juditsky, 1992), and validate and end with it.

    Of the average, step n keeps the share min(decay, (1 + n) / (10 + n)), as TensorFlow's
    ``ExponentialMovingAverage`` does, so that short runs forget the weights they began with. Statistics of batch
    norm are averaged like weights. A skipped step leaves the average as it is.

    The average moves within the optimizer's step, so wherever a run is cut, it belongs to the weights. A
    checkpoint's ``state_dict`` is the average, which is what all its readers want; the weights that training goes
    on with are beside it. Lightning's callback of this kind exchanges the two for each validation, and a checkpoint
    saved in the middle of one, as when a run is told to stop, has them the wrong way round.
    """

    def __init__(self, decay: float) -> None:
        """Set up; ``decay`` is the most that a step keeps of the average, in (0, 1)."""
        self.decay = decay
        self.num_steps = 0
        self.average: dict[str, Tensor] = {}
        self.trained: dict[str, Tensor] = {}  # while the task holds the average in their place

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Refuse checkpoints that callbacks have no part in.

        Raises:
            ConfigError: If there are to be such.
        """
        checkpoints = [c for c in trainer.checkpoint_callbacks if isinstance(c, ModelCheckpoint)]
        if any(checkpoint.save_weights_only for checkpoint in checkpoints):
            raise ConfigError(
                "checkpoint.save_weights_only must be false with optimization.ema_decay, got true; "
                "it would save weights that are no average"
            )

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Begin to follow the optimizer."""
        self.average = {name: value.to(pl_module.device) for name, value in self.average.items()}
        [optimizer] = trainer.optimizers
        optimizer.register_step_post_hook(lambda *_: self.follow(pl_module))

    @torch.no_grad()
    def follow(self, task: pl.LightningModule) -> None:
        """Move the average towards a task's weights, if the step changed them."""
        if all(parameter.grad is None for parameter in task.parameters()):
            return
        weights = task.state_dict()
        if not self.average:
            self.average = copy_of(weights)
        self.num_steps += 1
        share = min(self.decay, (1 + self.num_steps) / (10 + self.num_steps))
        real = [name for name, value in weights.items() if value.is_floating_point()]
        torch._foreach_lerp_(
            [self.average[name] for name in real], [weights[name] for name in real], 1 - share
        )
        for name in weights.keys() - set(real):
            self.average[name].copy_(weights[name])

    # ---- Validated and left behind --------------------------------------------------------------

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Have the average validated."""
        if trainer.state.fn == "fit":
            self.lend(pl_module)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Go on with the weights."""
        if self.trained:
            pl_module.load_state_dict(self.trained)
            self.trained = {}

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Leave the average in the task."""
        self.lend(pl_module)

    def lend(self, task: pl.LightningModule) -> None:
        """Put the average, once there is one, into a task; its weights are kept meanwhile."""
        if self.average:
            self.trained = copy_of(task.state_dict())
            task.load_state_dict(self.average)

    # ---- Saved ----------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """Keep the number of steps."""
        return {"num_steps": self.num_steps}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on counting."""
        self.num_steps = state_dict["num_steps"]

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Save the average as the weights, and the weights beside it."""
        if self.average:
            checkpoint[TRAINED] = self.trained or checkpoint["state_dict"]
            checkpoint["state_dict"] = self.average

    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Go on with both; a checkpoint without an average has one begun, and whoever measures needs no more."""
        if trainer.state.fn == "fit" and TRAINED in checkpoint:
            self.average = copy_of(checkpoint["state_dict"])
            pl_module.load_state_dict(checkpoint[TRAINED])


def copy_of(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Copy weights, which go on changing."""
    return {name: value.clone() for name, value in weights.items()}


def weight_average(config: OptimizationConfig) -> list[pl.Callback]:
    """Make the callback, where an average is wanted."""
    return [] if config.ema_decay is None else [WeightAverage(config.ema_decay)]
