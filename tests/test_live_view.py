"""What a live transcription looks like, on a terminal and in a pipe."""

import io
import json
from dataclasses import replace

import pytest

from speechrnn.cli.live_view import LiveView
from speechrnn.decoding.hypothesis import NOTHING
from speechrnn.decoding.words import SpokenWord
from speechrnn.runtime import Transcription

WORDS = (SpokenWord("one", 1.0, 1.2, 0.9), SpokenWord("two", 1.3, 1.5, 0.8))
HEARD = Transcription(
    text="one two", confidence=0.85, duration_s=2.0, source="stream", hypothesis=NOTHING, words=WORDS
)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def view(
    stream: io.StringIO, *, as_json: bool = False, by_word: bool = False, partials: bool = False
) -> LiveView:
    return LiveView(as_json=as_json, by_word=by_word, partials=partials, stream=stream)


def test_on_a_terminal_one_line_changes_and_makes_way_for_results(capsys: pytest.CaptureFixture[str]) -> None:
    terminal = Terminal()
    shown = view(terminal)
    for text in ("one", "one", "one t"):
        shown.partial(text)
    shown.final(HEARD)
    shown.final(HEARD)
    assert terminal.getvalue() == "\r… one\x1b[K\r… one t\x1b[K\r\x1b[K"
    assert capsys.readouterr().out == "one two\none two\n"


def test_a_line_never_fills_more_than_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "10")
    terminal = Terminal()
    view(terminal).partial("abcdefghijkl")
    assert terminal.getvalue() == "\r… fghijkl\x1b[K"  # 9 columns


def test_in_a_pipe_partial_texts_are_lines_if_wanted(capsys: pytest.CaptureFixture[str]) -> None:
    quiet, told = io.StringIO(), io.StringIO()
    for shown in (view(quiet), view(told, partials=True)):
        shown.partial("one")
        shown.partial("one t")
        shown.final(HEARD)
    assert quiet.getvalue() == ""
    assert told.getvalue() == "… one\n… one t\n"
    assert capsys.readouterr().out == "one two\n" * 2


def test_finals_are_numbered_json_or_words_if_wanted(capsys: pytest.CaptureFixture[str]) -> None:
    described = view(io.StringIO(), as_json=True)
    described.final(HEARD)
    described.final(HEARD)
    first, second = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert (first["id"], second["id"]) == (0, 1)
    assert (first["text"], first["start"], first["words"][1]["probability"]) == ("one two", 1.0, 0.8)
    view(io.StringIO(), by_word=True).final(HEARD)
    assert capsys.readouterr().out == "1.000\t1.200\t0.900\tone\n1.300\t1.500\t0.800\ttwo\n"


def test_an_utterance_in_which_nothing_was_heard_is_none(capsys: pytest.CaptureFixture[str]) -> None:
    view(io.StringIO()).final(replace(HEARD, text="", words=()))
    assert capsys.readouterr().out == ""
