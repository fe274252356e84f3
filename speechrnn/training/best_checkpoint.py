"""The best checkpoint of a run, by what was measured on its development set."""

from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import ModelCheckpoint
from torch import Tensor

FILES = ("best_model_path", "kth_best_model_path", "last_model_path")


class BestCheckpoint(ModelCheckpoint):
    """Keep the best checkpoint; of equally good ones the latest, which was trained for longer.

    On a small development set many epochs make as few errors. Without one speaker's digits the first of them knew
    the speaker far worse than the last (`recipes/fsdd`).
    """

    measured_step = -1
    """Optimizer step whose weights were measured last; what is saved at another has no measure of its own."""

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Save, where Lightning does so after a validation."""
        self.measured_step = trainer.global_step
        super().on_validation_end(trainer, pl_module)

    def check_monitor_top_k(self, trainer: pl.Trainer, current: Tensor | None = None) -> bool:
        """Tell whether what was measured is worth a checkpoint, for all processes alike."""
        if super().check_monitor_top_k(trainer, current):
            return True
        if current is None or self.save_top_k == 0 or self.measured_step != trainer.global_step:
            return False
        is_equal = bool(current == self.best_k_models[self.kth_best_model_path])
        return trainer.strategy.reduce_boolean_decision(is_equal)

    @property
    def state_key(self) -> str:
        """Under what name the state is saved: Lightning's own, so that runs begun with it go on."""
        return super().state_key.replace(type(self).__qualname__, ModelCheckpoint.__qualname__)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a run, also where its folder has moved with its checkpoints; Lightning would forget the best."""
        here = Path(self.dirpath or "")
        if all((here / Path(path).name).is_file() for path in state_dict["best_k_models"]):
            moved = {name: move(state_dict[name], here) for name in FILES}
            best = {move(path, here): score for path, score in state_dict["best_k_models"].items()}
            state_dict = state_dict | moved | {"best_k_models": best, "dirpath": self.dirpath}
        super().load_state_dict(state_dict)


def move(path: str, folder: Path) -> str:
    """Name a file of the same name in a folder; no file stays none."""
    return str(folder / Path(path).name) if path else path
