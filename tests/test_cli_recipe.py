"""The command line that all recipes share."""

import argparse
from pathlib import Path
from typing import Any

import pytest

from speechrnn.cli.console import Progress
from speechrnn.cli.recipe import megabytes, recipe_parser, run_recipe
from speechrnn.errors import ManifestError


@pytest.fixture
def parser() -> argparse.ArgumentParser:
    return recipe_parser("Prepare it.", out="exp/it/data", default_source="what is at hand")


def test_defaults_are_the_folder_of_the_recipe_and_no_source(
    parser: argparse.ArgumentParser,
) -> None:
    args = parser.parse_args([])
    assert (args.source, args.download, args.out, args.overwrite) == (
        None,
        False,
        Path("exp/it/data"),
        False,
    )
    assert "default: what is at hand" in " ".join(parser.format_help().split())


def test_source_and_download_exclude_each_other(
    parser: argparse.ArgumentParser, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        parser.parse_args(["--source", "a", "--download"])
    assert stop.value.code == 2
    assert "not allowed with argument --source" in capsys.readouterr().err


def test_run_prints_a_line_for_each_manifest(
    parser: argparse.ArgumentParser, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    args = parser.parse_args(["--out", str(tmp_path)])
    manifests: Any = ["train: 1", "dev: 2"]
    assert run_recipe(args, lambda _: manifests) == 0
    assert capsys.readouterr().out == "train: 1\ndev: 2\n"


def test_run_refuses_before_any_work_what_would_be_overwritten(
    parser: argparse.ArgumentParser, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "dev.jsonl.gz").write_bytes(b"")
    args = parser.parse_args(["--out", str(tmp_path)])
    assert run_recipe(args, lambda _: pytest.fail("worked")) == 1
    assert "dev.jsonl.gz: exists already; --overwrite replaces it" in capsys.readouterr().err
    args = parser.parse_args(["--out", str(tmp_path), "--overwrite"])
    assert run_recipe(args, lambda _: []) == 0


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (ManifestError("a: is wrong"), 1, "speechrnn: error: a: is wrong"),
        (KeyboardInterrupt(), 130, "speechrnn: interrupted"),
        (
            ModuleNotFoundError("", name="lhotse.cut"),
            1,
            'recipes need lhotse.cut; install it with: pip install "speechrnn[train]"',
        ),
    ],
)
def test_run_says_what_went_wrong(
    parser: argparse.ArgumentParser,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    error: BaseException,
    status: int,
    message: str,
) -> None:
    def fail(_: argparse.Namespace) -> Any:
        raise error

    assert run_recipe(parser.parse_args(["--out", str(tmp_path)]), fail) == status
    assert message in capsys.readouterr().err


def test_run_does_not_hide_a_module_of_ours_that_is_missing(
    parser: argparse.ArgumentParser, tmp_path: Path
) -> None:
    def fail(_: argparse.Namespace) -> Any:
        raise ModuleNotFoundError("", name="speechrnn.nothing")

    with pytest.raises(ModuleNotFoundError):
        run_recipe(parser.parse_args(["--out", str(tmp_path)]), fail)


def test_megabytes_show_what_came_of_what_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    bars: list[Progress] = []

    class Watched(Progress):
        def __enter__(self) -> Progress:
            bars.append(self)
            return self

    monkeypatch.setattr("speechrnn.cli.recipe.Progress", Watched)
    with megabytes("downloading") as show:
        show(3_500_000, 64_000_000)
        assert "3/64" in bars[0].render(0)
        show(5_000_000, None)
        assert "5/5" in bars[0].render(0)
