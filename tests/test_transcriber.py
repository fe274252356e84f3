"""The transcriber: every kind of audio, batches, order, errors; and checkpoints as models."""

import io
import logging
import math
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from tiny_model import SAMPLE_RATE, TOKEN_S, speak, write_model

import speechrnn
from speechrnn.errors import AudioError, CheckpointError, ConfigError, ModelFileError, SpeechRNNError
from speechrnn.runtime import Transcriber, Transcription, checkpoint_cache, transcriber
from speechrnn.runtime.clip_batches import split_batches


@pytest.fixture(scope="module")
def model_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("models") / "tones.onnx")


@pytest.fixture(scope="module")
def tones(model_path: Path) -> Transcriber:
    return Transcriber(model_path, threads=1)


@pytest.fixture
def wav(tmp_path: Path) -> Path:
    return write_wav(tmp_path / "ab c.wav", "ab c")


def write_wav(path: Path, text: str) -> Path:
    soundfile.write(path, speak(text), SAMPLE_RATE, subtype="PCM_16")
    return path


# ---- Kinds of audio -------------------------------------------------------------------------------------


def test_a_path_gives_text_confidence_duration_and_source(tones: Transcriber, wav: Path) -> None:
    result = tones.transcribe(wav)
    assert isinstance(result, Transcription)
    assert (result.text, result.source) == ("ab c", str(wav))
    assert result.duration_s == pytest.approx(9 * TOKEN_S)  # 4 tones and 5 silences
    # Within a tone the token has e^20 / (e^20 + e^5 + 3), all but 1.
    assert 0.99 < result.confidence <= 1


def test_tokens_and_their_frames_are_kept(tones: Transcriber, wav: Path) -> None:
    hypothesis = tones.transcribe(wav).hypothesis
    assert hypothesis.tokens == (1, 2, 4, 3)
    # Tone k begins at sample 1600 (1 + 2 k), so at frame 10 (1 + 2 k); the frame before it hears half of it.
    assert all(abs(frame - 10 * (1 + 2 * k)) <= 1 for k, frame in enumerate(hypothesis.frames))


def test_string_bytes_and_open_file_give_the_text_of_the_path(tones: Transcriber, wav: Path) -> None:
    content = wav.read_bytes()
    assert tones.transcribe(str(wav)).text == "ab c"
    assert tones.transcribe(content).text == "ab c"
    assert tones.transcribe(io.BytesIO(content)).text == "ab c"
    assert tones.transcribe(bytearray(content)).text == "ab c"
    assert tones.transcribe(memoryview(content)).text == "ab c"
    assert [answer.text for answer in tones.transcribe([bytearray(content)] * 2)] == ["ab c"] * 2
    with wav.open("rb") as file:
        assert tones.transcribe(file).text == "ab c"


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int16, np.int32])
def test_an_array_of_any_type_gives_the_same_text(tones: Transcriber, dtype: Any) -> None:
    scale = np.iinfo(dtype).max if np.issubdtype(dtype, np.integer) else 1
    samples = (speak("cab") * scale).astype(dtype)
    assert tones.transcribe(samples, SAMPLE_RATE).text == "cab"


def test_an_array_is_resampled_from_the_rate_it_is_given_with(tones: Transcriber) -> None:
    assert tones.transcribe(speak("abc", sample_rate=48_000), 48_000).text == "abc"


def test_an_array_without_a_rate_is_refused(tones: Transcriber) -> None:
    with pytest.raises(AudioError, match="needs its sample rate"):
        tones.transcribe(speak("a"))


@pytest.mark.parametrize("rate", [math.nan, math.inf, -math.inf, 0, "16k"])
def test_what_is_no_rate_is_refused(tones: Transcriber, rate: Any) -> None:
    with pytest.raises(AudioError, match="sample rate must be > 0 Hz, got"):
        tones.transcribe(speak("a"), rate)
    with pytest.raises(AudioError, match="stream: sample rate must be > 0 Hz, got"):
        tones.stream(rate)


def test_the_rate_of_arrays_does_not_touch_files(tones: Transcriber, wav: Path) -> None:
    results = tones.transcribe([wav, speak("b", sample_rate=8_000)], 8_000)
    assert [result.text for result in results] == ["ab c", "b"]


def test_one_channel_can_be_chosen(tones: Transcriber) -> None:
    stereo = np.stack([speak("ab"), speak("ca")], axis=1)
    assert tones.transcribe(stereo, SAMPLE_RATE, channel=0).text == "ab"
    assert tones.transcribe(stereo, SAMPLE_RATE, channel=1).text == "ca"


# ---- Several at once ------------------------------------------------------------------------------------


TEXTS = ["abc abc", "a", "", "cab", "b", "bb", "a c", "abcabcabc"]


def arrays() -> list[Any]:
    return [speak(text) for text in TEXTS]


def test_a_list_gives_a_list_in_its_order(tones: Transcriber) -> None:
    results = tones.transcribe(arrays(), SAMPLE_RATE)
    assert isinstance(results, list)
    assert [result.text for result in results] == TEXTS


def test_a_list_of_one_gives_a_list_and_an_empty_one_an_empty_one(tones: Transcriber, wav: Path) -> None:
    assert [result.text for result in tones.transcribe([wav])] == ["ab c"]
    assert [result.text for result in tones.transcribe((wav,))] == ["ab c"]
    assert tones.transcribe([]) == []


@pytest.mark.parametrize(("batch_s", "window_s"), [(0.1, 0.1), (1.0, 240.0), (3.0, 2.0), (60.0, 240.0)])
def test_an_answer_does_not_depend_on_batch_or_window(
    tones: Transcriber, monkeypatch: pytest.MonkeyPatch, batch_s: float, window_s: float
) -> None:
    alone = [tones.transcribe(array, SAMPLE_RATE) for array in arrays()]
    monkeypatch.setattr(tones, "batch_s", batch_s)
    monkeypatch.setattr(transcriber, "WINDOW_S", window_s)
    for single, result in zip(alone, tones.transcribe(arrays(), SAMPLE_RATE), strict=True):
        assert result.text == single.text
        assert result.hypothesis.frames == single.hypothesis.frames
        assert result.confidence == pytest.approx(single.confidence, abs=1e-6)


@pytest.mark.parametrize("batch_s", [0.0, -1.0, float("nan")])
def test_a_batch_of_no_seconds_is_refused(batch_s: float) -> None:
    with pytest.raises(ConfigError, match="batch_s must be > 0 s, got"):
        Transcriber(batch_s=batch_s)


def test_batches_are_bounded_in_padded_seconds_and_lose_nothing() -> None:
    # Sorted: 1 1 2 | 3 3 | 9, since 4 * 3 > 8, 3 * 9 > 8, and a clip alone may be longer than the bound.
    lengths = {0: 3, 1: 1, 2: 9, 3: 1, 4: 3, 5: 2}
    assert list(split_batches(lengths, 8)) == [[1, 3, 5], [0, 4], [2]]


def test_results_come_before_later_files_are_read(
    tones: Transcriber, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transcriber, "WINDOW_S", 0.0)
    read: list[str] = []

    def source(text: str) -> Any:
        def load() -> Any:
            read.append(text)
            return speak(text)

        return load

    results = tones.transcribe_each(map(source, ["a", "b", "c"]), SAMPLE_RATE)
    assert read == []
    first = next(results)
    assert isinstance(first, Transcription)
    assert first.text == "a"
    assert read == ["a"]


def test_a_missing_file_among_good_ones_costs_only_itself(tones: Transcriber, wav: Path) -> None:
    gone = wav.with_name("gone.wav")
    first, second, third = tones.transcribe_each([wav, gone, wav])
    assert isinstance(first, Transcription)
    assert isinstance(third, Transcription)
    assert (first.text, third.text) == ("ab c", "ab c")
    assert isinstance(second, AudioError)
    assert str(gone) in str(second)


def test_transcribe_raises_the_first_error_naming_the_file(tones: Transcriber, wav: Path) -> None:
    with pytest.raises(AudioError, match=re.escape(str(wav.with_name("gone.wav")))):
        tones.transcribe([wav, wav.with_name("gone.wav"), wav])


def test_a_bad_array_in_a_list_is_named_by_its_number(tones: Transcriber) -> None:
    with pytest.raises(AudioError, match="audio 2"):
        tones.transcribe([speak("a"), np.full(8000, np.nan, np.float32)], SAMPLE_RATE)


def test_a_clip_shorter_than_one_window_is_refused_in_seconds(tones: Transcriber, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "blip.wav", np.zeros(160, np.int16), SAMPLE_RATE)
    with pytest.raises(AudioError, match=r"blip\.wav: 0\.010 s is too short; .* 0\.020 s"):
        tones.transcribe(tmp_path / "blip.wav")


def test_a_model_that_fails_gives_the_error_to_every_clip_of_the_batch(
    tones: Transcriber, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: object) -> None:
        raise ModelFileError("no")

    monkeypatch.setattr(tones.model, "run", fail)
    results = list(tones.transcribe_each(arrays()[:2], SAMPLE_RATE))
    assert [type(result) for result in results] == [ModelFileError, ModelFileError]


# ---- Nothing heard, keywords ----------------------------------------------------------------------------


def test_silence_gives_no_text_and_a_warning(tones: Transcriber, caplog: pytest.LogCaptureFixture) -> None:
    assert tones.transcribe(np.zeros(16_000, np.float32), SAMPLE_RATE).text == ""
    assert [record.getMessage() for record in caplog.records] == [
        "array of shape (16000,): heard nothing in 1.0 s"
    ]


def test_speech_gives_no_warning(tones: Transcriber, wav: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        tones.transcribe(wav)
    assert not caplog.records


def test_a_keyword_model_gives_its_label_and_probability(tmp_path: Path) -> None:
    keywords = Transcriber(write_model(tmp_path / "keywords.onnx", "classification"))
    results = keywords.transcribe([speak("b"), speak("cc"), speak("a")], SAMPLE_RATE)
    assert [result.text for result in results] == ["b", "c", "a"]
    assert all(0.99 < result.confidence <= 1 for result in results)


def test_a_keyword_model_in_doubt_says_so_in_its_confidence(tmp_path: Path) -> None:
    keywords = Transcriber(write_model(tmp_path / "keywords.onnx", "classification"))
    result = keywords.transcribe(np.zeros(8000, np.float32), SAMPLE_RATE)
    assert result.confidence == pytest.approx(1 / 3)  # silence: three equal labels


@pytest.mark.parametrize("task", ["ctc", "classification"])
def test_a_model_that_answers_nan_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, task: str
) -> None:
    broken = Transcriber(write_model(tmp_path / "broken.onnx", task))
    shape = (1, 9, 5) if task == "ctc" else (1, 3)
    monkeypatch.setattr(broken.model, "run", lambda *args: (np.full(shape, np.nan), np.array([9])))
    with pytest.raises(ModelFileError, match="broken.onnx: the model answered NaN"):
        broken.transcribe(speak("a"), SAMPLE_RATE)


# ---- Opening a model ------------------------------------------------------------------------------------


def test_load_opens_a_model_file(model_path: Path, wav: Path) -> None:
    assert speechrnn.load(model_path).transcribe(wav).text == "ab c"
    assert speechrnn.load(str(model_path), threads=1, device="cpu").transcribe(wav).text == "ab c"


def test_load_refuses_threads_and_devices_that_do_not_exist(model_path: Path) -> None:
    for threads, told in ((0, "0"), ("2", "'2'"), (1.5, "1.5")):
        with pytest.raises(ConfigError, match=f"threads must be a whole number >= 1, got {told}"):
            speechrnn.load(model_path, threads=threads)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="device must be"):
        speechrnn.load(model_path, device="abacus")


def test_load_refuses_a_model_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="no such model file"):
        speechrnn.load(tmp_path / "gone.onnx")
    with pytest.raises(SpeechRNNError, match=r"gone\.ckpt: no such model file"):
        speechrnn.load(tmp_path / "gone.ckpt")


# ---- Checkpoints ----------------------------------------------------------------------------------------


class FakeExport:
    """Stands in for ``subprocess.run``: writes a model file, or fails as told."""

    def __init__(self, *, stderr: str = "", write: bool = True) -> None:
        self.commands: list[list[str]] = []
        self.environments: list[dict[str, str]] = []
        self.stderr, self.write = stderr, write

    def __call__(self, command: list[str], **options: Any) -> subprocess.CompletedProcess[bytes]:
        assert not options.get("shell")
        self.commands.append(command)
        self.environments.append(options["env"])
        if self.write:
            write_model(Path(command[-1]))
        return subprocess.CompletedProcess(command, int(bool(self.stderr)), b"", self.stderr.encode())


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SPEECHRNN_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    path = tmp_path / "my best.ckpt"
    path.write_bytes(b"weights")
    return path


def fake_export(monkeypatch: pytest.MonkeyPatch, **options: Any) -> FakeExport:
    export = FakeExport(**options)
    monkeypatch.setattr(subprocess, "run", export)
    return export


def test_a_checkpoint_is_exported_once_and_kept(
    cache: Path, checkpoint: Path, wav: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    export = fake_export(monkeypatch)
    assert Transcriber(checkpoint).transcribe(wav).text == "ab c"
    assert Transcriber(checkpoint).transcribe(wav).text == "ab c"
    assert len(export.commands) == 1
    command = export.commands[0]
    assert command[:-1] == [sys.executable, "-P", "-m", "speechrnn", "export", str(checkpoint)]
    assert [path.suffix for path in cache.iterdir()] == [".onnx"]  # nothing half-written stays


def test_the_export_runs_this_very_package(
    cache: Path, checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    export = fake_export(monkeypatch)
    checkpoint_cache.exported_checkpoint(checkpoint)
    first = export.environments[0]["PYTHONPATH"].split(os.pathsep)[0]
    assert Path(first) == Path(speechrnn.__file__).parent.parent


def test_a_changed_checkpoint_is_exported_again(
    cache: Path, checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    export = fake_export(monkeypatch)
    first = checkpoint_cache.exported_checkpoint(checkpoint)
    checkpoint.write_bytes(b"other weights")
    assert checkpoint_cache.exported_checkpoint(checkpoint) != first
    assert len(export.commands) == 2


def test_exporting_is_announced(
    cache: Path, checkpoint: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    fake_export(monkeypatch)
    checkpoint_cache.exported_checkpoint(checkpoint)
    checkpoint_cache.exported_checkpoint(checkpoint)
    (record,) = caplog.records
    assert "my best.ckpt: exporting the checkpoint, once" in record.getMessage()


def test_a_model_from_a_checkpoint_is_called_by_the_checkpoints_name(
    cache: Path, checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_export(monkeypatch)
    assert Transcriber(checkpoint).name == "my best"


def test_a_checkpoint_that_cannot_be_exported_says_why_and_leaves_nothing(
    cache: Path, checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stderr = f"some notice\nspeechrnn: error: {checkpoint}: checkpoint format 3\n"
    fake_export(monkeypatch, stderr=stderr, write=False)
    with pytest.raises(CheckpointError, match=r"best\.ckpt: cannot be exported: checkpoint format 3$"):
        Transcriber(checkpoint)
    assert list(cache.iterdir()) == []


def test_an_export_that_dies_without_a_word_is_reported(
    cache: Path, checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_export(monkeypatch, write=False)
    with pytest.raises(CheckpointError, match="cannot be exported: exit status 0"):
        Transcriber(checkpoint)


def test_a_cache_that_cannot_be_written_names_folder_and_cure(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("SPEECHRNN_CACHE", str(tmp_path / "file" / "cache"))
    fake_export(monkeypatch)
    with pytest.raises(CheckpointError, match=r"kept in .*cache: Not a directory; set SPEECHRNN_CACHE"):
        Transcriber(checkpoint)


def test_a_checkpoint_that_is_missing_or_unreadable_is_named(cache: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"gone\.ckpt: no such checkpoint"):
        checkpoint_cache.exported_checkpoint(tmp_path / "gone.ckpt")
    (tmp_path / "folder.ckpt").mkdir()
    with pytest.raises(CheckpointError, match=r"folder\.ckpt: cannot be read"):
        checkpoint_cache.exported_checkpoint(tmp_path / "folder.ckpt")


@pytest.mark.parametrize(
    ("platform", "variables", "folder"),
    [
        ("linux", {"XDG_CACHE_HOME": "/c"}, "/c/speechrnn"),
        ("linux", {}, "/home/ann/.cache/speechrnn"),
        ("darwin", {}, "/home/ann/Library/Caches/speechrnn"),
        ("win32", {"LOCALAPPDATA": "/local"}, "/local/speechrnn"),
        ("linux", {"SPEECHRNN_CACHE": "/mine", "XDG_CACHE_HOME": "/c"}, "/mine"),
    ],
)
def test_exports_are_kept_where_the_system_keeps_caches(
    monkeypatch: pytest.MonkeyPatch, platform: str, variables: dict[str, str], folder: str
) -> None:
    for name in ("SPEECHRNN_CACHE", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(Path, "home", lambda: Path("/home/ann"))
    assert checkpoint_cache.cache_folder() == Path(folder)
