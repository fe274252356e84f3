"""Synthetic speech, said by stand-ins for the engines: scripts that write a tone as long as the text."""

import random
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from speechrnn.cli.main import main
from speechrnn.manifest import read_manifest
from speechrnn.training.synthetic_speech import (
    ENGINES,
    SynthesisError,
    Voice,
    draw_texts,
    draw_voice,
    installed_engines,
    synthesize,
    trim,
)

ENGINE = """#!{python}
import sys, numpy, soundfile
path = sys.argv[sys.argv.index("{option}") + 1]
tone = numpy.sin(numpy.arange(4000) / 4)
soundfile.write(path, numpy.concatenate([numpy.zeros(2000), tone, numpy.zeros(3000)]), 16000)
"""
OUTPUT_OPTIONS = {"espeak-ng": "-w", "flite": "-o", "text2wave": "-o"}


@pytest.fixture
def engines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put stand-ins for all engines, and nothing else, on the path."""
    import sys

    folder = tmp_path / "bin"
    folder.mkdir()
    for name, option in OUTPUT_OPTIONS.items():
        (folder / name).write_text(ENGINE.format(python=sys.executable, option=option))
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))
    return folder


def test_each_text_is_said_once_without_the_silence_of_the_engine(engines: Path, tmp_path: Path) -> None:
    made = list(synthesize(["one", "two", "one"], tmp_path / "clips", seed=1))
    assert [(path.name[:6], text) for path, text, _ in made] == [
        ("00000-", "one"),
        ("00001-", "two"),
        ("00002-", "one"),
    ]
    assert len(list((tmp_path / "clips").iterdir())) == 3
    for path, _, _ in made:
        samples, rate = sf.read(path)
        loud = np.flatnonzero(samples)
        assert rate == 16000
        assert loud[-1] + 1 - loud[0] == pytest.approx(4000, abs=40)  # the tone, whose ends are near zero
        assert loud[0] <= 0.3 * 16000 + 20
        assert len(samples) - loud[-1] <= 0.1 * 16000 + 20


def test_the_seed_fixes_the_voices_and_many_are_drawn(engines: Path) -> None:
    draws = [[draw_voice(tuple(ENGINES), rng) for _ in range(300)] for rng in map(random.Random, (1, 1, 2))]
    assert draws[0] == draws[1] != draws[2]
    assert {voice.engine for voice in draws[0]} == set(ENGINES)
    assert len({voice.name for voice in draws[0]}) > 80


def test_a_clip_that_is_there_is_not_said_again(engines: Path, tmp_path: Path) -> None:
    [(path, _, _)] = synthesize(["one"], tmp_path, seed=1)
    for program in engines.iterdir():
        program.write_text("#!/bin/false\n")
    before = path.read_bytes()
    list(synthesize(["one"], tmp_path, seed=1))
    assert path.read_bytes() == before


def test_a_clip_that_says_something_else_or_otherwise_is_not_taken_for_it(
    engines: Path, tmp_path: Path
) -> None:
    made = [
        path
        for texts, seed in ((["one"], 1), (["two"], 1), (["one"], 2))
        for path, _, _ in synthesize(texts, tmp_path, seed=seed)
    ]
    assert len(set(made)) == 3


def test_texts_are_drawn_from_lines_alone_or_some_together() -> None:
    assert draw_texts(["a b"], 3, seed=1) == ["a b"] * 3
    drawn = draw_texts(["x", "y"], 6000, most_lines=3, seed=1)
    assert drawn == draw_texts(["x", "y"], 6000, most_lines=3, seed=1)
    lengths = Counter(len(text.split()) for text in drawn)
    for length, share in ((1, 3 / 6), (2, 2 / 6), (3, 1 / 6)):
        assert lengths[length] / 6000 == pytest.approx(share, abs=0.03)
    assert Counter(" ".join(drawn).split())["x"] / sum(map(len, map(str.split, drawn))) == pytest.approx(
        0.5, abs=0.03
    )


def test_the_engines_are_told_voice_pace_and_pitch() -> None:
    # half the pace of 165 words a minute is twice the length
    espeak = Voice("espeak-ng", "en-us+f3", 2.0, 0.5).command("-go", Path("a.wav"))
    assert espeak == ["espeak-ng", "-v", "en-us+f3", "-s", "82", "-p", "50", "-w", "a.wav", "--", "-go"]
    flite = Voice("flite", "slt", 1.2, 0.5).command("go", Path("a.wav"))
    assert flite[1:7] == [
        "-voice",
        "slt",
        "--setf",
        "duration_stretch=1.200",
        "--setf",
        "int_f0_target_mean=150",
    ]
    festival = Voice("text2wave", "kal_diphone", 1.2, 0.5).command("go", Path("a.wav"))
    assert festival[2] == "(begin (voice_kal_diphone) (Parameter.set 'Duration_Stretch 1.200))"


def test_a_machine_without_an_engine_is_told_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SynthesisError, match="no speech synthesiser is installed; apt-get install espeak-ng"):
        installed_engines()


def test_an_engine_that_fails_is_quoted(engines: Path, tmp_path: Path) -> None:
    for program in engines.iterdir():
        program.write_text("#!/bin/sh\necho no such voice >&2\nexit 1\n")
    with pytest.raises(SynthesisError, match="cannot say 'one' in voice .*: no such voice"):
        list(synthesize(["one"], tmp_path, seed=1))


def test_silence_is_trimmed_to_itself() -> None:
    silence = np.zeros(100, np.float32)
    assert trim(silence) is silence


# ---- On the command line --------------------------------------------------------------------------------


def test_the_command_says_each_line_and_writes_a_manifest(
    engines: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "words.txt").write_text("one\n\n  twenty two \n", encoding="utf-8")
    given = ["prepare", "synthetic", str(tmp_path / "words.txt"), str(tmp_path / "said" / "all.jsonl.gz")]
    assert main(given) == 0
    clips = read_manifest(tmp_path / "said" / "all.jsonl.gz")
    assert [clip.text for clip in clips] == ["one", "twenty two"]
    assert {clip.audio.parent for clip in clips} == {tmp_path / "said" / "all"}
    assert all(clip.speaker for clip in clips)
    assert "2 utterances" in capsys.readouterr().out
    assert main(given) == 1
    assert "exists already; --overwrite replaces it" in capsys.readouterr().err


def test_the_command_draws_as_many_texts_as_asked_for(engines: Path, tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("one\ntwo\n", encoding="utf-8")
    given = ["prepare", "synthetic", str(tmp_path / "words.txt"), str(tmp_path / "all.jsonl.gz")]
    assert main([*given, "--clips", "7", "--most-lines", "2"]) == 0
    texts = [clip.text for clip in read_manifest(tmp_path / "all.jsonl.gz")]
    assert texts == draw_texts(["one", "two"], 7, most_lines=2, seed=1)


@pytest.mark.parametrize(
    ("text", "options", "status", "message"),
    [
        ("\n \n", [], 1, "no line says anything"),
        (None, [], 1, "cannot be read"),
        ("one\n", ["--most-lines", "2"], 2, "--most-lines goes with --clips"),
        ("one\n", ["--clips", "0"], 2, "--clips"),
    ],
)
def test_the_command_names_what_is_wrong(
    engines: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    text: str | None,
    options: list[str],
    status: int,
    message: str,
) -> None:
    if text is not None:
        (tmp_path / "words.txt").write_text(text, encoding="utf-8")
    given = ["prepare", "synthetic", str(tmp_path / "words.txt"), str(tmp_path / "all.jsonl.gz")]
    assert main([*given, *options]) == status
    assert message in capsys.readouterr().err
    assert not (tmp_path / "all.jsonl.gz").exists()


def test_the_command_needs_a_manifests_name(
    engines: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "words.txt").write_text("one\n", encoding="utf-8")
    assert main(["prepare", "synthetic", str(tmp_path / "words.txt"), str(tmp_path / "all.csv")]) == 1
    assert "name must end in .jsonl.gz" in capsys.readouterr().err
