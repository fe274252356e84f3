"""What a training run does beside training: watch its data, write its predictions."""

import json
import time
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import BasePredictionWriter, Callback


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
        pl_module.log("train/data_wait_share", self.waited_s / total_s if total_s else 0.0, sync_dist=True)


class AugmentationShares(Callback):
    """Log the share of an epoch's clips that each augmentation has changed: proof that it is at work."""

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Log the shares."""
        augmentation = getattr(pl_module, "waveform_augmentation", None)
        if augmentation is not None:
            shares = augmentation.take_shares()
            pl_module.log_dict({f"train/augmented/{name}": share for name, share in shares.items()})


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
