"""Binaries: written, mapped, checked; and the choice between them and ARPA files."""

import gzip
import json
import lzma
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from speechrnn.errors import ConfigError, ModelFileError
from speechrnn.lm import estimate_model, read_lm, write_lm
from speechrnn.lm.arpa_writing import write_arpa
from speechrnn.lm.binary import HEADER_SIZE, MAGIC, PREAMBLE, read_binary, write_binary
from speechrnn.lm.ngram import NgramModel

TEXT = [["ü", "b", "a"], ["b", "a", "b", "c"], ["c"], []]


@pytest.fixture
def model() -> NgramModel:
    return estimate_model(TEXT, order=3)


@pytest.fixture
def path(model: NgramModel, tmp_path: Path) -> Path:
    write_binary(model, tmp_path / "x.srlm")
    return tmp_path / "x.srlm"


def same(mine: NgramModel, theirs: NgramModel) -> bool:
    plain = (mine.vocabulary, mine.order, mine.unit) == (theirs.vocabulary, theirs.order, theirs.unit)
    return plain and all(map(np.array_equal, mine.arrays, theirs.arrays))


def with_header(path: Path, **changes: Any) -> None:
    """Change the header of a binary, with a checksum that fits."""
    raw = path.read_bytes()
    header = json.loads(raw[PREAMBLE.size : HEADER_SIZE]) | changes
    body = json.dumps(header).encode().ljust(HEADER_SIZE - PREAMBLE.size)
    path.write_bytes(PREAMBLE.pack(MAGIC, 1, zlib.crc32(body)) + body + raw[HEADER_SIZE:])


def test_what_is_written_is_read(model: NgramModel, path: Path) -> None:
    assert same(read_binary(path), model)
    assert same(read_binary(path, verify=True), model)


def test_what_is_packed_is_read_and_small(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    model = estimate_model([[f"w{i}" for i in rng.zipf(1.3, 9) % 300] for _ in range(2000)], order=3)
    for name in ("x.srlm", "x.srlm.xz"):
        write_lm(model, tmp_path / name)
    assert same(read_lm(tmp_path / "x.srlm.xz", verify=True), model)
    sizes = [(tmp_path / name).stat().st_size for name in ("x.srlm", "x.srlm.xz")]
    assert sizes[1] < sizes[0] / 3
    write_lm(model.rounded(0.125), tmp_path / "rounded.srlm.xz")
    assert (tmp_path / "rounded.srlm.xz").stat().st_size < sizes[1]


def test_a_rounded_model_has_multiples_and_nearly_the_same_scores(model: NgramModel) -> None:
    rounded = model.rounded(0.25)
    for array, exact in ((rounded.log_probs, model.log_probs), (rounded.backoffs, model.backoffs)):
        assert (array % 0.25 == 0).all()
        assert np.abs(array - exact).max() <= 0.125
    assert same(rounded.rounded(0.25), rounded)
    for step in (0.0, -1.0, np.nan, np.inf, 1e-320, 1e40):
        with pytest.raises(ConfigError, match=r"step must be in \[1e-06, 10\] nats, got"):
            model.rounded(step)


def test_the_unit_is_kept(tmp_path: Path) -> None:
    model = estimate_model([["a", "<space>", "b"]], order=2, unit="character")
    write_lm(model, tmp_path / "x.srlm")
    assert same(read_lm(tmp_path / "x.srlm"), model)


def test_the_arrays_stay_on_disk(path: Path) -> None:
    for array in read_binary(path).arrays:
        base: Any = array
        while not isinstance(base, np.memmap):
            base = base.base  # None, if it were a copy
        assert base.mode == "r"
        assert array.ctypes.data % array.itemsize == 0


def test_a_mapped_model_scores_as_one_in_memory(model: NgramModel, path: Path) -> None:
    pytest.importorskip("numba")
    words = ["b", "a", "zebra", "c", "c"]
    np.testing.assert_array_equal(read_binary(path).score_sentence(words), model.score_sentence(words))


def test_arpa_to_binary_to_arpa_gives_the_same_file(model: NgramModel, tmp_path: Path) -> None:
    write_lm(model, tmp_path / "a.arpa")
    write_lm(read_lm(tmp_path / "a.arpa"), tmp_path / "b.srlm")
    write_lm(read_lm(tmp_path / "b.srlm"), tmp_path / "c.arpa")
    write_lm(read_lm(tmp_path / "c.arpa"), tmp_path / "d.arpa.gz")
    assert (tmp_path / "c.arpa").read_bytes() == (tmp_path / "a.arpa").read_bytes()
    assert gzip.decompress((tmp_path / "d.arpa.gz").read_bytes()) == (tmp_path / "a.arpa").read_bytes()


def test_reading_goes_by_the_content_and_not_by_the_name(
    model: NgramModel, path: Path, tmp_path: Path
) -> None:
    path.rename(tmp_path / "x.arpa")
    assert same(read_lm(tmp_path / "x.arpa"), model)
    write_arpa(model, tmp_path / "y.srlm")
    assert same(read_lm(tmp_path / "y.srlm"), model)


@pytest.mark.parametrize("name", ["x.bin", "x", "x.gz", "x.srlm.gz", "x.klm"])
def test_writing_goes_by_the_name_which_must_be_known(model: NgramModel, tmp_path: Path, name: str) -> None:
    with pytest.raises(ModelFileError, match=r"the name must end in .arpa, .arpa.gz, .srlm or .srlm.xz"):
        write_lm(model, tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_a_file_is_replaced_only_on_demand(model: NgramModel, path: Path) -> None:
    with pytest.raises(ModelFileError, match="exists already; --overwrite replaces it"):
        write_lm(model, path)
    other = estimate_model(TEXT, order=2)
    write_lm(other, path, overwrite=True)
    assert same(read_lm(path), other)
    assert [each.name for each in path.parent.iterdir()] == ["x.srlm"]


def test_progress_comes_to_its_end(model: NgramModel, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    write_binary(model, tmp_path / "x.srlm", on_progress=lambda done, total: seen.append((done, total)))
    assert seen[-1][0] == seen[-1][1] == (tmp_path / "x.srlm").stat().st_size
    read_binary(tmp_path / "x.srlm", verify=True, on_progress=lambda done, total: seen.append((done, total)))
    assert seen[-1][0] == seen[-1][1]


# ---- Broken files ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 5, 16, 24, 4095])
def test_a_file_cut_off_in_its_header_is_refused(path: Path, size: int) -> None:
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(ModelFileError, match="x.srlm: is (cut off|no binary language model)"):
        read_binary(path)


@pytest.mark.parametrize("size", [4096, 4100, -1])
def test_a_file_cut_off_behind_its_header_is_refused(path: Path, size: int) -> None:
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(
        ModelFileError, match=r"x.srlm: has \d+ bytes but was written with \d+; copy it again"
    ):
        read_lm(path)


def test_a_file_that_is_too_long_is_refused(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(ModelFileError, match="bytes but was written with"):
        read_lm(path)


def test_a_file_of_another_program_is_refused(path: Path) -> None:
    path.write_bytes(b"mmap lm http://kheafield.com/code format version 5\n" + bytes(5000))
    with pytest.raises(ModelFileError, match="is no binary language model of speechrnn"):
        read_binary(path)
    with pytest.raises(
        ModelFileError, match="is a binary of KenLM, which only KenLM reads; give its ARPA file"
    ):
        read_lm(path)


def test_a_file_of_another_version_is_refused(path: Path) -> None:
    raw = bytearray(path.read_bytes())
    struct.pack_into("<I", raw, 16, 2)
    path.write_bytes(raw)
    with pytest.raises(
        ModelFileError, match="is of version 2, this speechrnn reads version 1; build it again"
    ):
        read_lm(path)


def test_a_damaged_header_is_refused(path: Path) -> None:
    flip(path, 40)
    with pytest.raises(ModelFileError, match="its header is damaged"):
        read_lm(path)


def test_a_damaged_vocabulary_is_refused(path: Path) -> None:
    flip(path, HEADER_SIZE)
    with pytest.raises(ModelFileError, match="its vocabulary is damaged"):
        read_lm(path)


def test_a_damaged_array_is_found_by_verifying(path: Path) -> None:
    header = json.loads(path.read_bytes()[PREAMBLE.size : HEADER_SIZE])
    flip(path, header["parts"]["backoffs"]["offset"] + 3)
    read_lm(path)  # which would have to read it whole to see that
    with pytest.raises(ModelFileError, match="its backoffs are damaged; build it again"):
        read_lm(path, verify=True)


def test_bounds_that_do_not_fit_are_found_at_once(path: Path) -> None:
    header = json.loads(path.read_bytes()[PREAMBLE.size : HEADER_SIZE])
    flip(path, header["parts"]["first_child"]["offset"])
    with pytest.raises(ModelFileError, match="its first_child are damaged"):
        read_lm(path)


@pytest.mark.parametrize("unit", ["phone", None])
def test_a_header_that_makes_no_sense_is_refused(path: Path, unit: Any) -> None:
    with_header(path, unit=unit)
    with pytest.raises(ModelFileError, match="x.srlm: unit must be one of word, character"):
        read_lm(path)


@pytest.mark.parametrize("size", [6, 30, -1])
def test_a_packed_file_that_is_cut_off_is_refused(model: NgramModel, tmp_path: Path, size: int) -> None:
    path = tmp_path / "x.srlm.xz"
    write_lm(model, path)
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(ModelFileError, match="x.srlm.xz: cannot be unpacked: .*; build it again"):
        read_lm(path)


def test_a_packed_file_that_is_damaged_or_none_of_ours_is_refused(model: NgramModel, tmp_path: Path) -> None:
    path = tmp_path / "x.srlm.xz"
    write_lm(model, path)
    flip(path, path.stat().st_size // 2)
    with pytest.raises(ModelFileError, match="x.srlm.xz: cannot be unpacked"):
        read_lm(path)
    path.write_bytes(lzma.compress(b"some text"))
    with pytest.raises(ModelFileError, match="x.srlm.xz: is no binary language model of speechrnn"):
        read_lm(path)


def test_a_missing_file_or_a_folder_is_refused(tmp_path: Path) -> None:
    for read in (read_lm, read_binary):
        with pytest.raises(ModelFileError, match="none: cannot be read: No such file"):
            read(tmp_path / "none")
        with pytest.raises(ModelFileError, match="cannot be read: Is a directory"):
            read(tmp_path)


def flip(path: Path, place: int) -> None:
    raw = bytearray(path.read_bytes())
    raw[place] ^= 0x55
    path.write_bytes(raw)
