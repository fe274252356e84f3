"""``speechrnn lm sample``."""

import argparse
from pathlib import Path

import pytest
from language_models import make_language_model, write_language_checkpoint

from speechrnn.cli import lm_sample
from speechrnn.cli.main import main
from speechrnn.errors import ConfigError, ModelFileError
from speechrnn.nn.language_export import export_language_model
from speechrnn.runtime.language_model import RecurrentLM


def sample(*arguments: str) -> int:
    parser = argparse.ArgumentParser()
    lm_sample.add_arguments(parser)
    return lm_sample.run(parser.parse_args(arguments))


@pytest.fixture
def model(tmp_path: Path) -> str:
    return str(export_language_model(make_language_model(), tmp_path / "lm.onnx"))


def test_sentences_go_to_stdout_and_the_model_to_stderr(
    model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sample(model, "--num", "3", "--seed", "4") == 0
    first = capsys.readouterr()
    assert len(first.out.splitlines()) == 3
    assert first.err == "language model lm: text of 5 different words\n"
    assert sample(model, "--num", "3", "--seed", "4") == 0
    assert capsys.readouterr().out == first.out


def test_it_is_an_action_of_the_command(model: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lm", "sample", model, "--num", "2"]) == 0
    assert capsys.readouterr().out.splitlines() == RecurrentLM(model).sample(2)


def test_prompt_temperature_and_limits_are_passed_on(model: str, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--prompt", "go go", "--temperature", "0", "--num-tokens", "2", "--top-k", "2", "--num", "2"]
    assert sample(model, *options) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first == second
    assert first.startswith("go go")
    assert len(first.split()) <= 4


def test_a_checkpoint_is_exported_once_and_gives_the_same(
    model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SPEECHRNN_CACHE", str(tmp_path / "cache"))
    checkpoint = write_language_checkpoint(tmp_path / "mine.ckpt", make_language_model())
    for _ in range(2):
        assert sample(str(checkpoint), "--num", "2") == 0
        out, err = capsys.readouterr()
        assert out.splitlines() == RecurrentLM(model).sample(2)
        assert err == "language model mine: text of 5 different words\n"
    assert len(list((tmp_path / "cache").iterdir())) == 1


def test_wrong_options_and_files_are_refused(
    model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ConfigError, match="temperature must be >= 0, got -1.0"):
        sample(model, "--temperature=-1")
    with pytest.raises(ModelFileError, match="nix.onnx: no such model file"):
        sample(str(tmp_path / "nix.onnx"))
    with pytest.raises(SystemExit):
        sample(model, "--num", "0")
    assert "must be a whole number >= 1" in capsys.readouterr().err
