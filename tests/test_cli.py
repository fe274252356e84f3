"""The command line: what goes to stdout, what to stderr, and which exit status comes out."""

import io
import json
import logging
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import soundfile
from tiny_model import SAMPLE_RATE, speak, write_model

import speechrnn
from speechrnn.cli import console
from speechrnn.cli import main as cli_main
from speechrnn.cli.console import Progress
from speechrnn.cli.main import COMMANDS, main
from speechrnn.runtime import model_registry

ROOT = Path(speechrnn.__file__).parent.parent


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(write_model(tmp_path_factory.mktemp("models") / "tones.onnx"))


@pytest.fixture
def clips(tmp_path: Path) -> list[str]:
    return [write_wav(tmp_path / f"{text}.wav", text) for text in ("ab", "c", "b a")]


def write_wav(path: Path, text: str) -> str:
    soundfile.write(path, speak(text), SAMPLE_RATE, subtype="PCM_16")
    return str(path)


def run_process(*arguments: str, **options: Any) -> subprocess.CompletedProcess[bytes]:
    """Run the command as a user does, in a process of its own."""
    command = [sys.executable, "-m", "speechrnn", *arguments]
    return subprocess.run(command, capture_output=True, cwd=ROOT, check=False, **options)


# ---- Finding the command --------------------------------------------------------------------------------


def test_help_lists_every_command_with_a_line_each(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    lines = capsys.readouterr().out.splitlines()
    for name, command in COMMANDS.items():
        assert f"  {name:<14} {command.summary}" in lines
    assert max(map(len, lines)) <= 80


@pytest.mark.parametrize("option", ["--version", "-V"])
def test_version_is_the_packages(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([option]) == 0
    assert capsys.readouterr().out == f"speechrnn {speechrnn.__version__}\n"


def test_no_command_shows_the_help_on_stderr_as_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "transcribe" in captured.err


@pytest.mark.parametrize(
    ("word", "hint"),
    [
        ("transcirbe", "no command 'transcirbe'; did you mean `speechrnn transcribe`?"),
        ("evalute", "did you mean `speechrnn evaluate`?"),
        ("x", "no command 'x'; commands are transcribe, evaluate"),
        ("--verison", "no option '--verison'"),
    ],
)
def test_an_unknown_command_names_the_nearest(
    word: str, hint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([word]) == 2
    assert hint in capsys.readouterr().err


def test_a_file_where_a_command_belongs_is_understood(
    clips: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([clips[0]]) == 2
    assert f"did you mean `speechrnn transcribe {clips[0]}`?" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["transcribe", "evaluate", "info", "models"])
def test_every_command_has_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([name, "--help"]) == 0
    assert f"usage: speechrnn {name}" in capsys.readouterr().out


def test_an_unknown_option_names_the_nearest(clips: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["transcribe", clips[0], "--thread=2"]) == 2
    assert "unknown argument '--thread=2'; did you mean --threads?" in capsys.readouterr().err
    assert main(["transcribe", "x.wav", "--beam", "5"]) == 2
    assert "unknown argument '--beam'; did you mean --beam-size?" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [[], ["--threads", "0", "x.wav"], ["--threads", "two", "x.wav"]])
def test_wrong_usage_exits_with_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["transcribe", *arguments]) == 2
    assert "speechrnn transcribe" in capsys.readouterr().err


def test_long_options_may_be_spelled_with_underscores() -> None:
    spelled = cli_main.with_dashes(["--num_x=a_b", "--some_y", "v_w", "-m", "m_n", "--", "--f_g"])
    assert spelled == ["--num-x=a_b", "--some-y", "v_w", "-m", "m_n", "--", "--f_g"]


def test_the_training_commands_get_their_arguments_raw(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[list[str]] = []
    stand_in = ModuleType("train")
    stand_in.run = lambda argv: seen.append(argv) or 0  # type: ignore[attr-defined, func-returns-value]
    monkeypatch.setitem(sys.modules, "speechrnn.cli.train", stand_in)
    assert main(["fit", "--config", "x.yaml", "--data.num_workers=0"]) == 0
    assert seen == [["fit", "--config", "x.yaml", "--data.num_workers=0"]]


# ---- When something goes wrong --------------------------------------------------------------------------


def raise_in_models(error: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the command ``models`` raise."""

    def fail(args: object) -> int:
        raise error

    stand_in = ModuleType("models")
    stand_in.add_arguments = lambda parser: None  # type: ignore[attr-defined]
    stand_in.run = fail  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "speechrnn.cli.models", stand_in)


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (speechrnn.SpeechRNNError("x.wav: empty"), 1, "speechrnn: error: x.wav: empty\n"),
        (KeyboardInterrupt(), 130, "speechrnn: interrupted\n"),
        (BrokenPipeError(), 141, ""),
        (
            PermissionError(13, "Permission denied", "x"),
            1,
            "speechrnn: error: x: Permission denied\n",
        ),
        (OSError(28, "No space left on device"), 1, "speechrnn: error: No space left on device\n"),
        (
            ModuleNotFoundError("No module named 'torch.nn'", name="torch.nn"),
            1,
            "speechrnn: error: `speechrnn models` needs torch.nn; "
            'install it with: pip install "speechrnn[train]"\n',
        ),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_goes_wrong_is_said_on_stderr_with_its_status(
    error: BaseException,
    status: int,
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    raise_in_models(error, monkeypatch)
    monkeypatch.setattr(cli_main, "discard_stdout", lambda: None)  # it would take pytest's own
    assert main(["models"]) == status
    captured = capfd.readouterr()
    assert (captured.out, captured.err) == ("", message)


@pytest.mark.parametrize("error", [ModuleNotFoundError(name="speechrnn.cli.x"), ValueError("bug")])
def test_our_own_mistakes_keep_their_traceback(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    raise_in_models(error, monkeypatch)
    with pytest.raises(type(error)):
        main(["models"])


def test_training_without_its_extra_says_how_to_install_it() -> None:
    code = (
        "import sys; sys.modules.update(torch=None, pytorch_lightning=None)\n"
        "from speechrnn.cli.main import main; sys.exit(main(['fit']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, cwd=ROOT, check=False, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith("speechrnn: error: `speechrnn fit` needs ")
    assert done.stderr.endswith('; install it with: pip install "speechrnn[train]"\n')


def test_notices_of_the_library_are_messages_of_the_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = list(logging.getLogger("speechrnn").handlers)
    with console.messages_on_stderr():
        logging.getLogger("speechrnn").warning("resampled %d Hz", 8000)
    assert capsys.readouterr().err == "speechrnn: warning: resampled 8000 Hz\n"
    assert logging.getLogger("speechrnn").handlers == before


# ---- transcribe -----------------------------------------------------------------------------------------


def test_one_file_gives_its_text_alone_on_stdout(
    model: str, clips: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["transcribe", "-m", model, clips[0]]) == 0
    captured = capsys.readouterr()
    assert captured.out == "ab\n"
    assert captured.err == "model tones: tones\n"


def test_several_files_give_path_tab_text_in_their_order(
    model: str, clips: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["transcribe", *clips, "--model", model, "--threads=1"]) == 0
    expected = "".join(f"{clip}\t{text}\n" for clip, text in zip(clips, ("ab", "c", "b a"), strict=True))
    assert capsys.readouterr().out == expected


def test_a_failed_file_is_named_and_the_rest_is_done(
    model: str, clips: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gone, text = str(tmp_path / "gone.wav"), tmp_path / "text.wav"
    text.write_text("this is no audio")
    assert main(["transcribe", clips[0], gone, str(text), clips[1], "-m", model]) == 1
    captured = capsys.readouterr()
    assert captured.out == f"{clips[0]}\tab\n{clips[1]}\tc\n"
    errors = captured.err.splitlines()
    assert errors[1].startswith(f"speechrnn: error: {gone}: ")
    assert errors[2].startswith(f"speechrnn: error: {text}: ")
    assert errors[3] == "speechrnn: 2 of 4 files failed"


def test_one_failed_file_exits_with_1(model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["transcribe", str(tmp_path / "gone.wav"), "-m", model]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert len(captured.err.splitlines()) == 2


def test_silence_gives_an_empty_line_and_a_warning(
    model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clip = write_wav(tmp_path / "silence.wav", "")
    assert main(["transcribe", clip, "-m", model]) == 0
    captured = capsys.readouterr()
    assert captured.out == "\n"
    assert f"speechrnn: warning: {clip}: heard nothing in 0.1 s" in captured.err


def test_a_missing_model_exits_with_1(clips: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["transcribe", clips[0], "-m", "gone.onnx"]) == 1
    assert "speechrnn: error: gone.onnx: no such model file" in capsys.readouterr().err


def test_a_dash_reads_standard_input(model: str, clips: list[str]) -> None:
    done = run_process("transcribe", "-", "-m", model, input=Path(clips[2]).read_bytes())
    assert (done.returncode, done.stdout.decode().splitlines()) == (0, ["b a"])


def test_a_dash_among_files_keeps_its_place(model: str, clips: list[str]) -> None:
    done = run_process("transcribe", clips[0], "-", clips[1], "-m", model, input=Path(clips[2]).read_bytes())
    lines = done.stdout.decode().splitlines()
    assert lines == [f"{clips[0]}\tab", "-\tb a", f"{clips[1]}\tc"]


@pytest.mark.parametrize("content", [b"", b"no audio at all"])
def test_bad_standard_input_is_an_error_of_its_own(model: str, content: bytes) -> None:
    done = run_process("transcribe", "-", "-m", model, input=content)
    assert done.returncode == 1
    assert b"speechrnn: error: standard input: " in done.stderr
    assert b"Traceback" not in done.stderr


def test_standard_input_can_be_named_only_once(model: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["transcribe", "-", "-", "-m", model]) == 2
    assert "only once" in capsys.readouterr().err


def test_paths_with_spaces_quotes_and_unicode_come_out_as_they_went_in(
    model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = ["a b.wav", 'it\'s "so".wav', "größe 音.wav", "$(touch x);.wav"]
    clips = [write_wav(tmp_path / name, "a") for name in names]
    assert main(["transcribe", *clips, "-m", model]) == 0
    assert capsys.readouterr().out == "".join(f"{clip}\ta\n" for clip in clips)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not allow such names")
def test_a_path_that_is_not_utf8_comes_out_as_it_went_in(
    model: str, clips: list[str], tmp_path: Path
) -> None:
    odd = os.fsencode(tmp_path) + b"/caf\xe9.wav"
    os.rename(clips[0], odd)
    done = run_process("transcribe", os.fsdecode(odd), clips[1], "-m", model)
    assert done.returncode == 0
    assert done.stdout.splitlines()[0] == odd + b"\tab"


def test_a_closed_pipe_ends_the_command_quietly(model: str, clips: list[str]) -> None:
    read_end, write_end = os.pipe()
    os.close(read_end)
    command = [sys.executable, "-m", "speechrnn", "transcribe", *clips, "-m", model]
    done = subprocess.run(command, stdout=write_end, stderr=subprocess.PIPE, cwd=ROOT, check=False)
    os.close(write_end)
    assert done.returncode == 141
    assert done.stderr.decode().splitlines() == ["model tones: tones"]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT for one process")
def test_an_interrupt_ends_the_command_with_130(model: str) -> None:
    command = [sys.executable, "-m", "speechrnn", "transcribe", "-", "-m", model]
    pipes: dict[str, Any] = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    with subprocess.Popen(command, cwd=ROOT, text=True, **pipes) as process:
        assert process.stderr is not None
        assert process.stderr.readline() == "model tones: tones\n"  # now it waits for its input
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=60) == 130
        assert process.stderr.read() == "speechrnn: interrupted\n"


def test_the_module_is_the_command() -> None:
    done = run_process("--version")
    assert (done.returncode, done.stdout.decode().split()) == (0, ["speechrnn", speechrnn.__version__])


# ---- info, models ---------------------------------------------------------------------------------------


def test_info_prints_everything_readably(model: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", model]) == 0
    out = capsys.readouterr().out
    for line in (f"path            {model}", "    sample_rate  16000", "tones", "a b c ' '", "sha256"):
        assert line in out


def test_info_prints_json_that_holds_configuration_and_card(
    model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["info", model, "--json"]) == 0
    described = json.loads(capsys.readouterr().out)
    assert described["kind"] == "model file"
    assert described["format_version"] == "1"
    assert described["card"] == {"hears": "tones"}
    assert described["config"]["features"]["hop_length"] == 160
    assert described["size_bytes"] == Path(model).stat().st_size


def test_info_describes_a_checkpoint_with_the_help_of_nn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "x.ckpt").write_bytes(b"")
    stand_in = ModuleType("checkpoint")
    stand_in.describe_checkpoint = lambda path: {"kind": "checkpoint", "epoch": 3}  # type: ignore[attr-defined]
    package = ModuleType("nn")
    package.checkpoint = stand_in  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "speechrnn.nn", package)
    assert main(["info", str(tmp_path / "x.ckpt")]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out == [f"path   {tmp_path / 'x.ckpt'}", "kind   checkpoint", "epoch  3"]


def test_info_refuses_what_is_no_model(clips: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", clips[0]]) == 1
    assert "not a whole ONNX file" in capsys.readouterr().err


def test_models_lists_what_ships_and_marks_the_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_model(tmp_path / "an4.onnx", hears="spelled letters", licence="free")
    write_model(tmp_path / "tones.onnx", language_model="tonal")
    (tmp_path / "tonal.srlm.xz").write_bytes(bytes(250_000))
    monkeypatch.setattr(model_registry, "MODELS_FOLDER", tmp_path)
    assert main(["models"]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[-3:] == ["tonal (language model)", "  of       tones", "  size     0.2 MB"]
    assert out[:2] == ["an4 (default)", "  hears    spelled letters"]
    assert "  licence  free" in out
    assert "tones" in out


def test_models_without_any_model_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(model_registry, "MODELS_FOLDER", tmp_path)
    assert main(["models"]) == 0
    assert "no model ships" in capsys.readouterr().err


# ---- The progress bar -----------------------------------------------------------------------------------


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_the_bar_shows_share_count_and_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    progress = Progress("transcribing", total=4, stream=Terminal())
    progress.advance()
    # A quarter of 24 places is 6.
    assert progress.render(61.5) == "transcribing [######..................] 1/4  1:01"


def test_the_bar_never_fills_more_than_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    assert len(Progress("transcribing", total=4, stream=Terminal()).render(0)) == 19


def test_no_bar_is_drawn_where_there_is_no_terminal() -> None:
    stream = io.StringIO()
    with Progress("transcribing", total=1, stream=stream, delay_s=0.0) as progress:
        progress.advance()
        console.say("hello")
    assert stream.getvalue() == ""


def test_work_that_is_soon_done_shows_no_bar() -> None:
    stream = Terminal()
    with Progress("transcribing", total=1, stream=stream, delay_s=1e6) as progress:
        progress.advance()
        console.say("hello")
    assert stream.getvalue() == ""


class DrawnTerminal(Terminal):
    """A terminal that lets a test wait for the first bar."""

    def __init__(self) -> None:
        super().__init__()
        self.drawn = threading.Event()

    def write(self, text: str) -> int:
        if "transcribing" in text:
            self.drawn.set()
        return super().write(text)


def test_a_bar_makes_way_for_results_and_is_gone_at_the_end(capsys: pytest.CaptureFixture[str]) -> None:
    stream = DrawnTerminal()
    with Progress("transcribing", total=2, stream=stream, delay_s=0.0):
        assert stream.drawn.wait(timeout=30)
        console.put("result")
    assert stream.getvalue().endswith(console.CLEAR_LINE)
    assert capsys.readouterr().out == "result\n"


def test_an_interrupt_removes_the_bar() -> None:
    stream = DrawnTerminal()

    def work() -> None:
        with Progress("transcribing", total=2, stream=stream, delay_s=0.0):
            assert stream.drawn.wait(timeout=30)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        work()
    assert stream.getvalue().endswith(console.CLEAR_LINE)
    assert Progress.active is None


# ---- evaluate -------------------------------------------------------------------------------------------


@pytest.fixture
def manifest(clips: list[str], tmp_path: Path) -> str:
    rows = "audio\ttext\tspeaker\nab.wav\tab\tann\nc.wav\tc\tbob\nb a.wav\tb b\tann\n"
    (tmp_path / "clips.tsv").write_text(rows)
    return str(tmp_path / "clips.tsv")


def test_evaluate_prints_reference_beside_hypothesis_and_the_rates(
    model: str, manifest: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", manifest, "-m", model]) == 0
    out = capsys.readouterr().out
    # One of 4 words is wrong, and one of 6 characters (blanks count as characters).
    assert "   reference   b b\n   hypothesis  b a\n                 S\n" in out
    assert "WER  25.00 %" in out
    assert "1 error in 4 words: 1 S, 0 D, 0 I" in out
    assert "CER  16.67 %" in out
    assert max(map(len, out.splitlines())) <= 80


def test_evaluate_writes_everything_as_json(
    model: str, manifest: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "results.json"
    assert main(["evaluate", manifest, "-m", model, "--output", str(output)]) == 0
    results = json.loads(output.read_text())
    assert results["manifest"] == manifest
    assert results["measures"]["WER"]["value"] == 0.25
    assert [u["hypothesis"] for u in results["utterances"]] == ["ab", "c", "b a"]
    assert results["interval"] == {"level": 0.95, "resampled": "speakers", "num_speakers": 2}


def test_evaluate_replaces_an_output_only_if_told(
    model: str, manifest: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "results.json"
    output.write_text("mine")
    assert main(["evaluate", manifest, "-m", model, "-o", str(output)]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "results.json: exists already; --overwrite replaces it" in captured.err
    assert output.read_text() == "mine"
    assert main(["evaluate", manifest, "-m", model, "-o", str(output), "--overwrite"]) == 0
    assert json.loads(output.read_text())["num_utterances"] == 3


def test_evaluate_refuses_an_output_in_no_folder_before_it_starts(
    model: str, manifest: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "gone" / "results.json"
    assert main(["evaluate", manifest, "-m", model, "-o", str(output)]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert f"{output}: cannot be written: no folder {output.parent}" in captured.err


def test_evaluate_compares_with_another_model_and_with_results(
    model: str, manifest: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "results.json"
    assert main(["evaluate", manifest, "-m", model, "--compare", model, "-o", str(output)]) == 0
    with_model = capsys.readouterr().out
    assert "on 3 utterances: 0 better, 0 worse" in with_model
    assert "WER  25.00 to 25.00 %  +0.00 [+0.00, +0.00]  p = 1.0000, may be chance" in with_model
    assert json.loads(output.read_text())["comparison"]["num_utterances"] == 3
    assert main(["evaluate", manifest, "-m", model, "--compare", str(output)]) == 0
    assert capsys.readouterr().out == with_model
    assert main(["compare", str(output), str(output)]) == 0
    assert capsys.readouterr().out.strip() in with_model


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("[]", "not the results of `speechrnn evaluate --output`: TypeError"),
        ("{", "not the results of `speechrnn evaluate --output`: JSONDecodeError"),
        ("{}", "not the results of `speechrnn evaluate --output`: KeyError: 'format_version'"),
        ('{"format_version": 7}', "results of format 7, this speechrnn reads 1"),
        (None, "cannot be read: No such file"),
    ],
)
def test_compare_refuses_what_is_no_file_of_results(
    text: str | None, wanted: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "results.json"
    if text is not None:
        path.write_text(text)
    assert main(["compare", str(path), str(path)]) == 1
    assert f"{path}: {wanted}" in capsys.readouterr().err


def test_evaluate_names_a_broken_clip_and_measures_the_rest(
    model: str, manifest: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "c.wav").write_bytes(b"broken")
    assert main(["evaluate", manifest, "-m", model]) == 1
    captured = capsys.readouterr()
    assert "c.wav" in captured.err
    assert "1 utterance left out" in captured.out
    assert "1 error in 3 words" in captured.out


def test_evaluate_refuses_a_missing_manifest(model: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", "gone.tsv", "-m", model]) == 1
    assert "gone.tsv" in capsys.readouterr().err


def test_evaluate_shows_only_the_worst_of_many_unless_told(
    model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_wav(tmp_path / "a.wav", "a")
    rows = [f"{n}\ta.wav\t{'b' if n == 23 else 'a'}" for n in range(24)]
    (tmp_path / "many.tsv").write_text("\n".join(["id\taudio\ttext", *rows]))
    assert main(["evaluate", str(tmp_path / "many.tsv"), "-m", model]) == 0
    out = capsys.readouterr().out
    assert out.startswith("The 20 worst of 24 utterances:\n\n23 ")
    assert out.count("reference") == 20
    assert main(["evaluate", str(tmp_path / "many.tsv"), "-m", model, "--all"]) == 0
    assert capsys.readouterr().out.count("reference") == 24


def test_evaluate_of_keywords_prints_accuracy_and_a_row_for_each_class(
    clips: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    keywords = write_model(tmp_path / "keywords.onnx", "classification")
    for label in "aabc":
        write_wav(tmp_path / f"{label}.wav", label)
    (tmp_path / "k.csv").write_text("audio,text\na.wav,a\nb.wav,b\nc.wav,b\n")
    assert main(["evaluate", str(tmp_path / "k.csv"), "-m", str(keywords)]) == 0
    out = capsys.readouterr().out
    assert "S  c          b          c " in out
    assert "accuracy  66.67 %" in out
    assert "2 of 3 clips" in out
    assert np.all([label in out for label in ("precision", "recall")])
