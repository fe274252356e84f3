"""What a run leaves beside its checkpoints."""

import hashlib
import json
from pathlib import Path
from xml.etree import ElementTree

import pytest
import torch
from corpora import make_data, make_task, write_corpus
from trainers import make_trainer

from speechrnn.training.learning_curves import draw
from speechrnn.training.run_folder import LearningCurves, RunRecord, git_state, picture

SVG = "{http://www.w3.org/2000/svg}"


def test_curves_are_drawn_to_scale_and_what_is_no_number_is_left_out() -> None:
    # A panel is 640 by 240 with a margin of 48 at the left, 24 elsewhere: 4.0 is highest, at y = 24, step 0 at x = 48.
    root = ElementTree.fromstring(draw({"val/loss": [(0, 4.0), (10, 2.0), (20, float("nan"))]}))
    [line] = root.iter(f"{SVG}polyline")
    assert line.get("points") == "48.0,24.0 616.0,120.0"
    assert root.get("height") == "240"
    both = ElementTree.fromstring(draw({"val/loss": [(1, 1.0)], "val/error_rate": [(1, 0.0)]}))
    assert both.get("height") == "480"
    assert not list(ElementTree.fromstring(draw({})).iter(f"{SVG}polyline"))


def test_low_features_are_painted_below_and_late_ones_at_the_right() -> None:
    image = picture(torch.tensor([[-2.5, 0.0], [2.5, 0.0]]))  # two frames of two features
    assert image.tolist() == [[[0.5, 0.5], [0.0, 1.0]]]


def test_a_folder_without_git_has_no_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert git_state(tmp_path) is None


@pytest.mark.filterwarnings("ignore")
def test_a_run_says_how_it_was_made_and_how_it_went(tmp_path: Path) -> None:
    corpus = write_corpus(tmp_path / "corpus", num_utterances=5)
    curves = LearningCurves()
    trainer = make_trainer(tmp_path, callbacks=[RunRecord(), curves], max_epochs=2)
    trainer.fit(make_task(), datamodule=make_data(corpus))
    record = json.loads((tmp_path / "run.json").read_text())
    train = corpus / "train.jsonl.gz"
    assert record["data"][str(train)] == hashlib.sha256(train.read_bytes()).hexdigest()
    assert record["versions"]["torch"] == torch.__version__.partition("+")[0]
    assert len(curves.curves["val/loss"]) == 2
    again = LearningCurves()
    again.load_state_dict(curves.state_dict())
    assert again.curves == curves.curves
    ElementTree.parse(tmp_path / "learning_curves.svg")
