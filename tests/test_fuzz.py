"""Damaged files give our errors and no others; SPEECHRNN_FUZZ=100000 tries as many of each kind."""

import logging
from pathlib import Path

import numpy as np
import pytest
from fuzzing import audio_seeds, mutations, num_cases
from tiny_model import write_model

from speechrnn.audio import load_audio, read_format
from speechrnn.errors import AudioError, ModelFileError
from speechrnn.runtime.metadata import with_metadata
from speechrnn.runtime.model_file import ModelFile
from speechrnn.sound_file import ffmpeg

logging.getLogger("speechrnn").addHandler(logging.NullHandler())


def test_damaged_audio_is_an_audio_error_or_a_waveform(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ffmpeg.shutil, "which", lambda name: None)  # ffmpeg is not what is tested
    num_read = 0
    for data in mutations(audio_seeds(), num_cases()):
        try:
            waveform = load_audio(data, sample_rate=16_000, max_s=60.0)
        except AudioError:
            continue
        num_read += 1
        assert waveform.dtype == np.float32
        assert waveform.ndim == 1
        assert 0 < len(waveform) <= 61 * 16_000
        assert np.abs(waveform).max() <= 1.0
        read_format(data)
    assert 0 < num_read < num_cases()


def test_a_damaged_model_file_is_a_model_file_error_or_a_model(tmp_path: Path) -> None:
    seeds = [write_model(tmp_path / f"{task}.onnx", task).read_bytes() for task in ("ctc", "classification")]
    seeds += [b"", bytes(100), b"this is text"]
    path, num_opened = tmp_path / "damaged.onnx", 0
    clip = np.zeros((1, 1600), dtype=np.float32)
    for data in mutations(seeds, num_cases()):
        path.write_bytes(data)
        try:
            model = ModelFile(path, threads=1)
            num_opened += 1
            model.run(clip, np.array([1600]))
        except ModelFileError:
            continue
    assert num_opened < num_cases()


def test_metadata_is_written_into_a_damaged_model_file_or_refused(tmp_path: Path) -> None:
    seed = write_model(tmp_path / "tones.onnx").read_bytes()
    for data in mutations([seed], num_cases()):
        try:
            edited = with_metadata(data, {"key": "value"})
        except (ValueError, IndexError):  # what write_metadata turns into a ModelFileError
            continue
        assert edited.endswith(b"\n\x03key\x12\x05value")
