"""The grid of a language model's weights, on emissions made by hand."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import soundfile
from tiny_model import SAMPLE_RATE, speak, write_model

from speechrnn.decoding import DecodingOptions
from speechrnn.errors import AudioError, ConfigError, ManifestError
from speechrnn.evaluation.tune import (
    GridPoint,
    Reading,
    choose,
    compute_readings,
    fit_confidences,
    make_grid,
    search_grid,
)
from speechrnn.lm import NgramModel
from speechrnn.lm.trie import Level, build_model
from speechrnn.manifest import Utterance
from speechrnn.metrics import ErrorCounts
from speechrnn.runtime import Emission, Transcriber

TOKENS = "-abc "  # of the tiny model, the blank first


@pytest.fixture(scope="module")
def tones(tmp_path_factory: pytest.TempPathFactory) -> Transcriber:
    return Transcriber(write_model(tmp_path_factory.mktemp("models") / "tones.onnx"), threads=1)


@pytest.fixture(scope="module")
def lm() -> NgramModel:
    """P(a) = 0.6, P(b) = 0.1, P(</s>) = 0.2: log P(a) - log P(b) is log 6 = 1.79."""
    ngrams = np.arange(5)[:, None]
    log_probs = np.log([0.1, 1e-9, 0.2, 0.6, 0.1])
    return build_model(("<unk>", "<s>", "</s>", "a", "b"), [Level(ngrams, log_probs, np.zeros(5))])


def reading(reference: str, *frames: dict[str, float]) -> Reading:
    """Make a reading of frames, each a posterior of some tokens; the others share what is left."""
    rows = np.full((len(frames), len(TOKENS)), 1e-6)
    for row, frame in zip(rows, frames, strict=True):
        for token, probability in frame.items():
            row[TOKENS.index(token)] = probability
    rows /= rows.sum(axis=1, keepdims=True)
    return Reading(reference, Emission("clip", 1.0, np.log(rows).astype(np.float32)))


def point(alpha: float, beta: float, errors: int) -> GridPoint:
    return GridPoint(alpha=alpha, beta=beta, counts=ErrorCounts(hits=9, substitutions=errors))


def test_a_grid_pairs_all_and_counts_no_words_without_a_language_model() -> None:
    assert make_grid([0.0, 1.0], [-1.0, 2.0]) == [(0.0, 0.0), (1.0, -1.0), (1.0, 2.0)]


@pytest.mark.parametrize(
    ("alphas", "betas", "said"),
    [
        ([], [0.0], "one alpha and one beta at least"),
        ([1.0], [], "one alpha and one beta at least"),
        ([-1.0], [0.0], "lm.alpha must be >= 0 and finite, got -1.0"),
    ],
)
def test_a_grid_out_of_range_is_refused(alphas: list[float], betas: list[float], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        make_grid(alphas, betas)


def test_the_errors_of_each_pair_are_counted(tones: Transcriber, lm: NgramModel) -> None:
    # The network hears b, three to one: odds of 1.1 nats, less than the language model's 1.79.
    heard_b = {"a": 0.25, "b": 0.75}
    readings = [reading("a", heard_b), reading("b", {"b": 1.0})]
    points = list(search_grid(tones, readings, DecodingOptions(lm=lm), [(0.0, 0.0), (0.5, 0.0), (1.0, 0.0)]))
    assert [p.counts.errors for p in points] == [1, 1, 0]
    assert [p.counts.reference_length for p in points] == [2, 2, 2]


@pytest.mark.parametrize(
    ("points", "chosen"),
    [
        ([point(0, 0, 3), point(1, 0, 1), point(2, 0, 2)], (1, 0)),
        # Three points are as good: the middle one is safest.
        ([point(0, 0, 1), point(1, 0, 1), point(2, 0, 1), point(3, 0, 4)], (1, 0)),
        ([point(1, -1, 1), point(1, 0, 1), point(1, 1, 1), point(2, 0, 2)], (1, 0)),
    ],
)
def test_the_middle_of_the_best_points_is_chosen(
    points: Sequence[GridPoint], chosen: tuple[float, float]
) -> None:
    best = choose(points)
    assert (best.alpha, best.beta) == chosen


def test_the_confidences_of_words_are_fitted_before_any_scale(tones: Transcriber) -> None:
    # Of four words given 0.8, two are right, as if 0.5 had been said: the hottest temperature leaves log(4) / 20.
    right, wrong = reading("a", {"a": 0.8, "-": 0.2}), reading("c", {"a": 0.8, "-": 0.2})
    scale, confidences, verdicts = fit_confidences(tones, [right, wrong, right, wrong], DecodingOptions())
    assert scale.temperature == 20
    assert scale.bias == pytest.approx(-np.log(4) / 20, abs=1e-4)
    assert confidences == pytest.approx([0.8] * 4, abs=1e-4)
    assert verdicts == [True, False, True, False]


def test_readings_are_normalised_references_beside_emissions(tones: Transcriber, tmp_path: Path) -> None:
    path = tmp_path / "ab.wav"
    soundfile.write(path, speak("ab"), SAMPLE_RATE)
    done: list[None] = []
    [found] = compute_readings(
        tones, [Utterance(id="1", audio=path, text="AB")], on_utterance=lambda: done.append(None)
    )
    assert found.reference == "ab"
    assert tones.interpreter.read(found.emission).text == "ab"
    assert len(done) == 1


def test_a_choice_does_not_rest_on_a_part_of_its_data(tones: Transcriber, tmp_path: Path) -> None:
    with pytest.raises(AudioError, match=r"none\.wav"):
        compute_readings(tones, [Utterance(id="1", audio=tmp_path / "none.wav", text="a")])
    with pytest.raises(ManifestError, match="no utterances"):
        compute_readings(tones, [])
