"""Dictionaries, and what is made of them: manifests of phones, and keywords that a model of phones finds."""

import json
import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from networks import CHARACTERS, make_model
from test_cli_spot import record
from tiny_model import SAMPLE_RATE, metadata, speak, write_model

from speechrnn.cli.main import main
from speechrnn.decoding.keywords import Keyword
from speechrnn.errors import ConfigError, ModelFileError, TextError
from speechrnn.manifest import read_manifest
from speechrnn.nn.export import export_model
from speechrnn.pronunciations import MOST_WAYS, Pronunciations
from speechrnn.runtime.decoding_choice import DecodingChoice
from speechrnn.runtime.enrollment import load_enrollment
from speechrnn.runtime.keyword_spotter import SpotterOptions, find_threshold, spot
from speechrnn.runtime.model_file import ModelFile
from speechrnn.text import Vocabulary

LINES = [
    ";;; a remark",
    "READ  R EH1 D",
    "READ(1)  R IY1 D",
    "read(2) R EH0 D # the first again",
    "",
    "wake W EY1 K",
    "'cause K AH0 Z",
]
PHONES, FEWER = Vocabulary(("A", "B", "C", "D"), "phone"), Vocabulary(("A", "B", "C", "E"), "phone")
# Of a model whose four tones are the phones A, B, C and D.
TONES = ["abba A B B A", "cab C A B", "cab(2) C B", "dab D A B"]


def write_phone_model(
    path: Path, lines: list[str] | None = TONES, phones: Vocabulary = PHONES, **card: str
) -> Path:
    properties = metadata(card=card or None)
    config = json.loads(properties["speechrnn.config"])
    config["vocabulary"] = phones.to_dict()
    properties["speechrnn.config"] = json.dumps(config)
    if lines is not None:
        properties["speechrnn.pronunciations"] = Pronunciations.parse(lines, "tones").pack()
    return write_model(path, properties=properties)


def write(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_words_have_the_ways_to_say_them_without_stress_each_once() -> None:
    said = Pronunciations.parse(LINES, "words.dict")
    assert said.of("read") == said.of("Read") == ("R EH D", "R IY D")
    assert said.of("'cause") == ("K AH Z",)
    assert said.of("unheard") == ()


@pytest.mark.parametrize(
    ("word", "phones"),
    [
        ("wakes", "W EY K Z"),
        ("wake's", "W EY K Z"),
        ("reading", "R EH D IH NG"),
        ("wakeread", "W EY K R EH D"),
        ("readwakes", ""),
    ],
)
def test_what_the_dictionary_lacks_is_an_ending_or_two_words_put_together(word: str, phones: str) -> None:
    assert Pronunciations.parse(LINES, "words.dict").of(word)[:1] == ((phones,) if phones else ())


def test_phrases_are_said_in_all_ways_up_to_a_number() -> None:
    said = Pronunciations.parse(LINES, "words.dict")
    assert said.of_phrase("wake read") == ("W EY K R EH D", "W EY K R IY D")
    assert len(said.of_phrase("read read read read")) == MOST_WAYS
    assert said.of_phrase("") == ("",)
    with pytest.raises(TextError, match="how 'xyzzy', 'plugh' is said"):
        said.of_phrase("wake xyzzy plugh")


def test_the_first_dictionary_that_has_a_word_counts(tmp_path: Path) -> None:
    first, second = write(tmp_path / "1", "a EY1"), write(tmp_path / "2", "a AH0", "the DH AH0")
    said = Pronunciations.read([first, second])
    assert (said.of("a"), said.of("the")) == (("EY",), ("DH AH",))


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"word\n", "1: no phones behind the word 'word'"),
        (b"\n;;; x\n", "no words"),
        (b"a \xff\n", "not UTF-8"),
    ],
)
def test_a_dictionary_that_is_none_is_refused(tmp_path: Path, content: bytes, complaint: str) -> None:
    path = tmp_path / "words.dict"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=complaint):
        Pronunciations.read([path])
    with pytest.raises(ConfigError, match="no.dict: cannot be read"):
        Pronunciations.read([tmp_path / "no.dict"])


def test_a_dictionary_survives_packing_and_damage_is_seen() -> None:
    said = Pronunciations.parse([*LINES, "café K AE F EY"], "words.dict")
    packed = said.pack()
    assert Pronunciations.unpack(packed) == said
    for damaged in (packed[:-8], "AAAA", "ü", packed[:20] + "????" + packed[24:]):
        with pytest.raises(ConfigError, match="damaged|no words"):
            Pronunciations.unpack(damaged)


def test_transcripts_become_phones(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("a", "b"):
        soundfile.write(tmp_path / f"{name}.wav", speak("ab"), SAMPLE_RATE)
    table = write(tmp_path / "t.csv", "audio,text,speaker", "a.wav,cab Dab,s1", "b.wav,cab xyz,s2")
    words, out = write(tmp_path / "words.dict", *TONES), tmp_path / "phones.jsonl.gz"
    command = ["prepare", "phones", str(table), str(out), "--pronunciations", str(words)]
    assert main(command) == 1
    assert "the dictionary has no 'xyz' (1×)" in capsys.readouterr().err
    assert not out.exists()
    assert main([*command, "--skip-unknown"]) == 0
    assert "left out 1 utterances with 'xyz' (1×)" in capsys.readouterr().err
    [utterance] = read_manifest(out)
    assert (utterance.id, utterance.text, utterance.speaker) == ("a", "C A B D A B", "s1")


@pytest.fixture
def phones(tmp_path: Path) -> ModelFile:
    return ModelFile(write_phone_model(tmp_path / "phones.onnx"), threads=1)


@pytest.mark.parametrize(
    ("heard", "spelling"),
    [
        ("abba", "Abba"),
        ("cab", "cab"),
        ("cb", "cab"),
        (" abcab", "dabcab"),
        ("abbacb", "abba cab"),
        ("bac", "[B A C]"),
        ("bac", "[B A1 C]"),
    ],
)
def test_typed_keywords_are_found_by_how_they_are_said(phones: ModelFile, heard: str, spelling: str) -> None:
    [hit] = spot(phones, speak(heard), [Keyword(label="x", spellings=(spelling,))], sample_rate=SAMPLE_RATE)
    assert (hit.label, hit.confidence > 0.9) == ("x", True)


@pytest.mark.parametrize(
    ("spelling", "complaint"),
    [
        (
            "cab xyz",
            r"keyword 'x': the dictionary does not say how 'xyz' is said; write it in phones .* \[A B C\]",
        ),
        ("[A E]", "has no phone 'E'"),
        ("[ ]", "no phones in"),
    ],
)
def test_a_keyword_that_cannot_be_said_is_refused(phones: ModelFile, spelling: str, complaint: str) -> None:
    with pytest.raises((TextError, ConfigError), match=complaint):
        spot(phones, speak("a"), [Keyword(label="x", spellings=(spelling,))], sample_rate=SAMPLE_RATE)


def test_two_keywords_that_are_said_alike_are_refused(phones: ModelFile) -> None:
    keywords = [Keyword(label=text, spellings=(text,)) for text in ("abba", "[A B B A]")]
    with pytest.raises(ConfigError, match="'abba' and .* the same for this model"):
        spot(phones, speak("a"), keywords, sample_rate=SAMPLE_RATE)


def test_keywords_of_few_phones_are_warned_of(phones: ModelFile, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "speechrnn"):
        spot(phones, speak("a"), [Keyword(label="x", spellings=("dab",))], sample_rate=SAMPLE_RATE)
    assert "keyword 'x' is very short: it is heard in other words; calibrate it" in caplog.text


def test_words_are_typed_on_the_command_line_beside_folders_of_their_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "abba").mkdir()
    model, clip = str(write_phone_model(tmp_path / "phones.onnx")), record(tmp_path / "1.wav", "abba")
    assert main(["spot", "-m", model, "--keywords", "abba, [B A C] @bac", clip]) == 0
    assert json.loads(capsys.readouterr().out)["label"] == "abba"
    assert main(["spot", "-m", model, "--keywords", "abba", "--keywords", "no.txt", clip]) == 1
    assert "no.txt: no such keyword file" in capsys.readouterr().err


def test_a_model_of_phones_without_a_dictionary_takes_phones_only(tmp_path: Path) -> None:
    model = ModelFile(write_phone_model(tmp_path / "phones.onnx", lines=None), threads=1)
    [hit] = spot(
        model, speak("abba"), [Keyword(label="x", spellings=("[A B B A]",))], sample_rate=SAMPLE_RATE
    )
    assert hit.label == "x"
    with pytest.raises(ModelFileError, match="no dictionary; write one into it"):
        spot(model, speak("abba"), [Keyword(label="x", spellings=("abba",))], sample_rate=SAMPLE_RATE)


def test_a_damaged_dictionary_is_the_files_fault(tmp_path: Path) -> None:
    path = write_phone_model(tmp_path / "phones.onnx")
    path.write_bytes(
        path.read_bytes().replace(ModelFile(path).info.packed_pronunciations.encode()[8:16], b"????????")
    )
    with pytest.raises(ModelFileError, match="phones.onnx: damaged metadata: pronunciations are damaged"):
        spot(
            ModelFile(path), speak("abba"), [Keyword(label="x", spellings=("abba",))], sample_rate=SAMPLE_RATE
        )


def export_untrained(path: Path, vocabulary: Vocabulary) -> str:
    model = make_model()
    model.config = replace(model.config, vocabulary=vocabulary)
    return str(export_model(model, path))


def test_a_dictionary_is_written_into_a_model_file_and_stays_there(tmp_path: Path) -> None:
    words, model = write(tmp_path / "words.dict", *TONES), export_untrained(tmp_path / "1.onnx", PHONES)
    paths = [str(tmp_path / name) for name in ("2.onnx", "3.onnx")]
    assert main(["export", model, paths[0], "--pronunciations", str(words)]) == 0
    assert main(["export", paths[0], paths[1], "--int8-weights"]) == 0
    for path in paths:
        assert ModelFile(path).info.pronunciations.of("dab") == ("D A B",)


@pytest.mark.parametrize(
    ("vocabulary", "complaint"),
    [
        (CHARACTERS, "is for models of phones; this one writes characters"),
        (FEWER, "the model has no phone D"),
    ],
)
def test_a_dictionary_that_does_not_go_with_a_model_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], vocabulary: Vocabulary, complaint: str
) -> None:
    words, model = write(tmp_path / "words.dict", *TONES), export_untrained(tmp_path / "1.onnx", vocabulary)
    assert main(["export", model, str(tmp_path / "2.onnx"), "--pronunciations", str(words)]) == 1
    assert complaint in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1.onnx", "words.dict"]


def test_any_keyword_has_a_threshold_by_its_length_that_keeps_to_the_false_alarms(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_phone_model(
        tmp_path / "phones.onnx", [*TONES, "abca A B C A", "acbac A C B A C", "baccab B A C C A B"]
    )
    rng, folder = np.random.default_rng(0), tmp_path / "background"
    folder.mkdir()
    for number in range(4):
        soundfile.write(
            folder / f"{number}.wav", speak("".join(rng.choice(list("abc"), size=90))), SAMPLE_RATE
        )
    command = ["calibrate", "-m", str(path), "--any-keyword", "--negatives", str(folder)]
    bearable = []
    for rate in ("0", "1000"):
        assert main([*command, "--target-fa-per-hour", rate]) == 0
        assert " 4 phones: threshold " in capsys.readouterr().out
        bearable.append(ModelFile(path).info.decoding.usual_thresholds)
    model, kept = ModelFile(path), bearable[1]
    # Some of these words are said by chance; only a thousand false alarms an hour leave room for that.
    assert bearable[0][3] > 0.9
    assert kept[3] < 0.5
    assert kept[:3] == (1.0, 1.0, 1.0)
    for number, word in ((4, "abca"), (4, "[A B C A]"), (6, "baccab"), (40, "[" + 40 * "A B " + "]")):
        keyword = Keyword(label="x", spellings=(word,))
        threshold = kept[min(number, len(kept)) - 1]
        assert find_threshold(model, keyword, SpotterOptions()) == threshold
        assert find_threshold(model, replace(keyword, threshold=0.3), SpotterOptions()) == 0.3


def test_a_model_without_phones_has_no_usual_thresholds(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model, clip = str(write_model(tmp_path / "tones.onnx")), record(tmp_path / "1.wav", "abba")
    assert main(["calibrate", "-m", model, "--any-keyword", "--negatives", str(tmp_path)]) == 1
    assert "is for models of phones" in capsys.readouterr().err
    for wrong in (
        ["--any-keyword"],
        ["--any-keyword", "--keywords", "a", "--negatives", clip],
        [clip, "--any-keyword"],
    ):
        assert main(["calibrate", "-m", model, *wrong]) == 2


@pytest.mark.parametrize(("label", "spellings"), [("cab", ("cab",)), ("dodo", ()), ("xyz", ())])
def test_recordings_of_a_word_are_looked_for_by_how_it_is_said_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], label: str, spellings: tuple[str, ...]
) -> None:
    model = str(write_phone_model(tmp_path / "phones.onnx", [*TONES, "dodo D D D D"]))
    takes = [record(tmp_path / f"{number}.wav", text) for number, text in enumerate(("cab", "cb", "cab"))]
    out = tmp_path / "x.npz"
    assert main(["enroll", label, *takes, "-m", model, "-o", str(out)]) == 0
    assert ("by how" in capsys.readouterr().err) == bool(spellings)
    keyword = load_enrollment(out).keyword
    assert (keyword.spellings, len(keyword.templates)) == (spellings, 3)
    assert find_threshold(ModelFile(model), keyword, SpotterOptions()) == (0.58 if spellings else 0.6)
    assert main(["spot", "-m", model, "--keywords", str(out), record(tmp_path / "heard.wav", "bbcab")]) == 0
    assert json.loads(capsys.readouterr().out)["label"] == label


def test_a_dictionary_of_short_words_gives_no_usual_thresholds(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = str(write_phone_model(tmp_path / "phones.onnx", ["ab A B"]))
    record(tmp_path / "1.wav", "abba")
    assert main(["calibrate", "-m", model, "--any-keyword", "--negatives", str(tmp_path)]) == 1
    assert "no word of 4 to 14 phones" in capsys.readouterr().err


def test_phones_are_not_compared_with_words(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model, clip = str(write_phone_model(tmp_path / "phones.onnx")), record(tmp_path / "1.wav", "cab")
    words, phones = (tmp_path / f"{name}.csv" for name in ("words", "phones"))
    write(words, "audio,text", f"{clip},cab")
    write(phones, "audio,text", f"{clip},C A B")
    assert main(["evaluate", str(words), "-m", model]) == 1
    assert "the model writes phones, and 'cab' is none" in capsys.readouterr().err
    assert main(["evaluate", str(phones), "-m", model]) == 0
    assert "0 errors in 3 words" in capsys.readouterr().out


def test_a_usual_threshold_is_a_confidence() -> None:
    with pytest.raises(ConfigError, match=r"usual_thresholds.2 must be in \[0, 1\], got 2"):
        DecodingChoice(usual_thresholds=(1.0, 2))


def test_a_file_among_keywords_is_named_by_a_model_without_a_dictionary(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model, clip = (
        str(write_phone_model(tmp_path / "phones.onnx", lines=None)),
        record(tmp_path / "1.wav", "cab"),
    )
    keywords = write(tmp_path / "some", "[C A B]")
    assert main(["spot", "-m", model, "--keywords", f"[A B B A],{keywords}", clip]) == 1
    assert "is a file among keywords" in capsys.readouterr().err
