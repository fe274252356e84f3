"""Speech Commands: the official lists, fixed samples of unknown and silence, and folders split by speaker."""

import shutil
from collections import Counter
from pathlib import Path

import pytest
from recipe_modules import speech_commands
from releases import COMMAND_WORDS, name_command, write_noise, write_speech_commands

from speechrnn.cli.main import main
from speechrnn.errors import AudioError, ManifestError
from speechrnn.manifest import Utterance, read_manifest
from speechrnn.training import download
from speechrnn.training.download import DownloadError


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_speech_commands(tmp_path_factory.mktemp("release"))


@pytest.fixture
def release(written: Path, tmp_path: Path) -> Path:
    """Copy the small release, for tests that take something out of it."""
    return Path(shutil.copytree(written, tmp_path / "release"))


def splits_of(out: Path) -> dict[str, list[Utterance]]:
    return {split: read_manifest(out / f"{split}.jsonl.gz") for split in ("train", "dev", "test")}


def test_twelve_classes_follow_the_official_lists_with_a_tenth_of_unknown_and_silence(
    written: Path, tmp_path: Path
) -> None:
    speech_commands.prepare_speech_commands(written, tmp_path)
    splits = splits_of(tmp_path)
    # ten words by three speakers make 30 clips of commands, so three of each other class; else ten and one
    for split, takes, others in (("train", 3, 3), ("dev", 1, 1), ("test", 1, 1)):
        counts = Counter(u.text for u in splits[split])
        assert counts == dict.fromkeys(speech_commands.COMMANDS, takes) | {
            "_unknown_": others,
            "_silence_": others,
        }
    spoken = {split: {u.speaker for u in us if u.speaker} for split, us in splits.items()}
    assert spoken["dev"] == {"00000003"}
    assert spoken["test"] == {"00000004"}


def test_no_split_hears_the_silence_of_another(written: Path, tmp_path: Path) -> None:
    speech_commands.prepare_speech_commands(written, tmp_path)
    heard = [
        (u.audio.name, u.start_s, u.start_s + 1.0, split)
        for split, us in splits_of(tmp_path).items()
        for u in us
        if u.text == "_silence_"
    ]
    # 40 s: training hears the first 32 s, dev the next four, test the last four
    limits = {"train": (0.0, 32.0), "dev": (32.0, 36.0), "test": (36.0, 40.0)}
    assert all(limits[split][0] <= start and end <= limits[split][1] for _, start, end, split in heard)
    assert {audio for audio, *_, split in heard if split == "train"} == {"pink_noise.wav", "running_tap.wav"}


def test_the_samples_are_the_same_every_time_whatever_the_folder(
    written: Path, release: Path, tmp_path: Path
) -> None:
    speech_commands.prepare_speech_commands(written, tmp_path / "a")
    speech_commands.prepare_speech_commands(release, tmp_path / "b")
    ids = [[u.id for us in splits_of(tmp_path / out).values() for u in us] for out in "ab"]
    assert ids[0] == ids[1]


def test_all_words_are_classes_of_their_own_when_asked_for(written: Path, tmp_path: Path) -> None:
    speech_commands.prepare_speech_commands(written, tmp_path, num_classes=35)
    splits = splits_of(tmp_path)
    assert {split: len(us) for split, us in splits.items()} == {"train": 36, "dev": 12, "test": 12}
    assert {u.text for u in splits["train"]} == set(COMMAND_WORDS)


def test_folders_without_lists_are_split_by_speaker(
    release: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(speech_commands, "HELD_OUT", {"dev": 1, "test": 2})
    (release / "testing_list.txt").unlink()
    write_noise(release / "_unknown_" / "cat_00000001_nohash_0.wav")
    for number in range(10):
        write_noise(release / "_silence_" / f"{number}.wav")
    speech_commands.prepare_speech_commands(release, tmp_path)
    splits = splits_of(tmp_path)
    spoken = [{u.speaker for u in us if u.speaker} for us in splits.values()]
    assert [len(speakers) for speakers in spoken] == [2, 1, 2]
    assert not spoken[0] & spoken[1] | spoken[1] & spoken[2] | spoken[0] & spoken[2]
    assert sum(u.text == "_silence_" for us in splits.values() for u in us) == 10
    # what was sampled stays the held-out sets' unknown; training takes every other word of its speakers
    assert sum(u.text == "_unknown_" for u in splits["train"]) >= 4


def test_read_speech_without_commands_and_noise_add_to_the_training_set(
    written: Path, tmp_path: Path
) -> None:
    for clip, seconds in (("long", 5.0), ("go", 5.0), ("short", 0.5), ("hum", 3.0)):
        write_noise(tmp_path / f"{clip}.wav", seconds)
    rows = (
        "audio,text,speaker",
        "long.wav,the sea was calm,ann",
        "go.wav,they go home,ann",
        "short.wav,indeed,bob",
    )
    (tmp_path / "speech.csv").write_text("\n".join(rows) + "\n")
    (tmp_path / "noise.csv").write_text("audio,text\nhum.wav,\n")
    more = {"speech": tmp_path / "speech.csv", "noise": tmp_path / "noise.csv"}
    speech_commands.prepare_speech_commands(written, tmp_path / "out", **more)
    added = [u for u in splits_of(tmp_path / "out")["train"] if u.audio.parent == tmp_path]
    # the middle second of five begins at two; who says "go" gives no example of unknown
    assert [(u.text, u.audio.name, u.start_s, u.duration_s) for u in added] == [
        ("_unknown_", "long.wav", 2.0, 1.0),
        ("_unknown_", "short.wav", 0.0, 0.5),
        ("_silence_", "hum.wav", 1.0, 1.0),
    ]
    speech_commands.prepare_speech_commands(written, tmp_path / "detector", detector=True, **more)
    added = [
        u for u in splits_of(tmp_path / "detector")["train"] if u.text == "_unknown_" and u.speaker == "ann"
    ]
    # of five seconds the first and the fourth
    assert [(u.audio.name, u.start_s, u.duration_s) for u in added] == [
        ("long.wav", 0.0, 1.0),
        ("long.wav", 3.0, 1.0),
    ]


def test_what_is_missing_is_named(release: Path, tmp_path: Path) -> None:
    shutil.rmtree(release / "stop")
    with pytest.raises(ManifestError, match="has no folder for stop"):
        speech_commands.prepare_speech_commands(release, tmp_path / "out")


def test_a_listed_clip_that_is_missing_is_named(release: Path, tmp_path: Path) -> None:
    (release / name_command("bed", 4)).unlink()
    with pytest.raises(
        ManifestError, match="1 clips of the official lists are missing: bed/00000004_nohash_0"
    ):
        speech_commands.prepare_speech_commands(release, tmp_path / "out")


def test_a_clip_without_a_speaker_is_named(release: Path, tmp_path: Path) -> None:
    write_noise(release / "bed" / "mine.wav")
    with pytest.raises(ManifestError, match=r"mine\.wav: a clip's name must be like 0a7c2a8d_nohash_0\.wav"):
        speech_commands.prepare_speech_commands(release, tmp_path / "out")


def test_a_release_without_background_is_named(release: Path, tmp_path: Path) -> None:
    shutil.rmtree(release / "_background_noise_")
    with pytest.raises(ManifestError, match="holds no recording of background, for _silence_"):
        speech_commands.prepare_speech_commands(release, tmp_path / "out")


def test_damaged_background_is_named(release: Path, tmp_path: Path) -> None:
    (release / "_background_noise_" / "pink_noise.wav").write_bytes(b"RIFF")
    with pytest.raises(AudioError, match=r"pink_noise\.wav cannot be read"):
        speech_commands.prepare_speech_commands(release, tmp_path / "out")


def test_clips_from_elsewhere_are_trained_on_and_nothing_else(written: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_noise(tmp_path / f"{name}.wav", 1.0)
    (tmp_path / "more.csv").write_text("audio,text,speaker\na.wav,go,ann\nb.wav,went,ann\n")
    counts = []
    for number, more in enumerate([[], [tmp_path / "more.csv"]]):
        speech_commands.prepare_speech_commands(written, tmp_path / str(number), more=more)
        splits = splits_of(tmp_path / str(number))
        counts.append({name: Counter(u.text for u in split) for name, split in splits.items()})
    assert counts[1]["train"] - counts[0]["train"] == {"go": 1}
    assert [counts[1][name] for name in ("dev", "test")] == [counts[0][name] for name in ("dev", "test")]
    (tmp_path / "more.csv").write_text("audio,text\nb.wav,went\n")
    with pytest.raises(ManifestError, match="--more holds no clip of _silence_, _unknown_, down"):
        speech_commands.prepare_speech_commands(written, tmp_path / "2", more=[tmp_path / "more.csv"])


def test_speech_that_is_all_commands_is_named(written: Path, tmp_path: Path) -> None:
    write_noise(tmp_path / "a.wav")
    (tmp_path / "speech.csv").write_text("audio,text\na.wav,go on\n")
    with pytest.raises(ManifestError, match="--speech holds no utterance without a command"):
        speech_commands.prepare_speech_commands(written, tmp_path / "out", speech=tmp_path / "speech.csv")


def test_too_few_speakers_cannot_be_split(release: Path, tmp_path: Path) -> None:
    (release / "testing_list.txt").unlink()
    with pytest.raises(ManifestError, match="5 speakers are too few"):
        speech_commands.prepare_speech_commands(release, tmp_path / "out")


def test_a_release_that_is_there_is_not_downloaded_again(
    release: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "download_release", pytest.fail)
    release.rename(tmp_path / speech_commands.RELEASE)
    assert speech_commands.download_speech_commands(tmp_path) == tmp_path / speech_commands.RELEASE


def test_a_download_that_is_something_else_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "download_release", lambda *_, **__: None)
    with pytest.raises(DownloadError, match=r"lacks validation_list\.txt, testing_list\.txt"):
        speech_commands.download_speech_commands(tmp_path)


def test_the_command_line_prepares_and_sums_up(
    written: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert speech_commands.main(["--source", str(written), "--out", str(tmp_path)]) == 0
    assert "train.jsonl.gz: 36 utterances" in capsys.readouterr().out
    assert main(["check", str(tmp_path / "test.jsonl.gz")]) == 0
