"""What JSON says of model and decoder."""

import hashlib
from pathlib import Path

import pytest
from tiny_model import write_model

from speechrnn import __version__
from speechrnn.decoding import DecodingOptions
from speechrnn.runtime import Transcriber
from speechrnn.runtime.provenance import describe_decoder, describe_model


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("models") / "tones.onnx", language="xx", version="2")


def test_a_model_is_described_by_its_file_and_its_card(model: Path) -> None:
    assert describe_model(Transcriber(model)) == {
        "name": "tones",
        "sha256": hashlib.sha256(model.read_bytes()).hexdigest(),
        "version": "2",
        "format_version": "1",
        "speechrnn": __version__,
        "language": "xx",
    }


def test_a_model_without_language_and_version_has_none(tmp_path: Path) -> None:
    described = describe_model(Transcriber(write_model(tmp_path / "x.onnx")))
    assert "language" not in described
    assert described["version"] is None


def test_greedy_decoding_is_described(model: Path) -> None:
    assert describe_decoder(Transcriber(model).interpreter) == {
        "method": "greedy",
        "temperature": 1.0,
        "bias": 0.0,
        "n_best": 1,
        "min_confidence": 0.0,
    }


def test_a_search_is_described_with_its_width_and_what_it_was_given(model: Path) -> None:
    options = DecodingOptions(beam_size=7, hot_words={"ab": 2.0}, n_best=3)
    described = describe_decoder(Transcriber(model, decoding=options).interpreter)
    assert described["method"] == "beam"
    assert (described["beam_size"], described["n_best"]) == (7, 3)
    assert (described["lm"], described["lm_alpha"]) == (False, None)
    assert described["hotwords"] == {"ab": 2.0}


def test_a_keyword_model_classifies(tmp_path: Path) -> None:
    keywords = write_model(tmp_path / "keywords.onnx", "classification")
    assert describe_decoder(Transcriber(keywords).interpreter)["method"] == "classification"
