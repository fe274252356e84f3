"""What a run keeps an eye on: audio that cannot be read, memory, and a model that says nothing."""

import json
import logging
import resource
import sys
import traceback
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback

from speechrnn.errors import TrainingError
from speechrnn.training.progress import num_processed
from speechrnn.training.utterances import SpeechBatch

logger = logging.getLogger("speechrnn")
GIB = 2**30


class UnreadableAudio(Callback):
    """Say, count and list audio that cannot be read: once each, in ``unreadable.jsonl`` of the run's folder."""

    def __init__(self) -> None:
        self.names: set[str] = set()
        self.num_readable = 0
        self.list = Path()

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Settle where the list will be; Lightning broadcasts its folder, so all processes ask at once."""
        rank = f".{trainer.global_rank}" if trainer.world_size > 1 else ""
        self.list = Path(trainer.log_dir or trainer.default_root_dir) / f"unreadable{rank}.jsonl"

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Count anew; an epoch that goes on after a resume has heard something before."""
        self.num_readable = num_processed(trainer)

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Look at a batch of training."""
        self.note(batch)

    def on_validation_batch_start(self, trainer: pl.Trainer, _: Any, batch: Any, *__: Any) -> None:
        """Look at a batch of validation."""
        self.note(batch)

    def on_test_batch_start(self, trainer: pl.Trainer, _: Any, batch: Any, *__: Any) -> None:
        """Look at a batch of a test."""
        self.note(batch)

    def on_predict_batch_start(self, trainer: pl.Trainer, _: Any, batch: Any, *__: Any) -> None:
        """Look at a batch to transcribe."""
        self.note(batch)

    def note(self, batch: Any) -> None:
        """Say what is new in a batch, and add it to the list."""
        if not isinstance(batch, SpeechBatch):
            return
        for name, reason in zip(batch.utterances, batch.unreadable, strict=False):
            self.num_readable += not reason
            if reason and name not in self.names:
                self.names.add(name)
                logger.warning("%s; it is left out", reason)
                append_line(self.list, {"utterance": name, "reason": reason})

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Log the count, and stop where an epoch heard nothing at all.

        Raises:
            TrainingError: Naming the list.
        """
        count = float(len(self.names))
        pl_module.log("train/unreadable_utterances", count, reduce_fx="sum", sync_dist=True)
        readable = torch.tensor(float(self.num_readable), device=pl_module.device)
        heard = trainer.strategy.reduce(readable, reduce_op="sum")
        if self.names and not float(heard):
            raise TrainingError(f"no audio of the epoch could be read; {self.list} says why")

    def on_test_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Say that a figure lacks some utterances."""
        if self.names:
            logger.warning(
                "%d utterances could not be read and are not in the figures: %s",
                len(self.names),
                self.list,
            )


def append_line(path: Path, row: dict[str, str]) -> None:
    """Append a JSON line to a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a", encoding="utf-8") as file:
        file.write(json.dumps(row, ensure_ascii=False) + "\n")


class PeakMemory(Callback):
    """Say how much memory the first step took, which of an epoch's batches is given the largest.

    What is enough for it is enough for the run.
    """

    def __init__(self) -> None:
        self.is_measured = False

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Measure only where the largest batch comes first."""
        self.is_measured = trainer.global_step > 0

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Say the peak after the first step."""
        if self.is_measured or not isinstance(batch, SpeechBatch):
            return
        self.is_measured = True
        peak = peak_bytes(pl_module.device)
        pl_module.log("train/peak_memory_gib", peak / GIB, on_epoch=False, on_step=True)
        logger.info(
            "largest batch: %d utterances of up to %.1f s; memory at its peak %.2f GiB",
            len(batch.utterances),
            batch.waveform.shape[1] / sample_rate_of(pl_module),
            peak / GIB,
        )


def explain_lack_of_memory(error: Exception) -> TrainingError | None:
    """Say what to do about an error of torch, if it is a lack of memory."""
    if not isinstance(error, torch.OutOfMemoryError) and "can't allocate memory" not in str(error):
        return None
    return TrainingError(
        "memory ran out; lower --data.max_batch_s, the seconds of audio in a batch, and raise "
        "--trainer.accumulate_grad_batches by as much"
    )


def explain_lost_worker(error: Exception) -> TrainingError | None:
    """Say what to do about an error, if it is of a worker that was killed: torch's, or of what it was sending."""
    frames = traceback.extract_tb(error.__traceback__)
    is_cut_off = isinstance(error, ConnectionError | EOFError) and any(
        "multiprocessing" in frame.filename for frame in frames
    )
    if not (is_cut_off or str(error).startswith("DataLoader worker")):
        return None
    reason = str(error).partition("\n")[0].strip().removesuffix(".") or "it sent no more"
    return TrainingError(
        f"a process that loads audio was lost: {reason}. If the system ran out of memory, "
        "lower --data.num_workers; to go on: --ckpt_path last"
    )


def sample_rate_of(task: pl.LightningModule) -> int:
    """Tell the rate of a task's waveforms, Hz."""
    config: Any = task.config
    return int(config.features.sample_rate)


def peak_bytes(device: torch.device) -> int:
    """Tell the most memory that the device's tensors, or on a CPU this process, ever held."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    unit = 1 if sys.platform == "darwin" else 1024  # bytes there, KiB elsewhere
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


class BlankCollapse(Callback):
    """Give advice where a CTC model says nothing, validation after validation.

    Every CTC model begins by answering blanks; one that stays there will not leave by itself.
    """

    def __init__(self, patience: int = 5) -> None:
        self.patience = patience
        self.num_silent = 0

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Count validations in a row in which nearly every answer was empty."""
        spoken = trainer.callback_metrics.get("val/non_empty_share")
        if trainer.sanity_checking or spoken is None:
            return
        self.num_silent = self.num_silent + 1 if float(spoken) < 0.01 else 0
        if self.num_silent == self.patience and trainer.is_global_zero:
            blank = 100 * float(trainer.callback_metrics["val/blank_share"])
            logger.warning(
                "the model answered nothing in %d validations in a row (%.1f %% of its frames are blank). Try, in "
                "this order: `speechrnn check` (do texts belong to their audio?); a lower model.optimization.lr; "
                "model.encoder.subsampling 2 instead of 4; short utterances first; no augmentation at the start",
                self.patience,
                blank,
            )

    def state_dict(self) -> dict[str, Any]:
        """Keep the count."""
        return {"num_silent": self.num_silent}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on counting."""
        self.num_silent = state_dict["num_silent"]
