"""Utterances cut at their pauses: tones say where words are, so that every cut is known."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from test_pronunciations import write_phone_model
from tiny_model import SAMPLE_RATE, speak, write_model

import speechrnn
from speechrnn.cli.main import main
from speechrnn.cutting.segmentation import SegmentationOptions, segment_utterances
from speechrnn.errors import ConfigError, ModelFileError, SpeechRNNError, TextError
from speechrnn.evaluation.evaluate import load_utterance
from speechrnn.manifest import Utterance, read_manifest
from speechrnn.runtime import Transcriber
from speechrnn.text import Vocabulary

PAUSE_S = 0.5
CUT_ANYWHERE = SegmentationOptions(min_pause_s=0.3, min_piece_s=0.0)


@pytest.fixture
def model(tmp_path: Path) -> Transcriber:
    return speechrnn.load(write_model(tmp_path / "tones.onnx"))


def record(path: Path, *parts: str) -> Utterance:
    """Record parts with pauses between them; within a part the space is a tone of its own."""
    pause = np.zeros(round(PAUSE_S * SAMPLE_RATE), dtype=np.float32)
    samples = np.concatenate([piece for part in parts for piece in (speak(part), pause)][:-1])
    sf.write(path, samples, SAMPLE_RATE, subtype="FLOAT")
    return Utterance(id=path.stem, audio=path, text=" ".join(parts), speaker="s1")


def texts(found: object) -> list[str]:
    assert isinstance(found, list)
    return [utterance.text for utterance in found]


def test_an_utterance_is_cut_in_its_pauses_and_nowhere_else(tmp_path: Path, model: Transcriber) -> None:
    utterance = record(tmp_path / "u.wav", "ab ca", "b", "cc a")
    (pieces,) = segment_utterances([utterance], model, CUT_ANYWHERE)
    assert texts(pieces) == ["ab ca", "b", "cc a"]
    # 5 tokens and 1, each 0.1 s between silences of 0.1 s, then half the pause of 0.1 + 0.5 + 0.1 s
    starts = [piece.start_s for piece in pieces]
    assert starts == pytest.approx([0.0, 1.1 + 0.25, 1.6 + 0.3 + 0.25], abs=0.03)
    assert [piece.id for piece in pieces] == [f"u-{round(1000 * start):05d}" for start in starts]
    assert {piece.speaker for piece in pieces} == {"s1"}


def test_the_pieces_are_together_the_whole(tmp_path: Path, model: Transcriber) -> None:
    utterance = record(tmp_path / "u.wav", "ab", "c a", "b")
    (pieces,) = segment_utterances([utterance], model, CUT_ANYWHERE)
    whole = load_utterance(utterance, SAMPLE_RATE)
    joined = np.concatenate([load_utterance(piece, SAMPLE_RATE) for piece in pieces])
    assert len(pieces) == 3
    assert abs(len(joined) - len(whole)) <= 2
    transcripts = [model.transcribe(load_utterance(piece, SAMPLE_RATE), SAMPLE_RATE).text for piece in pieces]
    assert transcripts == texts(pieces)


def test_a_stretch_of_a_file_is_cut_where_it_lies(tmp_path: Path, model: Transcriber) -> None:
    record(tmp_path / "u.wav", "ab", "ca", "b")
    stretch = Utterance(id="x", audio=tmp_path / "u.wav", text="ca b", start_s=0.8)
    (pieces,) = segment_utterances([stretch], model, CUT_ANYWHERE)
    assert texts(pieces) == ["ca", "b"]
    assert pieces[0].start_s == 0.8  # type: ignore[union-attr]


def test_short_pieces_and_pauses_are_left_together(tmp_path: Path, model: Transcriber) -> None:
    utterance = record(tmp_path / "u.wav", "ab ca", "b", "cc a")
    (long,) = segment_utterances([utterance], model, replace(CUT_ANYWHERE, min_piece_s=1.0))
    assert texts(long) == ["ab ca", "b cc a"]
    (whole,) = segment_utterances([utterance], model, replace(CUT_ANYWHERE, min_pause_s=2.0))
    assert texts(whole) == ["ab ca b cc a"]


def test_a_pause_within_a_word_is_no_place_to_cut(tmp_path: Path, model: Transcriber) -> None:
    utterance = replace(record(tmp_path / "u.wav", "ab", "ca"), text="abca")
    (pieces,) = segment_utterances([utterance], model, CUT_ANYWHERE)
    assert texts(pieces) == ["abca"]


def test_a_text_too_long_for_its_audio_stays_whole(tmp_path: Path, model: Transcriber) -> None:
    utterance = replace(record(tmp_path / "u.wav", "a", "b"), text=" ".join(["abc"] * 200))
    (pieces,) = segment_utterances([utterance], model, CUT_ANYWHERE)
    assert texts(pieces) == [utterance.text]


def test_what_cannot_be_cut_is_named_and_the_rest_is_done(tmp_path: Path, model: Transcriber) -> None:
    good = record(tmp_path / "u.wav", "ab", "ca")
    missing = replace(good, id="gone", audio=tmp_path / "gone.wav")
    unknown = replace(good, id="odd", text="ab xy")
    first, second, third = segment_utterances([missing, unknown, good], model, CUT_ANYWHERE)
    assert isinstance(first, SpeechRNNError)
    assert "gone.wav" in str(first)
    assert isinstance(second, SpeechRNNError)
    assert "odd: the vocabulary of 4 characters has no character 'x'" in str(second)
    assert texts(third) == ["ab", "ca"]


def test_a_model_without_words_is_refused(tmp_path: Path) -> None:
    labels = speechrnn.load(write_model(tmp_path / "labels.onnx", task="classification"))
    with pytest.raises(ConfigError, match="is not one of characters with a space"):
        next(segment_utterances([], labels))


@pytest.mark.parametrize("options", [{"min_pause_s": 0.0}, {"min_piece_s": -1.0}])
def test_options_out_of_range_are_named(options: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=next(iter(options))):
        SegmentationOptions(**options)


def test_the_command_writes_a_manifest_and_names_what_it_left_out(
    tmp_path: Path, model: Transcriber, capsys: pytest.CaptureFixture[str]
) -> None:
    record(tmp_path / "u.wav", "ab ca", "b")
    (tmp_path / "all.csv").write_text("audio,text\nu.wav,ab ca b\nodd.wav,ab\n", encoding="utf-8")
    (tmp_path / "odd.wav").write_text("no audio", encoding="utf-8")
    arguments = ["prepare", "segments", str(tmp_path / "all.csv"), str(tmp_path / "cut.jsonl.gz")]
    options = ["-m", str(tmp_path / "tones.onnx"), "--min-piece", "0.2"]
    assert main(arguments + options) == 1
    assert [u.text for u in read_manifest(tmp_path / "cut.jsonl.gz")] == ["ab ca", "b"]
    captured = capsys.readouterr()
    assert "2 utterances" in captured.out
    assert "left out: 1" in captured.out
    assert "odd.wav" in captured.err
    assert main(arguments + options) == 1  # what exists is not overwritten


# ---- By a model of phones ---------------------------------------------------------------------------------


def test_a_model_of_phones_finds_the_words_that_its_dictionary_says(tmp_path: Path) -> None:
    model = speechrnn.load(write_phone_model(tmp_path / "phones.onnx", ["ab  A1 B0", "c  C", "cab  C A B"]))
    spoken = record(tmp_path / "u.wav", "abc", "cab", "ab")  # without a space between ab and c
    utterance = replace(spoken, text="ab c cab ab")
    (pieces,) = segment_utterances([utterance], model, CUT_ANYWHERE)
    assert texts(pieces) == ["ab c", "cab", "ab"]


def test_a_word_that_the_dictionary_lacks_is_found_by_its_letters(tmp_path: Path) -> None:
    sounds = Vocabulary(("AE", "B", "K", "D"), "phone")  # what LETTER_SOUNDS has for a, b, c and d
    path = write_phone_model(tmp_path / "phones.onnx", ["ab  AE B"], sounds)
    utterance = replace(record(tmp_path / "u.wav", "ab", "ca"), text="ab ca")
    (pieces,) = segment_utterances([utterance], speechrnn.load(path), CUT_ANYWHERE)
    assert texts(pieces) == ["ab", "ca"]


def test_a_word_of_a_model_of_other_phones_that_cannot_be_said_is_named(tmp_path: Path) -> None:
    model = speechrnn.load(write_phone_model(tmp_path / "phones.onnx", ["ab  A B"]))
    utterance = replace(record(tmp_path / "u.wav", "ab", "ca"), text="ab ca")
    (error,) = segment_utterances([utterance], model, CUT_ANYWHERE)
    assert isinstance(error, TextError)
    assert str(error) == "u: the model's dictionary does not say how 'ca' is said"


def test_a_model_of_phones_without_a_dictionary_is_refused(tmp_path: Path) -> None:
    model = speechrnn.load(write_phone_model(tmp_path / "phones.onnx", None))
    with pytest.raises(ModelFileError, match="hears phones and has no dictionary"):
        next(segment_utterances([], model))
