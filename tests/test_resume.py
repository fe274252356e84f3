"""Runs that are killed, told to stop, or find their last checkpoint damaged, go on bit by bit."""

import json
import logging
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from corpora import make_data, make_task, write_corpus
from pytorch_lightning.loggers import TensorBoardLogger
from trainers import make_trainer

from speechrnn.cli.train import with_table
from speechrnn.errors import CheckpointError, ConfigError
from speechrnn.training import checkpointing
from speechrnn.training.checkpointing import (
    STOPPING,
    DurableCheckpointIO,
    LastCheckpoint,
    find_last,
    is_whole,
)
from speechrnn.training.weight_average import TRAINED

TESTS = Path(__file__).parent
pytestmark = [
    pytest.mark.filterwarnings("ignore:.*does not have many workers.*"),
    pytest.mark.filterwarnings("ignore:.*number of training batches.*"),
    pytest.mark.filterwarnings("ignore:.*LeafSpec.*"),
    pytest.mark.filterwarnings("ignore:Trying to infer the .batch_size.*"),
]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_corpus(tmp_path_factory.mktemp("corpus"))


def make_runs(*rounds: list[dict[str, Any]]) -> tuple[list[list[int]], str]:
    """Make rounds of runs; returns their exit statuses, and what they said."""
    done = subprocess.run(
        [sys.executable, str(TESTS / "train_and_die.py"), json.dumps(rounds)],
        capture_output=True,
        text=True,
        env=os.environ | {"PL_GLOBAL_SEED": "7", "OMP_NUM_THREADS": "1"},
        check=True,
    )
    return json.loads(done.stdout.splitlines()[-1]), done.stderr


def end_of(root: Path) -> dict[str, Any]:
    """Read what a run ended with: weights, their average, moments, schedule, and how far the data had come."""
    checkpoint = torch.load(root / "end.ckpt", weights_only=True)
    kept = ("state_dict", "optimizer_states", "lr_schedulers", "SpeechDataModule", "global_step", "epoch")
    found = {key: checkpoint[key] for key in kept}
    return found | {key: checkpoint[key] for key in (TRAINED,) if key in checkpoint}


def assert_identical(ours: Any, theirs: Any, where: str = "") -> None:
    """Compare nested plain values and tensors, bit by bit."""
    assert type(ours) is type(theirs), where
    if isinstance(ours, dict):
        assert list(ours) == list(theirs), where
        for key in ours:
            assert_identical(ours[key], theirs[key], f"{where}.{key}")
    elif isinstance(ours, list | tuple):
        assert len(ours) == len(theirs), where
        for index, pair in enumerate(zip(ours, theirs, strict=True)):
            assert_identical(*pair, f"{where}[{index}]")
    elif isinstance(ours, torch.Tensor):
        assert torch.equal(ours, theirs), where
    else:
        assert ours == theirs, where


# name: how the run is cut, and the options of both halves
CUTS: dict[str, dict[str, Any]] = {
    "killed within an epoch, with a worker": {"signal": "SIGKILL", "step": 4, "workers": 1, "ema_decay": 0.9},
    "killed between checkpoints": {"signal": "SIGKILL", "step": 10, "every": 3},
    "killed while gradients are accumulated": {
        "signal": "SIGKILL",
        "step": 3,
        "accumulate": 2,
        "ema_decay": 0.9,
    },
    "terminated": {"signal": "SIGTERM", "step": 5, "every": 1000},
    "terminated while the average is validated": {
        "signal": "SIGTERM",
        "step": 1,
        "every": 1000,
        "in_validation": True,
        "ema_decay": 0.9,
    },
    "interrupted": {"signal": "SIGINT", "step": 2, "every": 1000, "ema_decay": 0.9},
}
# Whole runs: batches in a step, and the average's decay.
WHOLE: list[tuple[int, float | None]] = [(1, None), (1, 0.9), (2, 0.9)]


def test_runs_that_are_cut_anywhere_end_as_if_they_had_not_been(corpus: Path, tmp_path: Path) -> None:
    whole = [{"root": f"whole{n}-{decay}", "accumulate": n, "ema_decay": decay} for n, decay in WHOLE]
    cut = [{"root": name} | options for name, options in CUTS.items()]
    resumed = [
        {key: value for key, value in run.items() if key != "signal"}
        | {"ckpt_path": str(tmp_path / run["root"] / "checkpoints/last.ckpt")}
        for run in cut
    ]
    for run in (*whole, *cut, *resumed):
        run.update(corpus=str(corpus), root=str(tmp_path / run["root"]))
    (first, second), said = make_runs([*whole, *cut], resumed)
    by_signal = {"SIGKILL": -signal.SIGKILL, "SIGTERM": 128 + signal.SIGTERM, "SIGINT": 1}
    assert first == [*(0 for _ in whole), *(by_signal[options["signal"]] for options in CUTS.values())], said
    assert second == [0] * len(CUTS), said
    for name, options in CUTS.items():
        like = f"whole{options.get('accumulate', 1)}-{options.get('ema_decay')}"
        expected = end_of(tmp_path / like)
        assert_identical(end_of(tmp_path / name), expected, name)


def test_signals_belong_to_whom_they_did_before_training(corpus: Path, tmp_path: Path) -> None:
    before = {number: signal.getsignal(number) for number in STOPPING}
    trainer = make_trainer(tmp_path, max_epochs=1, callbacks=[LastCheckpoint()], enable_checkpointing=True)
    trainer.fit(make_task(), datamodule=make_data(corpus))
    assert {number: signal.getsignal(number) for number in STOPPING} == before


def test_the_folder_of_a_slurm_job_is_not_written_over_when_it_starts_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    for start in range(2):
        [board, table] = with_table([TensorBoardLogger(tmp_path, version=7)])  # as Lightning makes it
        assert board.log_dir == table.log_dir == str(tmp_path / f"lightning_logs/version_{start}")
        Path(str(board.log_dir)).mkdir(parents=True)


def write_checkpoint(path: Path, number: int) -> None:
    DurableCheckpointIO().save_checkpoint({"number": number, "weights": torch.ones(1000)}, path)


def test_a_damaged_last_checkpoint_gives_way_to_the_one_before(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_checkpoint(tmp_path / "previous.ckpt", 1)
    write_checkpoint(tmp_path / "last.ckpt", 2)
    assert find_last(tmp_path) == tmp_path / "last.ckpt"
    whole = (tmp_path / "last.ckpt").read_bytes()
    flipped = bytearray(whole)
    flipped[whole.index(torch.ones(8).numpy().tobytes()) + 100] ^= 1
    for damaged in (whole[: len(whole) // 2], bytes(flipped), b""):
        (tmp_path / "last.ckpt").write_bytes(damaged)
        assert not is_whole(tmp_path / "last.ckpt")
        with caplog.at_level(logging.WARNING, "speechrnn"):
            assert find_last(tmp_path) == tmp_path / "previous.ckpt"
        assert "last.ckpt is damaged; going on from the one before it" in caplog.text
    (tmp_path / "last.ckpt").unlink()
    assert find_last(tmp_path) == tmp_path / "previous.ckpt"
    assert "last.ckpt is missing" in caplog.text


def test_without_a_whole_checkpoint_one_is_told_so(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no such checkpoint; has this run been trained"):
        find_last(tmp_path)
    (tmp_path / "last.ckpt").write_bytes(b"half")
    with pytest.raises(CheckpointError, match="damaged, and there is no whole previous.ckpt beside it"):
        find_last(tmp_path)


def test_a_checkpoint_that_cannot_be_written_leaves_the_one_of_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_checkpoint(tmp_path / "last.ckpt", 1)

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpointing, "synchronize", full)
    with pytest.raises(CheckpointError, match=r"last.ckpt: cannot be written: No space left"):
        write_checkpoint(tmp_path / "last.ckpt", 2)
    assert torch.load(tmp_path / "last.ckpt", weights_only=True)["number"] == 1
    assert [path.name for path in tmp_path.iterdir()] == ["last.ckpt"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"every_n_minutes": 0.0}, "last_checkpoint.every_n_minutes must be > 0, got 0.0"),
        ({"every_n_steps": 0}, "last_checkpoint.every_n_steps must be > 0, got 0"),
    ],
)
def test_a_wrong_interval_is_named(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        LastCheckpoint(**options)
