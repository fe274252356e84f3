"""A file that appears only when it is whole, and replaces nothing unless told."""

import os
import stat
from pathlib import Path

import pytest

from speechrnn import new_file as module
from speechrnn.errors import AudioError, ModelFileError
from speechrnn.new_file import new_file


def test_a_file_appears_when_it_is_whole(tmp_path: Path) -> None:
    target = tmp_path / "new" / "x"
    with new_file(target) as partial:
        partial.write_text("all")
        assert not target.exists()
    assert os.listdir(target.parent) == ["x"]
    assert target.read_text() == "all"


def test_after_an_error_nothing_is_there(tmp_path: Path) -> None:
    def write_half() -> None:
        with new_file(tmp_path / "x") as partial:
            partial.write_text("half")
            raise KeyError

    with pytest.raises(KeyError):
        write_half()
    assert os.listdir(tmp_path) == []


def test_what_exists_is_replaced_only_if_told(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("old")
    with pytest.raises(ModelFileError, match="x: exists already"), new_file(tmp_path / "x"):
        pass
    with new_file(tmp_path / "x", overwrite=True) as partial:
        partial.write_text("new")
    assert (tmp_path / "x").read_text() == "new"


@pytest.mark.parametrize("has_links", [True, False])
def test_what_another_process_wrote_meanwhile_is_not_replaced(
    tmp_path: Path, has_links: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*paths: object) -> None:
        raise PermissionError(1, "Operation not permitted")  # as FAT does

    if not has_links:
        monkeypatch.setattr(module.os, "link", refuse)

    def write_second() -> None:
        with new_file(tmp_path / "x", error=AudioError) as partial:
            partial.write_text("mine")
            (tmp_path / "x").write_text("theirs")

    with pytest.raises(AudioError, match="x: exists already"):
        write_second()
    assert (tmp_path / "x").read_text() == "theirs"
    assert os.listdir(tmp_path) == ["x"]


def test_where_there_are_no_links_files_appear_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*paths: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(module.os, "link", refuse)
    with new_file(tmp_path / "x") as partial:
        partial.write_text("all")
    assert os.listdir(tmp_path) == ["x"]


def test_a_name_as_long_as_names_may_be_is_no_trouble(tmp_path: Path) -> None:
    with new_file(tmp_path / ("x" * 255)) as partial:
        partial.write_text("all")
    assert len(os.listdir(tmp_path)[0]) == 255


def test_a_link_stays_a_link_to_the_file_that_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "x").write_text("old")
    (tmp_path / "link").symlink_to(Path("elsewhere", "x"))
    with new_file(tmp_path / "link", overwrite=True) as partial:
        partial.write_text("new")
    assert os.readlink(tmp_path / "link") == os.path.join("elsewhere", "x")
    assert (tmp_path / "elsewhere" / "x").read_text() == "new"
    assert sorted(os.listdir(tmp_path)) == ["elsewhere", "link"]
    assert os.listdir(tmp_path / "elsewhere") == ["x"]


def test_a_link_is_what_exists_unless_it_may_be_replaced(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("old")
    (tmp_path / "link").symlink_to("x")
    with pytest.raises(ModelFileError, match="link: exists already"), new_file(tmp_path / "link"):
        pass
    assert (tmp_path / "x").read_text() == "old"


@pytest.mark.skipif(os.name == "nt", reason="Windows knows no modes")
@pytest.mark.parametrize("mode", [0o600, 0o444, 0o755])
def test_a_file_that_is_replaced_keeps_its_mode(mode: int, tmp_path: Path) -> None:
    (tmp_path / "x").write_text("old")
    (tmp_path / "x").chmod(mode)
    with new_file(tmp_path / "x", overwrite=True) as partial:
        partial.write_text("new")
    assert stat.S_IMODE((tmp_path / "x").stat().st_mode) == mode
    assert (tmp_path / "x").read_text() == "new"


def test_what_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ModelFileError, match="x: cannot be written: "), new_file(tmp_path / "file" / "x"):
        pass
