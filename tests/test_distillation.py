"""Distillation: what a teacher answers weighs in the loss, and in nothing else."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from corpora import make_data, make_task, write_corpus
from networks import LABELS, make_model, noise
from trainers import make_trainer

from speechrnn.errors import CheckpointError, ConfigError
from speechrnn.nn.export import export_model
from speechrnn.nn.model import SpeechModel
from speechrnn.text import Vocabulary
from speechrnn.training.classification_task import ClassificationTask
from speechrnn.training.distillation import DistillationConfig, Teacher

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*does not have many workers.*"),
    pytest.mark.filterwarnings("ignore:.*number of training batches.*"),
    pytest.mark.filterwarnings("ignore:.*LeafSpec.*:FutureWarning"),
    pytest.mark.filterwarnings("ignore:.*isinstance.treespec, LeafSpec.*"),
]
RATE = 8000


class Parrot(torch.nn.Module):
    """A teacher that always answers the same."""

    def __init__(self, probs: list[float]) -> None:
        super().__init__()
        self.log_probs = torch.tensor(probs).log()

    def forward(
        self, waveform: torch.Tensor, waveform_lengths: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        return self.log_probs.expand(len(waveform), -1), waveform_lengths


@pytest.fixture
def file(tmp_path: Path) -> str:
    model = make_model("classification", seed=1)
    with torch.no_grad():
        model.head.output.bias += torch.tensor([2.0, 0.0, 0.0])  # it has an opinion
    return str(export_model(model, tmp_path / "teacher.onnx"))


def make_teacher(file: str, labels: tuple[str, ...] = LABELS.tokens, **options: Any) -> Teacher:
    return Teacher(DistillationConfig(teacher=file, **options), Vocabulary(labels, "label"), RATE)


def test_the_loss_is_the_tempered_divergence(file: str) -> None:
    teacher = make_teacher(file, temperature=2.0)
    teacher.model = Parrot([0.64, 0.16, 0.2])  # type: ignore[assignment]
    student = torch.tensor([[0.36, 0.36, 0.28]]).log()
    [loss] = teacher.losses(noise(1, 4000), torch.tensor([4000]), student).tolist()
    # square roots, then divided by their sums
    wanted = [math.sqrt(p) for p in (0.64, 0.16, 0.2)]
    given = [math.sqrt(p) for p in (0.36, 0.36, 0.28)]
    wanted, given = [p / sum(wanted) for p in wanted], [p / sum(given) for p in given]
    assert loss == pytest.approx(
        4 * sum(p * math.log(p / q) for p, q in zip(wanted, given, strict=True)), rel=1e-5
    )


def test_a_student_that_answers_as_its_teacher_has_nothing_to_learn(file: str) -> None:
    teacher = make_teacher(file)
    waveform, lengths = noise(2, 4000), torch.tensor([4000, 3000])
    answer, _ = teacher.model(waveform, lengths)
    assert teacher.losses(waveform, lengths, answer).abs().max() < 1e-6


def test_labels_may_come_in_another_order(file: str) -> None:
    waveform, lengths = noise(2, 4000), torch.tensor([4000, 3000])
    answer, _ = make_teacher(file).model(waveform, lengths)
    teacher = make_teacher(file, ("stop", "yes", "no"))
    assert teacher.losses(waveform, lengths, answer[:, [2, 0, 1]]).abs().max() < 1e-6


def test_a_student_is_taught_and_its_teacher_is_not_saved(file: str, tmp_path: Path) -> None:
    corpus = write_corpus(tmp_path / "corpus", labels=True)
    task = make_task(labels=True, distillation=DistillationConfig(teacher=file, weight=1.0))
    before = distance(task.model, file)
    trainer = make_trainer(tmp_path, max_epochs=10)
    trainer.fit(task, datamodule=make_data(corpus))
    assert distance(task.model, file) < 0.5 * before
    trainer.save_checkpoint(tmp_path / "student.ckpt")
    saved = torch.load(tmp_path / "student.ckpt", weights_only=True)["state_dict"]
    assert not [name for name in saved if not name.startswith("model.")]
    taught = Teacher(task.distillation, LABELS, RATE).model.state_dict()
    for name, tensor in task.teacher.model.state_dict().items():
        assert torch.equal(tensor, taught[name])  # it has not learnt


def distance(model: SpeechModel, file: str) -> float:
    """Measure how far a network's answers are from the teacher's."""
    waveform, lengths = noise(3, 6000), torch.tensor([6000, 5000, 4000])
    with torch.no_grad():
        answers, _ = model.eval()(waveform, lengths)
    model.train()
    return float(make_teacher(file).losses(waveform, lengths, answers).mean())


def test_without_weight_the_teacher_changes_nothing(file: str, tmp_path: Path) -> None:
    corpus = write_corpus(tmp_path / "corpus", labels=True)
    tasks = [
        make_task(labels=True, distillation=DistillationConfig(teacher=teacher, weight=0.0))
        for teacher in (file, None)
    ]
    for task in tasks:
        make_trainer(tmp_path, max_epochs=1).fit(task, datamodule=make_data(corpus))
    for ours, theirs in zip(tasks[0].model.parameters(), tasks[1].model.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_a_teacher_is_needed_for_training_alone(tmp_path: Path) -> None:
    corpus = write_corpus(tmp_path / "corpus", labels=True)
    task: ClassificationTask = make_task(labels=True, distillation=DistillationConfig(teacher="gone.ckpt"))
    make_trainer(tmp_path).validate(task, make_data(corpus), verbose=False)
    with pytest.raises(CheckpointError, match=r"gone.ckpt: no such model file"):
        make_trainer(tmp_path).fit(task, datamodule=make_data(corpus))


def test_teachers_that_cannot_teach_are_named(file: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"teacher.onnx must have the labels yes, no, got yes, no, stop"):
        make_teacher(file, ("yes", "no"))
    with pytest.raises(ConfigError, match=r"teacher.onnx must hear 16000 Hz, got 8000 Hz"):
        Teacher(DistillationConfig(teacher=file), LABELS, 16000)
    writes = str(export_model(make_model(), tmp_path / "text.onnx"))
    with pytest.raises(ConfigError, match=r"text.onnx must have the labels"):
        make_teacher(writes)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"weight": 1.5}, r"weight must be in \[0, 1\], got 1.5"),
        ({"temperature": 0.0}, "temperature must be > 0, got 0"),
    ],
)
def test_options_out_of_range_are_named(options: dict[str, float], message: str) -> None:
    with pytest.raises(ConfigError, match=f"distillation.{message}"):
        DistillationConfig(**options)
