"""How far an epoch has come: what a data module keeps in the checkpoint, to go on behind it."""

import warnings
from typing import Any

import pytorch_lightning as pl


def epoch_progress(trainer: pl.Trainer) -> dict[str, int]:
    """Tell the epoch, and how many of its batches are done."""
    # Processed, not completed: a batch is completed only after the callbacks that may save here.
    progress: Any = trainer.fit_loop.epoch_loop.batch_progress.current
    return {"epoch": trainer.current_epoch, "num_done": progress.processed}


def read_progress(state_dict: dict[str, Any]) -> dict[str, int]:
    """Read what ``epoch_progress`` gave, for the next training loader."""
    # Lightning looks for that knowledge in the loader, and warns when it is not there.
    warnings.filterwarnings("ignore", message=".*your dataloader is not resumable.*")
    return {"epoch": state_dict["epoch"], "num_done": state_dict["num_done"]}
