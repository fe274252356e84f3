"""The best checkpoint of a run, by what was measured on its development set."""

import pytorch_lightning as pl
from pytorch_lightning.callbacks import ModelCheckpoint
from torch import Tensor


class BestCheckpoint(ModelCheckpoint):
    """Keep the best checkpoint; of equally good ones the latest, which was trained for longer.

    On a small development set many epochs make as few errors. Without one speaker's digits the first of them knew
    the speaker far worse than the last (`recipes/fsdd`).
    """

    def check_monitor_top_k(self, trainer: pl.Trainer, current: Tensor | None = None) -> bool:
        """Tell whether what was measured is worth a checkpoint, for all processes alike."""
        if super().check_monitor_top_k(trainer, current):
            return True
        if current is None or self.save_top_k == 0:
            return False
        is_equal = bool(current == self.best_k_models[self.kth_best_model_path])
        return trainer.strategy.reduce_boolean_decision(is_equal)

    @property
    def state_key(self) -> str:
        """Under what name the state is saved: Lightning's own, so that runs begun with it go on."""
        return super().state_key.replace(type(self).__qualname__, ModelCheckpoint.__qualname__)
