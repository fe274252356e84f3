"""What a training run does beside training: watch its data, save itself, write its predictions."""

import json
import logging
import time
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import BasePredictionWriter, Callback

logger = logging.getLogger("speechrnn")


class DataWait(Callback):
    """Log the share of the time that training waits for its data; near 0 is good."""

    def __init__(self) -> None:
        self.waited_s = 0.0
        self.worked_s = 0.0
        self.mark_s = 0.0

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the clocks."""
        self.waited_s = self.worked_s = 0.0
        self.mark_s = time.monotonic()

    def on_train_batch_start(self, *_: Any, **__: Any) -> None:
        """Count the time since the last batch as waiting."""
        now_s = time.monotonic()
        self.waited_s += now_s - self.mark_s
        self.mark_s = now_s

    def on_train_batch_end(self, *_: Any, **__: Any) -> None:
        """Count the time since the batch came as working."""
        now_s = time.monotonic()
        self.worked_s += now_s - self.mark_s
        self.mark_s = now_s

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Log the share."""
        total_s = self.waited_s + self.worked_s
        pl_module.log("train/data_wait_share", self.waited_s / total_s if total_s else 0.0)


class SaveInterrupted(Callback):
    """Save ``last.ckpt`` when training is interrupted or fails, so that it can go on from there."""

    def __init__(self, dirpath: str) -> None:
        self.path = Path(dirpath) / "last.ckpt"

    def on_exception(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException
    ) -> None:
        """Save, unless nothing was trained yet."""
        fitting = trainer.state.fn == "fit" and not trainer.sanity_checking
        if fitting and trainer.global_step > 0 and not trainer.fast_dev_run:
            trainer.save_checkpoint(self.path)
            logger.warning("stopped by %s; to go on: --ckpt_path last", type(exception).__name__)


class PredictionWriter(BasePredictionWriter):
    """Write what ``speechrnn predict`` says to ``predictions.jsonl``, a line an utterance, one file a process."""

    def __init__(self) -> None:
        super().__init__(write_interval="epoch")

    def write_on_epoch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, predictions: Any, batch_indices: Any
    ) -> None:
        """Write the predictions."""
        rank = f".{trainer.global_rank}" if trainer.world_size > 1 else ""
        path = Path(trainer.log_dir or trainer.default_root_dir) / f"predictions{rank}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        rows = [row for batch in predictions for row in batch]
        lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in rows]
        path.write_text("".join(lines), encoding="utf-8")
        print(f"predict: {len(rows)} utterances in {path}")
