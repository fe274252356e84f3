"""How far an epoch has come: what a data module keeps in the checkpoint, to go on behind it."""

import warnings
from collections.abc import Mapping
from typing import Any

import pytorch_lightning as pl

from speechrnn.errors import ConfigError

NOTHING_DONE: Mapping[str, Any] = {"epoch": -1, "num_done": 0, "follows_from": {}}


def num_processed(trainer: pl.Trainer) -> int:
    """Count the batches of the current epoch that were trained on."""
    # Processed, not completed: a batch is completed only after the callbacks that may save here.
    progress: Any = trainer.fit_loop.epoch_loop.batch_progress.current
    return int(progress.processed)


def epoch_progress(trainer: pl.Trainer, follows_from: Mapping[str, Any]) -> dict[str, Any]:
    """Tell the epoch, how many of its batches are done, 0 if all are, and the options that they follow from."""
    num_done = num_processed(trainer)
    if num_done >= trainer.num_training_batches:
        num_done = 0
    return {"epoch": trainer.current_epoch, "num_done": num_done, "follows_from": dict(follows_from)}


def read_progress(state_dict: Mapping[str, Any]) -> dict[str, Any]:
    """Read what ``epoch_progress`` gave, for the next training loader."""
    # Lightning looks for that knowledge in the loader, and warns when it is not there.
    warnings.filterwarnings("ignore", message=".*your dataloader is not resumable.*")
    return {key: state_dict.get(key, nothing) for key, nothing in NOTHING_DONE.items()}


def batches_done(
    resumed: Mapping[str, Any], *, epoch: int, follows_from: Mapping[str, Any], checkpoint: Any
) -> int:
    """Tell how many batches of an epoch are done.

    Raises:
        ConfigError: If that means nothing, since the batches would be others now.
    """
    if epoch != resumed["epoch"] or not resumed["num_done"]:
        return 0
    for option, before in resumed["follows_from"].items():
        if follows_from[option] != before:
            raise ConfigError(
                f"{checkpoint}: {resumed['num_done']} batches of epoch {epoch} are done, which followed from "
                f"{option} = {before!r}, got {follows_from[option]!r}; go on with {before!r}, or from the end of "
                "an epoch: --ckpt_path best"
            )
    return int(resumed["num_done"])
