"""Metadata of model files, edited byte by byte, as the onnx package reads it."""

import json
from pathlib import Path

import onnx
import pytest
from tiny_model import metadata, speak, write_model

from speechrnn.decoding import ConfidenceScale
from speechrnn.errors import ModelFileError
from speechrnn.runtime import ModelFile
from speechrnn.runtime.metadata import with_metadata, write_metadata


def properties(content: bytes) -> dict[str, str]:
    return {entry.key: entry.value for entry in onnx.load_from_string(content).metadata_props}


def test_new_keys_come_in_and_the_others_stay(tmp_path: Path) -> None:
    content = write_model(tmp_path / "m.onnx").read_bytes()
    edited = with_metadata(content, {"speechrnn.decoding": '{"temperature": 2.0}'})
    assert properties(edited) == {**metadata(card={}), "speechrnn.decoding": '{"temperature": 2.0}'} | {
        "speechrnn.card": properties(content)["speechrnn.card"]
    }
    network, edited_network = onnx.load_from_string(content), onnx.load_from_string(edited)
    assert network.graph == edited_network.graph
    assert network.opset_import == edited_network.opset_import


def test_a_key_is_replaced_and_never_there_twice(tmp_path: Path) -> None:
    content = write_model(tmp_path / "m.onnx").read_bytes()
    for value in ("short", "ü" * 1000, ""):
        content = with_metadata(content, {"note": value})
        assert properties(content)["note"] == value
        assert [p.key for p in onnx.load_from_string(content).metadata_props].count("note") == 1


def test_a_written_choice_is_read_with_the_model_and_the_network_still_answers(tmp_path: Path) -> None:
    path = write_model(tmp_path / "m.onnx")
    before = ModelFile(path).run(speak("ab")[None], [len(speak("ab"))])[0]
    lm = {"alpha": 0.0, "beta": -1.0, "temperature": 2.0, "bias": 0.5}
    choice = {"temperature": 1.5, "bias": -0.25, "lm": lm}
    write_metadata(path, {"speechrnn.decoding": json.dumps(choice)})
    model = ModelFile(path)
    assert model.info.decoding.to_dict() == choice | {"keyword_thresholds": {}, "usual_thresholds": ()}
    assert (model.run(speak("ab")[None], [len(speak("ab"))])[0] == before).all()
    assert [p.name for p in tmp_path.iterdir()] == ["m.onnx"]


def test_a_choice_without_biases_has_none(tmp_path: Path) -> None:
    path = write_model(tmp_path / "m.onnx")
    write_metadata(
        path,
        {"speechrnn.decoding": '{"temperature": 1.5, "lm": {"alpha": 1, "beta": 0, "temperature": 2}}'},
    )
    choice = ModelFile(path).info.decoding
    assert choice.scale == ConfidenceScale(temperature=1.5)
    assert choice.lm is not None
    assert choice.lm.scale == ConfidenceScale(temperature=2)


@pytest.mark.parametrize("content", [b"text", b"\x0a\xff\x01abc", b"\x72\x05ab"])
def test_a_file_that_is_no_model_is_left_as_it_was(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(content)
    with pytest.raises(ModelFileError, match="not a whole ONNX file"):
        write_metadata(path, {"a": "b"})
    assert path.read_bytes() == content


@pytest.mark.parametrize(
    ("choice", "said"),
    [
        ({"temperature": 0}, "temperature must be > 0 and finite, got 0"),
        ({"bias": float("nan")}, "bias must be finite, got nan"),
        ({"lm": {"alpha": -1, "beta": 0}}, "lm.alpha must be >= 0 and finite, got -1"),
        ({"lm": {"alpha": 1, "beta": float("inf")}}, "lm.beta must be finite, got inf"),
        ({"lm": {"alpha": 1, "beta": 0, "temperature": -2}}, "lm.temperature must be > 0 and finite, got -2"),
        ({"lm": {"alpha": 1, "beta": 0, "bias": float("inf")}}, "lm.bias must be finite, got inf"),
        ({"heat": 1}, "heat"),
    ],
)
def test_a_damaged_choice_is_named(choice: dict[str, object], said: str, tmp_path: Path) -> None:
    path = write_model(
        tmp_path / "m.onnx", properties={**metadata(), "speechrnn.decoding": json.dumps(choice)}
    )
    with pytest.raises(ModelFileError, match=f"damaged metadata: .*{said}"):
        ModelFile(path)
