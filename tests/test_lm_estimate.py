"""Estimating: modified Kneser–Ney by hand, by a second implementation, and as lmplz has it."""

import gzip
import itertools
import logging
import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from ngram_table import table

from speechrnn.errors import ConfigError, TextError
from speechrnn.lm import estimate_model, read_lm
from speechrnn.lm.counts import count_ngrams, number_words
from speechrnn.lm.estimate import discounts_of
from speechrnn.lm.ngram import NgramModel

GOLDEN = Path(__file__).parent / "golden"
Ngram = tuple[str, ...]


def random_text(seed: int = 0, sentences: int = 200) -> list[list[str]]:
    """Make sentences of few words, some of none, in which n-grams of every count come."""
    rng = np.random.default_rng(seed)
    return [[f"w{i}" for i in rng.zipf(1.4, rng.integers(0, 8)) % 30] for _ in range(sentences)]


def license_text() -> list[list[str]]:
    return [
        line.split()
        for line in gzip.decompress((GOLDEN / "license.txt.gz").read_bytes()).decode().splitlines()
    ]


def probs(model: NgramModel) -> dict[str, float]:
    return {ngram: 10**log10 for ngram, (log10, _) in table(model).items()}


def weights(model: NgramModel) -> dict[str, float]:
    return {ngram: 10**log10 for ngram, (_, log10) in table(model).items()}


# ---- By hand --------------------------------------------------------------------------------------------


def test_bigrams_by_hand() -> None:
    model = estimate_model([["yes"], ["no"], ["yes"]], order=2)
    # Words in front: yes 1 (<s>), no 1, </s> 2 (yes, no); 4 in all. Nothing has 3 of them: D = 0.5, 1, 1.5.
    # γ = (0.5 + 0.5 + 1) / 4 = 0.5, shared by <unk>, </s>, yes and no: 0.125 each.
    #   P(yes) = P(no) = (1 − 0.5) / 4 + 0.125 = 0.25; P(</s>) = (2 − 1) / 4 + 0.125 = 0.375
    # After <s>: yes 2, no 1, none 3 times: D as above. γ = (1 + 0.5) / 3 = 0.5
    #   P(yes | <s>) = (2 − 1) / 3 + 0.5 · 0.25 = 11/24; P(no | <s>) = 0.5 / 3 + 0.125 = 7/24
    # After yes: </s> 2. γ = 1/2; P = 1/2 + 0.375 / 2 = 11/16. After no: </s> 1. γ = 0.5; P = 0.5 + 0.1875
    unigrams = {"<unk>": 0.125, "<s>": 1, "</s>": 0.375, "yes": 0.25, "no": 0.25}
    bigrams = {"<s> yes": 11 / 24, "<s> no": 7 / 24, "yes </s>": 11 / 16, "no </s>": 11 / 16}
    assert probs(model) == pytest.approx(unigrams | bigrams, rel=1e-6)
    assert weights(model) == pytest.approx(
        {"<unk>": 1, "<s>": 0.5, "</s>": 1, "yes": 0.5, "no": 0.5} | dict.fromkeys(bigrams, 1), rel=1e-6
    )


def test_unigrams_alone_count_how_often_a_word_comes() -> None:
    # a 3, b 1, </s> 1: no 2, so D = 0.5, 1, 1.5. γ = (1.5 + 0.5 + 0.5) / 5 = 0.5, a quarter for each.
    model = estimate_model([["a", "b", "a", "a"]], order=1)
    expected = {"<unk>": 0.125, "<s>": 1, "</s>": 0.1 + 0.125, "a": 0.3 + 0.125, "b": 0.1 + 0.125}
    assert probs(model) == pytest.approx(expected, rel=1e-6)


def test_discounts_by_hand() -> None:
    # n = 4, 2, 1, 1: Y = 4 / (4 + 2 · 2) = 0.5
    # D1 = 1 − 2 · 0.5 · 2/4 = 0.5; D2 = 2 − 3 · 0.5 · 1/2 = 1.25; D3 = 3 − 4 · 0.5 · 1/1 = 1
    counts = np.array([1, 1, 1, 1, 2, 2, 3, 4, 17])
    assert discounts_of(counts, 2).tolist() == [0, 0.5, 1.25, 1]


@pytest.mark.parametrize(
    "counts",
    [
        [2, 2, 3, 4],  # n1 = 0
        [1, 1, 3, 4],  # n2 = 0
        [1, 1, 2, 4],  # n3 = 0
        [1, 2, 3, 4, 4],  # Y = 1/3; D3 = 3 − 4/3 · 2 = 1/3, but:
        [1, 2, 3, 3, 3, 3, 4],  # D2 = 2 − 3 · 1/3 · 4 = −2
    ],
)
def test_counts_that_give_no_discount_are_replaced_with_a_warning(
    counts: list[int], caplog: pytest.LogCaptureFixture
) -> None:
    found = discounts_of(np.array(counts), 3)
    if counts == [1, 2, 3, 4, 4]:
        assert found == pytest.approx([0, 1 - 2 / 3, 1, 1 / 3])
        assert not caplog.records
    else:
        assert found.tolist() == [0, 0.5, 1, 1.5]
        assert "3-grams: too little or too regular text to estimate their discounts" in caplog.text


def test_ngrams_are_counted_within_sentences() -> None:
    words, text = number_words([["a", "b", "a"], [], ["a"]])
    assert words == ["<unk>", "<s>", "</s>", "a", "b"]
    assert text.tolist() == [1, 3, 4, 3, 2, 1, 2, 1, 3, 2]
    unigrams, bigrams, trigrams, fourgrams, fivegrams, none = count_ngrams(text, 5, 6)
    assert unigrams.counts.tolist() == [0, 0, 3, 3, 1]
    # rows by (context, word): <s> </s>, <s> a, a </s>, a b, b a
    assert list(zip(bigrams.contexts.tolist(), bigrams.words.tolist(), strict=True)) == [
        (1, 2),
        (1, 3),
        (3, 2),
        (3, 4),
        (4, 3),
    ]
    assert bigrams.counts.tolist() == [1, 2, 2, 1, 1]
    assert bigrams.suffixes.tolist() == [2, 3, 2, 4, 3]
    # <s> a </s>, <s> a b, a b a, b a </s>
    assert trigrams.contexts.tolist() == [1, 1, 3, 4]
    assert trigrams.suffixes.tolist() == [2, 3, 4, 2]
    assert [len(each.words) for each in (fourgrams, fivegrams, none)] == [2, 1, 0]


# ---- By a second implementation -------------------------------------------------------------------------


class Reference:
    """The same with dictionaries, straight from the formulas."""

    def __init__(self, text: list[list[str]], order: int, prune: Sequence[int]) -> None:
        self.counts: list[Counter[Ngram]] = [Counter() for _ in range(order + 1)]
        for sentence in text:
            words = ("<s>", *sentence, "</s>")
            for size in range(1, order + 1):
                self.counts[size].update(words[i : i + size] for i in range(len(words) - size + 1))
        del self.counts[1][("<s>",)]
        self.order, self.prune = order, [0, *prune, *[prune[-1]] * (order - len(prune))]
        self.adjusted = [self.adjust(size) for size in range(order + 1)]
        self.discounts = [self.discount(counts) for counts in self.adjusted]
        kept = sum(self.is_kept(word) for word in {("</s>",), *self.counts[1]})
        self.uniform = 1 / (kept + 1)

    def adjust(self, size: int) -> dict[Ngram, int]:
        if size == self.order:
            return dict(self.counts[size])
        longer = self.counts[size + 1]
        return {
            ngram: count if ngram[:1] == ("<s>",) else len({more for more in longer if more[1:] == ngram})
            for ngram, count in self.counts[size].items()
        }

    def discount(self, adjusted: dict[Ngram, int]) -> list[float]:
        n = Counter(adjusted.values())
        if all(n[i] for i in (1, 2, 3)):
            found = [i - (i + 1) * n[1] / (n[1] + 2 * n[2]) * n[i + 1] / n[i] for i in (1, 2, 3)]
            if all(0 <= each <= i for i, each in enumerate(found, start=1)):
                return [0, *found]
        return [0, 0.5, 1, 1.5]

    def is_kept(self, ngram: Ngram) -> bool:
        return ngram == ("</s>",) or self.counts[len(ngram)][ngram] > self.prune[len(ngram)]

    def prob(self, ngram: Ngram) -> float:
        if not ngram:
            return self.uniform
        counts, discounts = self.adjusted[len(ngram)], self.discounts[len(ngram)]
        siblings = [each for each in counts if each[:-1] == ngram[:-1]]
        lower = self.prob(ngram[1:])
        if not siblings:
            return lower
        total = sum(counts[each] for each in siblings)
        free = sum(discounts[min(counts[e], 3)] if self.is_kept(e) else counts[e] for e in siblings) / total
        if ngram not in counts or not self.is_kept(ngram):
            return free * lower
        return (counts[ngram] - discounts[min(counts[ngram], 3)]) / total + free * lower


@pytest.mark.parametrize(
    ("order", "prune"),
    [(1, [0]), (2, [0]), (3, [0]), (4, [0]), (3, [0, 0, 1]), (3, [0, 1]), (4, [1, 2, 2, 3])],
)
def test_probabilities_are_those_of_the_formulas(order: int, prune: list[int]) -> None:
    pytest.importorskip("numba")
    text = random_text(sentences=80)
    model, reference = estimate_model(text, order=order, prune=prune), Reference(text, order, prune)
    assert sum(model.counts) > 20
    for sentence in [*random_text(seed=1, sentences=15), ["w1", "w1", "w1", "zebra", "w2"]]:
        known = [word if word in model.word_ids else "<unk>" for word in sentence]
        words = ["<s>", *known, "</s>"]
        for end, score in enumerate(model.score_sentence(sentence), start=2):
            ngram = tuple(words[max(0, end - order) : end])
            assert math.exp(score) == pytest.approx(reference.prob(ngram), rel=1e-5)


# ---- As lmplz has it ------------------------------------------------------------------------------------


def test_the_model_is_that_of_lmplz() -> None:
    ours = table(estimate_model(license_text(), order=4, prune=(0, 0, 1)))
    theirs = table(read_lm(GOLDEN / "license.arpa.gz"))
    assert ours.keys() == theirs.keys()
    for ngram, values in theirs.items():
        assert ours[ngram] == pytest.approx(values, abs=2e-6), ngram


# ---- What must always hold ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("order", "prune", "vocabulary"),
    [
        (1, (), None),
        (2, (), None),
        (3, (), None),
        (4, (), None),
        (4, (0, 0, 1), None),
        (3, (1, 2, 3), None),
        (3, (0, 1), {"w1", "w2", "w3", "elsewhere"}),
    ],
)
def test_the_probabilities_after_every_context_sum_to_one(
    order: int, prune: tuple[int, ...], vocabulary: set[str] | None
) -> None:
    pytest.importorskip("numba")
    model = estimate_model(random_text(), order=order, prune=prune, vocabulary=vocabulary)
    foreseen = [i for i in range(len(model.vocabulary)) if i != model.begin_of_sentence]
    for state in range(model.level_bounds[order - 1]):
        total = sum(math.exp(model.score(state, word)[0]) for word in foreseen)
        assert total == pytest.approx(1, abs=1e-5), state


def test_the_order_of_the_sentences_only_numbers_the_words() -> None:
    text = random_text()
    mine, other = table(estimate_model(text, order=3)), table(estimate_model(text[::-1], order=3))
    assert mine.keys() == other.keys()
    assert all(mine[ngram] == pytest.approx(other[ngram], abs=1e-6) for ngram in mine)


def test_pruning_leaves_out_what_comes_as_often_or_less() -> None:
    text = random_text()
    full, pruned = estimate_model(text, order=3), estimate_model(text, order=3, prune=(0, 1, 2))
    trigrams = Counter(
        words[i : i + 3]
        for words in (("<s>", *sentence, "</s>") for sentence in text)
        for i in range(len(words) - 2)
    )
    kept = {" ".join(ngram) for ngram, count in trigrams.items() if count > 2}
    assert {ngram for ngram in table(pruned) if ngram.count(" ") == 2} == kept
    assert {ngram for ngram in table(full) if ngram.count(" ") == 2} == {
        " ".join(ngram) for ngram in trigrams
    }
    assert full.counts[0] == pruned.counts[0]


def test_the_last_threshold_goes_for_the_orders_behind() -> None:
    text = random_text()
    short, long = (estimate_model(text, order=4, prune=prune) for prune in ((0, 1), (0, 1, 1, 1)))
    assert table(short) == table(long)


def test_a_vocabulary_leaves_out_ngrams_with_other_words() -> None:
    model = estimate_model(random_text(), order=2, vocabulary=["w1", "w2", "elsewhere"])
    assert set(model.vocabulary) == {"<unk>", "<s>", "</s>", "w1", "w2"}
    assert {word for ngram in table(model) for word in ngram.split()} == set(model.vocabulary)


def test_of_most_words_the_frequent_ones_stay_and_those_of_the_vocabulary() -> None:
    text = [["a", "b", "a", "c"], ["c", "c", "b", "d"]]
    assert estimate_model(text, order=1, most_words=2).vocabulary == ("<unk>", "<s>", "</s>", "a", "c")
    of_some = estimate_model(text, order=1, vocabulary=["a", "b", "d"], most_words=2)
    assert of_some.vocabulary == ("<unk>", "<s>", "</s>", "a", "b")
    with pytest.raises(ConfigError, match="most_words must be >= 1, got 0"):
        estimate_model(text, most_words=0)


def drop_by_definition(text: list[list[str]], dropped: str) -> float:
    """Nats that a text costs more in a bigram model without one bigram, beside its own words after the same one."""
    full = estimate_model(text, order=2)
    own, others = probs(full), [w for w in full.vocabulary if w != "<s>"]
    context, word = dropped.split()
    listed = {w for w in others if f"{context} {w}" in own} - {word}
    weight = (1 - sum(own[f"{context} {w}"] for w in listed)) / (1 - sum(own[w] for w in listed))
    cost = 0.0
    for w in others:
        before = math.exp(full.score(1 + full.word_id(context), full.word_id(w))[0])
        after = own[f"{context} {w}"] if w in listed else weight * own[w]
        cost += before * math.log(before / after)
    return cost * sum(["<s>", *sentence].count(context) for sentence in text)


def test_the_ngrams_that_a_model_would_miss_least_are_the_first_to_go() -> None:
    text = random_text(3, 60)
    full = probs(estimate_model(text, order=2))
    costs = {ngram: drop_by_definition(text, ngram) for ngram in full if " " in ngram}
    num_words = len(full) - len(costs)
    by_cost = sorted(costs, key=lambda ngram: -costs[ngram])
    for most in (0, 1, len(costs) // 2, len(costs)):
        left = probs(estimate_model(text, order=2, most_ngrams=num_words + most))
        assert {ngram for ngram in left if " " in ngram} == set(by_cost[:most])
        assert {ngram: full[ngram] for ngram in left} == pytest.approx(left, rel=1e-5)


@pytest.mark.parametrize("order", [2, 3, 4])
def test_a_model_of_few_ngrams_is_one_after_every_context(order: int) -> None:
    text = license_text()
    model = estimate_model(text, order=order, prune=(0, 0, 1)[:order], most_ngrams=1000)
    assert 900 < sum(model.counts) <= 1000
    words = [w for w in range(len(model.vocabulary)) if w != model.begin_of_sentence]
    for state in range(0, len(model.words), 7):
        assert sum(math.exp(model.score(state, word)[0]) for word in words) == pytest.approx(1, abs=1e-4)


def test_what_is_left_may_be_likelier_after_a_context_than_without_it() -> None:
    # After h, w stays for the trigram's sake, though it is rarer there than anywhere: the others weigh more than 1.
    text = [[f"x{i % 20}", "w", f"x{i % 19}"] for i in range(4000)] + [
        ["h", f"x{i % 20}"] for i in range(4000)
    ]
    model = estimate_model(text + [["h", "w", "y"]] * 60, order=3, most_ngrams=100)
    assert model.backoffs[1 + model.word_id("h")] > 0
    words = [w for w in range(len(model.vocabulary)) if w != model.begin_of_sentence]
    total = sum(math.exp(model.score(1 + model.word_id("h"), word)[0]) for word in words)
    assert total == pytest.approx(1, abs=1e-4)


def test_ngrams_chosen_by_what_they_cost_model_a_text_better_than_those_that_come_often() -> None:
    text, order = license_text(), 3
    often = estimate_model(text, order=order, prune=(0, 1, 1))
    useful = estimate_model(text, order=order, most_ngrams=sum(often.counts))
    assert sum(useful.counts) <= sum(often.counts)
    costs = [-sum(model.score_sentence(s).sum() for s in text) for model in (useful, often)]
    assert costs[0] < costs[1]


def test_fewer_ngrams_than_words_are_refused() -> None:
    with pytest.raises(
        ConfigError, match="most_ngrams must be >= the 5 words of the model, got 4; leave out"
    ):
        estimate_model([["yes"], ["no"]], order=2, most_ngrams=4)


def test_a_sentence_begins_with_the_count_of_its_words_and_not_of_those_in_front() -> None:
    # Nothing stands in front of <s>: after it, a trigram model counts how often a word comes first.
    pytest.importorskip("numba")
    model = estimate_model([*[["a", "x"]] * 9, ["b", "x"]], order=3)
    begin = model.begin_state()
    assert model.score(begin, model.word_id("a"))[0] > model.score(begin, model.word_id("b"))[0] + 1


def test_characters_are_words_like_any_others() -> None:
    text = [list("ab"), ["a", "<space>", "b"]]
    characters, words = (estimate_model(text, order=3, unit=unit) for unit in ("character", "word"))
    assert characters.unit == "character"
    assert "<space>" in characters.vocabulary
    assert table(characters) == table(words)


def test_sentences_shorter_than_the_order_leave_it_empty(caplog: pytest.LogCaptureFixture) -> None:
    model = estimate_model([["a"], ["b"]], order=5)  # <s> a </s> is the longest
    assert model.counts == (5, 4, 2, 0, 0)
    assert not [record for record in caplog.records if "4-grams" in record.getMessage()]


def test_warnings_name_the_order(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "speechrnn"):
        estimate_model([["a", "b"]], order=2)
    assert [message[:8] for message in caplog.messages] == ["1-grams:", "2-grams:"]
    assert "(3 come 1×, 0 come 2×, 0 come 3×, 0 come 4×); taking 0.5, 1 and 1.5" in caplog.text


def test_progress_counts_two_steps_for_each_order() -> None:
    seen: list[tuple[int, int]] = []
    estimate_model([["a", "b"]], order=3, on_progress=lambda done, total: seen.append((done, total)))
    assert seen == [(done, 6) for done in range(1, 7)]


@pytest.mark.parametrize("text", [[], [[]], [[], []]])
def test_an_empty_text_is_refused(text: list[list[str]]) -> None:
    with pytest.raises(TextError, match="the text holds no words"):
        estimate_model(text)


def test_a_vocabulary_without_a_word_of_the_text_is_refused() -> None:
    with pytest.raises(TextError, match="the text holds no word of the vocabulary"):
        estimate_model([["a"]], vocabulary=["b", "<s>"])


@pytest.mark.parametrize("order", [0, -1])
def test_an_order_below_one_is_refused(order: int) -> None:
    with pytest.raises(ConfigError, match=f"order must be >= 1, got {order}"):
        estimate_model([["a"]], order=order)


@pytest.mark.parametrize(
    ("prune", "message"),
    [
        ((0, 0, 0, 0, 1), "prune has 5 thresholds for a model of order 4"),
        ((1, 0), "prune must be >= 0 and never fall, got 1 0"),
        ((-1,), "prune must be >= 0 and never fall, got -1"),
    ],
)
def test_thresholds_that_make_no_sense_are_refused(prune: tuple[int, ...], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        estimate_model([["a"]], order=4, prune=prune)


def test_an_unknown_unit_is_refused() -> None:
    with pytest.raises(ConfigError, match="unit must be one of word, character, got 'phone'"):
        estimate_model([["a"]], unit="phone")  # type: ignore[arg-type]


def test_every_context_and_every_suffix_of_an_ngram_is_in_the_model() -> None:
    model = estimate_model(random_text(), order=4, prune=(0, 1, 1, 2), vocabulary={f"w{i}" for i in range(9)})
    ngrams = {tuple(ngram.split()) for ngram in table(model)}
    for ngram in ngrams:
        assert all(
            shorter in ngrams for shorter in itertools.filterfalse(lambda n: not n, (ngram[:-1], ngram[1:]))
        )
