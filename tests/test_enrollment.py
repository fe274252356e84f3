"""Keywords from recordings of tones, kept in files."""

import itertools
import logging
import os
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import soundfile
from tiny_model import SAMPLE_RATE, speak, write_model

from speechrnn.cli.tuned_model import keep_choice
from speechrnn.errors import AudioError, ConfigError, TextError
from speechrnn.runtime.enrollment import enroll, load_enrollment, save_enrollment
from speechrnn.runtime.keyword_files import is_meant_as_file, read_keywords, store_thresholds
from speechrnn.runtime.keyword_spotter import KeywordSpotter, SpotterOptions, spot
from speechrnn.runtime.model_file import ModelFile
from speechrnn.text import Vocabulary


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> ModelFile:
    return ModelFile(write_model(tmp_path_factory.mktemp("model") / "tones.onnx"), threads=1)


def record(folder: Path, *texts: str, levels: Iterable[float] = itertools.repeat(1.0)) -> list[str]:
    names = []
    for number, (text, level) in enumerate(zip(texts, levels, strict=False)):
        names.append(str(folder / f"{number}.wav"))
        soundfile.write(names[-1], level * speak(text), SAMPLE_RATE)
    return names


def test_an_enrolled_keyword_is_found_and_another_is_not(model: ModelFile, tmp_path: Path) -> None:
    keyword = enroll(model, "sesame", record(tmp_path, "abc", "abc", "abc")).keyword
    waveform = np.concatenate([speak("bb"), speak("abc"), speak("cc")])
    [hit] = spot(model, waveform, [keyword], sample_rate=SAMPLE_RATE)
    assert hit.label == "sesame"
    assert hit.start_s == pytest.approx(0.6, abs=0.05)
    assert spot(model, speak("ccaacc"), [keyword], sample_rate=SAMPLE_RATE) == []


@pytest.mark.parametrize(("other", "agreement", "num_kept"), [("bab", 0.55, 3), ("acc", 0.66, 4)])
def test_recordings_that_agree_say_so_and_one_that_does_not_is_named(
    other: str,
    agreement: float,
    num_kept: int,
    model: ModelFile,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.WARNING):
        clips = record(tmp_path, "abc", "abc", "abc", other, levels=(1.0, 0.6, 0.53, 1.0))
        enrollment = enroll(model, "x", clips)
    assert min(enrollment.agreement[:3]) > 0.9
    assert enrollment.agreement[3] == pytest.approx(agreement, abs=0.02)
    assert len(enrollment.keyword.templates) == num_kept
    assert ("3.wav: left out, unlike" if num_kept == 3 else "3.wav: unlike the other") in caplog.text
    assert "0.wav" not in caplog.text


def test_nothing_is_left_out_of_few_recordings(model: ModelFile, tmp_path: Path) -> None:
    keyword = enroll(model, "x", record(tmp_path, "abc", "abc", "bab")).keyword
    assert len(keyword.templates) == 3


def test_a_recording_that_was_given_before_is_named(
    model: ModelFile, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    # Part of a recording is another take; what is the same but for a loudness is not the same, either.
    clips = record(tmp_path, "abca", "abc", "abca", "abca", levels=(1.0, 1.0, 0.6, 1.0))
    with caplog.at_level(logging.WARNING):
        enroll(model, "x", clips)
    same = [record.getMessage() for record in caplog.records if "are the same" in record.getMessage()]
    assert same == [f"recordings {clips[0]} and {clips[3]} are the same; take different ones"]


def test_silence_is_refused(model: ModelFile, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "silence.wav", np.zeros(SAMPLE_RATE), SAMPLE_RATE)
    with pytest.raises(AudioError, match=r"silence.wav: the model hears nothing in 1.0 s"):
        enroll(model, "x", [*record(tmp_path, "abc", "abc"), str(tmp_path / "silence.wav")])


def test_too_few_and_too_long_recordings_are_refused(
    model: ModelFile, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(ConfigError, match="1 recording is too few"):
        enroll(model, "x", record(tmp_path, "abc"))
    with pytest.raises(AudioError, match=r"1.wav: \d.\d s of speech; a keyword takes at most 3 s"):
        enroll(model, "x", record(tmp_path, "abc", "abc" * 7))
    with caplog.at_level(logging.WARNING):
        enroll(model, "x", record(tmp_path, "abc", "abc"))
    assert "2 recordings are few" in caplog.text


def test_a_classifier_cannot_enroll(tmp_path: Path) -> None:
    classifier = ModelFile(write_model(tmp_path / "labels.onnx", "classification"), threads=1)
    with pytest.raises(ConfigError, match="a classifier knows its labels only"):
        enroll(classifier, "x", record(tmp_path, "abc", "abc"))


def test_a_keyword_is_kept_and_read(model: ModelFile, tmp_path: Path) -> None:
    enrollment = enroll(model, "x y", record(tmp_path, "abc", "abc", "abc"))
    path = tmp_path / "x.npz"
    save_enrollment(replace(enrollment, keyword=replace(enrollment.keyword, threshold=0.7)), path)
    again = load_enrollment(path)
    assert (again.keyword.label, again.keyword.threshold) == ("x y", 0.7)
    assert again.network_sha256 == model.network_sha256
    for ours, theirs in zip(enrollment.keyword.templates, again.keyword.templates, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    with pytest.raises(ConfigError, match="exists already"):
        save_enrollment(enrollment, path)
    with pytest.raises(ConfigError, match=r"must end in .npz"):
        save_enrollment(enrollment, tmp_path / "x.txt")


def test_a_keyword_of_another_model_is_refused(model: ModelFile, tmp_path: Path) -> None:
    save_enrollment(enroll(model, "x", record(tmp_path, "abc", "abc", "abc")), tmp_path / "x.npz")
    network = onnx.load(write_model(tmp_path / "other.onnx"))
    network.graph.name = "another"
    onnx.save(network, tmp_path / "other.onnx")
    other = ModelFile(tmp_path / "other.onnx", threads=1)
    with pytest.raises(ConfigError, match=r"x.npz: keyword 'x' was enrolled with another model"):
        read_keywords([str(tmp_path / "x.npz")], other)


def test_a_keyword_outlives_another_card_and_thresholds(model: ModelFile, tmp_path: Path) -> None:
    save_enrollment(enroll(model, "x", record(tmp_path, "abc", "abc", "abc")), tmp_path / "x.npz")
    other = ModelFile(write_model(tmp_path / "other.onnx", name="other", results="better"), threads=1)
    assert other.sha256 != model.sha256
    assert [keyword.label for keyword in read_keywords([str(tmp_path / "x.npz")], other)] == ["x"]


@pytest.mark.parametrize("content", [b"", b"nonsense", b"PK\x03\x04broken"])
def test_a_file_that_is_none_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "x.npz").write_bytes(content)
    with pytest.raises(ConfigError, match="no file of an enrolled keyword"):
        load_enrollment(tmp_path / "x.npz")
    np.savez(tmp_path / "y.npz", a=np.zeros(1))
    with pytest.raises(ConfigError, match="no file of an enrolled keyword"):
        load_enrollment(tmp_path / "y.npz")
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        load_enrollment(tmp_path / "z.npz")


def test_keywords_come_from_texts_and_files_together(model: ModelFile, tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("# mine\nabca | abcb @first\n")
    save_enrollment(enroll(model, "x", record(tmp_path, "abc", "abc", "abc")), tmp_path / "x.npz")
    sources = [str(tmp_path / "words.txt"), str(tmp_path / "x.npz"), "bacb, caab #0.4"]
    keywords = read_keywords(sources, model)
    assert [keyword.label for keyword in keywords] == ["first", "x", "bacb", "caab"]
    assert keywords[3].threshold == 0.4
    with pytest.raises(ConfigError, match="label 'bacb' names 2 keywords"):
        read_keywords([*sources, "bacb"], model)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("", "keywords:1: a spelling is empty|keywords: no keyword"),
        ("none.txt", "none.txt: no such keyword file"),
    ],
)
def test_no_keywords_are_refused(model: ModelFile, source: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        read_keywords([source], model)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("kw.csv", "^kw.csv: no such keyword file$"),
        ("abc.npz, abca", "^abc.npz: no such keyword file; each file goes into a --keywords of its own$"),
        ("abca,abc.npz", "^abc.npz: no such keyword file; each file goes into"),
        ("words.txt,abca", "^words.txt: is a file among keywords; each file goes into"),
        ("words, abca", "^words: is a file among keywords; each file goes into"),
        ("my words.TXT", "no such keyword file"),
        (f"clips{os.sep}abc", "no such keyword file"),
        ("clips", "^clips: is a folder, not a keyword file$"),
        (f"clips{os.sep}", "is a folder, not a keyword file"),
        (".", "is a folder, not a keyword file"),
    ],
)
def test_a_file_s_name_is_no_keyword(
    source: str, said: str, model: ModelFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "clips").mkdir()
    for name in ("words", "words.txt"):
        (tmp_path / name).write_text("bacb\n")
    with pytest.raises(ConfigError, match=said):
        read_keywords([source], model)


@pytest.mark.parametrize("source", ["abca", "abca @a/b", "abca #0.25", "abca | bacb @x.csv", "abc" * 100])
def test_what_can_be_said_is_a_keyword(
    source: str, model: ModelFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "abca").mkdir()  # the clips of it
    assert len(read_keywords([source], model)) == 1


def test_what_cannot_be_said_is_refused_with_its_place(model: ModelFile, tmp_path: Path) -> None:
    with pytest.raises(
        TextError, match=r"keywords:1: keyword 'a\.b': the vocabulary .* has no character '\.'"
    ):
        read_keywords(["a.b"], model)  # no file's name
    (path := tmp_path / "words.txt").write_text("# ours\nabca\nxa\n", encoding="utf-8")
    with pytest.raises(TextError, match=r"words.txt:3: keyword 'xa': .* has no character 'x'"):
        read_keywords([str(path)], model)


def test_a_label_may_look_like_a_file_s_name(model: ModelFile) -> None:
    def is_file(name: str, vocabulary: Vocabulary) -> bool:
        return is_meant_as_file(name, replace(model.info, vocabulary=vocabulary))

    labels, words = (Vocabulary(tokens, "label") for tokens in (("on/off.now", "b"), ("on", "off")))
    points = Vocabulary(("o", "n", "."), normalization=("strip_punctuation",))
    assert not is_file("on/off.now", labels)
    assert is_file("on/off.now", words)
    assert not is_file("on.no", points)
    assert is_file("n/on.no", points)
    assert not is_file("n/on.no", replace(points, tokens=("o", "n", ".", "/")))
    assert is_file("on.no", replace(points, tokens=("o", "n")))


def test_thresholds_go_where_the_keywords_came_from(model: ModelFile, tmp_path: Path) -> None:
    words, recorded = tmp_path / "words.txt", tmp_path / "x.npz"
    words.write_text("# mine\nabca | abcb @first\nbacb\n")
    save_enrollment(enroll(model, "x", record(tmp_path, "abc", "abc", "abc")), recorded)
    thresholds = {"first": 0.25, "x": 0.75}
    assert store_thresholds(str(words), thresholds)
    assert store_thresholds(str(recorded), thresholds)
    assert not store_thresholds("abca, bacb", thresholds)
    assert words.read_text() == "# mine\nabca | abcb #0.25 @first\nbacb\n"
    assert load_enrollment(recorded).keyword.threshold == 0.75


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"# mine\r\nabca @first\r\n\r\nbacb\r\n", b"# mine\r\nabca #0.25 @first\r\n\r\nbacb\r\n"),
        (b"\xef\xbb\xbfabca @first\nbacb", b"\xef\xbb\xbfabca #0.25 @first\nbacb"),
        (b"bacb\r\n# a\x0cb\nabca @first", b"bacb\r\n# a\x0cb\nabca #0.25 @first"),
    ],
)
def test_a_keyword_file_stays_as_it_was_but_for_thresholds(
    before: bytes, after: bytes, model: ModelFile, tmp_path: Path
) -> None:
    words = tmp_path / "words.txt"
    words.write_bytes(before)
    words.chmod(0o600)
    (tmp_path / "link.txt").symlink_to(words)
    assert store_thresholds(str(tmp_path / "link.txt"), {"first": 0.25})
    assert (tmp_path / "link.txt").is_symlink()
    assert words.read_bytes() == after
    assert words.stat().st_mode & 0o777 == 0o600
    assert [
        keyword.threshold for keyword in read_keywords([str(words)], model) if keyword.label == "first"
    ] == [0.25]


def test_a_file_that_is_no_text_is_refused(model: ModelFile, tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_bytes(b"ab\xff")
    with pytest.raises(ConfigError, match="words.txt: not UTF-8"):
        read_keywords([str(tmp_path / "words.txt")], model)


def test_a_keyword_s_threshold_comes_from_the_model_if_nobody_gives_one(model: ModelFile) -> None:
    choice = replace(model.info.decoding, keyword_thresholds={"bacb": 0.3, "caab": 0.2})
    calibrated = ModelFile(model.path, threads=1)
    calibrated.info = replace(model.info, decoding=choice)
    keywords = read_keywords(["bacb, caab #0.9, cacb"], calibrated)
    assert KeywordSpotter(calibrated, keywords).thresholds == (0.3, 0.9, 0.5)
    assert KeywordSpotter(calibrated, keywords, SpotterOptions(threshold=0.7)).thresholds == (0.7, 0.9, 0.7)


def test_a_keyword_outlives_what_is_tuned_in_the_model(model: ModelFile, tmp_path: Path) -> None:
    path = tmp_path / "mine.onnx"
    path.write_bytes(model.path.read_bytes())
    mine = ModelFile(path, threads=1)
    sha256 = mine.sha256
    enrollment = enroll(mine, "abca", record(tmp_path, "abca", "abca", "abca"))
    save_enrollment(enrollment, tmp_path / "abca.npz")
    keep_choice(path, lambda choice: replace(choice, temperature=1.5, keyword_thresholds={"bacb": 0.3}))
    tuned = ModelFile(path, threads=1)
    assert tuned.sha256 != sha256
    assert read_keywords([str(tmp_path / "abca.npz")], tuned)[0].label == "abca"
