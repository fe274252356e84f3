"""Synthetic speech, said by stand-ins for the engines: scripts that write a tone as long as the text."""

import random
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from speechrnn.training.synthetic_speech import (
    ENGINES,
    SynthesisError,
    Voice,
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
    assert [(path.name, text) for path, text, _ in made] == [
        ("00000.wav", "one"),
        ("00001.wav", "two"),
        ("00002.wav", "one"),
    ]
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
