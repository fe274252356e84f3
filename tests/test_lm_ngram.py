"""Scoring with a back-off model: the recursion, its states, and the trie behind it."""

import itertools
import math
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from speechrnn.errors import ConfigError, ModelFileError
from speechrnn.lm.ngram import NgramModel
from speechrnn.lm.trie import Level, build_model

pytest.importorskip("numba")

WORDS = ("<unk>", "<s>", "</s>", "a", "b")
UNK, BOS, EOS, A, B = range(5)
Table = dict[tuple[int, ...], tuple[float, float]]


def level(*ngrams: tuple[tuple[int, ...], float, float]) -> Level:
    """Make a level of (words, probability, back-off weight)."""
    rows, probs, weights = zip(*ngrams, strict=True)
    return Level(np.array(rows), np.log(probs), np.log(weights))


UNIGRAMS = level(((UNK,), 0.1, 1), ((BOS,), 1, 0.5), ((EOS,), 0.2, 1), ((A,), 0.4, 0.5), ((B,), 0.3, 0.8))
BIGRAMS = level(((BOS, A), 0.6, 0.4), ((A, B), 0.7, 0.9), ((B, A), 0.3, 1))
TRIGRAMS = level(((BOS, A, B), 0.8, 1))


@pytest.fixture(scope="module")
def model() -> NgramModel:
    return build_model(WORDS, [UNIGRAMS, BIGRAMS, TRIGRAMS])


def prob(log_prob: float) -> Any:
    return pytest.approx(math.exp(log_prob), rel=1e-6)


def test_a_sentence_is_scored_by_the_longest_ngrams_that_the_model_has(model: NgramModel) -> None:
    # P(a | <s>) = 0.6; P(b | <s> a) = 0.8
    # P(a | <s> a b): no 4-grams; `a b a` lacks, b(a b) = 0.9; P(a | b) = 0.3      → 0.27
    # P(</s> | b a): `b a </s>` lacks, b(b a) = 1; `a </s>` lacks, b(a) = 0.5; 0.2 → 0.1
    scores = np.exp(model.score_sentence(["a", "b", "a"]))
    assert scores == pytest.approx([0.6, 0.8, 0.27, 0.1], rel=1e-6)


def test_the_first_word_is_scored_after_the_begin_of_the_sentence(model: NgramModel) -> None:
    # P(b | <s>) = b(<s>) · P(b) = 0.5 · 0.3
    log_prob, _ = model.score(model.begin_state(), B)
    assert prob(log_prob) == 0.15
    log_prob, _ = model.score(0, B)  # no context at all
    assert prob(log_prob) == 0.3


def test_an_empty_sentence_has_an_end(model: NgramModel) -> None:
    assert np.exp(model.score_sentence([])) == pytest.approx([0.5 * 0.2], rel=1e-6)


def test_an_unknown_word_has_the_probability_of_unk_and_leaves_no_context(model: NgramModel) -> None:
    # P(<unk> | <s>) = 0.5 · 0.1; then P(a) = 0.4, P(</s> | a) = 0.5 · 0.2
    assert model.word_id("zebra") == UNK
    assert np.exp(model.score_sentence(["zebra", "a"])) == pytest.approx([0.05, 0.4, 0.1], rel=1e-6)
    _, state = model.score(model.begin_state(), UNK)
    assert state == 0


def test_a_text_of_sentences_is_scored_as_each_alone(model: NgramModel) -> None:
    text = np.array([A, B, EOS, EOS, B, EOS], np.int32)
    alone = [model.score_sentence(words) for words in (["a", "b"], [], ["b"])]
    np.testing.assert_array_equal(model.score_ids(text), np.concatenate(alone))


def test_a_state_is_the_longest_context_that_can_matter(model: NgramModel) -> None:
    # `b a` has weight 1 and nothing behind it: what comes next depends on `a` alone.
    _, after_b = model.score(0, B)
    _, state = model.score(after_b, A)
    assert state == A + 1


def test_the_trie_has_the_ngrams_in_the_order_of_their_words(model: NgramModel) -> None:
    assert model.counts == (5, 3, 1)
    assert model.level_bounds == (1, 6, 9, 10)
    assert model.words.tolist() == [-1, 0, 1, 2, 3, 4, A, B, A, B]
    assert model.suffixes.tolist() == [0, 0, 0, 0, 0, 0, A + 1, B + 1, A + 1, 7]


def test_the_arrays_cannot_be_written(model: NgramModel) -> None:
    for array in model.arrays:
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0


def test_the_order_of_the_ngrams_does_not_matter(model: NgramModel) -> None:
    turned = [
        Level(each.ngrams[::-1], each.log_probs[::-1], each.backoffs[::-1]) for each in (UNIGRAMS, BIGRAMS)
    ]
    other = build_model(WORDS, [*turned, TRIGRAMS])
    for mine, theirs in zip(model.arrays, other.arrays, strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_a_context_that_is_no_ngram_is_added_without_changing_a_score() -> None:
    # SRILM prunes `a b` but keeps `a b a`: P(b | a) = b(a) · P(b) = 0.5 · 0.3 as before, weight 1.
    trigram = level(((A, B, A), 0.9, 1))
    model = build_model(WORDS, [UNIGRAMS, level(((B, A), 0.3, 1)), trigram])
    assert model.counts == (5, 2, 1)
    _, state = model.score(0, A)
    log_prob, state = model.score(state, B)
    assert prob(log_prob) == 0.15
    log_prob, state = model.score(state, A)
    assert prob(log_prob) == 0.9
    log_prob, _ = model.score(state, B)  # b(b a) = 1, b(a) · P(b) = 0.15
    assert prob(log_prob) == 0.15


def test_scores_are_those_of_the_recursion_written_down() -> None:
    rng = np.random.default_rng(0)
    table = random_table(rng)
    model = from_table(table)
    for words in itertools.product(range(2, 5), repeat=4):
        scores = model.score_sentence([WORDS[i] for i in words if i != EOS])
        history: tuple[int, ...] = (BOS,)
        for score, word in zip(scores, [*(i for i in words if i != EOS), EOS], strict=True):
            assert score == pytest.approx(recursion(table, history, word), abs=1e-5)
            history = (*history, word)[-3:]


def random_table(rng: np.random.Generator) -> Table:
    """Make n-grams up to order 4 with random values: all unigrams, some of the longer ones."""
    table: Table = {(word,): (rng.uniform(-4, 0), rng.uniform(-1, 1)) for word in range(5)}
    for size in (2, 3, 4):
        for ngram in itertools.product(range(1, 5), repeat=size):
            if ngram[:-1] in table and ngram[1:] in table and rng.random() < 0.6 and ngram[-1] != BOS:
                table[ngram] = (rng.uniform(-4, 0), rng.uniform(-1, 1) if size < 4 else 0.0)
    return table


def from_table(table: Table) -> NgramModel:
    levels = []
    for size in range(1, max(map(len, table)) + 1):
        ngrams = [ngram for ngram in table if len(ngram) == size]
        values = np.array([table[ngram] for ngram in ngrams])
        levels.append(Level(np.array(ngrams), values[:, 0], values[:, 1]))
    return build_model(WORDS, levels)


def recursion(table: Table, history: tuple[int, ...], word: int) -> float:
    """Score as Katz wrote it."""
    if (*history, word) in table:
        return table[*history, word][0]
    return table.get(history, (0, 0.0))[1] + recursion(table, history[1:], word)


def test_a_double_ngram_is_refused() -> None:
    with pytest.raises(ModelFileError, match="rows 0 and 1 of the 2-grams are the same"):
        build_model(WORDS, [UNIGRAMS, level(((A, B), 0.1, 1), ((A, B), 0.2, 1))])


@pytest.mark.parametrize("lacking", ["<unk>", "<s>", "</s>"])
def test_a_model_without_a_special_word_is_refused(lacking: str) -> None:
    words = tuple("x" if word == lacking else word for word in WORDS)
    with pytest.raises(ConfigError, match=f"must hold {lacking}"):
        build_model(words, [UNIGRAMS])


def test_an_unknown_unit_is_refused() -> None:
    with pytest.raises(ConfigError, match="unit must be one of word, character, got 'phone'"):
        build_model(WORDS, [UNIGRAMS], unit="phone")  # type: ignore[arg-type]


@pytest.mark.parametrize(("state", "word"), [(-1, A), (10, A), (0, -1), (0, 5)])
def test_a_word_or_state_that_does_not_exist_is_refused(model: NgramModel, state: int, word: int) -> None:
    with pytest.raises(ConfigError, match="must be in"):
        model.score(state, word)


def test_arrays_that_do_not_fit_each_other_are_refused(model: NgramModel) -> None:
    parts: dict[str, Any] = dict(
        zip(("words", "log_probs", "backoffs", "first_child", "suffixes"), model.arrays, strict=True)
    )
    parts["suffixes"] = parts["suffixes"][:-1]
    with pytest.raises(ConfigError, match="suffixes has 9 entries for 10 nodes"):
        NgramModel(vocabulary=WORDS, order=3, **parts)


def test_without_numba_scoring_says_what_to_install() -> None:
    code = """
import sys
sys.modules["numba"] = None
import numpy as np
from speechrnn.errors import ConfigError
from speechrnn.lm import estimate_model
model = estimate_model([["a"]], order=1)
try:
    model.score(0, 0)
except ConfigError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert 'pip install "speechrnn[lm]"' in done.stdout
