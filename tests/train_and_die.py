"""Training runs in processes of their own, for tests that kill them: ``python train_and_die.py JSON``.

JSON is a list of rounds, each a list of runs. The runs of a round are forked at once, so that torch is imported
for all of them together; the exit statuses are printed as lists of the same shape.
"""

import json
import os
import signal
import sys
import traceback
import warnings
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from corpora import make_data, make_task
from trainers import make_trainer

from speechrnn.nn.augmentation import AugmentationConfig
from speechrnn.training.checkpointing import DurableCheckpointIO, LastCheckpoint
from speechrnn.training.step_guard import NonFiniteGuard, StepSeed


class SendSignal(pl.Callback):
    """Send this process a signal within a step, or the first validation behind it; SIGKILL is the end."""

    def __init__(self, step: int, number: int, *, in_validation: bool = False) -> None:
        self.step, self.number, self.in_validation = step, number, in_validation

    def on_before_zero_grad(self, trainer: pl.Trainer, *_: Any) -> None:
        if trainer.global_step == self.step and not self.in_validation:
            os.kill(os.getpid(), self.number)

    def on_validation_batch_start(self, trainer: pl.Trainer, *_: Any) -> None:
        if trainer.global_step >= self.step and self.in_validation:
            os.kill(os.getpid(), self.number)


def run(options: dict[str, Any]) -> None:
    """Train with all that draws random numbers, and leave the weights of a run that ends in ``weights.pt``."""
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    root = Path(options["root"])
    augmentation = AugmentationConfig(
        speeds=(0.9, 1.0), time_masks=1, frequency_masks=1, frequency_warp=0.1, narrowband=0.5, noise_db=-20
    )
    task = make_task(
        augmentation=augmentation,
        encoder={"dropout": 0.3, "norm": "batch"},
        optimization={"ema_decay": options.get("ema_decay")},
    )
    callbacks: list[pl.Callback] = [StepSeed(), NonFiniteGuard()]
    if options.get("signal"):
        number, in_validation = getattr(signal, options["signal"]), options.get("in_validation", False)
        callbacks.append(SendSignal(options["step"], number, in_validation=in_validation))
    callbacks.append(LastCheckpoint(every_n_steps=options.get("every", 1)))
    trainer = make_trainer(
        root,
        callbacks=callbacks,
        enable_checkpointing=True,
        plugins=[DurableCheckpointIO()],
        accumulate_grad_batches=options.get("accumulate", 1),
        **options.get("trainer", {}),
    )
    data = make_data(Path(options["corpus"]), num_workers=options.get("workers", 0))
    trainer.fit(task, datamodule=data, ckpt_path=options.get("ckpt_path"), weights_only=True)
    trainer.save_checkpoint(root / "end.ckpt")


def fork(options: dict[str, Any]) -> int:
    """Begin a run in a child and return its process id."""
    child = os.fork()
    if child == 0:
        status = 70
        try:
            run(options)
            status = 0
        except SystemExit as stop:
            status = int(stop.code or 0)
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(status)
    return child


def statuses(runs: list[dict[str, Any]]) -> list[int]:
    """Make the runs of a round; negative statuses are signals."""
    children = [fork(options) for options in runs]
    return [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]


if __name__ == "__main__":
    print(json.dumps([statuses(runs) for runs in json.loads(sys.argv[1])]))
