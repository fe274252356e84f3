"""A model file gives back the network that it was made of."""

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from networks import make_model, noise
from tiny_model import write_model

from speechrnn.errors import ModelFileError
from speechrnn.nn.export import export_model, round_to_half, round_to_int8
from speechrnn.nn.model import SpeechModel
from speechrnn.nn.restore import restore_model
from speechrnn.runtime import shipped_models

LENGTHS = torch.tensor([6000, 4000])


def answers(model: SpeechModel) -> Any:
    with torch.no_grad():
        return model(noise(2, 6000), LENGTHS)[0].numpy()


@pytest.mark.parametrize(
    ("cell", "bidirectional", "norm", "projection"),
    [
        *itertools.product(["rnn", "gru", "lstm"], [False, True], ["none", "layer", "batch"], [None]),
        ("lstm", True, "layer", 5),
        ("gru", False, "batch", 5),
    ],
)
def test_every_encoder_comes_back(
    tmp_path: Path, cell: str, bidirectional: bool, norm: str, projection: int | None
) -> None:
    encoder = {"cell": cell, "bidirectional": bidirectional, "norm": norm, "projection_size": projection}
    model = make_model(encoder=encoder)
    restored = restore_model(export_model(model, tmp_path / "m.onnx"))
    assert restored.config == model.config
    np.testing.assert_allclose(answers(restored), answers(model), atol=1e-5)


@pytest.mark.parametrize("pooling", ["last", "mean", "max", "attention"])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_every_head_comes_back_with_the_statistics_of_its_features(
    tmp_path: Path, pooling: str, bidirectional: bool
) -> None:
    features = {"normalization": "global", "kind": "mfcc", "deltas": 1}
    model = make_model("classification", features, {"bidirectional": bidirectional}, pooling=pooling)
    restored = restore_model(export_model(model, tmp_path / "m.onnx"))
    np.testing.assert_allclose(answers(restored), answers(model), atol=1e-4)


def test_weights_in_half_precision_come_back_as_they_were_stored(tmp_path: Path) -> None:
    model = make_model(encoder={"hidden_size": 32})
    restored = restore_model(export_model(model, tmp_path / "m.onnx", precision="half"))
    round_to_half(model)
    assert all(
        torch.equal(stored, mine)
        for stored, mine in zip(restored.parameters(), model.parameters(), strict=True)
    )


def test_the_shipped_model_can_be_restored() -> None:
    assert restore_model(shipped_models()["an4"]).num_parameters() > 4e6


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
def test_weights_of_8_bits_come_back_as_they_were_rounded(cell: str, tmp_path: Path) -> None:
    model = make_model(encoder={"cell": cell})
    restored = restore_model(export_model(model, tmp_path / "m.onnx", precision="int8_weights"))
    round_to_int8(model)
    for stored, mine in zip(restored.parameters(), model.parameters(), strict=True):
        torch.testing.assert_close(stored, mine, atol=1e-7, rtol=1e-6)


def test_int8_layers_cannot_be_taken_back(tmp_path: Path) -> None:
    path = export_model(make_model(encoder={"cell": "lstm"}), tmp_path / "m.onnx", precision="int8")
    with pytest.raises(ModelFileError, match=r"m\.onnx: its layers compute in int8"):
        restore_model(path)


def test_a_file_that_holds_another_network_than_it_says_is_refused(tmp_path: Path) -> None:
    path = export_model(make_model(), tmp_path / "m.onnx")
    proto = onnx.load(path)
    for entry in proto.metadata_props:
        entry.value = entry.value.replace('"hidden_size": 8', '"hidden_size": 9')
    onnx.save(proto, path)
    with pytest.raises(ModelFileError, match="does not hold the network that it describes"):
        restore_model(path)
    with pytest.raises(ModelFileError, match="does not hold the network that it describes"):
        restore_model(write_model(tmp_path / "tones.onnx"))
