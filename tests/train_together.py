"""Two processes that train and test together over gloo, for tests: ``python train_together.py CORPUS ROOT``.

Both ranks are forked after torch is imported. Each writes what it found to ``ROOT/rank<N>.json``.
"""

import json
import os
import socket
import sys
import time
import traceback
import warnings
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
import torch.distributed
from corpora import make_data, make_task
from pytorch_lightning.loggers import TensorBoardLogger
from trainers import make_trainer

from speechrnn.cli.train import with_table
from speechrnn.errors import SpeechRNNError
from speechrnn.training.callbacks import DataWait
from speechrnn.training.checkpointing import DurableCheckpointIO, LastCheckpoint
from speechrnn.training.run_folder import AugmentedExamples, LearningCurves, RunRecord
from speechrnn.training.step_guard import NonFiniteGuard, StepSeed
from speechrnn.training.watch import UnreadableAudio

WORLD_SIZE = 2


def gradients_of(task: Any, data: Any) -> dict[str, list[float]]:
    """Compute a step's gradient, averaged over processes as DistributedDataParallel does, and the statistics."""
    rank, size = torch.distributed.get_rank(), torch.distributed.get_world_size()
    [everything] = data.loader(whole_plan(data), "train")
    rows = range(rank, len(everything.texts), size)
    task.train()
    task.log = lambda *_, **__: None
    task.training_step(select(everything, rows), 0).backward()
    found = {}
    for name, parameter in task.model.named_parameters():
        torch.distributed.all_reduce(parameter.grad)
        found[name] = (parameter.grad / size).flatten().tolist()
    return found | {name: b.flatten().tolist() for name, b in task.model.named_buffers() if "running" in name}


def whole_plan(data: Any) -> Any:
    """Plan one batch of all utterances."""
    data.max_batch_s = 1000.0
    plan = data.plan("train")
    plan.batches = [sum(plan.batches[1:], plan.batches[0])]
    return plan


def select(batch: Any, rows: Any) -> Any:
    """Take some utterances of a batch; padding stays as it is."""
    picked = [list(rows)]
    return batch._replace(
        waveform=batch.waveform[picked],
        waveform_lengths=batch.waveform_lengths[picked],
        **{
            key: [getattr(batch, key)[i] for i in rows]
            for key in ("texts", "utterances", "speakers", "unreadable")
        },
    )


def joint_gradients(corpus: Path) -> dict[str, Any]:
    """Compute the joint gradient of each task, with batch norm."""
    return {
        kind: gradients_of(
            make_task(labels=kind == "labels", encoder={"norm": "batch"}), make_data(corpus / kind)
        )
        for kind in ("texts", "labels")
    }


class Seen(UnreadableAudio):
    """Remember each training utterance, too."""

    def __init__(self) -> None:
        super().__init__()
        self.utterances: list[str] = []

    def on_train_batch_start(self, trainer: Any, task: Any, batch: Any, batch_idx: int) -> None:
        super().on_train_batch_start(trainer, task, batch, batch_idx)
        self.utterances += batch.utterances


class Poison(pl.Callback):
    """Let the loss of one process be no number, once."""

    def on_train_batch_start(self, trainer: Any, task: Any, batch: Any, batch_idx: int) -> None:
        if trainer.global_step == 1 and trainer.global_rank == 1:
            batch.waveform.fill_(float("nan"))


class CountSkipped(NonFiniteGuard):
    """Count the steps without gradients."""

    num_skipped = 0

    def on_before_optimizer_step(self, trainer: Any, task: Any, optimizer: Any) -> None:
        super().on_before_optimizer_step(trainer, task, optimizer)
        self.num_skipped += self.num_in_a_row


class Leave(pl.Callback):
    """Let process 1 vanish."""

    def on_train_batch_start(self, trainer: Any, *_: Any) -> None:
        if trainer.global_step == 2 and trainer.global_rank == 1:
            os._exit(0)


def train(corpus: Path, root: Path, *, more: list[Any] | None = None, **options: Any) -> dict[str, Any]:
    """Train, validate and test with two processes."""
    task = make_task(encoder={"norm": "batch"}, optimization={"ema_decay": 0.5})
    seen, guard = Seen(), CountSkipped()
    trainer = make_trainer(
        root,
        devices=WORLD_SIZE,
        strategy="ddp",
        callbacks=[StepSeed(), guard, seen, *(more or []), LastCheckpoint(every_n_steps=1)],
        enable_checkpointing=True,
        plugins=[DurableCheckpointIO()],
        **({"max_epochs": 1} | options),
    )
    data = make_data(corpus)
    trainer.fit(task, datamodule=data)
    validated = trainer.validate(task, data, verbose=False)[0]
    tested = trainer.test(task, data, verbose=False)[0]
    steps = trainer.fit_loop.epoch_loop.batch_progress.total.completed
    checksum = float(sum(value.double().abs().sum() for value in task.model.state_dict().values()))
    return {
        "folder": trainer.log_dir,
        "utterances": seen.utterances,
        "readable": seen.num_readable,
        "skipped": guard.num_skipped,
        "checkpoint": str(root / "checkpoints/last.ckpt"),
        "steps": steps,
        "weights": checksum,
        "unreadable": sorted(seen.names),
        "wer": validated["val/wer"],
        "loss": validated["val/loss"],
        "test": tested["test/wer"],
    }


def refusal(corpus: Path, root: Path) -> str:
    """Say how too small a corpus is refused."""
    try:
        train(corpus, root)
    except SpeechRNNError as error:
        return str(error)
    return "not refused"


def lose_one(corpus: Path, root: Path) -> dict[str, Any]:
    """Say how the loss of a process ends the other."""
    begun_s = time.monotonic()
    try:
        train(corpus, root, more=[Leave()])
    except RuntimeError as error:
        return {"said": str(error), "seconds": time.monotonic() - begun_s}
    return {"said": "nothing", "seconds": 0.0}


def check(corpus: Path, root: Path) -> dict[str, Any]:
    """Do all there is to do with one pair of processes."""
    return {
        "gradients": joint_gradients(corpus),
        "odd": train(corpus / "texts", root / "odd"),
        "bad": train(corpus / "half_bad", root / "bad"),
        "one_bad_rank": train(corpus / "one_bad_rank", root / "one_bad_rank"),
        "nan": train(corpus / "texts", root / "nan", more=[Poison()]),
        "one": refusal(corpus / "one", root / "one"),
        "logged": train(
            corpus / "texts",
            root / "logged",
            more=[RunRecord(), LearningCurves(), AugmentedExamples(), DataWait()],
            logger=with_table([TensorBoardLogger(root / "logged")]),
            log_every_n_steps=1,
            max_epochs=2,
        ),
    }


def be_rank(rank: int, port: int, corpus: Path, root: Path) -> int:
    """Be one of the processes, as a cluster would start it."""
    os.environ |= {
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": str(WORLD_SIZE),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "TORCHELASTIC_RUN_ID": "test",  # as torchrun does it: processes are made from outside
        "GROUP_RANK": "0",
        "LOCAL_WORLD_SIZE": str(WORLD_SIZE),
    }
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", timeout=timedelta(seconds=60))
    try:
        found = check(corpus, root)
        path = root / f"rank{rank}.json"
        path.write_text(json.dumps(found))
        found["lost"] = lose_one(corpus / "texts", root / "lost")
        path.write_text(json.dumps(found))
        return 0
    except BaseException:
        traceback.print_exc()
        return 1


def free_port() -> int:
    """Find a port that nobody listens to."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def run_together(corpus: Path, root: Path) -> list[int]:
    """Fork the processes and wait for both."""
    port, children = free_port(), []
    for rank in range(WORLD_SIZE):
        child = os.fork()
        if child == 0:
            os._exit(be_rank(rank, port, corpus, root))
        children.append(child)
    return [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]


if __name__ == "__main__":
    start_s = time.monotonic()
    print(run_together(Path(sys.argv[1]), Path(sys.argv[2])), time.monotonic() - start_s)
