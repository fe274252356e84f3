"""The phones' prepare.py: other recipes' manifests, said by a dictionary."""

from pathlib import Path
from typing import Any

import pytest
import soundfile
from recipe_modules import phones
from tiny_model import SAMPLE_RATE, speak

from speechrnn.errors import ManifestError
from speechrnn.manifest import read_manifest
from speechrnn.training.prepare import prepare

LINES = ["a AH0", "abba AE1 B AH0", "cab K AE1 B", "go G OW1"]


@pytest.fixture
def folders(tmp_path: Path) -> dict[str, Path]:
    """Write a dictionary and the manifests of the other recipes; return the arguments."""
    soundfile.write(tmp_path / "1.wav", speak("ab"), SAMPLE_RATE)
    (tmp_path / phones.DICTIONARY).write_text("\n".join(LINES), encoding="utf-8")
    texts = {
        "librispeech": {"train": ["a cab", "a xyz"], "dev": ["abba"], "test": ["cab", "xyz"]},
        "an4": {"train": ["a", "go"]},
        "speech_commands": {"train": ["go"]},
    }
    for corpus, splits in texts.items():
        for split, lines in splits.items():
            rows = [f"1.wav,{text},{corpus}{split}{n},s{n}" for n, text in enumerate(lines)]
            table = tmp_path / f"{corpus}_{split}.csv"
            table.write_text("\n".join(["audio,text,id,speaker", *rows]) + "\n", encoding="utf-8")
            prepare(table, tmp_path / corpus / f"{split}.jsonl.gz")
    return {corpus: tmp_path / corpus for corpus in texts}


def texts_of(out: Path, split: str) -> list[str]:
    return [utterance.text for utterance in read_manifest(out / f"{split}.jsonl.gz")]


def arguments(tmp_path: Path, folders: dict[str, Path]) -> list[str]:
    options = {"--" + corpus.replace("_", "-"): folder for corpus, folder in folders.items()}
    given = {"--source": tmp_path, "--out": tmp_path / "out", **options}
    return [str(part) for pair in given.items() for part in pair]


def test_words_become_phones_and_an_a_is_a_letter_where_people_spell(
    tmp_path: Path, folders: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert phones.main(arguments(tmp_path, folders)) == 0
    assert texts_of(tmp_path / "out", "train") == ["AH K AE B", "EY", "G OW", "G OW"]
    assert texts_of(tmp_path / "out", "dev") == ["AE B AH"]
    assert texts_of(tmp_path / "out", "test") == ["K AE B"]
    assert "test.jsonl.gz: left out 1 of 2, with 'xyz' (1×)" in capsys.readouterr().err


def test_segments_stand_for_the_utterances_that_they_were_cut_from(
    tmp_path: Path, folders: dict[str, Path]
) -> None:
    segments = folders["an4"] / "train.jsonl.gz"
    folders["an4"] = folders["speech_commands"]
    folders["speech_commands"] = folders["librispeech"]
    given = [*arguments(tmp_path, folders), "--segments", str(segments)]
    assert phones.main(given) == 0
    assert texts_of(tmp_path / "out", "train") == ["AH", "G OW", "G OW", "AH K AE B"]


def test_more_speech_is_trained_on_only(tmp_path: Path, folders: dict[str, Path]) -> None:
    more = [
        part
        for split in ("dev", "test")
        for part in ("--more", str(folders["librispeech"] / f"{split}.jsonl.gz"))
    ]
    assert phones.main([*arguments(tmp_path, folders), *more]) == 0
    assert texts_of(tmp_path / "out", "train")[-2:] == ["AE B AH", "K AE B"]
    assert texts_of(tmp_path / "out", "dev") == ["AE B AH"]


def test_a_recipe_that_was_not_prepared_is_named(tmp_path: Path, folders: dict[str, Path]) -> None:
    folders["an4"] = tmp_path / "no"
    with pytest.raises(
        ManifestError, match=r"no/train.jsonl.gz: no such manifest; prepare that recipe first"
    ):
        phones.prepare_phones(tmp_path / phones.DICTIONARY, tmp_path / "out", **folders)


def test_a_dictionary_of_another_language_is_refused(tmp_path: Path, folders: dict[str, Path]) -> None:
    (tmp_path / phones.DICTIONARY).write_text("oui UW IY\n", encoding="utf-8")
    with pytest.raises(ManifestError, match="words that the dictionary lacks in every utterance: 'a' "):
        phones.prepare_phones(tmp_path / phones.DICTIONARY, tmp_path / "out", **folders)


def test_the_dictionary_is_downloaded_with_its_digest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []
    monkeypatch.setattr(phones, "download", lambda urls, path, **options: asked.append((urls, path, options)))
    assert phones.download_dictionary(tmp_path) == tmp_path
    [(urls, path, options)] = asked
    assert path == tmp_path / "cmudict.dict"
    assert all(url.startswith("https://") and phones.COMMIT in url for url in urls)
    assert options["sha256"] == phones.SHA256
