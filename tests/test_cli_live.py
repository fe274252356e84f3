"""``speechrnn transcribe --stream`` and ``--mic``: utterances on stdout as they end, partial texts on stderr."""

import io
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soundfile
from tiny_model import SAMPLE_RATE, speak, write_model

import speechrnn
from speechrnn.cli import live_options, live_transcription
from speechrnn.cli.console import Terminated
from speechrnn.cli.main import main
from speechrnn.live_audio import Microphone

PAUSE = np.zeros(SAMPLE_RATE, dtype=np.float32)
SPEECH = np.concatenate([PAUSE, speak("ab c"), PAUSE, speak("cab"), PAUSE])


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(write_model(tmp_path_factory.mktemp("models") / "tones.onnx"))


def pcm(waveform: np.ndarray) -> bytes:
    return (waveform * 2**15).astype("<i2").tobytes()


def say_to_stdin(data: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(data)))


def test_utterances_are_printed_as_they_end(
    model: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    say_to_stdin(pcm(SPEECH), monkeypatch)
    assert main(["transcribe", "--stream", "-", "-m", model]) == 0
    captured = capsys.readouterr()
    assert captured.out == "ab c\ncab\n"
    assert captured.err == "model tones: tones\n"


def test_a_rate_at_which_nobody_records_is_refused(
    model: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    say_to_stdin(bytes(20_000), monkeypatch)  # almost three hours at 1 Hz
    assert main(["transcribe", "--stream", "-", "-m", model, "--rate", "1"]) == 1
    assert "the sample rate of raw PCM must be 1000 to 384000 Hz, got 1" in capsys.readouterr().err


def test_partial_texts_are_lines_on_stderr_if_wanted(
    model: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    say_to_stdin(pcm(SPEECH), monkeypatch)
    assert main(["transcribe", "--stream", "-", "--partials", "-m", model]) == 0
    captured = capsys.readouterr()
    assert captured.out == "ab c\ncab\n"
    partials = [line for line in captured.err.splitlines() if line.startswith("… ")]
    assert "… ab" in partials
    assert "… ca" in partials


def test_raw_pcm_of_another_kind_gives_the_same_text(
    model: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stereo = np.repeat(speak("ab c", sample_rate=48_000)[:, np.newaxis], 2, axis=1)
    say_to_stdin(stereo.astype("<f4").tobytes(), monkeypatch)
    options = ["--rate", "48000", "--encoding", "f32le", "--channels", "2"]
    assert main(["transcribe", "--stream", "-", "-m", model, *options]) == 0
    assert capsys.readouterr().out == "ab c\n"


def test_one_channel_of_raw_pcm_can_be_heard(
    model: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    say_to_stdin(pcm(np.stack([speak("a"), speak("c")], axis=1)), monkeypatch)
    assert main(["transcribe", "--stream", "-", "-m", model, "--channels", "2", "--channel", "1"]) == 0
    assert capsys.readouterr().out == "c\n"


def test_utterances_are_json_or_words_with_times_if_wanted(
    model: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    say_to_stdin(pcm(SPEECH), monkeypatch)
    assert main(["transcribe", "--stream", "-", "-m", model, "-f", "json"]) == 0
    first, second = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert (first["id"], first["text"], second["id"], second["text"]) == (0, "ab c", 1, "cab")
    assert second["start"] == pytest.approx(3.0, abs=0.03)  # 1 + 0.9 + 1 + 0.1 s
    say_to_stdin(pcm(SPEECH), monkeypatch)
    assert main(["transcribe", "--stream", "-", "-m", model, "--word-timestamps"]) == 0
    rows = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert [row[3] for row in rows] == ["ab", "c", "cab"]


def test_a_shorter_pause_ends_an_utterance_if_wanted(
    model: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    said = np.concatenate([speak("a"), PAUSE[:4800], speak("b"), PAUSE])
    say_to_stdin(pcm(said), monkeypatch)
    assert main(["transcribe", "--stream", "-", "-m", model, "--endpoint-seconds", "0.3"]) == 0
    assert capsys.readouterr().out == "a\nb\n"


def test_text_comes_before_the_stream_ends(model: str) -> None:
    arguments = [sys.executable, "-m", "speechrnn", "transcribe", "--stream", "-", "-m", model]
    pipes: dict[str, Any] = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    root = Path(speechrnn.__file__).parent.parent
    with subprocess.Popen(arguments, cwd=root, **pipes) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(pcm(np.concatenate([speak("ab"), PAUSE, PAUSE])))
        process.stdin.flush()
        assert process.stdout.readline() == b"ab\n"  # and standard input is still open
        process.stdin.write(pcm(speak("c")))
        process.stdin.close()
        assert process.stdout.readline() == b"c\n"
        assert process.wait(timeout=60) == 0


def test_damaged_samples_end_the_stream_with_an_error(
    model: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    say_to_stdin(np.full(1600, np.nan, dtype="<f4").tobytes(), monkeypatch)
    assert main(["transcribe", "--stream", "-", "-m", model, "--encoding", "f32le"]) == 1
    assert "standard input, at 0.0 s: 1600 samples are NaN" in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["WAV", "FLAC", "OGG", "ID3"])
def test_a_sound_file_is_no_raw_pcm(
    model: str, kind: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = io.BytesIO(b"ID3\3" + bytes(100))
    if kind != "ID3":
        soundfile.write(file, speak("ab"), SAMPLE_RATE, format=kind)
    say_to_stdin(file.getvalue(), monkeypatch)
    assert main(["transcribe", "--stream", "-", "-m", model]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "standard input: is a sound file (" in captured.err
    assert (
        "not raw PCM; name the file instead, or decode it first; `speechrnn transcribe -` reads"
        in captured.err
    )


class Ended(io.BytesIO):
    """Standard input that ends in a signal."""

    def __init__(self, data: bytes, number: int) -> None:
        super().__init__(data)
        self.number = number

    def read1(self, size: int | None = -1, /) -> bytes:
        data = super().read1(size)
        if not data:
            signal.raise_signal(self.number)
        return data


class FakeMicrophone(Microphone):
    """Hears the beginning of an utterance, then Ctrl-C; the rest waits to be asked for."""

    model_is_open = False

    def __init__(self, *, sample_rate: int, device: int | str | None) -> None:
        assert FakeMicrophone.model_is_open, "the model must be opened first"

    def __enter__(self) -> Iterator[np.ndarray]:
        yield from np.split(speak("ab"), 5)[:3]
        raise KeyboardInterrupt

    def __exit__(self, *exception: object) -> None:
        pass

    def drain(self) -> Iterator[np.ndarray]:
        return iter(np.split(speak("ab"), 5)[3:])


def test_a_microphone_is_heard_until_it_is_interrupted(
    model: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    open_transcriber = live_transcription.open_transcriber

    def note_and_open(*arguments: Any) -> Any:
        FakeMicrophone.model_is_open = True
        return open_transcriber(*arguments)

    monkeypatch.setattr(live_options, "Microphone", FakeMicrophone)
    monkeypatch.setattr(live_transcription, "open_transcriber", note_and_open)
    assert main(["transcribe", "--mic", "-m", model]) == 0
    assert capsys.readouterr().out == "ab\n"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM")
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize(("said", "text"), [("", ""), ("ab", "ab\n")])
def test_a_stream_that_is_ended_by_a_signal_tells_what_was_begun(
    model: str,
    number: int,
    status: int,
    said: str,
    text: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(
        sys, "stdin", SimpleNamespace(buffer=Ended(pcm(speak(said) if said else PAUSE[:0]), number))
    )
    assert main(["transcribe", "--stream", "-", "-m", model]) == status
    assert capsys.readouterr().out == text


def test_a_microphone_that_is_terminated_tells_what_was_begun(
    model: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class TerminatedMicrophone(FakeMicrophone):
        def __enter__(self) -> Iterator[np.ndarray]:
            yield from np.split(speak("ab"), 5)[:3]
            raise Terminated

    monkeypatch.setattr(FakeMicrophone, "model_is_open", True)
    monkeypatch.setattr(live_options, "Microphone", TerminatedMicrophone)
    assert main(["transcribe", "--mic", "-m", model]) == 143
    assert capsys.readouterr().out == "ab\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "name what to transcribe"),
        (["--stream"], "live audio comes from --stream - or from --mic alone"),
        (["--stream", "a.wav"], "live audio comes from"),
        (["--stream", "-", "--mic"], "live audio comes from"),
        (["--mic", "0", "a.wav"], "live audio comes from"),
        (
            ["--mic", "--rate", "8000"],
            "--rate is about raw PCM on standard input, which is not what is heard",
        ),
        (["--stream", "-", "-o", "x"], "live text goes to standard output"),
        (["--stream", "-", "-f", "srt"], "live text goes to standard output"),
        (["--stream", "-", "--vad"], "are for recordings"),
        (["--stream", "-", "--recursive"], "--recursive is about folders"),
        (["--stream", "-", "--max-line-width", "42"], "are about subtitles, which live text is not"),
        (["--stream", "-", "--max-line-count", "2"], "are about subtitles, which live text is not"),
        (["--stream", "-", "--encoding", "mp3"], "invalid choice: 'mp3'"),
        (["--stream", "-", "--endpoint-seconds", "0"], "must be a number >= 0.1"),
    ],
)
def test_options_that_do_not_go_together_are_wrong_usage(
    arguments: list[str], message: str, model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["transcribe", *arguments, "-m", model]) == 2
    assert message in capsys.readouterr().err
