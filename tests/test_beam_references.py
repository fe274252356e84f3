"""The beam search against flashlight's, which is another implementation of the same search."""

import importlib
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from speechrnn.lm import estimate_model, read_lm, write_lm
from speechrnn.text import Vocabulary

pytest.importorskip("numba")
pytest.importorskip("flashlight.lib.text.decoder.kenlm")

FOLDER = Path(__file__).resolve().parents[1] / "benchmarks"
sys.path.insert(0, str(FOLDER))
an4_task = importlib.import_module("an4_task")
decoders = importlib.import_module("decoders")
sys.path.remove(str(FOLDER))

VOCABULARY = Vocabulary(("a", "b", "c", " "), "character", ("collapse_spaces",))
TEXT = ["ab ba c", "ab c", "c ba", "abba c ab", "cab ab", "c c ab", "ba abba"]


@pytest.fixture
def make_task(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(decoders, "BEAM_SIZE", 3000)  # nothing falls out
    write_lm(estimate_model([line.split() for line in TEXT], order=3), tmp_path / "text.arpa")

    def make(alpha: float, beta: float) -> Any:
        return an4_task.An4Task(
            vocabulary=VOCABULARY,
            alpha=alpha,
            beta=beta,
            test=[],
            lm=read_lm(tmp_path / "text.arpa"),
            arpa=tmp_path / "text.arpa",
        )

    return make


def emissions(frames: int, seed: int) -> Any:
    """(frames, tokens) log posteriors of noise."""
    logits = np.random.default_rng(seed).normal(size=(frames, len(VOCABULARY))) * 2.0
    log_probs = logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)
    return log_probs.astype(np.float32)


@pytest.mark.parametrize(("alpha", "beta"), [(0.5, 0.0), (1.5, 2.0), (0.1, -1.0)])
def test_best_paths_and_their_scores_are_those_of_flashlight(
    make_task: Any, alpha: float, beta: float
) -> None:
    task = make_task(alpha, beta)
    unlimited = decoders.Pruning()
    batch = [emissions(10 + seed, seed) for seed in range(12)]
    closed = [decoders.close_words(log_probs, VOCABULARY) for log_probs in batch]
    expected = decoders.make_flashlight(task, unlimited)(closed)
    found = decoders.make_ours(task, unlimited, log_add=False)(batch)
    assert [answer.text for answer in found] == [answer.text for answer in expected]
    assert any(" " in answer.text for answer in found)
    np.testing.assert_allclose(
        [answer.score for answer in found], [answer.score for answer in expected], atol=1e-4
    )
