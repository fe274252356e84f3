"""Quick trainers, an interruption, and the weights before and after."""

from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch


def make_trainer(root: Path, **options: Any) -> pl.Trainer:
    defaults: dict[str, Any] = {
        "default_root_dir": root,
        "max_epochs": 3,
        "accelerator": "cpu",
        "logger": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "enable_checkpointing": False,
        "use_distributed_sampler": False,
        "reload_dataloaders_every_n_epochs": 1,
        "num_sanity_val_steps": 0,
        "gradient_clip_val": 1.0,
    }
    return pl.Trainer(**(defaults | options))


class Stop(pl.Callback):
    """Interrupt training after a number of steps, or save a checkpoint there."""

    def __init__(self, step: int, save_to: Path | None = None) -> None:
        self.step, self.save_to = step, save_to

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any, **__: Any) -> None:
        if trainer.global_step == self.step:
            if self.save_to is None:
                raise KeyboardInterrupt
            trainer.save_checkpoint(self.save_to)


def weights(task: Any) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in task.model.state_dict().items()}


def assert_same_weights(ours: dict[str, torch.Tensor], theirs: dict[str, torch.Tensor]) -> None:
    for name, value in ours.items():
        assert torch.equal(value, theirs[name]), name
