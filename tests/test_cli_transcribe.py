"""``speechrnn transcribe`` as whisper's users would use it: folders, patterns, files for results, and mishaps."""

import ast
import io
import itertools
import json
import math
import os
import resource
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soundfile
from programs import M4A, fake_ffmpeg
from tiny_model import SAMPLE_RATE, speak, write_model

import speechrnn
from speechrnn.audio import load_audio
from speechrnn.cli import console, output_files
from speechrnn.cli.audio_inputs import AudioInput, find_inputs
from speechrnn.cli.main import main
from speechrnn.cli.output_files import name_outputs
from speechrnn.diagnosis import SELF_TEST_CLIP
from speechrnn.sound_file.keeping import KeptSound

ROOT = Path(speechrnn.__file__).parent.parent
COMMAND = [sys.executable, "-m", "speechrnn", "transcribe"]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(write_model(tmp_path_factory.mktemp("models") / "tones.onnx"))


def write_wav(path: Path, text: str) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, speak(text), SAMPLE_RATE, subtype="PCM_16")
    return str(path)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Make talks/a.wav and talks/day 1/b.wav, and something that is no audio."""
    write_wav(tmp_path / "talks/a.wav", "a")
    write_wav(tmp_path / "talks/day 1/b.wav", "b")
    write_wav(tmp_path / "talks/.hidden.wav", "c")
    (tmp_path / "talks/notes.md").write_text("no audio")
    return tmp_path / "talks"


def files_in(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): path.read_text(encoding="utf-8")
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


# ---- What is transcribed --------------------------------------------------------------------------------


def test_a_folder_stands_for_the_audio_in_it(
    model: str, tree: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["transcribe", str(tree), "-m", model]) == 0
    assert capsys.readouterr().out == "a\n"  # one recording: its text alone
    assert main(["transcribe", str(tree), "--recursive", "-m", model]) == 0
    assert capsys.readouterr().out == f"{tree}/a.wav\ta\n{tree}/day 1/b.wav\tb\n"


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("*.wav", ["a.wav"]),
        ("?.wav", ["a.wav"]),
        ("**/*.wav", ["a.wav", "day 1/b.wav"]),
        ("day*", ["day 1/b.wav"]),
    ],
)
def test_patterns_that_no_shell_expanded_are_expanded(tree: Path, pattern: str, found: list[str]) -> None:
    names = [item.name for item in find_inputs([f"{tree}/{pattern}"], recursive=False)]
    assert names == [f"{tree}/{name}" for name in found]


def test_a_file_whose_name_looks_like_a_pattern_is_that_file(
    model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clip = write_wav(tmp_path / "a[1]*.wav", "c")
    assert main(["transcribe", clip, "-m", model]) == 0
    assert capsys.readouterr().out == "c\n"


def test_folders_without_audio_and_patterns_without_match_fail_and_the_rest_is_done(
    model: str, tree: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    assert main(["transcribe", f"{tmp_path}/empty", f"{tree}/*.mp3", f"{tree}/a.wav", "-m", model]) == 1
    captured = capsys.readouterr()
    assert captured.out == f"{tree}/a.wav\ta\n"
    assert f"error: {tmp_path}/empty: holds no audio file (wav, flac" in captured.err
    assert "--recursive looks in its folders, too" in captured.err
    assert f"error: {tree}/*.mp3: no file matches\n" in captured.err
    assert "2 of 3 files failed" in captured.err


def test_one_channel_or_each(model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    left, right = speak("ab"), speak("cc")
    clip = str(tmp_path / "call.wav")
    soundfile.write(clip, np.stack([left, right], axis=1), SAMPLE_RATE)
    for channel, text in (("0", "ab"), ("1", "cc")):
        assert main(["transcribe", clip, "-m", model, "--channel", channel]) == 0
        assert capsys.readouterr().out == f"{text}\n"
    assert main(["transcribe", clip, "-m", model, "--channel", "each"]) == 0
    assert capsys.readouterr().out == f"{clip}[0]\tab\n{clip}[1]\tcc\n"
    out = tmp_path / "out"
    assert main(["transcribe", clip, "-m", model, "--channel", "each", "-o", str(out), "-f", "json"]) == 0
    assert sorted(files_in(out)) == ["call.channel0.json", "call.channel1.json"]
    audio = json.loads((out / "call.channel1.json").read_text())["audio"]
    assert audio == {
        "path": clip,
        "duration": 0.5,
        "sample_rate": 16_000,
        "channels": 2,
        "channel": 1,
    }


def test_a_channel_that_is_not_there_fails(
    model: str, tree: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["transcribe", f"{tree}/a.wav", "-m", model, "--channel", "1"]) == 1
    assert "a.wav: has no channel 1; it has 1" in capsys.readouterr().err
    assert main(["transcribe", f"{tree}/a.wav", "-m", model, "--channel", "left"]) == 2
    assert "must be mean, each or a number from 0, got 'left'" in capsys.readouterr().err


def test_each_channel_of_what_is_no_audio_fails(
    model: str, tree: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["transcribe", f"{tree}/notes.md", "-m", model, "--channel", "each"]) == 1
    assert "notes.md: not audio that can be read" in capsys.readouterr().err


def feed_fifo(fifo: Path, data: bytes) -> None:
    os.mkfifo(fifo)
    threading.Thread(target=fifo.write_bytes, args=(data,), daemon=True).start()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such pipes")
@pytest.mark.parametrize("options", [[], ["-f", "srt"], ["-f", "json"], ["--vad"], ["--channel", "each"]])
def test_a_pipe_that_is_named_is_read_once(
    model: str, tree: Path, options: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    feed_fifo(tree / "fifo", (tree / "a.wav").read_bytes())
    assert main(["transcribe", f"{tree}/fifo", "-m", model, *options]) == 0
    piped = capsys.readouterr().out
    assert main(["transcribe", f"{tree}/a.wav", "-m", model, *options]) == 0
    assert piped == capsys.readouterr().out.replace("/a.wav", "/fifo")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such pipes")
def test_what_is_in_a_pipe_is_written_in_every_format_and_its_copy_goes(
    model: str, tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    feed_fifo(tree / "fifo", (tree / "a.wav").read_bytes())
    out = tmp_path / "out"
    arguments = ["transcribe", f"{tree}/fifo", f"{tree}/a.wav", "-m", model, "-o", str(out), "-f", "all"]
    assert main(arguments) == 0
    assert len(files_in(out)) == 10
    assert files_in(out)["fifo.srt"] == files_in(out)["a.srt"]
    assert list((tmp_path / "tmp").iterdir()) == []


def test_standard_input_goes_into_a_file_piece_by_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    class Hours(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            assert size is not None
            assert 0 < size < 2**24, "all of it would be held at once"
            return super().read(size)

    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=Hours(b"abc")))
    (found,) = find_inputs(["-"], recursive=False)
    assert isinstance(found.source, KeptSound)
    copy = Path(found.source)
    assert copy.read_bytes() == b"abc"
    found.release()
    assert not copy.exists()


def test_copies_are_let_go_of_when_their_recording_is_done(
    model: str, tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    released = []
    monkeypatch.setattr(AudioInput, "release", lambda self: released.append(self.relative.name))
    arguments = [f"{tree}/a.wav", f"{tree}/day 1/b.wav", "-m", model, "--channel", "each"]
    assert main(["transcribe", *arguments]) == 0
    assert released == ["a.wav", "b.wav"]


@pytest.mark.parametrize(
    ("options", "seconds"),
    [
        ([], [math.inf]),
        (["-f", "json"], [math.inf]),
        (["--vad"], [math.inf]),
        (
            ["--channel", "each", "-f", "json"],
            [1, math.inf],
        ),  # a second of it says how many channels there are
    ],
)
def test_what_only_ffmpeg_reads_is_converted_once(
    model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: list[str], seconds: list[float]
) -> None:
    clip, converted, temporary = tmp_path / "a.m4a", tmp_path / "converted", tmp_path / "tmp"
    temporary.mkdir()
    clip.write_bytes(M4A)
    stereo = np.tile(np.tile(speak("abc"), 90)[:, None], (1, 2))  # 63 s are gone through more than once
    soundfile.write(converted, stereo, SAMPLE_RATE, format="WAV")
    body = f"sys.stdout.buffer.write(open({str(converted)!r}, 'rb').read())"
    noted = fake_ffmpeg(tmp_path, monkeypatch, body)
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    assert main(["transcribe", str(clip), "-m", model, *options]) == 0
    calls = [ast.literal_eval(line) for line in noted.read_text().splitlines()]
    assert [float(call[call.index("-t") + 1]) if "-t" in call else math.inf for call in calls] == seconds
    assert list(temporary.iterdir()) == []


def test_a_folder_stands_for_its_films_too(tmp_path: Path) -> None:
    names = ["a.caf", "b.MP4", "c.mkv", "d.webm", "e.wma"]
    for name in [*names, "f.txt", "g.srt"]:
        (tmp_path / name).touch()
    assert [found.relative.name for found in find_inputs([str(tmp_path)], recursive=False)] == names


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such pipes")
def test_folders_and_patterns_stand_for_files_alone(
    model: str, tree: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    os.mkfifo(tree / "fifo.wav")  # reading it would wait for ever
    (tree / "gone.wav").symlink_to(tree / "nowhere")
    for argument in (str(tree), f"{tree}/*.wav"):
        names = [item.name for item in find_inputs([argument], recursive=False)]
        assert names == [f"{tree}/a.wav", f"{tree}/gone.wav"]  # that which is missing is told


# ---- One utterance in every guise -----------------------------------------------------------------------

RATES = (8_000, 16_000, 44_100, 48_000)
KINDS = {
    **{f"{subtype}.wav": subtype for subtype in ("PCM_16", "PCM_24", "PCM_32", "FLOAT")},
    **{f"{subtype}.flac": subtype for subtype in ("PCM_16", "PCM_24")},
    "x.ogg": "VORBIS",
    "x.opus": "OPUS",
    "x.mp3": "MPEG_LAYER_III",
}


def can_be(kind: str, rate: int, num_channels: int) -> bool:
    is_opus, is_mp3 = kind.endswith("opus"), kind.endswith("mp3")
    return not (is_opus and rate == 44_100) and not (is_mp3 and num_channels > 2)


def write_guises(folder: Path, speech: Callable[[int], np.ndarray]) -> int:
    """Write what ``speech`` gives for a rate in every guise, and count the files."""
    guises = [guise for guise in itertools.product(KINDS, RATES, (1, 2, 6)) if can_be(*guise)]
    for kind, rate, num_channels in guises:
        samples = np.repeat(speech(rate)[:, np.newaxis], num_channels, axis=1)
        container = "OGG" if kind.endswith("opus") else None
        path = folder / f"{rate}_{num_channels}_{kind}"
        soundfile.write(path, samples, rate, subtype=KINDS[kind], format=container)
    return len(guises)


def test_one_utterance_gives_the_same_text_in_every_guise(
    model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    num_guises = write_guises(tmp_path, lambda rate: speak("ab c", sample_rate=rate))
    assert main(["transcribe", str(tmp_path), "-m", model]) == 0
    lines = capsys.readouterr().out.splitlines()
    # 9 kinds, 4 rates and 3 channel counts are 108; opus lacks 3 of them, mp3 lacks 4.
    assert len(lines) == num_guises == 101
    assert {line.split("\t")[1] for line in lines} == {"ab c"}


def test_real_speech_gives_the_same_text_in_every_guise(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_guises(tmp_path, lambda rate: load_audio(SELF_TEST_CLIP, sample_rate=rate))
    assert main(["transcribe", str(tmp_path)]) == 0
    assert {line.split("\t")[1] for line in capsys.readouterr().out.splitlines()} == {"repeat"}


@pytest.mark.parametrize("batch_seconds", ["0.1", "2", "1000"])
def test_the_text_is_the_same_at_any_batch_size(
    model: str, tmp_path: Path, batch_seconds: str, capsys: pytest.CaptureFixture[str]
) -> None:
    texts = ["abc abc", "a", "cab", "b", "bb", "a c", "abcabcabc"]
    clips = [write_wav(tmp_path / f"{number}.wav", text) for number, text in enumerate(texts)]
    assert main(["transcribe", *clips, "-m", model, "--batch-seconds", batch_seconds]) == 0
    assert [line.split("\t")[1] for line in capsys.readouterr().out.splitlines()] == texts


@pytest.mark.parametrize("value", ["0", "-1", "nan", "x"])
def test_a_batch_of_no_seconds_is_wrong_usage(
    model: str, tree: Path, value: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["transcribe", f"{tree}/a.wav", "-m", model, "--batch_seconds", value]) == 2
    assert "--batch-seconds: must be a number >= 0.1" in capsys.readouterr().err


def test_a_device_that_there_is_nowhere_is_wrong_usage(
    model: str, tree: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["transcribe", f"{tree}/a.wav", "-m", model, "--device", "tpu"]) == 2
    assert "device must be auto, cpu, cuda or cuda:N, got 'tpu'" in capsys.readouterr().err


# ---- Silence skipped ------------------------------------------------------------------------------------


def test_with_vad_only_speech_is_transcribed_at_its_times(
    model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pause = np.zeros(3 * SAMPLE_RATE, dtype=np.float32)
    clip, silent = str(tmp_path / "long.wav"), str(tmp_path / "silent.wav")
    soundfile.write(clip, np.concatenate([pause, speak("ab"), pause, speak("c"), pause]), SAMPLE_RATE)
    soundfile.write(silent, pause, SAMPLE_RATE)
    assert main(["transcribe", clip, silent, clip, "-m", model, "--vad"]) == 0
    assert capsys.readouterr().out == f"{clip}\tab c\n{silent}\t\n{clip}\tab c\n"
    assert main(["transcribe", clip, "-m", model, "--vad", "--word-timestamps"]) == 0
    # The tones of a and b are from 3.1 to 3.4 s, that of c, behind 3 s of silence more, from 6.6 to 6.7 s.
    rows = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert [row[3] for row in rows] == ["ab", "c"]
    times = [float(time) for row in rows for time in row[:2]]
    assert times == pytest.approx([3.1, 3.4, 6.6, 6.7], abs=0.02)


def test_with_vad_a_broken_file_fails_and_the_rest_is_done(
    model: str, tree: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = f"{tree}/notes.md"
    assert main(["transcribe", broken, f"{tree}/a.wav", broken, "-m", model, "--vad"]) == 1
    captured = capsys.readouterr()
    assert captured.out == f"{tree}/a.wav\ta\n"
    assert captured.err.count("notes.md: not audio") == 2


# ---- Results in files -----------------------------------------------------------------------------------


def test_results_go_into_a_mirrored_tree(
    model: str, tree: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "new" / "out"
    assert main(["transcribe", str(tree), "--recursive", "-o", str(out), "-m", model]) == 0
    assert files_in(out) == {"a.txt": "a\n", "day 1/b.txt": "b\n"}
    assert capsys.readouterr().out == ""


def test_all_formats_are_written_at_once(model: str, tree: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert main(["transcribe", f"{tree}/a.wav", "--output_dir", str(out), "-f", "all", "-m", model]) == 0
    written = files_in(out)
    assert sorted(written) == ["a.json", "a.srt", "a.tsv", "a.txt", "a.vtt"]
    described = json.loads(written["a.json"])
    assert described["text"] == "a"
    assert described["segments"][0]["words"][0]["word"] == "a"
    assert described["audio"]["path"] == f"{tree}/a.wav"
    assert described["model"]["name"] == "tones"
    assert len(described["model"]["sha256"]) == 64
    assert described["decoder"]["method"] == "greedy"
    assert written["a.srt"].endswith("\na\n\n")


@pytest.mark.parametrize(
    ("names", "stems"),
    [
        (["a.wav", "b.wav"], ["a", "b"]),
        (["a.wav", "a.mp3", "b.wav"], ["a.wav", "a.mp3", "b"]),
        (["x/a.wav", "y/a.wav"], ["x/a.wav", "y/a.wav"]),
        (["x/a.wav", "x/a.mp3"], ["a.wav", "a.mp3"]),
        (["a.wav", "a.mp3", "a.wav.flac"], ["a.wav", "a.mp3", "a.wav.flac"]),
        (["a.b.wav", "a"], ["a.b", "a"]),
        (["-"], ["stdin"]),
        ([], []),
    ],
)
def test_names_that_clash_keep_what_tells_them_apart(names: list[str], stems: list[str]) -> None:
    inputs = find_inputs(names, recursive=False)
    assert [path.as_posix() for path in name_outputs(inputs)] == stems


def test_both_files_of_one_name_are_written(model: str, tmp_path: Path) -> None:
    clips = [write_wav(tmp_path / "a.wav", "a"), str(tmp_path / "a.flac")]
    soundfile.write(clips[1], speak("b"), SAMPLE_RATE)
    assert main(["transcribe", *clips, clips[0], "-o", str(tmp_path / "out"), "-m", model]) == 0
    assert files_in(tmp_path / "out") == {"a.flac.txt": "b\n", "a.wav.txt": "a\n"}


def test_nothing_is_overwritten_unless_told(
    model: str, tree: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "a.txt").write_text("by hand")
    arguments = ["transcribe", str(tree), "--recursive", "-o", str(out), "-m", model]
    assert main(arguments) == 1
    assert files_in(out) == {"a.txt": "by hand", "day 1/b.txt": "b\n"}
    cure = "a.txt: exists already; --overwrite replaces it, --skip-existing leaves it as it is"
    assert cure in capsys.readouterr().err
    assert main([*arguments, "--skip-existing"]) == 0
    assert files_in(out)["a.txt"] == "by hand"
    told = f"2 skipped, as files of their names are there already: {out}/a.txt for {tree}/a.wav, {out}/day 1/b.txt"
    assert told in capsys.readouterr().err
    assert main([*arguments, "--overwrite"]) == 0
    assert files_in(out) == {"a.txt": "a\n", "day 1/b.txt": "b\n"}


def test_of_many_that_are_skipped_only_some_are_named(
    model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    for name in "abcd":
        write_wav(tmp_path / f"in/{name}.wav", "a")
        (out / f"{name}.txt").write_text("by hand")
    assert main(["transcribe", f"{tmp_path}/in", "-o", str(out), "-m", model, "--skip-existing"]) == 0
    said = capsys.readouterr().err
    assert "4 skipped" in said
    assert f"{out}/c.txt for {tmp_path}/in/c.wav, …\n" in said


def test_skipping_adds_the_formats_that_are_missing(model: str, tree: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "a.txt").write_text("by hand")
    arguments = ["transcribe", f"{tree}/a.wav", "-o", str(out), "-m", model, "-f", "all", "--skip-existing"]
    assert main(arguments) == 0
    assert len(files_in(out)) == 5
    assert files_in(out)["a.txt"] == "by hand"


@pytest.mark.parametrize(
    ("options", "content"),
    [
        (["-f", "txt"], "ab c\n"),
        (["-f", "tsv", "--word-timestamps"], "start\tend\ttext\n100\t400\tab\n700\t800\tc\n"),
    ],
)
def test_one_recording_is_printed_in_the_format_that_is_wanted(
    model: str, tmp_path: Path, options: list[str], content: str, capsys: pytest.CaptureFixture[str]
) -> None:
    clip = write_wav(tmp_path / "x.wav", "ab c")
    assert main(["transcribe", clip, "-m", model, *options]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert len(printed) == len(content.splitlines())
    for got, expected in zip(printed, content.splitlines(), strict=True):
        *times, text = got.split("\t")
        *expected_times, expected_text = expected.split("\t")
        assert text == expected_text
        if expected_times and expected_times[0].isdecimal():  # a frame is 10 ms, and sees 20 ms
            assert list(map(int, times)) == pytest.approx(list(map(int, expected_times)), abs=20)


def test_json_of_several_recordings_is_a_line_for_each(
    model: str, tree: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["transcribe", str(tree), "--recursive", "-f", "json", "-m", model]) == 0
    described = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [d["text"] for d in described] == ["a", "b"]


def test_in_lines_of_json_a_failed_recording_has_an_error_in_its_place(
    model: str, tree: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["transcribe", f"{tree}/notes.md", f"{tree}/a.wav", "-f", "json", "-m", model]) == 1
    failed, done = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert failed["audio"] == {"path": f"{tree}/notes.md"}
    assert "not audio that can be read" in failed["error"]
    assert done["text"] == "a"


def test_hypotheses_and_words_are_written_to_text_files_as_they_are_printed(
    model: str, tree: Path, tmp_path: Path
) -> None:
    arguments = ["transcribe", f"{tree}/a.wav", "-m", model, "-o"]
    assert main([*arguments, str(tmp_path / "words"), "--word-timestamps"]) == 0
    assert len(files_in(tmp_path / "words")["a.txt"].split("\t")) == 4
    assert main([*arguments, str(tmp_path / "best"), "--nbest", "2", "-f", "json"]) == 0
    assert len(json.loads(files_in(tmp_path / "best")["a.json"])["alternatives"]) == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--overwrite"], "name their folder with -o"),
        (["--skip-existing"], "name their folder with -o"),
        (["--overwrite", "--skip-existing", "-o", "x"], "not allowed with"),
        (["-f", "all"], "all formats need a folder"),
        (["-f", "srt"], "several recordings as srt need a folder"),
        (["-f", "srt", "-o", "x", "--nbest", "2"], "--nbest is for whole texts"),
        (["--vad", "--nbest", "2"], "--nbest is for whole texts"),
        (["-f", "doc"], "invalid choice: 'doc'"),
        (["-o", ""], "must be the name of a folder, got ''; this one is ."),
        (["--max-line-width", "0"], "must be a whole number >= 1"),
        (
            ["--rate", "8000"],
            "--rate is about raw PCM on standard input, which is not what is heard; --stream",
        ),
        (["--encoding", "s16le"], "--encoding is about raw PCM"),
        (["--partials"], "--partials and --endpoint-seconds are about live audio"),
        (["--endpoint-seconds", "0.8"], "--partials and --endpoint-seconds are about live audio"),
        (["--channels", "1"], "--channels is about raw PCM"),
    ],
)
def test_options_that_do_not_go_together_are_wrong_usage(
    model: str, options: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["transcribe", "a.wav", "b.wav", "-m", model, *options]) == 2
    assert message in capsys.readouterr().err


# ---- What can go wrong with files -----------------------------------------------------------------------


def test_a_file_name_for_the_folder_is_understood(
    model: str, tree: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["transcribe", f"{tree}/a.wav", "-o", str(tmp_path / "a.srt"), "-m", model]) == 1
    assert "a.srt: -o names a folder; for one recording, -f srt without -o" in capsys.readouterr().err
    assert not (tmp_path / "a.srt").exists()


def test_a_folder_that_cannot_be_written_to_is_named_before_any_work(
    model: str, tree: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    for folder in ("file", "file/out"):
        assert main(["transcribe", str(tree), "-o", str(tmp_path / folder), "-m", model]) == 1
        captured = capsys.readouterr()
        assert f"error: {tmp_path}/{folder}: cannot be written to: " in captured.err
        assert "model tones" not in captured.err


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has other rights")
def test_a_read_only_folder_is_named_before_any_work(
    model: str,
    tree: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def refuse(**options: Any) -> None:
        raise PermissionError(13, "Permission denied")  # what it says to everybody but root

    monkeypatch.setattr(output_files.tempfile, "TemporaryFile", refuse)
    assert main(["transcribe", str(tree), "-o", str(tmp_path), "-m", model]) == 1
    assert f"{tmp_path}: cannot be written to: Permission denied" in capsys.readouterr().err


def run_limited(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *arguments], cwd=ROOT, check=False, text=True, **options)


@pytest.mark.skipif(sys.platform != "linux", reason="/dev/full is Linux's")
def test_a_full_disk_under_standard_output_is_an_error(model: str, tree: Path) -> None:
    with open("/dev/full", "w") as full:
        done = run_limited(f"{tree}/a.wav", "-m", model, stdout=full, stderr=subprocess.PIPE)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "speechrnn: error: No space left on device"


@pytest.mark.skipif(sys.platform != "linux", reason="limits are a matter of Unix")
def test_a_disk_that_takes_no_more_leaves_whole_files_only(model: str, tree: Path, tmp_path: Path) -> None:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))  # the JSON is longer, the text is not

    out = tmp_path / "out"
    arguments = [f"{tree}/a.wav", "-m", model, "-o", str(out)]
    done = run_limited(*arguments, "-f", "json", capture_output=True, preexec_fn=limit)
    assert done.returncode == 1
    assert f"{out}/a.json: cannot be written: File too large" in done.stderr
    assert list(out.iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM")
def test_a_termination_leaves_whole_files_only(model: str, tree: Path, tmp_path: Path) -> None:
    fifo, out = tmp_path / "fifo.wav", tmp_path / "out"
    os.mkfifo(fifo)  # reading it waits for ever
    arguments = [*COMMAND, f"{tree}/a.wav", str(fifo), "-o", str(out), "-m", model]
    with subprocess.Popen(arguments, cwd=ROOT, text=True, stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        assert process.stderr.readline() == "model tones: tones\n"
        with fifo.open("wb"):  # now it reads
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=60) == 143
        assert process.stderr.read() == "speechrnn: terminated\n"
    assert files_in(out) == {}


def test_a_termination_while_a_file_is_written_leaves_nothing_of_it(
    model: str, tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def half(self: Path, text: str, **options: Any) -> None:
        self.write_bytes(text.encode()[: len(text) // 2])
        if "b" in text:
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(Path, "write_text", half)
    before = signal.getsignal(signal.SIGTERM)
    assert main(["transcribe", str(tree), "--recursive", "-o", str(tmp_path / "out"), "-m", model]) == 143
    assert sorted(files_in(tmp_path / "out")) == ["a.txt"]
    assert signal.getsignal(signal.SIGTERM) is before


def test_outside_the_main_thread_a_clean_end_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object) -> None:
        raise ValueError("signal only works in main thread of the main interpreter")

    monkeypatch.setattr(console.signal, "signal", refuse)
    with console.clean_end():
        pass


@pytest.mark.skipif(sys.platform == "win32", reason="closing a stream is a matter of Unix shells")
@pytest.mark.parametrize(
    ("closed", "name", "status", "out", "error"),
    [
        (0, "-", 1, "", "speechrnn: error: standard input: is closed"),
        (0, "a.wav", 0, "a\n", "model tones: tones"),
        (1, "a.wav", 1, "", "speechrnn: error: "),
        (2, "a.wav", 0, "a\n", ""),
    ],
)
def test_a_stream_that_the_caller_has_closed_is_no_crash(
    closed: int, name: str, status: int, out: str, error: str, model: str, tree: Path
) -> None:
    source = name if name == "-" else f"{tree}/{name}"
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    done = run_limited(source, "-m", model, preexec_fn=lambda: os.close(closed), **streams)
    assert (done.returncode, done.stdout) == (status, out)
    assert "Traceback" not in done.stderr
    assert (done.stderr.splitlines() or [""])[-1].startswith(error)


def test_two_processes_share_a_folder(model: str, tmp_path: Path) -> None:
    for number in range(20):
        write_wav(tmp_path / f"in/{number}.wav", "abc"[number % 3])
    arguments = [*COMMAND, f"{tmp_path}/in", "-o", f"{tmp_path}/out", "-f", "all", "-m", model]
    processes = [subprocess.Popen(arguments, cwd=ROOT, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    errors = [process.communicate(timeout=120)[1] for process in processes]
    for error, process in zip(errors, processes, strict=True):
        assert process.returncode in (0, 1)
        complaints = [line for line in error.splitlines() if "error" in line]
        assert all("exists already" in line for line in complaints)
    written = files_in(tmp_path / "out")
    assert len(written) == 100
    for number in range(20):
        assert written[f"{number}.txt"] == f"{'abc'[number % 3]}\n"
        assert json.loads(written[f"{number}.json"])["text"] == "abc"[number % 3]


def test_a_path_that_is_not_utf8_can_be_told_in_json(model: str, tree: Path, tmp_path: Path) -> None:
    if sys.platform != "linux":
        pytest.skip("other systems do not allow such names")
    odd = os.fsencode(tree) + b"/caf\xe9.wav"
    os.rename(tree / "a.wav", odd)
    assert main(["transcribe", os.fsdecode(odd), "-m", model, "-o", str(tmp_path / "out"), "-f", "json"]) == 0
    (written,) = (tmp_path / "out").iterdir()
    assert os.fsencode(written).endswith(b"/caf\xe9.json")
    assert json.loads(written.read_text())["audio"]["path"].endswith("/caf�.wav")


# ---- How long it took -----------------------------------------------------------------------------------


def test_long_work_is_summed_up(
    model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clip = str(tmp_path / "long.wav")
    soundfile.write(clip, np.zeros(61 * SAMPLE_RATE, dtype=np.float32), SAMPLE_RATE)
    assert main(["transcribe", clip, "-m", model]) == 0
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("speechrnn: 1:01 of audio in 0:0")
    assert ", real-time factor 0." in last


def test_the_bar_shows_the_real_time_factor() -> None:
    progress = console.Progress("transcribing", total=2, stream=None)
    progress.advance(audio_s=60.0)
    # 3 s for 60 s of audio: 0.05.
    assert progress.render(3.0).endswith("1/2  0:03  RTF 0.050")


def test_the_bar_moves_within_a_long_file() -> None:
    progress = console.Progress("transcribing", total=2, stream=None)
    progress.advance(audio_s=60.0)
    progress.reach(30.0, 120.0)
    # One and a quarter of 2 is 15 of 24 places; 4.5 s for 90 s of audio are 0.05.
    assert progress.render(4.5) == f"transcribing [{15 * '#'}{9 * '.'}] 1/2  0:04  RTF 0.050"
    progress.reach(60.0, None)  # a file that does not say how long it is
    assert progress.render(6.0) == f"transcribing [{12 * '#'}{12 * '.'}] 1/2  0:06  RTF 0.050"
    progress.reach(121.0, 120.0)
    assert f"[{24 * '#'}]" in progress.render(4.5)
    progress.advance(audio_s=120.0)
    assert progress.render(9.0) == f"transcribing [{24 * '#'}] 2/2  0:09  RTF 0.050"


@pytest.mark.parametrize("vad", [False, True])
def test_the_command_tells_the_bar_how_far_it_is(
    model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, vad: bool
) -> None:
    shown: list[float] = []
    monkeypatch.setattr(
        console.Progress, "reach", lambda self, heard_s, total_s: shown.append(heard_s / total_s)
    )
    clip = str(tmp_path / "long.wav")
    soundfile.write(clip, np.concatenate([speak("abc"), np.zeros(SAMPLE_RATE, np.float32)] * 40), SAMPLE_RATE)
    assert main(["transcribe", clip, "-m", model, *(["--vad"] if vad else [])]) == 0
    assert len(shown) >= 4
    assert shown == sorted(shown)
    assert 0 < shown[0] < 0.5 < 0.95 < shown[-1] <= 1


@pytest.mark.parametrize(("seconds", "text"), [(0.0, "0:00"), (65.9, "1:05"), (3605.0, "1:00:05")])
def test_durations_are_written_as_people_do(seconds: float, text: str) -> None:
    assert console.clock(seconds) == text
