"""Binary language models of CMU Sphinx, from files packed here by the format's definition."""

import struct
from pathlib import Path

import numpy as np
import pytest

from speechrnn.errors import ModelFileError
from speechrnn.lm import read_lm
from speechrnn.lm.sphinx import LOG_BASE, MAGIC, NUM_CODES

WORDS = ["</s>", "<s>", "a", "b", "c"]
# In the file's logs, which are to the base of 1.0001; weights have codes of their own.
UNIGRAMS = [(-9000.0, 0.0), (-990000.0, -3000.0), (-10000.0, -2000.0), (-12000.0, -1000.0), (-15000.0, 0.0)]
BIGRAMS = {  # (word, word before): log probability, weight
    (0, 2): (-4000.0, 0.0),
    (2, 1): (-5000.0, -700.0),
    (3, 2): (-6000.0, -800.0),
    (4, 3): (-7000.0, 0.0),
}
TRIGRAMS = {(0, 2, 1): -1000.0, (4, 3, 2): -2000.0}  # word, before, before that


def pack_bits(rows: list[list[tuple[int, int]]]) -> bytes:
    """Pack rows of (value, number of bits), the lowest bits first, and the padding behind them."""
    number, place = 0, 0
    for value, size in (field for row in rows for field in row):
        number |= value << place
        place += size
    return number.to_bytes((place + 7) // 8 + 8, "little")


def table(values: list[float]) -> bytes:
    return np.array([*values, *[0.0] * (NUM_CODES - len(values))], "<f4").tobytes()


def write_sphinx(path: Path, *, order: int = 3, room: int = 2) -> Path:
    """Write the model; ``room`` is for more bigrams than there are, as files have it."""
    bigrams, trigrams = sorted(BIGRAMS), sorted(TRIGRAMS)
    num_bigrams = len(bigrams) + room
    first_bigram = [sum(key[0] < word for key in bigrams) for word in range(len(WORDS) + 1)]
    first_trigram = [sum(key[:2] < pair for key in trigrams) for pair in bigrams]
    word_bits, child_bits = len(WORDS).bit_length(), len(trigrams).bit_length()
    counts = [len(WORDS), num_bigrams, len(trigrams)][:order]
    content = MAGIC + struct.pack(f"<B{order}I", order, *counts)
    tables = [[BIGRAMS[key][0] for key in bigrams], [BIGRAMS[key][1] for key in bigrams]]
    if order == 3:
        content += struct.pack("<i", 1) + table(tables[0]) + table(tables[1])
        content += table([TRIGRAMS[key] for key in trigrams])
    elif order == 2:
        content += struct.pack("<i", 1) + table(tables[0])
    for (log_prob, weight), child in zip([*UNIGRAMS, (0.0, 0.0)], first_bigram, strict=True):
        content += struct.pack("<ffI", log_prob, weight, child if order > 1 else 0)
    middle = [
        (key[1], code, first) for code, (key, first) in enumerate(zip(bigrams, first_trigram, strict=True))
    ]
    middle += [(0, 0, len(trigrams))] * (room + 1)
    if order == 3:
        fields = [
            [(word, word_bits), (code, 16), (code, 16), (first, child_bits)] for word, code, first in middle
        ]
        content += pack_bits(fields)
        last = [[(key[2], word_bits), (code, 16)] for code, key in enumerate(trigrams)]
        content += pack_bits([*last, [(0, word_bits + 16)]])
    elif order == 2:
        content += pack_bits([[(word, word_bits), (code, 16)] for word, code, _ in middle])
    words = "".join(f"{word}\0" for word in WORDS).encode()
    path.write_bytes(content + struct.pack("<i", len(words)) + words)
    return path


def test_every_ngram_and_weight_is_read(tmp_path: Path) -> None:
    model = read_lm(write_sphinx(tmp_path / "en.lm.bin"))
    assert model.counts == (6, 4, 2)
    # <s> a </s>: P(a | <s>) = bigram, P(</s> | <s> a) = trigram.
    assert model.score_sentence(["a"]) == pytest.approx([-5000 * LOG_BASE, -1000 * LOG_BASE], rel=1e-5)
    # a b c after <s>: bigram; trigram a b is not there after <s>: weight of (<s> a), bigram; then the trigram;
    # the end after b c: no trigram, weight of (b c) 0, no bigram, weight of c 0, unigram.
    expected = [-5000, -700 - 6000, -2000, -9000]
    assert model.score_sentence(["a", "b", "c"]) == pytest.approx([x * LOG_BASE for x in expected], rel=1e-5)


@pytest.mark.parametrize("order", [1, 2])
def test_lower_orders_are_read(tmp_path: Path, order: int) -> None:
    model = read_lm(write_sphinx(tmp_path / "en.lm.bin", order=order))
    expected = {1: [-10000, -9000], 2: [-5000, -4000]}[order]
    assert model.score_sentence(["a"]) == pytest.approx([x * LOG_BASE for x in expected], rel=1e-5)


def test_a_word_that_it_does_not_know_is_as_good_as_impossible(tmp_path: Path) -> None:
    model = read_lm(write_sphinx(tmp_path / "en.lm.bin"))
    assert model.score(0, model.word_id("zed"))[0] == pytest.approx(-100 * np.log(10))


@pytest.mark.parametrize("share", [0.00001, 0.5, 0.99999])
def test_a_file_cut_short_is_refused_by_name(tmp_path: Path, share: float) -> None:
    whole = write_sphinx(tmp_path / "en.lm.bin").read_bytes()
    cut = tmp_path / "cut.lm.bin"
    cut.write_bytes(whole[: max(len(MAGIC), int(share * len(whole)))])
    with pytest.raises(
        ModelFileError, match=r"cut\.lm\.bin: is damaged, or no language model of CMU Sphinx: "
    ):
        read_lm(cut)


@pytest.mark.parametrize("place", ["children", "words"])
def test_a_damaged_file_is_refused(tmp_path: Path, place: str) -> None:
    path = write_sphinx(tmp_path / "en.lm.bin")
    content = bytearray(path.read_bytes())
    tables = len(MAGIC) + 1 + 3 * 4 + 4 + 3 * 4 * NUM_CODES
    if place == "children":
        content[tables + 8 : tables + 12] = struct.pack("<I", 99)
    else:
        content[-3:] = b"xyz"
    path.write_bytes(content)
    with pytest.raises(ModelFileError, match=r"is damaged"):
        read_lm(path)
