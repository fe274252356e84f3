"""The exported file computes what torch computes, for every network that can be configured."""

import itertools
import json
import logging
import re
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from networks import LABELS, make_model, noise

from speechrnn.audio import load_audio
from speechrnn.cli.main import main
from speechrnn.errors import CheckpointError, ModelFileError
from speechrnn.lm import estimate_model, write_lm
from speechrnn.nn import export
from speechrnn.nn.checkpoint import checkpoint_entry
from speechrnn.nn.export import TOLERANCE, export_checkpoint, export_model
from speechrnn.nn.model import SpeechModel
from speechrnn.nn.restore import restore_model
from speechrnn.runtime import ModelFile, shipped_models

EVERY_ENCODER = list(itertools.product(["rnn", "gru", "lstm"], [False, True], ["none", "layer", "batch"]))
SAMPLES = Path(__file__).parents[1] / "data" / "samples"
LENGTHS = torch.tensor([7000, 2500, 300])


def assert_same_answers(model: SpeechModel, path: Path) -> None:
    waveform = noise(3, 7000, seed=5)
    with torch.no_grad():
        expected, expected_lengths = model(waveform, LENGTHS)
    log_probs, output_lengths = ModelFile(path).run(waveform.numpy(), LENGTHS.numpy())
    assert output_lengths.tolist() == expected_lengths.tolist()
    np.testing.assert_allclose(log_probs, expected.numpy(), atol=TOLERANCE)


@pytest.mark.parametrize("clip", ["fsdd_3_nicolas_1", "fsdd_7_jackson_0", "fsdd_9_lucas_2"])
def test_a_band_without_sound_is_no_reason_to_differ(clip: str, tmp_path: Path) -> None:
    # Recorded at 8 kHz: above 4 kHz there is nothing but rounding errors, which differ in every library.
    features = {"sample_rate": 16000, "n_fft": 512, "win_length": 400, "hop_length": 200, "n_mels": 64}
    model = make_model(features=features)
    waveform = load_audio(SAMPLES / f"{clip}.wav", sample_rate=16000)[np.newaxis]
    with torch.no_grad():
        expected, _ = model(torch.from_numpy(waveform), torch.tensor([waveform.shape[1]]))
    log_probs, _ = ModelFile(export_model(model, tmp_path / "m.onnx")).run(waveform, [waveform.shape[1]])
    np.testing.assert_allclose(log_probs, expected.numpy(), atol=TOLERANCE)


@pytest.mark.parametrize(("cell", "bidirectional", "norm"), EVERY_ENCODER)
def test_every_encoder_is_exported_exactly(cell: str, bidirectional: bool, norm: str, tmp_path: Path) -> None:
    model = make_model(encoder={"cell": cell, "bidirectional": bidirectional, "norm": norm})
    assert_same_answers(model, export_model(model, tmp_path / "m.onnx"))


@pytest.mark.parametrize(
    "encoder",
    [
        {"subsampling": 1},
        {"subsampling": 4},
        {"projection_size": 5},
        {"cell": "rnn", "nonlinearity": "relu"},
        {"residual": False},
        {"num_layers": 1},
    ],
)
def test_every_option_of_the_encoder_is_exported_exactly(encoder: dict[str, Any], tmp_path: Path) -> None:
    model = make_model(encoder=encoder)
    assert_same_answers(model, export_model(model, tmp_path / "m.onnx"))


@pytest.mark.parametrize(
    "features",
    [
        {"kind": "mfcc"},
        {"kind": "mfcc", "deltas": 2, "preemphasis": 0.97},
        {"deltas": 1, "normalization": "global"},
        {"normalization": "none"},
        {"win_length": 256},
        {"win_length": 201},
        {"mel_scale": "slaney", "f_max": 3000.0},
        {"sample_rate": 16000, "n_fft": 512, "win_length": 400, "hop_length": 160, "n_mels": 40},
    ],
)
def test_every_front_end_is_exported_exactly(features: dict[str, Any], tmp_path: Path) -> None:
    model = make_model(features=features)
    if features.get("n_fft"):
        waveform = noise(1, 9000)
        path = export_model(model, tmp_path / "m.onnx")
        log_probs, _ = ModelFile(path).run(waveform.numpy(), [9000])
        with torch.no_grad():
            expected, _ = model(waveform, torch.tensor([9000]))
        np.testing.assert_allclose(log_probs, expected.numpy(), atol=TOLERANCE)
    else:
        assert_same_answers(model, export_model(model, tmp_path / "m.onnx"))


@pytest.mark.parametrize("pooling", ["last", "mean", "max", "attention"])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_every_pooling_is_exported_exactly(pooling: str, bidirectional: bool, tmp_path: Path) -> None:
    model = make_model("classification", pooling=pooling, encoder={"bidirectional": bidirectional})
    path = export_model(model, tmp_path / "m.onnx")
    assert_same_answers(model, path)
    assert ModelFile(path).info.vocabulary == LABELS


def test_the_features_of_a_loud_and_quiet_clip_are_the_same_in_the_file(tmp_path: Path) -> None:
    # A clip that goes from digital silence over 16-bit noise to full scale, where single precision is hardest.
    model = make_model()
    waveform = noise(1, 9000).sign() * torch.linspace(0, 1, 9000).pow(8)
    path = export_model(model, tmp_path / "m.onnx")
    with torch.no_grad():
        expected, _ = model(waveform, torch.tensor([9000]))
    log_probs, _ = ModelFile(path).run(waveform.numpy(), [9000])
    np.testing.assert_allclose(log_probs, expected.numpy(), atol=TOLERANCE)


def test_half_precision_halves_the_file_and_is_computed_in_single(tmp_path: Path) -> None:
    model = make_model(encoder={"hidden_size": 64})
    single = export_model(model, tmp_path / "single.onnx").stat().st_size
    path = export_model(model, tmp_path / "half.onnx", precision="half")
    front_end = (256 // 2 + 1) * (2 * 200 + 2 * 12) * 4  # the Fourier basis and mel bands stay in single
    assert path.stat().st_size - front_end < 0.62 * (single - front_end)
    rounded = SpeechModel(model.config).eval()
    rounded.load_state_dict(model.state_dict())
    export.round_to_half(rounded)
    assert_same_answers(rounded, path)


def test_the_file_says_what_it_is(tmp_path: Path) -> None:
    model = make_model()
    path = export_model(model, tmp_path / "m.onnx", card={"name": "tiny", "hears": "noise"})
    info = ModelFile(path).info
    assert (info.name, info.hears, info.sample_rate, info.task) == ("tiny", "noise", 8000, "ctc")
    assert info.config == json.loads(json.dumps(model.config.to_dict()))


def test_a_file_that_differs_from_torch_is_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build = export.build_model

    def slightly_wrong(model: SpeechModel, **options: Any) -> onnx.ModelProto:
        model = make_model(seed=1)
        return build(model, **options)

    monkeypatch.setattr(export, "build_model", slightly_wrong)
    with pytest.raises(
        ModelFileError, match=r"differs from torch by .* on clips of \[256\] samples; not written"
    ):
        export_model(make_model(), tmp_path / "m.onnx")
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_streams_something_else_is_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forgetful(*arguments: Any, **options: Any) -> Any:
        for answer in stream_emissions(*arguments, **options):
            yield answer + 0.01

    stream_emissions = export.stream_emissions
    monkeypatch.setattr(export, "stream_emissions", forgetful)
    with pytest.raises(ModelFileError, match=r"streamed differs by 1\.0e-02 from whole; not written"):
        export_model(make_model(encoder={"bidirectional": False}), tmp_path / "m.onnx")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_is_made_and_one_that_cannot_be_is_named(tmp_path: Path) -> None:
    assert export_model(make_model(), tmp_path / "new" / "m.onnx").is_file()
    (tmp_path / "file").touch()
    with pytest.raises(ModelFileError, match=r"m\.onnx: cannot be written: (Not a directory|File exists)"):
        export_model(make_model(), tmp_path / "file" / "m.onnx")


def write_checkpoint(path: Path) -> SpeechModel:
    model = make_model()
    state = {f"model.{name}": value for name, value in model.state_dict().items()}
    torch.save({"state_dict": state, "speechrnn": checkpoint_entry(model.config)}, path)
    return model


def test_a_checkpoint_is_exported_and_used_from_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = write_checkpoint(tmp_path / "m.ckpt")
    card = tmp_path / "card.json"
    card.write_text('{"name": "tiny"}')
    arguments = ["export", str(tmp_path / "m.ckpt"), str(tmp_path / "m.onnx"), "--card", str(card)]
    assert main(arguments) == 0
    assert "equal to torch" in capsys.readouterr().err
    assert_same_answers(model, tmp_path / "m.onnx")
    assert main(arguments) == 1
    assert "exists already; --overwrite replaces it" in capsys.readouterr().err
    assert main([*arguments, "--overwrite", "--half"]) == 0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[]", "a model card is a JSON object"),
        ("{", "not JSON"),
        ('{"nme": "x"}', "'nme' is not a text under one of"),
    ],
)
def test_a_wrong_card_is_named(
    text: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_checkpoint(tmp_path / "m.ckpt")
    (tmp_path / "card.json").write_text(text)
    arguments = ["export", str(tmp_path / "m.ckpt"), str(tmp_path / "m.onnx")]
    assert main([*arguments, "--card", str(tmp_path / "card.json")]) == 1
    assert said in capsys.readouterr().err
    assert not (tmp_path / "m.onnx").exists()


def test_a_checkpoint_transcribes_by_itself_exported_once(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    import soundfile

    write_checkpoint(tmp_path / "m.ckpt")
    monkeypatch.setenv("SPEECHRNN_CACHE", str(tmp_path / "cache"))
    soundfile.write(tmp_path / "a.wav", noise(8000).numpy(), 8000)
    arguments = ["transcribe", "-m", str(tmp_path / "m.ckpt"), str(tmp_path / "a.wav")]
    with caplog.at_level(logging.WARNING, "speechrnn"):
        assert main(arguments) == 0
        first = capsys.readouterr().out
        assert main(arguments) == 0
    assert capsys.readouterr().out == first
    assert sum("exporting the checkpoint, once" in message for message in caplog.messages) == 1
    [cached] = (tmp_path / "cache").iterdir()
    assert_same_answers(make_model(), cached)


def test_a_missing_checkpoint_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="x.ckpt: no such checkpoint"):
        export_checkpoint(tmp_path / "x.ckpt", tmp_path / "m.onnx")


# ---- int8 -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cell", "precision"),
    [("rnn", "int8"), ("gru", "int8"), ("gru", "int8_weights"), ("lstm", "int8_weights")],
)
def test_weights_of_8_bits_are_computed_with_in_single_precision_where_asked_or_not_possible_otherwise(
    cell: str, precision: export.Precision, tmp_path: Path
) -> None:
    model = make_model(encoder={"cell": cell, "hidden_size": 64})
    single = export_model(model, tmp_path / "single.onnx").stat().st_size
    path = export_model(model, tmp_path / "int8.onnx", precision=precision)
    kernels = [p for p in model.encoder.recurrent.parameters() if p.ndim > 1]
    saved = sum(3 * kernel.numel() - 4 * len(kernel) for kernel in kernels)  # a byte for four; a scale a row
    assert single - path.stat().st_size == pytest.approx(saved, rel=0.05)
    rounded = SpeechModel(model.config).eval()
    rounded.load_state_dict(model.state_dict())
    export.round_to_int8(rounded)
    assert_same_answers(rounded, path)


def test_rows_are_rounded_to_their_largest_number_over_127() -> None:
    # 1.27 / 127 = 0.01, so 0.5 stays and 0.126 becomes 0.13; a row of zeros stays one.
    model = make_model(encoder={"num_layers": 1})
    kernel = model.encoder.recurrent.layers[0].forward_cell.weight_hh_l0
    with torch.no_grad():
        kernel.zero_()
        kernel[0, :3] = torch.tensor([-1.27, 0.5, 0.126])
    export.round_to_int8(model)
    np.testing.assert_allclose(kernel[0, :3].detach(), [-1.27, 0.5, 0.13], rtol=1e-6)
    assert not kernel[1].any()


@pytest.mark.parametrize("bidirectional", [False, True])
def test_an_lstm_computes_in_int8_close_to_torch(bidirectional: bool, tmp_path: Path) -> None:
    model = make_model(encoder={"cell": "lstm", "hidden_size": 32, "bidirectional": bidirectional})
    path = export_model(model, tmp_path / "int8.onnx", precision="int8")
    operators = {node.op_type for node in onnx.load(path).graph.node}
    assert "DynamicQuantizeLSTM" in operators
    assert "LSTM" not in operators
    assert ModelFile(path).info.precision == "int8"
    waveform = noise(3, 7000, seed=5)
    with torch.no_grad():
        expected, _ = model(waveform, LENGTHS)
    log_probs, _ = ModelFile(path).run(waveform.numpy(), LENGTHS.numpy())
    difference = np.abs(np.exp(log_probs) - np.exp(expected.numpy()))[0].max()
    assert 0 < difference < 0.01  # probabilities: rounded, and no more than that


def test_an_int8_model_streams(tmp_path: Path) -> None:
    encoder = {"cell": "lstm", "hidden_size": 32, "bidirectional": False}
    model = make_model(encoder=encoder, features={"normalization": "global"})
    file = ModelFile(export_model(model, tmp_path / "int8.onnx", precision="int8"))
    waveform = noise(9000).numpy()
    streamed = np.concatenate(list(export.stream_emissions(file, np.split(waveform, [1000, 5000]))))
    whole, _ = file.run(waveform[None], [9000])
    assert streamed.shape == whole[0].shape
    assert np.abs(np.exp(streamed) - np.exp(whole[0])).max() < 0.01


def test_a_model_file_is_exported_again_with_its_card_and_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    small = str(tmp_path / "small.onnx")
    table = tmp_path / "three.tsv"
    lines = (SAMPLES / "transcripts.tsv").read_text().splitlines()
    table.write_text("\n".join(line if i == 0 else f"{SAMPLES}/{line}" for i, line in enumerate(lines[:4])))
    assert main(["export", "an4", small, "--int8", "--check", str(table)]) == 0
    out, err = capsys.readouterr()
    assert "MB, LSTM layers in int8" in err
    single, int8 = out.splitlines()
    assert re.match(r"single +19\.\d\d MB +WER \d+\.\d\d % \(\d+ of \d+\) +CER .* s of audio", single)
    assert re.match(r"int8 +5\.\d\d MB +WER", int8)
    old, new = ModelFile(shipped_models()["an4"]).info, ModelFile(small).info
    assert (new.card, new.decoding) == (old.card, old.decoding)


def test_what_rounding_costs_is_measured_with_the_models_own_language_model(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mine, table = tmp_path / "own" / "mine.onnx", tmp_path / "three.tsv"
    mine.parent.mkdir()
    lines = (SAMPLES / "transcripts.tsv").read_text().splitlines()
    table.write_text("\n".join(line if i == 0 else f"{SAMPLES}/{line}" for i, line in enumerate(lines[:4])))
    export_model(
        restore_model(shipped_models()["an4"]), mine, card={"name": "mine", "language_model": "tiny"}
    )
    write_lm(estimate_model([["enter", "six"], ["repeat"]], order=2), mine.with_name("tiny.srlm.xz"))
    assert main(["export", str(mine), str(tmp_path / "small.onnx"), "--int8", "--check", str(table)]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--check", "x.tsv"], "--check measures what --int8, --int8-weights or --half costs"),
        (["--int8", "--check", "gone.tsv"], "gone.tsv"),
    ],
)
def test_a_check_that_cannot_be_is_refused_before_anything_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    write_checkpoint(tmp_path / "m.ckpt")
    assert main(["export", str(tmp_path / "m.ckpt"), str(tmp_path / "m.onnx"), *arguments]) == 1
    assert said in capsys.readouterr().err
    assert not (tmp_path / "m.onnx").exists()
