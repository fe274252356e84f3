"""What goes wrong in training is named, survived where that can be, and has its cure said."""

import json
import logging
import multiprocessing
import os
import re
import signal
import time
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from corpora import make_data, make_task, write_corpus
from trainers import assert_same_weights, make_trainer, weights

from speechrnn.errors import AudioError, ManifestError, TrainingError
from speechrnn.training import checkpointing
from speechrnn.training.checkpointing import DurableCheckpointIO, LastCheckpoint, find_last
from speechrnn.training.overfit import overfit
from speechrnn.training.step_guard import NonFiniteGuard, StepSeed
from speechrnn.training.watch import (
    BlankCollapse,
    PeakMemory,
    UnreadableAudio,
    explain_lack_of_memory,
    explain_lost_worker,
)

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*does not have many workers.*"),
    pytest.mark.filterwarnings("ignore:.*number of training batches.*"),
    pytest.mark.filterwarnings("ignore:.*LeafSpec.*"),
    pytest.mark.filterwarnings("ignore:Trying to infer the .batch_size.*"),
]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_corpus(tmp_path_factory.mktemp("corpus"))


class Poison(pl.Callback):
    """Spoil the audio of some steps, and remember the weights around them."""

    def __init__(self, steps: set[int]) -> None:
        self.steps = steps
        self.before: dict[str, torch.Tensor] = {}
        self.num_checked = 0

    def on_train_batch_start(self, trainer: pl.Trainer, task: Any, batch: Any, batch_idx: int) -> None:
        self.before = weights(task)
        if trainer.global_step in self.steps:
            batch.waveform[0, 0] = float("inf")

    def on_train_batch_end(self, trainer: pl.Trainer, task: Any, *_: Any) -> None:
        if trainer.global_step - 1 in self.steps:
            assert_same_weights(weights(task), self.before)
            self.num_checked += 1


def fit(corpus: Path, root: Path, *callbacks: pl.Callback, task: Any = None, **options: Any) -> pl.Trainer:
    trainer = make_trainer(root, callbacks=list(callbacks), **options)
    trainer.fit(task or make_task(encoder={"norm": "batch"}), datamodule=make_data(corpus))
    return trainer


def test_a_step_that_is_no_number_is_skipped_named_and_leaves_no_trace(
    corpus: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    poison = Poison({1, 2, 5})  # never three in a row; the buffers of batch norm are among the weights
    with caplog.at_level(logging.WARNING, "speechrnn"):
        trainer = fit(corpus, tmp_path, NonFiniteGuard(), poison)
    assert poison.num_checked == 3
    skipped = [message for message in caplog.messages if "skipped: loss or gradient not finite" in message]
    assert [message.split()[1] for message in skipped] == ["1", "2", "5"]
    assert all("among the utterances u" in message for message in skipped)
    assert all(value.isfinite().all() for value in weights(trainer.lightning_module).values())


def test_three_such_steps_in_a_row_end_training(corpus: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"not finite 3 steps in a row, last at step 3, among .* u\d"):
        fit(corpus, tmp_path, NonFiniteGuard(), Poison({1, 2, 3}))


def test_a_loss_that_is_no_number_has_gradients_that_are_none() -> None:
    # inf * 0 + 1 is NaN: the hook spoils a gradient that would have been finite.
    weight = torch.ones(3, requires_grad=True)
    for constant, is_finite in ((1.0, True), (float("inf"), False)):
        loss = weight.sum() + constant
        NonFiniteGuard().on_before_backward(None, None, loss)  # type: ignore[arg-type]
        [gradient] = torch.autograd.grad(loss, weight)
        assert bool(gradient.isfinite().all()) is is_finite


def test_random_numbers_of_a_step_follow_from_its_place(corpus: Path, tmp_path: Path) -> None:
    class Draws(pl.Callback):
        def __init__(self) -> None:
            self.drawn: list[float] = []

        def on_train_batch_start(self, *_: Any) -> None:
            self.drawn.append(float(torch.rand(())))

    first, second = Draws(), Draws()
    seed = StepSeed()
    fit(corpus, tmp_path, seed, first, max_epochs=2)
    torch.rand(100)
    again = StepSeed()
    again.load_state_dict(seed.state_dict())
    fit(corpus, tmp_path, again, second, max_epochs=2)
    assert first.drawn == second.drawn
    assert len(set(first.drawn)) == len(first.drawn)


@pytest.mark.parametrize("labels", [False, True])
def test_unreadable_audio_is_named_listed_counted_and_left_out(
    labels: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_corpus(tmp_path, labels=labels)
    (tmp_path / "u3.wav").write_bytes(b"no audio")
    with caplog.at_level(logging.WARNING, "speechrnn"):
        trainer = fit(
            tmp_path, tmp_path / "run", UnreadableAudio(), task=make_task(labels=labels), max_epochs=2
        )
    said = [message for message in caplog.messages if "u3" in message]
    assert len(said) == 1
    assert "utterance 'u3': cannot read" in said[0]
    [row] = [json.loads(line) for line in (tmp_path / "run/unreadable.jsonl").read_text().splitlines()]
    assert row["utterance"] == "u3"
    assert trainer.callback_metrics["train/unreadable_utterances"] == 1
    assert all(value.isfinite().all() for value in weights(trainer.lightning_module).values())
    task, data = trainer.lightning_module, make_data(tmp_path)
    with caplog.at_level(logging.WARNING, "speechrnn"):
        make_trainer(tmp_path, callbacks=[UnreadableAudio()]).test(task, data, verbose=False)
    assert "1 utterances could not be read and are not in the figures" in caplog.text
    predictions = make_trainer(tmp_path).predict(task, make_data(tmp_path))
    names = sorted(row["utterance"] for batch in predictions for row in batch)
    assert names == sorted(f"u{n}" for n in range(11) if n != 3)


@pytest.mark.filterwarnings("ignore:The ..compute.. method of metric")  # validation heard nothing either
def test_an_epoch_that_hears_nothing_ends_training(tmp_path: Path) -> None:
    write_corpus(tmp_path, num_utterances=3)
    for number in range(3):
        (tmp_path / f"u{number}.wav").write_bytes(b"no audio")
    with pytest.raises(
        TrainingError, match=r"no audio of the epoch could be read; .*unreadable.jsonl says why"
    ):
        fit(tmp_path, tmp_path, UnreadableAudio())


def test_the_memory_of_the_largest_batch_is_said_after_the_first_step(
    corpus: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "speechrnn"):
        fit(corpus, tmp_path, PeakMemory(), max_epochs=1)
    [said] = [message for message in caplog.messages if message.startswith("largest batch")]
    assert "memory at its peak" in said


def test_a_lack_of_memory_is_told_from_other_errors() -> None:
    assert "lower --data.max_batch_s" in str(
        explain_lack_of_memory(torch.OutOfMemoryError("CUDA out of memory"))
    )
    text = "[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory: you tried"
    assert explain_lack_of_memory(RuntimeError(text)) is not None
    assert explain_lack_of_memory(RuntimeError("shapes differ")) is None


def test_a_model_that_says_nothing_gets_advice_once(
    corpus: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    task = make_task()
    with torch.no_grad():
        task.model.head.output.weight.zero_()
        task.model.head.output.bias[0] = 50.0  # the blank
    for parameter in task.parameters():
        parameter.requires_grad_(False)
    task.model.head.output.bias.requires_grad_(True)
    with caplog.at_level(logging.WARNING, "speechrnn"):
        fit(corpus, tmp_path, BlankCollapse(patience=2), task=task, max_epochs=4)
    said = [message for message in caplog.messages if "answered nothing in 2 validations in a row" in message]
    assert len(said) == 1
    assert "100.0 % of its frames are blank" in said[0]


def test_utterances_are_learnt_by_heart(corpus: Path) -> None:
    for labels in (False, True):
        task = make_task(labels=labels, features={"normalization": "global"})
        root = corpus if not labels else write_corpus(corpus / "labelled", labels=True)
        outcome = overfit(task.config, root / "train.jsonl.gz", num_utterances=4)
        assert outcome.errors == 0
        assert outcome.num_utterances == 4
        assert outcome.wrong == ()


def test_what_is_not_learnt_is_named(corpus: Path) -> None:
    outcome = overfit(make_task().config, corpus / "train.jsonl.gz", num_utterances=3, max_steps=1)
    assert outcome.num_steps == 1
    assert outcome.errors > 0
    assert {name for name, _, _ in outcome.wrong} <= {f"u{n}" for n in range(11)}


def test_learning_by_heart_refuses_what_cannot_be_learnt(tmp_path: Path) -> None:
    write_corpus(tmp_path, num_utterances=2)
    (tmp_path / "u0.wav").write_bytes(b"no audio")
    with pytest.raises(AudioError, match="utterance 'u0': cannot read"):
        overfit(make_task().config, tmp_path / "train.jsonl.gz")
    with pytest.raises(ManifestError, match="no such manifest"):
        overfit(make_task().config, tmp_path / "missing.jsonl.gz")


class LoseConnection(pl.Callback):
    """Fail as the connection to a worker does that was killed."""

    def on_train_batch_start(self, trainer: pl.Trainer, *_: Any, **__: Any) -> None:
        if trainer.global_step == 1:
            raise ConnectionResetError("[Errno 104] Connection reset by peer")


def test_a_worker_s_death_that_is_heard_of_while_the_run_is_saved_does_not_keep_it_from_that(
    corpus: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def hear(number: int, frame: object) -> None:
        raise RuntimeError("DataLoader worker (pid 1) is killed by signal: Killed.")

    synchronize = checkpointing.synchronize

    def be_told(path: Path) -> None:
        os.kill(os.getpid(), signal.SIGCHLD)
        synchronize(path)

    monkeypatch.setattr(checkpointing, "synchronize", be_told)
    before = signal.signal(signal.SIGCHLD, hear)
    try:
        trainer = make_trainer(
            tmp_path,
            callbacks=[LoseConnection(), LastCheckpoint()],
            enable_checkpointing=True,
            plugins=[DurableCheckpointIO()],
        )
        with pytest.raises(ConnectionResetError):
            trainer.fit(make_task(), datamodule=make_data(corpus))
        assert signal.getsignal(signal.SIGCHLD) is hear
    finally:
        signal.signal(signal.SIGCHLD, before)
    assert "stopped by ConnectionResetError; to go on: --ckpt_path last" in caplog.text
    assert find_last(tmp_path / "checkpoints").name == "last.ckpt"


class KillWorker(pl.Callback):
    """Kill a process that loads audio, in the middle of training."""

    killed_s = 0.0

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any, **__: Any) -> None:
        if trainer.global_step == 1:
            self.killed_s = time.monotonic()
            os.kill(multiprocessing.active_children()[0].pid or 0, signal.SIGKILL)


@pytest.mark.filterwarnings("ignore:.*Consider setting .persistent_workers.*")
def test_the_death_of_a_process_that_loads_audio_is_said_and_leaves_a_checkpoint(
    corpus: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    trainer = make_trainer(
        tmp_path,
        callbacks=[kill := KillWorker(), LastCheckpoint(every_n_steps=1)],
        enable_checkpointing=True,
        plugins=[DurableCheckpointIO()],
    )
    # torch's own, or that of the connection on which the worker was sending
    with pytest.raises((RuntimeError, ConnectionError, EOFError)) as caught:
        trainer.fit(make_task(), datamodule=make_data(corpus, num_workers=2))
    # The end of the other worker reaches the main thread in its own time, and makes torch look at both again.
    with checkpointing.deaf_to_children():
        assert time.monotonic() - kill.killed_s < 60
        assert re.search(r"stopped by \w+Error; to go on: --ckpt_path last", caplog.text)
        assert find_last(tmp_path / "checkpoints").name == "last.ckpt"
    advice = str(explain_lost_worker(caught.value))
    assert advice.startswith("a process that loads audio was lost: ")
    assert "lower --data.num_workers; to go on: --ckpt_path last" in advice
    assert explain_lost_worker(RuntimeError("shapes differ")) is None
    assert explain_lost_worker(ConnectionResetError("of a logger, say")) is None


def test_a_connection_that_ends_in_mid_answer_is_a_lost_worker() -> None:
    here, there = multiprocessing.Pipe()
    there.close()
    with pytest.raises(EOFError) as caught:
        here.recv()
    assert str(explain_lost_worker(caught.value)).startswith(
        "a process that loads audio was lost: it sent no more. If"
    )


def test_workers_live_through_what_tells_a_job_to_stop(corpus: Path) -> None:
    # The signals of a process group, which are not its own, and of all processes of a SLURM job.
    data, others = make_data(corpus, num_workers=1), set(multiprocessing.active_children())
    batches = iter(data.loader(data.plan("train"), "train"))
    found = [next(batches)]
    [worker] = set(multiprocessing.active_children()) - others
    assert os.getpgid(worker.pid or 0) == worker.pid
    for number in (signal.SIGINT, signal.SIGUSR1, signal.SIGHUP):
        os.kill(worker.pid or 0, number)
    found += batches
    assert sorted(name for batch in found for name in batch.utterances) == sorted(f"u{n}" for n in range(11))
