"""Two processes on two cores against one process with two threads: utterances trained on in a second.

Two processes wait for each other once in a step, to add up gradients; two threads of one process many times.
"""

import json
import logging
import os
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import soundfile
import torch
from timing import Comparison, Target, compare

REPEATS = 3
NUM_CORES = 2
NUM_CLIPS = 128
CLIP_S = 5.0
BATCH_S = 40.0
EFFICIENCY = 0.8


class EpochClock(pl.Callback):
    """Measure the epochs behind the first, in which everything is slower once."""

    def __init__(self) -> None:
        self.starts: list[float] = []
        self.ends: list[float] = []

    def on_train_epoch_start(self, *_: Any) -> None:
        """Start the clock."""
        self.starts.append(time.perf_counter())

    def on_train_epoch_end(self, *_: Any) -> None:
        """Stop the clock."""
        self.ends.append(time.perf_counter())

    @property
    def seconds(self) -> float:
        """The second epoch's."""
        return self.ends[1] - self.starts[1]


def measure(*, repeats: int = REPEATS) -> Iterator[Comparison]:
    """Time an epoch in one process and in two, in turn."""
    one, two = "one process, two threads", "two processes, a thread each"
    seconds: dict[str, list[float]] = {one: [], two: []}
    with tempfile.TemporaryDirectory() as folder:
        write_corpus(Path(folder))
        for _ in range(repeats):
            for name, num_processes in ((one, 1), (two, NUM_CORES)):
                seconds[name].append(run_process(Path(folder), num_processes))
    title = f"BiLSTM 3 × 256, an epoch of {NUM_CLIPS} clips of {CLIP_S:g} s"
    yield compare(title, one, two, seconds, target=Target(at_least=EFFICIENCY))


def run_process(root: Path, num_processes: int) -> float:
    """Time an epoch on all cores, shared by a number of processes."""
    environment = os.environ | {"OMP_NUM_THREADS": str(NUM_CORES // num_processes)}
    command = [sys.executable, __file__, str(root), str(num_processes)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if done.returncode:
        raise RuntimeError(done.stderr)
    return float(json.loads((root / "seconds.json").read_text()))


def write_corpus(root: Path) -> None:
    """Write noise clips and their manifests."""
    from speechrnn.manifest import Utterance
    from speechrnn.training.prepare import prepare_utterances

    generator = np.random.default_rng(0)
    utterances = []
    for number in range(NUM_CLIPS):
        path = root / f"{number}.wav"
        num_samples = int(CLIP_S * 16_000 * generator.uniform(0.9, 1.1))
        soundfile.write(path, 0.1 * generator.standard_normal(num_samples), 16_000)
        utterances.append(Utterance(id=f"u{number}", audio=path, text="a cab"))
    for split in ("train", "dev"):
        prepare_utterances(utterances, root / f"{split}.jsonl.gz")


def train(root: Path, num_processes: int) -> None:
    """Train for two epochs, and write how long the second took."""
    from speechrnn.nn.config import EncoderConfig
    from speechrnn.text import Vocabulary
    from speechrnn.training.ctc_task import CTCTask
    from speechrnn.training.data import SpeechDataModule

    torch.manual_seed(0)
    encoder = EncoderConfig(cell="lstm", hidden_size=256, num_layers=3)
    task = CTCTask(Vocabulary((" ", "a", "b", "c"), "character"), encoder=encoder)
    clock = EpochClock()
    trainer = pl.Trainer(
        default_root_dir=root,
        max_epochs=2,
        accelerator="cpu",
        devices=num_processes,
        strategy="ddp" if num_processes > 1 else "auto",
        callbacks=[clock],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        use_distributed_sampler=False,
        reload_dataloaders_every_n_epochs=1,
        num_sanity_val_steps=0,
        limit_val_batches=0,
        gradient_clip_val=1.0,
    )
    trainer.fit(task, datamodule=SpeechDataModule(str(root), max_batch_s=BATCH_S, num_workers=0))
    if trainer.is_global_zero:
        (root / "seconds.json").write_text(json.dumps(clock.seconds))


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    train(Path(sys.argv[1]), int(sys.argv[2]))
