"""``speechrnn spot`` and ``speechrnn enroll`` as a user types them."""

import io
import json
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
from test_cli_live import Ended
from tiny_model import SAMPLE_RATE, speak, write_model

from speechrnn.cli import live_options
from speechrnn.cli.main import main
from speechrnn.cli.spot import Meter
from speechrnn.decoding.keywords import Keyword
from speechrnn.live_audio import Microphone


@pytest.fixture
def model(tmp_path: Path) -> str:
    return str(write_model(tmp_path / "tones.onnx"))


def record(path: Path, text: str) -> str:
    soundfile.write(path, speak(text), SAMPLE_RATE)
    return str(path)


def test_hits_are_lines_of_json(model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = [record(tmp_path / "1.wav", "abca"), record(tmp_path / "2.wav", "cbcb")]
    assert main(["spot", "-m", model, "--keywords", "abca @x, bcb", *files]) == 0
    hits = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(hit["file"], hit["label"]) for hit in hits] == [(files[0], "x"), (files[1], "bcb")]
    assert hits[0]["start_s"] == pytest.approx(0.1, abs=0.03)
    assert hits[0]["confidence"] > 0.9


def test_a_file_that_cannot_be_heard_is_named_and_the_others_are_searched(
    model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = record(tmp_path / "1.wav", "abca")
    assert main(["spot", "-m", model, "--keywords", "abca", str(tmp_path / "no.wav"), good]) == 1
    captured = capsys.readouterr()
    assert "no.wav" in captured.err
    assert json.loads(captured.out)["file"] == good


def test_pcm_comes_on_standard_input(
    model: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    samples = (speak("abca", sample_rate=8000) * 32767).astype("<i2")
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(samples.tobytes())))
    assert main(["spot", "-m", model, "--keywords", "abca", "--rate", "8000", "-"]) == 0
    assert json.loads(capsys.readouterr().out)["label"] == "abca"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM")
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_stream_that_is_ended_by_a_signal_tells_what_was_heard(
    model: str, number: int, status: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    samples = (speak("abca") * 32767).astype("<i2")
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=Ended(samples.tobytes(), number)))
    assert main(["spot", "-m", model, "--keywords", "abca", "-"]) == status
    assert json.loads(capsys.readouterr().out)["label"] == "abca"


def test_a_microphone_is_searched_until_it_is_interrupted(
    model: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class FakeMicrophone(Microphone):
        """Hears the beginning of a keyword, then Ctrl-C; the rest waits to be asked for."""

        lost_s = 0.0

        def __init__(self, *, sample_rate: int, device: int | str | None) -> None:
            pass

        def __enter__(self) -> Iterator[np.ndarray]:
            yield from np.split(speak("abca"), 4)[:2]
            raise KeyboardInterrupt

        def __exit__(self, *exception: object) -> None:
            pass

        def drain(self) -> Iterator[np.ndarray]:
            return iter(np.split(speak("abca"), 4)[2:])

    monkeypatch.setattr(live_options, "Microphone", FakeMicrophone)
    assert main(["spot", "-m", model, "--keywords", "abca", "--mic"]) == 0
    [hit] = capsys.readouterr().out.splitlines()
    assert json.loads(hit)["start_s"] == pytest.approx(0.1, abs=0.03)


@pytest.mark.parametrize("arguments", [[], ["-", "a.wav"], ["--mic", "0", "a.wav"]])
def test_there_is_one_kind_of_input(
    model: str, arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    if "--mic" in arguments:
        arguments = ["a.wav", "--mic"]
    assert main(["spot", "-m", model, "--keywords", "abca", *arguments]) == 2
    assert "name recordings, or - alone" in capsys.readouterr().err


@pytest.mark.parametrize("source", ["a.wav", "--mic"])
@pytest.mark.parametrize("option", [["--rate", "8000"], ["--encoding", "s16le"], ["--channels", "1"]])
def test_what_raw_pcm_is_goes_with_raw_pcm_only(
    option: list[str], source: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["spot", "--keywords", "abca", *option, source]) == 2
    assert f"{option[0]} is about raw PCM on standard input" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("keywords", "said"),
    [
        ("", "keywords: no keyword"),
        ("abca, abca", "label 'abca' is taken"),
        ("bcb, abca, ABCA @r3", "keywords 'abca' and 'r3' have a spelling that is the same"),
        ("xyz", "keywords:1: keyword 'xyz': the vocabulary of"),
        ("abca, xyz", "keywords:2: keyword 'xyz': "),
        ("abca #2", "threshold must be in [0, 1]"),
    ],
)
def test_wrong_keywords_are_explained(
    model: str, keywords: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["spot", "-m", model, "--keywords", keywords, record(tmp_path / "1.wav", "a")]) == 1
    assert said in capsys.readouterr().err


def test_enroll_then_spot(
    model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    clips = [record(tmp_path / f"{i}.wav", "abc") for i in range(3)]
    assert main(["enroll", "open sesame", "-m", model, *clips]) == 0
    captured = capsys.readouterr()
    assert [line.split("\t")[1] for line in captured.out.splitlines()] == clips
    assert "kept in open_sesame.npz" in captured.err
    assert (
        main(["spot", "-m", model, "--keywords", "open_sesame.npz", record(tmp_path / "x.wav", "babc")]) == 0
    )
    assert json.loads(capsys.readouterr().out)["label"] == "open sesame"
    assert main(["enroll", "open sesame", "-m", model, *clips]) == 1
    assert "exists already; --overwrite replaces it" in capsys.readouterr().err


def test_enroll_makes_a_file_of_any_phrase_and_refuses_a_name_before_it_hears(
    model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    clips = [record(tmp_path / f"{i}.wav", "abc") for i in range(3)]
    assert main(["enroll", "../on / off", "-m", model, *clips]) == 0
    assert (tmp_path / ".._on_off.npz").exists()
    capsys.readouterr()
    assert main(["enroll", "open", "-m", model, "no.wav", "-o", "open.txt"]) == 1
    assert "open.txt: the file of an enrolled keyword must end in .npz" in capsys.readouterr().err


def test_enroll_tells_how_well_each_clip_of_a_folder_is_found(
    model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "takes").mkdir()
    clips = [record(tmp_path / "takes" / f"{i}.wav", "abc") for i in range(3)]
    for source in (tmp_path / "takes", tmp_path / "takes" / "*.wav"):
        command = ["enroll", "sesame", "-m", model, str(source), "-o", str(tmp_path / "x.npz"), "--overwrite"]
        assert main(command) == 0
        captured = capsys.readouterr()
        assert [line.split("\t")[1] for line in captured.out.splitlines()] == clips
        assert f"recordings {clips[0]} and {clips[1]} are the same" in captured.err


def test_the_meter_shows_each_keyword_and_marks_those_that_are_sure() -> None:
    spotter = SimpleNamespace(
        keywords=[Keyword(label=label, spellings=(label,)) for label in ("yes", "no")],
        confidences=np.array([0.0, 1.0]),
        thresholds=(0.5, 0.5),
        now_s=1.25,
    )
    meter = Meter(spotter, is_drawn=True)  # type: ignore[arg-type]
    assert meter.line(80) == "    1.2 s  yes    no █!"
    assert meter.line(12) == "    1.2 s  "


def test_the_meter_goes_to_a_terminal_only(
    model: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    samples = (speak("abca") * 32767).astype("<i2").tobytes()
    for is_terminal in (False, True):
        monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(samples)))
        monkeypatch.setattr(sys.stderr, "isatty", lambda answer=is_terminal: answer)
        assert main(["spot", "-m", model, "--keywords", "abca", "-"]) == 0
        assert ("\x1b[K" in capsys.readouterr().err) == is_terminal
