"""LibriSpeech's prepare.py: the release's tree, held-out speakers, and parts that are not whole."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from recipe_modules import librispeech
from releases import write_librispeech

from speechrnn.errors import ManifestError
from speechrnn.manifest import read_manifest
from speechrnn.training.download import DownloadError


def ids(out: Path) -> dict[str, list[str]]:
    return {s: [u.id for u in read_manifest(out / f"{s}.jsonl.gz")] for s in ("train", "dev", "test")}


@pytest.mark.parametrize("suffix", [".flac", ".wav", ".ogg"])
def test_the_five_hours_are_split_by_speaker(tmp_path: Path, suffix: str) -> None:
    root = write_librispeech(tmp_path / "release", "train-clean-5", suffix)
    librispeech.prepare_librispeech(root, tmp_path / "out")
    assert ids(tmp_path / "out") == {
        "train": ["19-198-0000", "19-198-0001"],
        "dev": ["1970-10594-0000"],
        "test": ["3242-8112-0000"],
    }
    first, second = read_manifest(tmp_path / "out" / "train.jsonl.gz")
    assert (first.text, second.text, first.speaker) == ("northanger abbey", "that's all", "19")


def test_held_out_speakers_are_in_one_split_each() -> None:
    assert set(librispeech.DEV_SPEAKERS).isdisjoint(librispeech.TEST_SPEAKERS)


def test_official_parts_are_taken_as_they_are(tmp_path: Path) -> None:
    for part in ("train-clean-100", "dev-clean", "test-clean"):
        write_librispeech(tmp_path / "LibriSpeech", part)
    status = librispeech.main(
        [
            "--source",
            str(tmp_path),
            "--train",
            "train-clean-100",
            "--dev",
            "dev-clean",
            "--test",
            "test-clean",
            "--out",
            str(tmp_path / "out"),
        ]
    )
    assert status == 0
    assert {split: len(names) for split, names in ids(tmp_path / "out").items()} == dict.fromkeys(
        ("train", "dev", "test"), 4
    )


def test_a_dev_part_without_a_test_part_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="--dev and --test go together"):
        librispeech.prepare_librispeech(tmp_path, tmp_path / "out", dev="dev-clean")


def test_a_missing_part_is_named(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="has no folder train-clean-5"):
        librispeech.prepare_librispeech(tmp_path, tmp_path / "out")


def test_a_part_without_transcripts_is_refused(tmp_path: Path) -> None:
    (tmp_path / "train-clean-5").mkdir()
    with pytest.raises(ManifestError, match="holds no transcript"):
        librispeech.prepare_librispeech(tmp_path, tmp_path / "out")


def test_missing_recordings_are_named(tmp_path: Path) -> None:
    root = write_librispeech(tmp_path, "train-clean-5")
    (root / "train-clean-5" / "19" / "198" / "19-198-0001.flac").unlink()
    with pytest.raises(ManifestError, match=r"1 utterances have no recording .*: 19-198-0001"):
        librispeech.prepare_librispeech(root, tmp_path / "out")


def test_a_line_without_text_is_named(tmp_path: Path) -> None:
    root = write_librispeech(tmp_path, "train-clean-5")
    path = root / "train-clean-5" / "19" / "198" / "19-198.trans.txt"
    path.write_text("19-198-0000 NORTHANGER\n19-198-0001\n", encoding="utf-8")
    with pytest.raises(ManifestError, match=r"19-198.trans.txt:2: must be 'UTTERANCE TEXT'"):
        librispeech.prepare_librispeech(root, tmp_path / "out")


def test_a_part_is_downloaded_once_and_appears_only_when_it_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    release = write_librispeech(tmp_path / "LibriSpeech", "train-clean-5")
    asked: list[Any] = []

    def copy(urls: list[str], archive: Path, **digests: Any) -> None:
        asked.append((urls[0].rpartition("/")[2], digests["md5"], digests["sha256"]))
        shutil.copytree(release, archive.parent / "LibriSpeech")

    monkeypatch.setattr(librispeech, "download_release", copy)
    for _ in range(2):
        root = librispeech.download_librispeech(tmp_path / "out", ["train-clean-5"])
    assert (root / "train-clean-5" / "19" / "198" / "19-198.trans.txt").is_file()
    assert asked == [("train-clean-5.tar.gz", librispeech.MINI_MD5["train-clean-5"], None)]


def test_a_part_that_does_not_exist_is_refused_before_any_download(tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match="no part 'train-clean-7'; parts are train-clean-5"):
        librispeech.download_librispeech(tmp_path, ["train-clean-7"])
