"""The README's commands exist, its files are there, its Python runs."""

import re
import shlex
from pathlib import Path

import pytest

from speechrnn.cli.main import COMMANDS, main
from speechrnn.cli.train import DATA, keys_of_class

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(sh|python)\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
COMMAND_LINES = [line for kind, text in BLOCKS if kind == "sh" for line in text.splitlines() if line]
MADE_BY_EARLIER_COMMANDS = ("exp/", "model.onnx", "my_", "data/train.jsonl.gz", "DIR")


def test_the_readme_has_commands_and_python() -> None:
    assert {kind for kind, _ in BLOCKS} == {"sh", "python"}


@pytest.mark.parametrize("line", COMMAND_LINES)
def test_every_file_that_a_command_names_is_there(line: str) -> None:
    for word in shlex.split(line)[1:]:
        path = word.rpartition("@")[2]  # curl's way to name a file
        if "/" in path and "://" not in path and not path.startswith(MADE_BY_EARLIER_COMMANDS):
            assert list(ROOT.glob(path)), path


@pytest.mark.parametrize("line", [line for line in COMMAND_LINES if line.startswith("speechrnn ")])
def test_every_option_of_a_command_exists(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    _, command, *words = shlex.split(line)
    assert command in COMMANDS
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COLUMNS", "200")
        is_group = command == "lm" or words[:1] == ["kws"] or " ".join([command, *words[:1]]) in COMMANDS
        main([command, *(words[:1] if is_group else []), "--help"])
    help_text = capsys.readouterr().out
    if COMMANDS[command].module == "train":  # its help leaves out what depends on the class
        help_text += "".join(f" --{key}" for data in DATA for key in keys_of_class(data, "data"))
    for option in (word for word in words if word.startswith("-")):
        assert re.search(rf"(^|[\s\[,]){re.escape(option)}\b", help_text), option


@pytest.mark.parametrize("line", [line for line in COMMAND_LINES if line.startswith("make")])
def test_every_make_target_exists(line: str) -> None:
    assert re.search(rf"^{line.split()[1]}:", (ROOT / "Makefile").read_text(), re.MULTILINE)


@pytest.mark.parametrize("text", [text for kind, text in BLOCKS if kind == "python"])
def test_the_python_runs(
    text: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    exec(compile(text, "README.md", "exec"), {})
    assert capsys.readouterr().out.strip()


def test_every_relative_link_leads_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        if not target.startswith("http"):
            assert (ROOT / target).exists(), target


@pytest.mark.parametrize("pattern", ["data/samples/*.wav"])
def test_the_sample_clips_are_transcribed(
    pattern: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    paths = sorted(map(str, Path().glob(pattern)))
    assert main(["transcribe", *paths]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("\t")[0] for line in lines] == paths
    assert all(line.split("\t")[1] for line in lines)
