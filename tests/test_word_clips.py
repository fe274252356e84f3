"""Words cut out of transcribed speech: tones say where each is."""

from dataclasses import replace
from pathlib import Path

import pytest
from test_segmentation import record, texts
from tiny_model import SAMPLE_RATE, write_model

import speechrnn
from speechrnn.cli.main import main
from speechrnn.cutting.word_clips import PADDING_S, cut_words, that_say
from speechrnn.errors import ConfigError, SpeechRNNError
from speechrnn.evaluation.evaluate import load_utterance
from speechrnn.manifest import read_manifest
from speechrnn.runtime import Transcriber


@pytest.fixture
def model(tmp_path: Path) -> Transcriber:
    return speechrnn.load(write_model(tmp_path / "tones.onnx"))


def test_a_word_is_cut_out_each_time_that_it_is_said(tmp_path: Path, model: Transcriber) -> None:
    utterance = record(tmp_path / "u.wav", "ab ca", "b", "ca")
    (clips,) = cut_words([utterance], model, ["ca", "c"])
    assert texts(clips) == ["ca", "ca"]
    assert isinstance(clips, list)
    # tones of 0.1 s between silences of 0.1 s: the fourth, which begins "ca", is at 0.1 + 3 x 0.2 s
    assert clips[0].start_s == pytest.approx(0.7 - PADDING_S, abs=0.03)
    assert [clip.id for clip in clips] == ["u-1", "u-3"]
    assert {clip.speaker for clip in clips} == {"s1"}
    heard = [model.transcribe(load_utterance(clip, SAMPLE_RATE), SAMPLE_RATE).text for clip in clips]
    assert [text.strip() for text in heard] == ["ca", "ca"]


def test_a_clip_can_have_what_is_said_around_the_word(tmp_path: Path, model: Transcriber) -> None:
    utterance = record(tmp_path / "u.wav", "ab ca", "b", "ca")
    (alone,) = cut_words([utterance], model, ["b"])
    (clips,) = cut_words([utterance], model, ["ab", "b"], clip_s=1.5)
    assert isinstance(alone, list)
    assert isinstance(clips, list)
    assert [(clip.text, clip.duration_s) for clip in clips] == [("ab", 1.5), ("b", 1.5)]
    assert clips[0].start_s == 0.0  # the word is nearer to the beginning
    middle_s = alone[0].start_s + alone[0].duration_s / 2
    assert clips[1].start_s + 0.75 == pytest.approx(middle_s, abs=0.001)
    (whole,) = cut_words([utterance], model, ["b"], clip_s=100.0)
    assert isinstance(whole, list)
    assert len(load_utterance(whole[0], SAMPLE_RATE)) == pytest.approx(
        len(load_utterance(utterance, SAMPLE_RATE)), abs=2
    )
    with pytest.raises(ConfigError, match="clip_s must be > 0 s and finite, got 0"):
        cut_words([utterance], model, ["b"], clip_s=0.0)


def test_a_label_is_written_as_it_was_asked_for(tmp_path: Path, model: Transcriber) -> None:
    (clips,) = cut_words([record(tmp_path / "u.wav", "ab", "ca")], model, ["CA"])
    assert texts(clips) == ["CA"]


def test_utterances_that_say_no_such_word_are_passed_over(tmp_path: Path, model: Transcriber) -> None:
    utterance = record(tmp_path / "u.wav", "ab", "ca")
    assert that_say(["b"], [utterance]) == []
    assert that_say(["AB"], [utterance]) == [utterance]
    assert list(cut_words([utterance], model, ["b"])) == [[]]
    impossible = replace(utterance, text=" ".join(["ab"] * 200))
    assert list(cut_words([impossible], model, ["ab"])) == [[]]


def test_what_cannot_be_read_is_named(tmp_path: Path, model: Transcriber) -> None:
    good = record(tmp_path / "u.wav", "ab", "ca")
    first, second = cut_words([replace(good, audio=tmp_path / "gone.wav"), good], model, ["ab"])
    assert isinstance(first, SpeechRNNError)
    assert "gone.wav" in str(first)
    assert texts(second) == ["ab"]


def test_the_command_writes_a_manifest(
    tmp_path: Path, model: Transcriber, capsys: pytest.CaptureFixture[str]
) -> None:
    record(tmp_path / "u.wav", "ab ca", "b")
    (tmp_path / "all.csv").write_text("audio,text\nu.wav,ab ca b\nodd.wav,ab\n", encoding="utf-8")
    (tmp_path / "odd.wav").write_text("no audio", encoding="utf-8")
    arguments = ["prepare", "words", str(tmp_path / "all.csv"), str(tmp_path / "w.jsonl.gz")]
    options = ["-m", str(tmp_path / "tones.onnx"), "--words"]
    assert main([*arguments, *options, "ab, b"]) == 1
    assert [u.text for u in read_manifest(tmp_path / "w.jsonl.gz")] == ["ab", "b"]
    captured = capsys.readouterr()
    assert "left out: 1" in captured.out
    assert "odd.wav" in captured.err
    for words in ("", "a b", "a,,b"):
        assert main([*arguments, *options, words]) == 2
        assert "--words must be single words" in capsys.readouterr().err
    assert main([*arguments, *options, "cab", "--overwrite"]) == 1
    assert "no utterance" in capsys.readouterr().err
