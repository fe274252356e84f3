"""The options of decoding on the command line, and what is kept in model files by ``calibrate`` and ``lm tune``."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import soundfile
from tiny_model import SAMPLE_RATE, speak, write_model

from speechrnn.cli import tuned_model
from speechrnn.cli.main import main
from speechrnn.decoding import ConfidenceScale
from speechrnn.lm import read_lm, write_lm
from speechrnn.lm.trie import Level, build_model
from speechrnn.runtime import ModelFile
from speechrnn.runtime.metadata import write_metadata


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_model(tmp_path / "tones.onnx")


@pytest.fixture
def clip(tmp_path: Path) -> str:
    return write_wav(tmp_path / "ab c.wav", "ab c")


@pytest.fixture
def lm(tmp_path: Path) -> str:
    """Words ab and c are as probable as the end; x, which the model cannot write, is there too."""
    log_probs = np.log([0.1, 1e-9, 0.25, 0.25, 0.25, 0.15])
    level = Level(np.arange(6)[:, None], log_probs, np.zeros(6))
    path = tmp_path / "words.arpa"
    write_lm(build_model(("<unk>", "<s>", "</s>", "ab", "c", "x"), [level]), path)
    return str(path)


def write_wav(path: Path, text: str) -> str:
    soundfile.write(path, speak(text), SAMPLE_RATE, subtype="PCM_16")
    return str(path)


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    status = main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def test_words_come_with_start_end_and_confidence(
    model: Path, clip: str, capsys: pytest.CaptureFixture[str]
) -> None:
    status, out, _ = run(capsys, "transcribe", "-m", model, clip, "--word-timestamps")
    rows = [line.split("\t") for line in out.splitlines()]
    assert status == 0
    assert [row[3] for row in rows] == ["ab", "c"]
    times = [float(value) for row in rows for value in row[:2]]
    assert times == pytest.approx([0.1, 0.4, 0.7, 0.8], abs=0.016)
    assert [row[2] for row in rows] == ["1.000", "1.000"]


def test_several_files_name_each_line(model: Path, clip: str, capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = run(capsys, "transcribe", "-m", model, clip, clip, "--word_timestamps")
    assert [line.split("\t")[0] for line in out.splitlines()] == [clip] * 4


def test_the_best_hypotheses_come_with_their_scores(
    model: Path, clip: str, capsys: pytest.CaptureFixture[str]
) -> None:
    status, out, _ = run(capsys, "transcribe", "-m", model, clip, "--nbest", 3)
    rows = [line.split("\t") for line in out.splitlines()]
    assert status == 0
    assert rows[0][1] == "ab c"
    assert [float(score) for score, _ in rows] == sorted((float(score) for score, _ in rows), reverse=True)


def test_options_of_the_search_reach_it(
    model: Path, clip: str, lm: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    phrases = tmp_path / "phrases.txt"
    phrases.write_text("(a | b){2} b\n", encoding="utf-8")
    for options, text in (
        (["--beam-size", "5"], "ab c"),
        (["--lm", lm, "--lm-alpha", "0", "--lm-beta", "0"], "ab c"),
        (["--phrases", phrases], "a b b"),
        (["--phrases", phrases, "--min-confidence", "0.9"], ""),
        # A second c costs 3.38 - 1.25 = 2.13 nats, where silence meets its tone.
        (["--hotwords", "ab:0,c:-2"], "ab c"),
        (["--hotwords", "ab:0,c:-2.3"], "ab cc"),
    ):
        status, out, _ = run(capsys, "transcribe", "-m", model, clip, *options)
        assert (status, out) == (0, f"{text}\n"), options


def test_an_answer_that_is_not_sure_enough_is_no_silence(
    model: Path, clip: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "phrases.txt").write_text("c c", encoding="utf-8")
    options = ["--phrases", tmp_path / "phrases.txt", "--min-confidence", "0.9"]
    status, out, err = run(capsys, "transcribe", "-m", model, clip, *options)
    assert (status, out) == (0, "\n")
    assert "ab c.wav: no answer that is allowed and sure enough" in err


def test_words_that_the_model_cannot_write_are_counted(
    model: Path, clip: str, lm: str, capsys: pytest.CaptureFixture[str]
) -> None:
    status, out, err = run(capsys, "transcribe", "-m", model, clip, "--lm", lm)
    assert (status, out) == (0, "ab c\n")
    assert "the model cannot write 1 of the language model's 3 words ('x')" in err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--beam-size", "0"], "must be a whole number >= 1, got '0'"),
        (["--lm-alpha", "-1"], "must be a number >= 0, got '-1'"),
        (["--lm-beta", "nan"], "must be a number, got 'nan'"),
        (["--min-confidence", "2"], "must be a number >= 0 and <= 1, got '2'"),
        (["--hotwords", "a:x"], "must be a number, got 'x'"),
        (["--hotwords", "a,,b"], "a hot word is missing in 'a,,b'"),
        (["--nbest", "2", "--word-timestamps"], "not allowed with"),
        (["--lm-alpha", "1"], "--lm-alpha weighs a language model: give one with --lm"),
        (["--rescore-weight", "1"], "--rescore-weight weighs a language model: give one with --rescore-lm"),
        (["--phrases", "none.txt", "--lexicon", "none.txt"], "it does not go with --lexicon"),
    ],
)
def test_a_value_that_makes_no_sense_is_a_usage_error(
    options: list[str], said: str, model: Path, clip: str, capsys: pytest.CaptureFixture[str]
) -> None:
    status, out, err = run(capsys, "transcribe", "-m", model, clip, *options)
    assert (status, out) == (2, "")
    assert said in err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--lm", "none.arpa"], "none.arpa"),
        (["--phrases", "none.txt"], "none.txt: cannot be read: No such file or directory"),
        (["--lexicon", "none.txt"], "none.txt: cannot be read: No such file or directory"),
        (["--hotwords", "mycroft"], "hot word 'mycroft'"),
    ],
)
def test_what_cannot_be_decoded_ends_the_command(
    options: list[str], said: str, model: Path, clip: str, capsys: pytest.CaptureFixture[str]
) -> None:
    status, out, err = run(capsys, "transcribe", "-m", model, clip, *options)
    assert (status, out) == (1, "")
    assert said in err


def test_an_evaluation_takes_the_same_options(
    model: Path, clip: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest = write_manifest(tmp_path, {"ab c": clip})
    phrases = tmp_path / "phrases.txt"
    phrases.write_text("c c\n", encoding="utf-8")
    _, right, _ = run(capsys, "evaluate", manifest, "-m", model)
    _, wrong, _ = run(capsys, "evaluate", manifest, "-m", model, "--phrases", phrases)
    assert "WER  0.00 %" in right
    assert "WER  50.00 %" in wrong


def write_manifest(folder: Path, clips: dict[str, str]) -> Path:
    path = folder / "dev.tsv"
    rows = [f"{audio}\t{text}" for text, audio in clips.items()]
    path.write_text("\n".join(["audio\ttext", *rows]) + "\n", encoding="utf-8")
    return path


def test_tuning_prints_the_grid_and_keeps_the_choice(
    model: Path, clip: str, lm: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest = write_manifest(tmp_path, {"ab c": clip})
    before = {"lm": {"alpha": 2, "beta": 0, "temperature": 3, "bias": 0.5}}
    write_metadata(model, {"speechrnn.decoding": json.dumps(before)})
    grid = ["--alphas", "0,1", "--betas=-1,2"]
    status, out, err = run(capsys, "lm", "tune", "--lm", lm, "--manifest", manifest, "-m", model, *grid)
    assert status == 0
    assert out.splitlines() == [
        "word error rate, %",
        "  alpha   beta -1     beta 0     beta 2",
        "      0         -       0.00          -",
        "      1      0.00*         -       0.00",
        # Of three equal points (0, 0), (1, -1) and (1, 2) the second is nearest to their mean (2/3, 1/3).
        "chosen *: alpha 1, beta -1: 0.00 %, 0 errors in 2 words",
    ]
    assert err.count("the model cannot write 1 of the language model's 3 words") == 1
    assert "confidences stay as they are: confidences cannot be fitted to 2 words: all of them" in err
    assert f"kept in {model}" in err
    choice = ModelFile(model).info.decoding.lm
    assert choice is not None
    assert (choice.alpha, choice.beta) == (1.0, -1.0)
    assert (choice.temperature, choice.bias) == (3, 0.5)


def test_a_damaged_language_model_is_refused_before_it_can_crash(
    model: Path, clip: str, lm: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    damaged = tmp_path / "damaged.srlm"
    write_lm(read_lm(lm), damaged)
    content = bytearray(damaged.read_bytes())
    content[4200:4230] = bytes([255]) * 30  # behind the header
    damaged.write_bytes(content)
    status, out, err = run(capsys, "transcribe", "-m", model, clip, "--lm", damaged)
    assert (status, out) == (1, "")
    assert "damaged" in err


def test_calibration_keeps_temperature_and_bias_in_the_model_or_another(
    model: Path, clip: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest = write_manifest(tmp_path, {"ab c": clip, "ab b": write_wav(tmp_path / "other.wav", "ab c")})
    other = write_model(tmp_path / "other.onnx")
    status, out, err = run(capsys, "calibrate", manifest, "-m", model, "--into", other)
    assert status == 0
    # "ab", two tokens and so less sure, is right twice, "c" once of twice: only the bias says something.
    assert re.match(r"temperature 20.00, bias \S+ over 4 answers: log loss \S+ to \S+, expected", out)
    assert f"kept in {other}" in err
    kept = ModelFile(other).info.decoding
    assert kept.temperature == 20
    assert kept.bias != 0
    assert kept.lm is None
    assert ModelFile(model).info.decoding.scale == ConfidenceScale()
    _, described, _ = run(capsys, "info", other, "--json")
    assert json.loads(described)["decoding"]["bias"] == kept.bias


def test_a_link_to_a_model_of_the_installation_is_no_copy_of_it(
    model: Path,
    clip: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tuned_model, "shipped_models", lambda: {"tones": model})
    (tmp_path / "link.onnx").symlink_to(model)
    manifest = write_manifest(tmp_path, {"ab c": clip})
    status, _, err = run(capsys, "calibrate", manifest, "-m", tmp_path / "link.onnx")
    assert status == 1
    assert "link.onnx belongs to the installation; copy it" in err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ([], "belongs to the installation; copy it"),
        (["--into", "x.ckpt"], "x.ckpt: a checkpoint keeps no choice; export it"),
        (["--into", "none.onnx"], "none.onnx: no such model file"),
    ],
)
def test_a_choice_that_could_not_be_kept_is_refused_before_the_work(
    options: list[str], said: str, clip: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest = write_manifest(tmp_path, {"ab c": clip})
    status, out, err = run(capsys, "calibrate", manifest, *options)
    assert (status, out) == (1, "")
    assert said in err
