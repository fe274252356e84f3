"""The best checkpoint: which epoch's it is, and that runs begun with Lightning's own go on."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import ModelCheckpoint
from torch.utils.data import DataLoader, TensorDataset
from trainers import make_trainer

from speechrnn.training.best_checkpoint import BestCheckpoint

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*does not have many workers.*"),
    pytest.mark.filterwarnings("ignore:.*LeafSpec.*:FutureWarning"),
    pytest.mark.filterwarnings("ignore:.*number of training batches.*"),
    pytest.mark.filterwarnings("ignore:Checkpoint directory .* exists and is not empty.*"),
]


class Measured(pl.LightningModule):
    """A task of one weight, whose error after each epoch is given."""

    def __init__(self, errors: Sequence[float]) -> None:
        super().__init__()
        self.errors = errors
        self.weight = torch.nn.Parameter(torch.zeros(1))

    def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
        return self.weight.sum()

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        self.log("val/error_rate", torch.tensor(self.errors[self.current_epoch]))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=1.0)


def fit(
    kind: type[ModelCheckpoint],
    folder: Path,
    errors: Sequence[float],
    *,
    resume: Path | None = None,
    every: int = 1,
    steps: int = 1,
    **options: Any,
) -> list[Path]:
    """Train an epoch of some steps for each error, measure every so many epochs; give what checkpoints there are."""
    best = kind(folder, monitor="val/error_rate", mode="min", **options)
    trainer = make_trainer(
        folder,
        max_epochs=len(errors),
        callbacks=[best],
        enable_checkpointing=True,
        check_val_every_n_epoch=every,
    )
    data = DataLoader(TensorDataset(torch.zeros(steps)))
    trainer.fit(Measured(errors), data, data, ckpt_path=resume, weights_only=True if resume else None)
    return sorted(folder.glob("*.ckpt"))


def epoch_of(checkpoint: Path) -> int:
    epoch: int = torch.load(checkpoint, weights_only=True)["epoch"]
    return epoch


def step_of(checkpoint: Path) -> int:
    step: int = torch.load(checkpoint, weights_only=True)["global_step"]
    return step


@pytest.mark.parametrize(
    ("errors", "epoch"),
    [
        ([0.5, 0.25, 0.25, 0.75], 2),  # of two equal ones the later
        ([0.5, 0.25, 0.5], 1),
        ([0.25, float("nan"), 0.5], 0),
    ],
)
def test_the_latest_of_the_best_is_kept(errors: list[float], epoch: int, tmp_path: Path) -> None:
    [best] = fit(BestCheckpoint, tmp_path, errors, filename="best")
    assert best.name == "best.ckpt"
    assert epoch_of(best) == epoch


def test_of_the_best_two_the_worse_is_given_up_for_an_equal(tmp_path: Path) -> None:
    kept = fit(BestCheckpoint, tmp_path, [0.25, 0.5, 0.5], filename="{epoch}", save_top_k=2)
    assert [epoch_of(checkpoint) for checkpoint in kept] == [0, 2]


def test_none_is_kept_where_none_is_wanted(tmp_path: Path) -> None:
    assert fit(BestCheckpoint, tmp_path, [0.5, 0.5], save_top_k=0) == []


def test_a_run_begun_with_lightning_s_own_knows_what_was_best(tmp_path: Path) -> None:
    [begun] = fit(ModelCheckpoint, tmp_path, [0.25], filename="best")
    [best] = fit(BestCheckpoint, tmp_path, [0.25, 0.5], filename="best", resume=begun)
    assert epoch_of(best) == 0


@pytest.mark.filterwarnings("ignore:.*could not find the monitored key.*")  # before the first validation
def test_of_steps_that_were_not_measured_none_is_the_best(tmp_path: Path) -> None:
    # Validated after epochs 1 and 3; at the end of epoch 2 the error of epoch 1 is still at hand.
    [best] = fit(
        BestCheckpoint,
        tmp_path,
        [0.5, 0.25, 0.75, 0.75],
        every=2,
        filename="best",
        save_on_train_epoch_end=True,
    )
    assert epoch_of(best) == 1
    [begun] = fit(
        BestCheckpoint, tmp_path / "steps", [0.5, 0.75], steps=3, filename="best", every_n_train_steps=1
    )
    assert step_of(begun) == 4  # the first after the error was measured


def test_a_run_whose_folder_has_moved_goes_on_with_the_best_it_had(tmp_path: Path) -> None:
    fit(BestCheckpoint, tmp_path / "here", [0.25], filename="best")
    (tmp_path / "here").rename(tmp_path / "there")
    there = tmp_path / "there"
    [best] = fit(BestCheckpoint, there, [0.25, 0.5], filename="best", resume=there / "best.ckpt")
    assert epoch_of(best) == 0
    [best] = fit(BestCheckpoint, there, [0.25, 0.5, 0.125], filename="best", resume=there / "best.ckpt")
    assert (best.name, epoch_of(best)) == ("best.ckpt", 2)
