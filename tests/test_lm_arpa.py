"""ARPA files: what is read, what is written, and what is said of a broken one."""

import gzip
import json
import math
import re
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ngram_table import table

from speechrnn.errors import ModelFileError
from speechrnn.lm import arpa, arpa_writing, estimate_model
from speechrnn.lm.arpa import read_arpa
from speechrnn.lm.arpa_writing import write_arpa
from speechrnn.lm.ngram import NgramModel

GOLDEN = Path(__file__).parent / "golden"
LINES = (
    "\\data\\",
    "ngram 1=4",
    "ngram 2=2",
    "",
    "\\1-grams:",
    "-1\t<unk>",
    "0\t<s>\t-0.5",
    "-0.7\t</s>",
    "-0.4\ta\t-0.25",
    "",
    "\\2-grams:",
    "-0.2\t<s> a",
    "-0.3\ta </s>",
    "",
    "\\end\\",
)


def write(folder: Path, text: str | bytes, name: str = "x.arpa") -> Path:
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def broken(folder: Path, changes: dict[int, str | None]) -> Path:
    """Write the file with other lines; their numbers count from 1, None drops one."""
    changed = [changes.get(number, line) for number, line in enumerate(LINES, start=1)]
    return write(folder, "\n".join(line for line in changed if line is not None) + "\n")


def some_model(order: int = 3, unit: Any = "word") -> NgramModel:
    rng = np.random.default_rng(1)
    text = [[f"w{i}" for i in rng.zipf(1.5, 8) % 50] for _ in range(300)]
    return estimate_model(text, order=order, unit=unit)


# ---- Reading --------------------------------------------------------------------------------------------


def test_numbers_become_natural_logs(tmp_path: Path) -> None:
    model = read_arpa(broken(tmp_path, {}))
    assert (model.order, model.counts, model.unit) == (2, (4, 2), "word")
    assert model.vocabulary == ("<unk>", "<s>", "</s>", "a")
    assert model.log_probs[4] == pytest.approx(-0.4 * math.log(10))
    assert model.backoffs[[2, 3, 4]] == pytest.approx([-0.5 * math.log(10), 0, -0.25 * math.log(10)])


def test_a_sentence_is_scored_as_the_file_says(tmp_path: Path) -> None:
    # log10: P(a | <s>) = -0.2; P(a | a) = -0.25 - 0.4; P(</s> | a) = -0.3
    pytest.importorskip("numba")
    scores = read_arpa(broken(tmp_path, {})).score_sentence(["a", "a"])
    assert scores / math.log(10) == pytest.approx([-0.2, -0.65, -0.3], abs=1e-6)


@pytest.mark.parametrize(
    "text",
    [
        "\r\n".join(LINES),
        "\n".join(LINES).replace("\t", " "),
        "\n".join(LINES).replace("-1\t", "  -1e0   \t").replace(" a", "\ta"),
        "made by hand\n\n# nothing\n" + "\n\n\n".join("\n".join(LINES).split("\n\n")) + "\nand more\n",
        "\n".join(LINES).replace("\n\n", "\n"),
        "\n".join(LINES).replace("ngram 1=4", "ngram  1 = 4"),
        "\n".join(LINES).replace("<unk>", "<UNK>"),
        "\n".join(LINES).replace("a </s>", "a </s>\t-7"),  # a weight that nothing can use
    ],
)
def test_other_ways_of_writing_are_read_alike(tmp_path: Path, text: str) -> None:
    assert table(read_arpa(write(tmp_path, text))) == table(read_arpa(broken(tmp_path, {})))


def test_a_gzipped_file_is_known_by_its_content(tmp_path: Path) -> None:
    path = write(tmp_path, gzip.compress("\n".join(LINES).encode()), name="model")
    assert read_arpa(path).counts == (4, 2)


def test_a_missing_unk_gets_the_probability_that_kenlm_gives_it(tmp_path: Path) -> None:
    model = read_arpa(broken(tmp_path, {2: "ngram 1=3", 6: None}))
    assert table(model)["<unk>"] == pytest.approx((-100, 0))
    assert model.vocabulary == ("<s>", "</s>", "a", "<unk>")


def test_the_unit_is_what_the_comment_or_the_caller_says(tmp_path: Path) -> None:
    path = write(tmp_path, "\n".join(["# unit: character", *LINES]))
    assert read_arpa(path).unit == "character"
    assert read_arpa(path, unit="word").unit == "word"
    assert read_arpa(broken(tmp_path, {1: "# unit: phone\n\\data\\"})).unit == "word"


def test_a_section_without_ngrams_is_read(tmp_path: Path) -> None:
    model = read_arpa(broken(tmp_path, {3: "ngram 2=2\nngram 3=0", 14: "\n\\3-grams:\n"}))
    assert (model.order, model.counts) == (3, (4, 2, 0))


def test_reading_goes_on_over_the_lines_that_it_takes_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x.arpa"
    write_arpa(some_model(), path)
    whole = table(read_arpa(path))
    for module in (arpa, arpa_writing):
        monkeypatch.setattr(module, "CHUNK", 7)
    seen: list[tuple[int, int]] = []
    assert table(read_arpa(path, on_progress=lambda done, total: seen.append((done, total)))) == whole
    assert seen[-1] == (len(whole), len(whole))
    write_arpa(read_arpa(path), tmp_path / "y.arpa")
    assert (tmp_path / "y.arpa").read_bytes() == path.read_bytes()


# ---- Broken files ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({1: "data"}, ":15: this is no ARPA file, it has no line \\data\\"),
        ({2: None, 3: None}, ":3: \\data\\ has no counts"),
        ({2: "ngram 1=four"}, ":2: expected `ngram 1=COUNT` or `\\1-grams:`, got 'ngram 1=four'"),
        ({2: None}, ":2: expected `ngram 1=COUNT` or `\\1-grams:`, got 'ngram 2=2'"),
        ({2: "ngram 1=5"}, ":10: there are 4 1-grams; \\data\\ says `ngram 1=5`"),
        ({2: "ngram 1=3"}, ":9: there are more 1-grams than that: \\data\\ says `ngram 1=3`"),
        ({3: "ngram 2=3"}, ":14: there are 2 2-grams; \\data\\ says `ngram 2=3`"),
        ({3: "ngram 2=3", 14: None}, ":14: there are 2 2-grams; \\data\\ says `ngram 2=3`"),
        ({3: "ngram 2=1"}, ":13: there are more 2-grams than that: \\data\\ says `ngram 2=1`"),
        ({11: None}, ":11: there are more 1-grams than that"),
        ({11: None, 12: None, 13: None}, ":12: expected \\2-grams:, got '\\\\end\\\\'"),
        ({11: "\\3-grams:"}, ":11: expected \\2-grams:, got '\\\\3-grams:'"),
        ({5: "\\2-grams:"}, ":5: expected \\1-grams:, got"),
        ({15: None}, ":14: the file is cut off: it ends before \\end\\"),
        ({15: "\\3-grams:"}, ":15: expected \\end\\, got"),
        (
            {12: "-0.2\ta"},
            ":12: expected a log10 probability, 2 words and perhaps a back-off weight, got 2 fields",
        ),
        ({12: "-0.2 <s> a -1 -1"}, ":12: expected a log10 probability, 2 words and perhaps"),
        ({9: "-0.4"}, ":9: expected a log10 probability, 1 word and perhaps a back-off weight, got 1 fields"),
        ({9: "x\ta"}, ":9: 'x' is not a number"),
        ({9: "-0.4\ta\tb"}, ":9: 'b' is not a number"),
        ({9: "nan\ta"}, ":9: 'nan' is not a number"),
        ({9: "-0.4\ta\t-inf"}, ":9: '-inf' is not a number"),
        ({13: "0.3\ta </s>"}, ":13: a log10 probability must be <= 0, got '0.3'"),
        ({13: "-0.3\ta b"}, ":13: the word 'b' is not among the 1-grams"),
        ({13: "-0.3\t<s> a"}, ":13: the 2-gram was already at x.arpa:12"),
        ({9: "-0.4\t</s>"}, ":9: '</s>' was already at x.arpa:8"),
        ({7: "0\tb"}, ":5: the 1-grams lack <s>; a model of sentences needs it"),
        ({8: "0\tb"}, ":5: the 1-grams lack </s>"),
    ],
)
def test_a_broken_file_is_refused_with_its_line(
    tmp_path: Path, changes: dict[int, str | None], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken(tmp_path, changes)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelFileError) as caught:
        read_arpa("x.arpa")
    assert str(caught.value).startswith(f"x.arpa{message}")


def test_a_word_that_is_no_utf8_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, "\n".join(LINES).encode().replace(b"\ta\t", b"\t\xff\t").replace(b" a", b" \xff"))
    text = path.read_bytes().replace(b"-0.3\ta", b"-0.3\t\xff")
    with pytest.raises(ModelFileError, match=r"x.arpa:9: is not UTF-8 text"):
        read_arpa(write(tmp_path, text))


@pytest.mark.parametrize("size", range(0, len("\n".join(LINES)), 5))
def test_a_file_that_is_cut_off_is_refused(tmp_path: Path, size: int) -> None:
    with pytest.raises(ModelFileError, match=r"x.arpa:\d+: "):
        read_arpa(write(tmp_path, "\n".join(LINES)[:size]))


def test_a_file_cut_off_in_a_section_names_how_far_it_came(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match=r":12: the file is cut off: it ends after 1 of 2 2-grams"):
        read_arpa(write(tmp_path, "\n".join(LINES[:12])))


def test_a_gzip_that_is_cut_off_or_damaged_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.arpa.gz"
    write_arpa(some_model(), path)
    whole = path.read_bytes()
    with pytest.raises(ModelFileError, match=r"x.arpa.gz:\d+: cannot be read beyond this line"):
        read_arpa(write(tmp_path, whole[: len(whole) // 2], name="x.arpa.gz"))
    damaged = bytearray(whole)
    damaged[len(whole) // 2 : len(whole) // 2 + 40] = bytes(40)
    with pytest.raises(ModelFileError, match=r"x.arpa.gz:\d+: "):
        read_arpa(write(tmp_path, bytes(damaged), name="x.arpa.gz"))


@pytest.mark.parametrize("content", [b"", b"\n", b"{}", b"RIFF\x00\x01", zlib.compress(b"x"), b"\\end\\\n"])
def test_what_is_no_arpa_file_is_refused(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(ModelFileError, match=r"x.arpa:\d+: this is no ARPA file"):
        read_arpa(write(tmp_path, content))


def test_a_missing_file_or_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match=r"none.arpa: cannot be read: No such file"):
        read_arpa(tmp_path / "none.arpa")
    with pytest.raises(ModelFileError, match="cannot be read: Is a directory"):
        read_arpa(tmp_path)


# ---- Writing --------------------------------------------------------------------------------------------


def test_a_file_is_written_as_by_hand(tmp_path: Path) -> None:
    write_arpa(read_arpa(broken(tmp_path, {})), tmp_path / "y.arpa")
    text = (tmp_path / "y.arpa").read_text()
    # nine digits show that a float32 is not quite -0.4
    rounded = re.sub(r"-\d\.\d+", lambda found: f"{float(found[0]):.4g}", text)
    weights = {"-1\t<unk>": "-1\t<unk>\t0", "-0.7\t</s>": "-0.7\t</s>\t0"}
    assert rounded == "\n".join([*(weights.get(line, line) for line in LINES), ""])


@pytest.mark.parametrize("name", ["y.arpa", "y.arpa.gz"])
def test_what_is_written_comes_back_to_the_bit(tmp_path: Path, name: str) -> None:
    model = some_model()
    write_arpa(model, tmp_path / name)
    back = read_arpa(tmp_path / name)
    assert back.vocabulary == model.vocabulary
    for mine, theirs in zip(model.arrays, back.arrays, strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_the_same_model_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a.arpa.gz", "b.arpa.gz"):
        write_arpa(some_model(), tmp_path / name)
    assert (tmp_path / "a.arpa.gz").read_bytes() == (tmp_path / "b.arpa.gz").read_bytes()


def test_a_model_of_characters_says_so(tmp_path: Path) -> None:
    model = estimate_model([["h", "i", "<space>", "ü"]], order=2, unit="character")
    write_arpa(model, tmp_path / "y.arpa")
    assert (tmp_path / "y.arpa").read_text(encoding="utf-8").startswith("# unit: character\n\\data\\\n")
    back = read_arpa(tmp_path / "y.arpa")
    assert (back.unit, back.vocabulary) == ("character", model.vocabulary)


def test_a_file_is_replaced_only_on_demand_and_only_by_a_whole_one(tmp_path: Path) -> None:
    path = write(tmp_path, "precious")
    with pytest.raises(ModelFileError, match="x.arpa: exists already"):
        write_arpa(some_model(), path)

    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_arpa(some_model(), path, overwrite=True, on_progress=stop)
    assert path.read_text() == "precious"
    assert list(tmp_path.iterdir()) == [path]
    write_arpa(some_model(), path, overwrite=True)
    assert path.read_text().startswith("\\data\\")


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    blocking = write(tmp_path, "", name="file")
    with pytest.raises(ModelFileError, match="cannot be written"):
        write_arpa(some_model(), blocking / "x.arpa")


# ---- Beside KenLM ---------------------------------------------------------------------------------------


def test_scores_are_those_of_kenlm_for_a_model_of_lmplz() -> None:
    pytest.importorskip("numba")
    model = read_arpa(GOLDEN / "license.arpa.gz")
    for sentence, answers in json.loads((GOLDEN / "license_scores.json").read_text()).items():
        words = sentence.split()
        expected = [log10 for log10, _ in answers]
        assert model.score_sentence(words) / math.log(10) == pytest.approx(expected, abs=2e-6)
        unknown = [model.word_id(word) == model.unknown for word in words]
        assert unknown == [is_unknown for _, is_unknown in answers[:-1]]


@pytest.mark.parametrize("unit", ["word", "character"])
@pytest.mark.parametrize("order", [2, 3, 5])
def test_kenlm_reads_what_is_written_to_the_same_scores(tmp_path: Path, order: int, unit: Any) -> None:
    kenlm = pytest.importorskip("kenlm", reason="optional: pip install kenlm")
    model = some_model(order=order, unit=unit)
    write_arpa(model, tmp_path / "y.arpa")
    theirs = kenlm.Model(str(tmp_path / "y.arpa"))
    rng = np.random.default_rng(2)
    for _ in range(100):
        words = [f"w{i}" for i in rng.zipf(1.3, rng.integers(0, 12)) % 60]
        expected = [log10 for log10, *_ in theirs.full_scores(" ".join(words))]
        assert model.score_sentence(words) / math.log(10) == pytest.approx(expected, abs=5e-6)
