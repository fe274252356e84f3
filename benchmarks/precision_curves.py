"""Learning curves in float32 and in bfloat16, from the same beginnings: do they differ by more than by chance?

Digits of the Free Spoken Digit Dataset are spelled by a small network with CTC, on the CPU. With each seed, weights
and order of the batches are the same in both precisions; what seeds make of float32 tells what chance is.
"""

import logging
import statistics
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytorch_lightning as pl
import torch

from speechrnn.nn.config import EncoderConfig, FeatureConfig
from speechrnn.text import Vocabulary
from speechrnn.training.ctc_task import CTCTask
from speechrnn.training.data import SpeechDataModule
from speechrnn.training.optimization import OptimizationConfig

Precision = Literal["32-true", "bf16-mixed"]
RECIPE = Path(__file__).parent.parent / "recipes" / "fsdd"
SEEDS = (0, 1, 2)
STEPS = (25, 50, 100, 150, 200)
WINDOW = 25  # steps whose mean loss is compared


@dataclass(frozen=True, kw_only=True)
class Point:
    """The losses at one step."""

    step: int
    """Last step of the window."""
    single: tuple[float, ...]
    """Mean loss of the window in float32, for each seed."""
    half: tuple[float, ...]
    """The same in bfloat16."""

    @property
    def difference(self) -> float:
        """How far bfloat16 is from float32, in the mean of the seeds."""
        return statistics.mean(self.half) - statistics.mean(self.single)

    @property
    def noise(self) -> float:
        """Twice the standard error of such a difference, if float32's seeds differ only by chance."""
        return 2 * statistics.stdev(self.single) * (2 / len(self.single)) ** 0.5


class Losses(pl.Callback):
    """Keep each step's loss."""

    def __init__(self) -> None:
        self.losses: list[float] = []

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, *_: Any, **__: Any) -> None:
        """Keep a loss."""
        self.losses.append(float(outputs["loss"]))


def measure(
    *,
    repeats: int | None = None,
    seeds: Sequence[int] = SEEDS,
    steps: Sequence[int] = STEPS,
    window: int = WINDOW,
) -> Iterator[Point]:
    """Train in both precisions with each seed, then compare along the curve."""
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
        root = prepare_digits(Path(folder))
        single = [losses(root, seed, "32-true", steps[-1]) for seed in seeds]
        half = [losses(root, seed, "bf16-mixed", steps[-1]) for seed in seeds]
    for step in steps:
        yield Point(
            step=step,
            single=tuple(statistics.mean(curve[step - window : step]) for curve in single),
            half=tuple(statistics.mean(curve[step - window : step]) for curve in half),
        )


def prepare_digits(root: Path) -> Path:
    """Unpack the digits that come with the repository."""
    import subprocess
    import sys

    command = [sys.executable, str(RECIPE / "prepare.py"), "--out", str(root)]
    subprocess.run(command, check=True, capture_output=True)
    return root


def losses(root: Path, seed: int, precision: Precision, num_steps: int) -> list[float]:
    """Train for a number of steps; the loss of each."""
    pl.seed_everything(seed, verbose=False)
    vocabulary = Vocabulary(tuple("efghinorstuvwxz"), "character")
    task = CTCTask(
        vocabulary,
        FeatureConfig(sample_rate=8000, n_fft=256, win_length=200, hop_length=80),
        EncoderConfig(cell="lstm", hidden_size=64, num_layers=1, subsampling=2),
        optimization=OptimizationConfig(lr=0.003),
    )
    callback = Losses()
    trainer = pl.Trainer(
        default_root_dir=root,
        max_steps=num_steps,
        accelerator="cpu",
        precision=precision,
        callbacks=[callback],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
        reload_dataloaders_every_n_epochs=1,
        num_sanity_val_steps=0,
        limit_val_batches=0,
        gradient_clip_val=1.0,
    )
    data = SpeechDataModule(str(root), sample_rate=8000, max_batch_s=15.0, num_workers=0, seed=seed)
    trainer.fit(task, datamodule=data)
    assert all(parameter.dtype == torch.float32 for parameter in task.parameters())
    return callback.losses


def table(points: Iterator[Point]) -> Iterator[str]:
    """Write the points as lines of a Markdown table."""
    yield "| step | float32, mean (of seeds) | bfloat16, mean (of seeds) | difference | noise | target |"
    yield "| --- | --- | --- | --- | --- | --- |"
    for point in points:
        verdict = "met" if abs(point.difference) <= point.noise else "missed"
        cells = [
            str(point.step),
            describe(point.single),
            describe(point.half),
            f"{point.difference:+.3f}",
            f"± {point.noise:.3f}",
            f"within noise: {verdict}",
        ]
        yield f"| {' | '.join(cells)} |"


def describe(values: Sequence[float]) -> str:
    """Write the mean and all values."""
    return f"{statistics.mean(values):.3f} ({', '.join(f'{value:.3f}' for value in values)})"
