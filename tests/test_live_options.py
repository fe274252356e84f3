"""The options of live audio lead to the source that they name."""

import argparse
import io
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from speechrnn.cli import live_options
from speechrnn.cli.live_options import add_live_options, open_live
from speechrnn.errors import AudioError


def parse(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_live_options(parser)
    return parser.parse_args(arguments)


def feed_stdin(data: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(data)))


def test_raw_pcm_has_the_models_rate_unless_told(monkeypatch: pytest.MonkeyPatch) -> None:
    feed_stdin(np.array([2**14, -(2**14)], dtype="<i2").tobytes(), monkeypatch)
    with open_live(parse(), 16_000) as blocks:
        assert np.concatenate(list(blocks)).tolist() == [0.5, -0.5]


def test_raw_pcm_is_what_the_options_say(monkeypatch: pytest.MonkeyPatch) -> None:
    feed_stdin(np.tile(np.array([0.5, 0.25], dtype="<f4"), 480).tobytes(), monkeypatch)
    options = ["--rate", "48000", "--encoding", "f32le", "--channels", "2"]
    with open_live(parse(*options), 16_000, channel=1) as blocks:
        heard = np.concatenate(list(blocks))
    assert len(heard) == 160
    assert heard[60:100] == pytest.approx(0.25, abs=1e-3)


@pytest.mark.parametrize(("argument", "device"), [([], None), (["2"], 2), (["headset"], "headset")])
def test_a_microphone_is_the_systems_or_has_a_number_or_a_name(
    argument: list[str], device: int | str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_options, "Microphone", lambda **options: options)
    assert open_live(parse("--mic", *argument), 8_000) == {"sample_rate": 8_000, "device": device}


@pytest.mark.parametrize(("given", "bound"), [("0", ">= 1"), ("9", "<= 8"), ("x", ">= 1")])
def test_more_channels_than_can_be_are_wrong_usage(
    given: str, bound: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        parse("--channels", given)
    assert end.value.code == 2
    assert f"--channels: must be a whole number {bound}, got '{given}'" in capsys.readouterr().err


def test_a_closed_standard_input_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(AudioError, match="standard input: is closed"):
        open_live(parse(), 16_000)
