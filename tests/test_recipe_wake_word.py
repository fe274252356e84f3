"""A wake word from synthetic speech: what is trained on, what tests, and what is refused."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from recipe_modules import wake_word

from speechrnn.errors import ManifestError
from speechrnn.manifest import Utterance, read_manifest
from speechrnn.training import synthetic_speech
from speechrnn.training.prepare import prepare_utterances


def write_clip(path: Path, seconds: float = 1.0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    sf.write(path, 0.1 * np.ones(int(16000 * seconds), np.float32), 16000)
    return path


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Path]:
    """Write speech, noise and recordings; a synthesiser that says everything the same stands in."""
    monkeypatch.setattr(synthetic_speech, "installed_engines", lambda: ("espeak-ng",))
    monkeypatch.setattr(synthetic_speech, "say", lambda *_: np.ones(8000, np.float32) / 2)
    texts = {
        "train": ["the grass was green", "alexa is a name"],
        "dev": ["a few words"],
        "test": ["more of it"],
    }
    for split, said in texts.items():
        audio = write_clip(tmp_path / f"{split}.wav", seconds=3)
        spoken = [
            Utterance(id=f"{split}{i}", audio=audio, text=text, speaker=split) for i, text in enumerate(said)
        ]
        prepare_utterances(spoken, tmp_path / "speech" / f"{split}.jsonl.gz")
        noise = [Utterance(id=f"hum-{split}", audio=audio, text="")]
        prepare_utterances(noise, tmp_path / "noise" / f"{split}.jsonl.gz")
    for number in range(5):
        write_clip(tmp_path / "real" / "alexa" / f"{number}.wav")
    return {"speech": tmp_path / "speech", "noise": tmp_path / "noise"}


def labels(out: Path, split: str) -> Counter[str]:
    return Counter(u.text for u in read_manifest(out / f"{split}.jsonl.gz"))


def test_without_recordings_a_tenth_of_the_synthetic_clips_tests(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    wake_word.prepare_wake_word(["Alexa"], out, **folders, num_clips=20)
    # of 20 and 20 clips, 2 and 2 are dev; one of two utterances of speech does not say the word, and one of noise:
    # three seconds of each
    assert labels(out, "train") == {"alexa": 18, "_other_": 18 + 3 + 3}
    assert labels(out, "dev") == labels(out, "test") == {"alexa": 2, "_other_": 2 + 1}


def test_recordings_test_and_some_train_when_asked_to(folders: dict[str, Path], tmp_path: Path) -> None:
    out, real = tmp_path / "out", tmp_path / "real"
    wake_word.prepare_wake_word(["alexa"], out, **folders, num_clips=10, recordings=real, num_real=2)
    assert labels(out, "train") == {"alexa": 9 + 2 * wake_word.REAL_REPEATS, "_other_": 9 + 3 + 3}
    assert labels(out, "test") == {"alexa": 3, "_other_": 1 + 1}
    heard = {
        split: {u.audio for u in read_manifest(out / f"{split}.jsonl.gz")} for split in ("train", "test")
    }
    assert not heard["train"] & heard["test"]


def test_several_wake_words_share_a_detector(folders: dict[str, Path], tmp_path: Path) -> None:
    wake_word.prepare_wake_word(["alexa", "view  Glass"], tmp_path / "out", **folders, num_clips=10)
    assert labels(tmp_path / "out", "train") == {"alexa": 9, "view glass": 9, "_other_": 18 + 3 + 3}


def test_every_second_of_other_speech_trains_and_the_middle_one_tests(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    wake_word.prepare_wake_word(["alexa"], tmp_path / "out", **folders, num_clips=10)
    stretches = {
        split: [
            (u.start_s, u.duration_s)
            for u in read_manifest(tmp_path / "out" / f"{split}.jsonl.gz")
            if u.id.startswith(f"_other_-{split}")
        ]
        for split in ("train", "dev")
    }
    assert stretches == {"train": [(0.0, 1.0), (1.0, 1.0), (2.0, 1.0)], "dev": [(1.0, 1.0)]}


def test_too_few_recordings_are_refused(folders: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"alexa: must hold more than 5 recordings .*, got 5"):
        wake_word.prepare_wake_word(
            ["alexa"], tmp_path / "out", **folders, num_clips=10, recordings=tmp_path / "real", num_real=5
        )


def test_to_train_on_recordings_takes_recordings(folders: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="--num-real 5 needs --recordings"):
        wake_word.prepare_wake_word(["alexa"], tmp_path / "out", **folders, num_clips=10, num_real=5)
    assert not (tmp_path / "out").exists()


def test_a_phrase_that_is_given_twice_is_refused_before_it_is_said(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    with pytest.raises(ManifestError, match="--phrase 'view glass' is given 2 times"):
        wake_word.prepare_wake_word(["view glass", "alexa", " View  Glass"], tmp_path / "out", **folders)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--num-clips", "0"], "--num-clips: must be a whole number >= 1, got '0'"),
        (["--num-clips=-3"], "--num-clips: must be a whole number >= 1, got '-3'"),
        (["--num-real=-1"], "--num-real: must be a whole number >= 0, got '-1'"),
    ],
)
def test_numbers_that_count_nothing_are_wrong_usage(
    options: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as status:
        wake_word.main(["--phrase", "alexa", "--speech", "s", "--noise", "n", *options])
    assert status.value.code == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("phrase", ["", "r2d2", "go!"])
def test_what_nobody_can_say_is_refused(phrase: str, folders: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="--phrase must be a word or a few, of letters"):
        wake_word.prepare_wake_word([phrase], tmp_path / "out", **folders)


def test_the_command_line_prepares_and_sums_up(
    folders: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--phrase", "alexa", "--num-clips", "10", "--out", str(tmp_path / "out")]
    options += ["--speech", str(folders["speech"]), "--noise", str(folders["noise"]), "--num-real", "0"]
    assert wake_word.main(options) == 0
    assert "train.jsonl.gz: 24 utterances" in capsys.readouterr().out
    assert wake_word.main(options) == 1
    assert "--overwrite replaces it" in capsys.readouterr().err
