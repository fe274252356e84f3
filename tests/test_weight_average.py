"""The average of the weights: what it is, who gets it, and what is left of the weights."""

from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from corpora import make_data, make_task, write_corpus
from pytorch_lightning.callbacks import ModelCheckpoint
from trainers import assert_same_weights, make_trainer, weights

from speechrnn.errors import ConfigError
from speechrnn.nn.checkpoint import load_checkpoint
from speechrnn.training.checkpointing import DurableCheckpointIO, LastCheckpoint
from speechrnn.training.optimization import OptimizationConfig
from speechrnn.training.step_guard import NonFiniteGuard, StepSeed
from speechrnn.training.weight_average import TRAINED, WeightAverage

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*does not have many workers.*"),
    pytest.mark.filterwarnings("ignore:.*LeafSpec.*:FutureWarning"),
    pytest.mark.filterwarnings("ignore:Trying to infer the .batch_size.*"),
    pytest.mark.filterwarnings("ignore:.*number of training batches.*"),
    pytest.mark.filterwarnings("ignore:.*callbacks used to create the checkpoint.*"),
]


class Follow(pl.Callback):
    """Keep the weights after each step, and spoil the gradient of one."""

    def __init__(self, spoiled: int | None = None) -> None:
        self.weights: list[dict[str, torch.Tensor]] = []
        self.spoiled = spoiled

    def on_train_batch_start(self, trainer: pl.Trainer, task: Any, batch: Any, batch_idx: int) -> None:
        if trainer.global_step == self.spoiled:
            batch.waveform.fill_(float("nan"))

    def on_train_batch_end(self, trainer: pl.Trainer, task: Any, *_: Any, **__: Any) -> None:
        if trainer.global_step - 1 != self.spoiled:
            self.weights.append(weights(task))


def averaged(steps: list[dict[str, torch.Tensor]], decay: float) -> dict[str, torch.Tensor]:
    """Compute in float64 what the average of some steps' weights is, by its definition."""
    average = {name: value.double() for name, value in steps[0].items()}
    for number, step in enumerate(steps, start=1):
        share = min(decay, (1 + number) / (10 + number))
        average = {name: share * average[name] + (1 - share) * value.double() for name, value in step.items()}
    return average


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_corpus(tmp_path_factory.mktemp("corpus"))


def train(corpus: Path, root: Path, **options: Any) -> tuple[pl.Trainer, Any, Follow]:
    """Train two epochs with an average and batch norm, whose statistics are no parameters."""
    task, follow = make_task(encoder={"norm": "batch"}, optimization={"ema_decay": 0.3}), Follow(**options)
    best = ModelCheckpoint(root / "checkpoints", "best", monitor="val/loss", mode="min", verbose=False)
    trainer = make_trainer(
        root,
        max_epochs=2,
        callbacks=[StepSeed(), NonFiniteGuard(), follow, best, LastCheckpoint()],
        enable_checkpointing=True,
        plugins=[DurableCheckpointIO()],
    )
    trainer.fit(task, datamodule=make_data(corpus))
    return trainer, task, follow


@pytest.mark.parametrize("spoiled", [None, 2])
def test_what_is_validated_saved_and_left_is_the_average_of_all_steps_that_were_made(
    spoiled: int | None, corpus: Path, tmp_path: Path
) -> None:
    trainer, task, follow = train(corpus, tmp_path, spoiled=spoiled)
    expected = averaged(follow.weights, 0.3)
    for name, value in weights(task).items():
        torch.testing.assert_close(value.double(), expected[name].to(value).double(), msg=name)
    last = tmp_path / "checkpoints/last.ckpt"
    assert_same_weights(load_checkpoint(last).state_dict(), weights(task))
    trained = torch.load(last, weights_only=True)[TRAINED]
    assert_same_weights({f"model.{k}": v for k, v in follow.weights[-1].items()}, trained)
    assert not torch.equal(trained["model.head.output.weight"], task.state_dict()["model.head.output.weight"])
    # The best of two validations is the last; its figures are of the average.
    said = float(trainer.callback_metrics["val/loss"])
    alone = make_task(encoder={"norm": "batch"})
    alone.model.load_state_dict(load_checkpoint(tmp_path / "checkpoints/best.ckpt").state_dict())
    checked = make_trainer(tmp_path / "alone").validate(alone, make_data(corpus), verbose=False)[0]
    assert trainer.checkpoint_callback.best_model_score == pytest.approx(checked["val/loss"], abs=0)  # type: ignore[union-attr]
    assert said >= checked["val/loss"]


def test_the_average_forgets_where_it_began_by_hand() -> None:
    # Weights 1, 2, 3. It begins at 1; step 2 keeps 3/12 of it: 1/4 + 3/4 · 2 = 1.75; step 3 keeps no more than
    # decay = 0.25, where (1 + 3) / (10 + 3) would be 0.31: 0.4375 + 3/4 · 3 = 2.6875. Integers are not averaged.
    task: Any = torch.nn.Linear(1, 1, bias=False)
    task.register_buffer("count", torch.tensor(0))
    average = WeightAverage(0.25)
    for number in (1, 2, 3):
        task.weight.data.fill_(number)
        task.weight.grad = torch.ones(1, 1)
        task.count.fill_(number)
        average.follow(task)
    assert average.average == {"weight": torch.tensor([[2.6875]]), "count": torch.tensor(3)}
    task.weight.grad = None  # as where a step is skipped
    task.weight.data.fill_(100)
    average.follow(task)
    assert float(average.average["weight"]) == 2.6875


def test_training_goes_on_with_the_weights_and_others_take_the_average(corpus: Path, tmp_path: Path) -> None:
    _, first, follow = train(corpus, tmp_path)
    last = tmp_path / "checkpoints/last.ckpt"
    options: dict[str, Any] = {"ckpt_path": last, "weights_only": True}
    measured = make_task(encoder={"norm": "batch"}, optimization={"ema_decay": 0.3})
    make_trainer(tmp_path / "measured").validate(measured, make_data(corpus), verbose=False, **options)
    assert_same_weights(weights(measured), weights(first))
    task, goes_on = make_task(encoder={"norm": "batch"}, optimization={"ema_decay": 0.3}), Follow()
    again = make_trainer(tmp_path / "again", max_epochs=3, callbacks=[StepSeed(), goes_on])
    again.fit(task, datamodule=make_data(corpus), **options)
    expected = averaged([*follow.weights, *goes_on.weights], 0.3)
    for name, value in weights(task).items():
        torch.testing.assert_close(value.double(), expected[name].to(value).double(), msg=name)


def test_checkpoints_of_weights_alone_are_refused(corpus: Path, tmp_path: Path) -> None:
    trainer = make_trainer(
        tmp_path, callbacks=[ModelCheckpoint(save_weights_only=True)], enable_checkpointing=True
    )
    with pytest.raises(ConfigError, match="checkpoint.save_weights_only must be false with optimization.ema"):
        trainer.fit(make_task(optimization={"ema_decay": 0.9}), datamodule=make_data(corpus))


@pytest.mark.parametrize("decay", [0.0, 1.0])
def test_a_decay_out_of_range_is_named(decay: float) -> None:
    with pytest.raises(ConfigError, match=rf"optimization.ema_decay must be in \(0, 1\), got {decay}"):
        OptimizationConfig(ema_decay=decay)
