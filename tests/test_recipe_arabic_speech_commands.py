"""Arabic Speech Commands: the official split, and releases that are not whole."""

from pathlib import Path

import pytest
import soundfile as sf
from recipe_modules import arabic_speech_commands as arabic
from releases import write_arabic_speech_commands

from speechrnn.errors import ManifestError
from speechrnn.manifest import read_manifest
from speechrnn.training import download
from speechrnn.training.download import DownloadError


@pytest.fixture
def release(tmp_path: Path) -> Path:
    return write_arabic_speech_commands(tmp_path / arabic.RELEASE)


def test_the_official_lists_are_the_splits(
    release: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    arabic.prepare_arabic_speech_commands(release, tmp_path / "out")
    for split, speaker in (("train", "00000001"), ("dev", "00000002"), ("test", "00000003")):
        utterances = read_manifest(tmp_path / "out" / f"{split}.jsonl.gz")
        assert sorted((u.text, u.speaker) for u in utterances) == [("yes", speaker), ("zoom in", speaker)]
    assert "the lists are not the official ones" in caplog.text


def test_the_official_lists_are_known_whatever_the_format(
    release: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arabic, "LISTS_SHA256", arabic.lists_digest(arabic.read_release(release)))
    clip = release / "dataset" / "yes" / "00000001_NO_01.wav"
    samples, rate = sf.read(clip)
    sf.write(clip.with_suffix(".flac"), samples, rate)
    clip.unlink()
    arabic.prepare_arabic_speech_commands(release, tmp_path / "out")
    assert not caplog.text
    assert arabic.download_arabic_speech_commands(tmp_path) == release


def test_a_missing_list_is_named(release: Path, tmp_path: Path) -> None:
    (release / "val.csv").unlink()
    with pytest.raises(ManifestError, match=r"lacks val\.csv"):
        arabic.prepare_arabic_speech_commands(release, tmp_path / "out")


def test_a_missing_clip_is_named(release: Path, tmp_path: Path) -> None:
    (release / "dataset" / "yes" / "00000002_NO_01.wav").unlink()
    with pytest.raises(
        ManifestError, match=r"1 clips of the lists are missing: dataset/yes/00000002_NO_01\.wav"
    ):
        arabic.prepare_arabic_speech_commands(release, tmp_path / "out")


def test_a_line_that_cannot_be_understood_is_named(release: Path, tmp_path: Path) -> None:
    (release / "val.csv").write_text("file,class\ndataset/yes/00000002_NO_01.wav,no\n")
    with pytest.raises(ManifestError, match=r"val\.csv:2: must be 'dataset/WORD/SPEAKER_NO_TAKE\.wav,WORD'"):
        arabic.prepare_arabic_speech_commands(release, tmp_path / "out")


def test_a_speaker_in_two_lists_is_refused(release: Path, tmp_path: Path) -> None:
    (release / "val.csv").write_text((release / "train.csv").read_text())
    with pytest.raises(ManifestError, match=r"speaker 00000001 is in train\.csv and in val\.csv"):
        arabic.prepare_arabic_speech_commands(release, tmp_path / "out")


def test_a_download_that_is_something_else_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "download_release", lambda *_, **__: None)
    with pytest.raises(DownloadError, match="what was downloaded is not the Arabic Speech Commands"):
        arabic.download_arabic_speech_commands(tmp_path)


def test_the_command_line_prepares_and_sums_up(
    release: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert arabic.main(["--source", str(release), "--out", str(tmp_path / "out")]) == 0
    assert "train.jsonl.gz: 2 utterances" in capsys.readouterr().out
