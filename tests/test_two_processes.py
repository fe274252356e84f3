"""Two processes over gloo: they learn from the joint batch, see each utterance once, and never wait for each other."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from corpora import make_data, make_task, write_corpus
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from train_together import whole_plan
from trainers import make_trainer

from speechrnn.training.joint_loss import joint_mean

TESTS = Path(__file__).parent
pytestmark = [
    pytest.mark.filterwarnings("ignore:.*does not have many workers.*"),
    pytest.mark.filterwarnings("ignore:.*LeafSpec.*"),
    pytest.mark.filterwarnings("ignore:Trying to infer the .batch_size.*"),
]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eleven utterances, their labels, eight of which some ranks can read none, and a single one."""
    root = tmp_path_factory.mktemp("corpus")
    write_corpus(root / "texts")
    write_corpus(root / "labels", labels=True)
    write_corpus(root / "one", num_utterances=1)
    write_corpus(root / "half_bad", num_utterances=8)
    for number in range(1, 8, 2):
        (root / "half_bad" / f"u{number}.wav").write_bytes(b"")
    write_corpus(root / "one_bad_rank", num_utterances=2)
    (root / "one_bad_rank" / "u1.wav").write_bytes(b"")
    return root


@pytest.fixture(scope="module")
def ranks(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What both processes found, of all that there is to test with one pair."""
    root = tmp_path_factory.mktemp("together")
    done = subprocess.run(
        [sys.executable, str(TESTS / "train_together.py"), str(corpus), str(root)],
        capture_output=True,
        text=True,
        timeout=300,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    assert "[0, 0]" in done.stdout, done.stderr
    return [json.loads((root / f"rank{rank}.json").read_text()) for rank in range(2)]


@pytest.mark.parametrize("kind", ["texts", "labels"])
def test_the_gradient_of_two_processes_is_that_of_one_with_the_joint_batch(
    kind: str, corpus: Path, ranks: list[dict[str, Any]]
) -> None:
    # Batch norm's statistics, which each process would otherwise take of its own share, are among what is compared.
    task, data = make_task(labels=kind == "labels", encoder={"norm": "batch"}), make_data(corpus / kind)
    expected = alone(task, data)
    for rank in ranks:
        found = rank["gradients"][kind]
        assert found.keys() == expected.keys()
        for name, value in found.items():
            # In float32 the order of summation shows in the last digits of a tensor's largest entry, and where the
            # gradient is nothing else: that of attention's bias is 0, softmax not seeing what all scores share.
            wanted = expected[name].flatten()
            atol = 2e-5 * float(wanted.abs().max()) + 1e-7
            torch.testing.assert_close(torch.tensor(value), wanted, atol=atol, rtol=0, msg=name)


def alone(task: Any, data: Any) -> dict[str, torch.Tensor]:
    """Compute the gradient of one process with all utterances."""
    [batch] = list(data.loader(whole_plan(data), "train"))
    task.train()
    task.log = lambda *_, **__: None
    task.training_step(batch, 0).backward()
    gradients = {name: parameter.grad for name, parameter in task.model.named_parameters()}
    return gradients | {name: value for name, value in task.model.named_buffers() if "running" in name}


def test_two_processes_see_each_utterance_once_in_equal_numbers_of_steps(ranks: list[dict[str, Any]]) -> None:
    runs = [rank["odd"] for rank in ranks]
    assert sorted(runs[0]["utterances"] + runs[1]["utterances"]) == sorted(f"u{n}" for n in range(11))
    assert runs[0]["steps"] == runs[1]["steps"]


def test_two_processes_end_with_the_same_weights_and_counts_as_one(
    corpus: Path, tmp_path: Path, ranks: list[dict[str, Any]]
) -> None:
    task = make_task(encoder={"norm": "batch"})
    checkpoint = torch.load(ranks[0]["odd"]["checkpoint"], weights_only=True)
    task.load_state_dict(checkpoint["state_dict"])
    one = make_trainer(tmp_path).validate(task, make_data(corpus / "texts"), verbose=False)[0]
    for name in ("wer", "loss", "test"):
        assert ranks[0]["odd"][name] == ranks[1]["odd"][name]
    assert ranks[0]["odd"]["weights"] == ranks[1]["odd"]["weights"]
    assert ranks[0]["odd"]["wer"] == ranks[0]["odd"]["test"] == pytest.approx(one["val/wer"], abs=1e-7)
    assert ranks[0]["odd"]["loss"] == pytest.approx(one["val/loss"], rel=1e-5)


def test_audio_that_one_process_cannot_read_is_listed_and_stops_neither(ranks: list[dict[str, Any]]) -> None:
    runs = [rank["bad"] for rank in ranks]
    assert sorted({*runs[0]["unreadable"], *runs[1]["unreadable"]}) == ["u1", "u3", "u5", "u7"]
    assert runs[0]["steps"] == runs[1]["steps"]
    assert runs[0]["weights"] == runs[1]["weights"]


def test_a_rank_with_nothing_but_bad_audio_goes_on(ranks: list[dict[str, Any]]) -> None:
    runs = [rank["one_bad_rank"] for rank in ranks]
    assert [run["readable"] for run in runs].count(0) == 1
    assert runs[0]["steps"] == runs[1]["steps"] == 1
    assert runs[0]["weights"] == runs[1]["weights"]


def test_fewer_utterances_than_processes_are_refused_by_all(ranks: list[dict[str, Any]]) -> None:
    for rank in ranks:
        assert rank["one"] == "1 utterances cannot be shared by 2 processes; use fewer devices"


def test_a_loss_that_is_no_number_on_one_process_is_skipped_by_both(ranks: list[dict[str, Any]]) -> None:
    runs = [rank["nan"] for rank in ranks]
    assert runs[0]["weights"] == runs[1]["weights"]
    assert [run["skipped"] for run in runs] == [1, 1]


def test_only_the_first_process_writes_and_nothing_comes_twice(ranks: list[dict[str, Any]]) -> None:
    runs = [rank["logged"] for rank in ranks]
    assert runs[0]["folder"] == runs[1]["folder"]
    folder = Path(runs[0]["folder"])
    events = [path.name for path in folder.glob("events.*")]  # of training, validation and test, in turn
    assert len({name.split(".")[-2] for name in events}) == 1  # the number of the process
    named = {"metrics.csv", "run.json", "learning_curves.svg", "hparams.yaml", "test_results.jsonl"}
    assert {path.name for path in folder.iterdir()} == named.union(events)
    assert [path.name for path in folder.parent.iterdir()] == ["version_0"]
    assert {path.name for path in folder.parent.parent.iterdir()} == {"lightning_logs", "checkpoints"}
    rows = list(csv.DictReader((folder / "metrics.csv").read_text(encoding="utf-8").splitlines()))
    steps = [int(row["step"]) for row in rows if row["train/loss"]]
    assert steps == list(range(runs[0]["steps"]))
    board = EventAccumulator(str(folder)).Reload()
    assert [event.step for event in board.Scalars("train/loss")] == steps
    assert len({event.step for event in board.Scalars("val/wer")}) == len(board.Scalars("val/wer"))
    assert len(board.Images("train/augmented_0")) == 2  # one an epoch
    assert json.loads((folder / "run.json").read_text(encoding="utf-8"))["devices"].startswith("2 × cpu")


def test_a_process_that_is_lost_ends_the_other_in_less_than_a_minute(ranks: list[dict[str, Any]]) -> None:
    # Rank 1 leaves in the middle of training; rank 0 says so instead of waiting, and leaves its weights.
    assert "Connection closed by peer" in ranks[0]["lost"]["said"] or "reset" in ranks[0]["lost"]["said"]
    assert ranks[0]["lost"]["seconds"] < 60


def test_the_joint_mean_of_one_process_is_a_mean_and_of_nothing_0() -> None:
    assert joint_mean(torch.tensor(6.0), torch.tensor(3)) == 2
    assert joint_mean(torch.tensor(0.0), torch.tensor(0)) == 0
