"""Perplexity: by hand, as KenLM's query has it, and what belongs to it."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

from speechrnn.errors import TextError
from speechrnn.lm import estimate_model, measure_perplexity, perplexity, read_lm
from speechrnn.lm.ngram import NgramModel
from speechrnn.lm.trie import Level, build_model

pytest.importorskip("numba")

GOLDEN = Path(__file__).parent / "golden"


def unigrams() -> NgramModel:
    rows = np.arange(4)[:, None]
    return build_model(
        ("<unk>", "<s>", "</s>", "a"), [Level(rows, np.log([0.125, 1, 0.25, 0.5]), np.zeros(4))]
    )


def test_perplexity_by_hand() -> None:
    # a a </s>: 1/2 · 1/2 · 1/4 = 2^-4; b </s>: 1/8 · 1/4 = 2^-5. Five tokens: 2^(9/5).
    # Without b, which is unknown, four tokens and 2^-6: 2^(6/4).
    measured = measure_perplexity(unigrams(), [["a", "a"], ["b"]])
    assert (measured.num_tokens, measured.num_sentences, measured.num_unknown) == (5, 2, 1)
    assert measured.log_prob == pytest.approx(-9 * math.log(2))
    assert measured.unknown_log_prob == pytest.approx(-3 * math.log(2))
    assert measured.perplexity == pytest.approx(2 ** (9 / 5))
    assert measured.perplexity_of_known == pytest.approx(2 ** (6 / 4))


def test_without_unknown_words_both_are_the_same() -> None:
    measured = measure_perplexity(unigrams(), [["a"]])
    assert measured.perplexity == measured.perplexity_of_known


def test_an_empty_sentence_is_its_end() -> None:
    assert measure_perplexity(unigrams(), [[]]).perplexity == pytest.approx(4)


def test_a_text_without_sentences_has_none() -> None:
    with pytest.raises(TextError, match="the text holds no sentence"):
        measure_perplexity(unigrams(), [])


def test_two_texts_together_are_one_text(monkeypatch: pytest.MonkeyPatch) -> None:
    model = estimate_model([["a", "b"], ["b", "a", "c"]], order=2)
    first, second = [["a"], ["c", "x"]], [["b", "b"], [], ["y"]]
    both = measure_perplexity(model, [*first, *second])
    total = measure_perplexity(model, first) + measure_perplexity(model, second)
    monkeypatch.setattr(perplexity, "SENTENCES_AT_ONCE", 2)
    for other in (total, measure_perplexity(model, [*first, *second])):
        assert (other.num_tokens, other.num_sentences, other.num_unknown) == (11, 5, 2)
        assert other.perplexity == pytest.approx(both.perplexity)
        assert other.perplexity_of_known == pytest.approx(both.perplexity_of_known)


def test_a_model_foresees_its_own_text_better_than_another() -> None:
    rng = np.random.default_rng(0)
    texts = [[[f"{letter}{i}" for i in rng.integers(0, 9, 5)] for _ in range(50)] for letter in "ab"]
    model = estimate_model(texts[0], order=2)
    mine, other = (measure_perplexity(model, text).perplexity for text in texts)
    assert mine < 15 < other


def test_perplexity_is_that_of_kenlm() -> None:
    # tests/golden/README.md: what `query` says of the same model and sentences
    sentences = json.loads((GOLDEN / "license_scores.json").read_text())
    measured = measure_perplexity(read_lm(GOLDEN / "license.arpa.gz"), [line.split() for line in sentences])
    assert (measured.num_tokens, measured.num_sentences, measured.num_unknown) == (45, 7, 6)
    assert measured.perplexity == pytest.approx(54.77095564955893, rel=1e-5)
    assert measured.perplexity_of_known == pytest.approx(32.10834260892333, rel=1e-5)
