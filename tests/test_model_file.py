"""The model file: what it says of itself, what it refuses, what it computes."""

import contextlib
import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from tiny_model import N_FFT, SAMPLE_RATE, metadata, speak, write_model

from speechrnn.errors import AudioError, ModelFileError
from speechrnn.runtime import ModelFile, find_model, model_registry, shipped_models


@pytest.fixture(scope="module")
def ctc_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("models") / "tones.onnx")


def with_config(**changes: Any) -> dict[str, str]:
    properties = metadata()
    config = json.loads(properties["speechrnn.config"])
    return {**properties, "speechrnn.config": json.dumps({**config, **changes})}


def without(key: str) -> dict[str, str]:
    properties = metadata()
    config = json.loads(properties["speechrnn.config"])
    del config[key]
    return {**properties, "speechrnn.config": json.dumps(config)}


def save_foreign(path: Path) -> Path:
    """Write a sound ONNX file that speechrnn knows nothing of."""
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n"])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n"])
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "relu", [x], [y])
    opset = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=8), path)
    return path


# ---- What it says ---------------------------------------------------------------------------------------


def test_a_model_file_tells_task_rate_window_vocabulary_and_card(ctc_path: Path) -> None:
    info = ModelFile(ctc_path).info
    assert (info.task, info.sample_rate, info.n_fft) == ("ctc", SAMPLE_RATE, N_FFT)
    assert info.vocabulary.tokens == ("a", "b", "c", " ")
    assert info.card == {"hears": "tones"}
    assert (info.name, info.hears, info.format_version) == ("tones", "tones", "1")


def test_the_card_names_the_model_if_it_can(tmp_path: Path) -> None:
    path = write_model(tmp_path / "x.onnx", name="sirens", hears="sirens of ships")
    info = ModelFile(path).info
    assert (info.name, info.hears) == ("sirens", "sirens of ships")


@pytest.mark.parametrize(
    ("task", "hears"),
    [("ctc", "text of 4 different characters"), ("classification", "one of 3 labels: a, b, c")],
)
def test_a_model_without_a_card_is_described_by_its_vocabulary(tmp_path: Path, task: str, hears: str) -> None:
    properties = metadata(task)
    del properties["speechrnn.card"]
    assert ModelFile(write_model(tmp_path / "x.onnx", task, properties=properties)).info.hears == hears


def test_sha256_is_that_of_the_file(ctc_path: Path) -> None:
    assert ModelFile(ctc_path).sha256 == hashlib.sha256(ctc_path.read_bytes()).hexdigest()


# ---- What it computes -----------------------------------------------------------------------------------


def test_run_gives_normalised_log_probs_and_frames_by_hand(ctc_path: Path) -> None:
    # Silence, tone a, silence: 3 * 1600 samples, so 1 + (4800 - 320) // 160 = 29 frames.
    waveform = speak("a")[None]
    log_probs, output_lengths = ModelFile(ctc_path).run(waveform, [waveform.shape[1]])
    assert log_probs.shape == (1, 29, 5)
    assert output_lengths.tolist() == [29]
    np.testing.assert_allclose(np.exp(log_probs).sum(-1), 1, atol=1e-6)
    # Frame 0 is silent: logits (5, 0, 0, 0, 0), so the blank has e^5 / (e^5 + 4).
    assert log_probs[0, 0, 0] == pytest.approx(5 - np.log(np.exp(5) + 4), abs=1e-5)
    # Frame 14 lies inside the tone: logits (5, 80 * 0.5^2 = 20, 0, 0, 0).
    assert log_probs[0, 14, 1] == pytest.approx(20 - np.log(np.exp(20) + np.exp(5) + 3), abs=1e-4)


def test_run_does_not_depend_on_what_else_is_in_the_batch(ctc_path: Path) -> None:
    model = ModelFile(ctc_path)
    short, long = speak("ab"), speak("abc a")
    batch = np.zeros((2, len(long)), dtype=np.float32)
    batch[0, : len(short)], batch[1] = short, long
    together, lengths = model.run(batch, [len(short), len(long)])
    alone, alone_lengths = model.run(short[None], [len(short)])
    assert lengths[0] == alone_lengths[0]
    np.testing.assert_allclose(together[0, : lengths[0]], alone[0], rtol=1e-5)


@pytest.mark.parametrize("num_samples", [0, 1, N_FFT - 1])
def test_a_clip_shorter_than_one_window_is_refused_in_seconds(ctc_path: Path, num_samples: int) -> None:
    with pytest.raises(AudioError, match=r"clip 1 of the batch: 0\.0\d+ s .* at least 0\.020 s"):
        ModelFile(ctc_path).run(np.zeros((2, N_FFT), np.float32), [N_FFT, num_samples])


def test_a_clip_of_exactly_one_window_gives_one_frame(ctc_path: Path) -> None:
    log_probs, output_lengths = ModelFile(ctc_path).run(np.zeros((1, N_FFT), np.float32), [N_FFT])
    assert log_probs.shape[1] == output_lengths[0] == 1


def test_what_onnx_runtime_cannot_compute_names_file_and_shape(ctc_path: Path) -> None:
    with pytest.raises(ModelFileError, match=r"tones\.onnx: failed on a batch of shape \(1, 1, 400\)"):
        ModelFile(ctc_path).run(np.zeros((1, 1, 400), np.float32), [400])


@pytest.mark.parametrize("threads", [1, 2])
def test_the_number_of_threads_changes_nothing(ctc_path: Path, threads: int) -> None:
    waveform = speak("abc")[None]
    default, _ = ModelFile(ctc_path).run(waveform, [waveform.shape[1]])
    log_probs, _ = ModelFile(ctc_path, threads=threads).run(waveform, [waveform.shape[1]])
    np.testing.assert_allclose(log_probs, default, rtol=1e-5)


# ---- What it refuses ------------------------------------------------------------------------------------


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match=r"gone\.onnx: no such model file"):
        ModelFile(tmp_path / "gone.onnx")


def test_a_folder_is_not_a_model_file(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="cannot be read"):
        ModelFile(tmp_path)


def test_a_file_that_may_not_be_read_says_why(ctc_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **options: object) -> None:
        raise PermissionError(13, "Permission denied", "tones.onnx")

    monkeypatch.setattr(Path, "open", refuse)  # the tests may run as root, who may read everything
    with pytest.raises(ModelFileError, match=r"tones\.onnx: cannot be read: Permission denied"):
        ModelFile(ctc_path)


@pytest.mark.parametrize("content", [b"", b"\x00", b"hello world\n" * 50, bytes(range(256)) * 20])
def test_a_file_that_is_not_onnx_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.onnx"
    path.write_bytes(content)
    with pytest.raises(ModelFileError, match=r"x\.onnx: not a whole ONNX file"):
        ModelFile(path)


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
def test_a_truncated_model_file_is_refused(tmp_path: Path, ctc_path: Path, share: float) -> None:
    content = ctc_path.read_bytes()
    path = tmp_path / "half.onnx"
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(ModelFileError, match=r"half\.onnx: "):
        ModelFile(path)


def test_an_onnx_file_of_others_is_refused(tmp_path: Path) -> None:
    path = save_foreign(tmp_path / "relu.onnx")
    with pytest.raises(ModelFileError, match=r"relu\.onnx: an ONNX file, but not one that speechrnn wrote"):
        ModelFile(path)


def test_another_format_version_is_refused_naming_both(tmp_path: Path) -> None:
    properties = {**metadata(), "speechrnn.format_version": "7"}
    path = write_model(tmp_path / "x.onnx", properties=properties)
    with pytest.raises(ModelFileError, match="model file format 7, this speechrnn reads 1 and 2"):
        ModelFile(path)


@pytest.mark.parametrize(
    ("properties", "complaint"),
    [
        ({"speechrnn.format_version": "1"}, "'speechrnn.config' is missing"),
        ({**metadata(), "speechrnn.config": "{"}, "Expecting"),
        ({**metadata(), "speechrnn.config": "[]"}, "must be"),
        ({**metadata(), "speechrnn.card": "3"}, "int"),
        (without("vocabulary"), "'vocabulary' is missing"),
        (without("features"), "'features' is missing"),
        (with_config(features={"n_fft": 320}), "'sample_rate' is missing"),
        (with_config(features={"n_fft": 0, "sample_rate": 16000}), "features.n_fft must be"),
        (with_config(features={"n_fft": 320, "sample_rate": "x"}), "features.sample_rate must be"),
        (with_config(task="translation"), "task must be ctc or classification, got 'translation'"),
        (with_config(task="classification"), "does not go with the task classification"),
        (with_config(vocabulary={"tokens": ["a", "a"], "unit": "character"}), ""),
    ],
)
def test_damaged_metadata_is_refused_saying_what(
    tmp_path: Path, properties: dict[str, str], complaint: str
) -> None:
    path = write_model(tmp_path / "x.onnx", properties=properties)
    with pytest.raises(ModelFileError, match=r"x\.onnx: damaged metadata: .*" + complaint):
        ModelFile(path)


def test_metadata_that_is_not_text_is_refused(ctc_path: Path, tmp_path: Path) -> None:
    content = ctc_path.read_bytes().replace(b"tones", b"to\xffes")
    (tmp_path / "x.onnx").write_bytes(content)
    with pytest.raises(ModelFileError, match=r"x\.onnx: damaged metadata: .*0xff"):
        ModelFile(tmp_path / "x.onnx")


@pytest.mark.parametrize("seed", range(10))
def test_a_file_with_changed_bytes_gives_a_model_or_our_error_and_prints_nothing(
    ctc_path: Path, tmp_path: Path, seed: int, capfd: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(seed)
    for _ in range(20):
        content = bytearray(ctc_path.read_bytes())
        for place in rng.integers(len(content), size=3):
            content[place] = rng.integers(256)
        (tmp_path / "x.onnx").write_bytes(content)
        with contextlib.suppress(ModelFileError):
            ModelFile(tmp_path / "x.onnx")
    assert capfd.readouterr() == ("", "")


def test_our_metadata_on_a_foreign_graph_is_refused(tmp_path: Path) -> None:
    path = save_foreign(tmp_path / "relu.onnx")
    model = onnx.load(path)
    helper.set_model_props(model, metadata())
    onnx.save(model, path)
    with pytest.raises(ModelFileError, match="damaged: it maps x to y, not waveform, waveform_lengths"):
        ModelFile(path)


# ---- Shipped models -------------------------------------------------------------------------------------


@pytest.fixture
def shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "shipped"
    folder.mkdir()
    for name in ("tones", "an4"):
        write_model(folder / f"{name}.onnx")
    monkeypatch.setattr(model_registry, "MODELS_FOLDER", folder)
    return folder


def test_shipped_models_are_found_by_name(shipped: Path) -> None:
    assert list(shipped_models()) == ["an4", "tones"]
    assert find_model("tones") == shipped / "tones.onnx"


def test_an4_is_the_default_model(shipped: Path) -> None:
    assert find_model() == find_model(None) == shipped / "an4.onnx"


def test_a_path_is_taken_as_it_is(shipped: Path, ctc_path: Path) -> None:
    assert find_model(ctc_path) == find_model(str(ctc_path)) == ctc_path


def test_an_unknown_model_is_refused_naming_those_that_ship(shipped: Path) -> None:
    with pytest.raises(ModelFileError, match=r"an5: no such model file; .*: an4, tones"):
        find_model("an5")


def test_an_installation_without_its_model_says_so(shipped: Path) -> None:
    (shipped / "an4.onnx").unlink()
    with pytest.raises(ModelFileError, match="'an4' is missing from this installation"):
        find_model()
