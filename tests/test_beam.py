"""Prefix beam search against sums over all paths, and against a plain search written down from its definition."""

import itertools
from collections.abc import Callable, Collection, Mapping
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from speechrnn.decoding import BeamConfig, BeamDecoder, Hypothesis, beam, greedy_decode
from speechrnn.errors import ConfigError, TextError
from speechrnn.lm import NgramModel
from speechrnn.lm.ngram import LmUnit
from speechrnn.lm.trie import Level, build_model
from speechrnn.text import Vocabulary

LETTERS = Vocabulary(("a", "b", " "))
PIECES = Vocabulary(("▁a", "b", "▁b", "a"), "token")
UNLIMITED: dict[str, Any] = {
    "beam_size": 3000,
    "beam_threshold": 1e9,
    "token_threshold": 1e9,
    "top_tokens": 100,
}


def emissions(frames: int, tokens: int, seed: int, peakiness: float = 2.0) -> NDArray[np.float64]:
    """(frames, tokens) log posteriors of noise."""
    logits = np.random.default_rng(seed).normal(size=(frames, tokens)) * peakiness
    return np.asarray(logits - np.logaddexp.reduce(logits, axis=1, keepdims=True))


def spell(vocabulary: Vocabulary, text: str, noise: float = 4.0, seed: int = 0) -> NDArray[np.float64]:
    """Log posteriors in which a text is likely, a blank after each token."""
    ids = [i for token in vocabulary.encode(text) for i in (token, 0)]
    logits = np.random.default_rng(seed).normal(size=(len(ids), len(vocabulary)))
    logits[np.arange(len(ids)), ids] += noise
    return np.asarray(logits - np.logaddexp.reduce(logits, axis=1, keepdims=True))


def decode(
    frames: NDArray[Any],
    vocabulary: Vocabulary,
    config: BeamConfig = BeamConfig(),
    n_best: int = 1,
    **space: Any,
) -> list[Hypothesis]:
    [hypotheses] = BeamDecoder(vocabulary, config, **space).decode(frames[None], [len(frames)], n_best=n_best)
    return hypotheses


def collapse(path: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(token for token, _ in itertools.groupby(path) if token != 0)


def all_paths(frames: NDArray[Any]) -> dict[tuple[int, ...], list[tuple[float, tuple[int, ...]]]]:
    """Every path (log probability, path) by the tokens that it writes."""
    texts: dict[tuple[int, ...], list[tuple[float, tuple[int, ...]]]] = {}
    for path in itertools.product(range(frames.shape[1]), repeat=len(frames)):
        log_prob = float(sum(frames[t, token] for t, token in enumerate(path)))
        texts.setdefault(collapse(path), []).append((log_prob, path))
    return texts


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("log_add", [True, False])
def test_an_unlimited_beam_sums_over_all_paths_or_finds_the_best(seed: int, log_add: bool) -> None:
    frames = emissions(1 + seed % 6, len(LETTERS), seed)
    texts = all_paths(frames)
    total = {
        text: float(np.logaddexp.reduce([p for p, _ in paths])) if log_add else max(paths)[0]
        for text, paths in texts.items()
    }
    hypotheses = decode(frames, LETTERS, BeamConfig(**UNLIMITED, log_add=log_add), n_best=5)
    expected = sorted(total, key=lambda text: -total[text])[: len(hypotheses)]
    assert [h.tokens for h in hypotheses] == expected
    np.testing.assert_allclose([h.log_prob for h in hypotheses], [total[text] for text in expected])
    assert [h.score for h in hypotheses] == [h.log_prob for h in hypotheses]


@pytest.mark.parametrize("seed", range(8))
def test_times_and_posteriors_are_those_of_the_best_path(seed: int) -> None:
    frames = emissions(2 + seed % 5, len(LETTERS), seed)
    texts = all_paths(frames)
    for hypothesis in decode(frames, LETTERS, BeamConfig(**UNLIMITED), n_best=5):
        _, path = max(texts[hypothesis.tokens])
        runs = [list(run) for _, run in itertools.groupby(range(len(path)), key=lambda t: path[t])]
        spoken = [run for run in runs if path[run[0]] != 0]
        assert hypothesis.frames == tuple(run[0] for run in spoken)
        assert hypothesis.ends == tuple(run[-1] for run in spoken)
        peaks = [np.exp(max(frames[t, path[t]] for t in run)) for run in spoken]
        np.testing.assert_allclose(hypothesis.peaks, peaks)


def plain_search(
    frames: NDArray[Any], beam_size: int, bonus: Callable[[tuple[int, ...]], float]
) -> list[tuple[tuple[int, ...], float]]:
    """Search by definition: endings of prefixes, each worth its paths and what ``bonus`` says of its tokens."""
    alive: dict[tuple[tuple[int, ...], bool], float] = {((), True): 0.0}
    for row in frames:
        reached: dict[tuple[tuple[int, ...], bool], float] = {}

        def add(prefix: tuple[int, ...], in_blank: bool, score: float, reached: Any = reached) -> None:
            key = (prefix, in_blank)
            reached[key] = float(np.logaddexp(reached.get(key, -np.inf), score))

        for (prefix, in_blank), score in alive.items():
            add(prefix, True, score + row[0])
            for token in range(1, len(row)):
                if prefix and token == prefix[-1] and not in_blank:
                    add(prefix, False, score + row[token])
                else:
                    add((*prefix, token), False, score + row[token])
        value = {key: score + bonus(key[0]) for key, score in reached.items()}
        best = sorted((key for key in value if value[key] > -np.inf), key=lambda key: -value[key])
        alive = {key: reached[key] for key in best[:beam_size]}
    texts: dict[tuple[int, ...], float] = {}
    for (prefix, _), score in alive.items():
        texts[prefix] = float(np.logaddexp(texts.get(prefix, -np.inf), score))
    return sorted(texts.items(), key=lambda item: -item[1])


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("beam_size", [1, 3, 10])
def test_pruning_keeps_what_the_definition_keeps(seed: int, beam_size: int) -> None:
    frames = emissions(40, len(LETTERS), seed, peakiness=1.0)
    config = BeamConfig(**UNLIMITED | {"beam_size": beam_size})
    hypotheses = decode(frames, LETTERS, config, n_best=1)
    expected = plain_search(frames, beam_size, lambda prefix: 0.0)
    assert hypotheses[0].tokens == expected[0][0]
    assert hypotheses[0].log_prob == pytest.approx(expected[0][1])


def hot_bonus(weights: Mapping[str, float]) -> Callable[[tuple[int, ...]], float]:
    """Value prefixes by hand: finished hot words in full, an unfinished one at the end by its share."""

    def bonus(prefix: tuple[int, ...]) -> float:
        text = LETTERS.decode(prefix)
        *finished, last = text.split(" ")
        shares = [w * len(last) / len(word) for word, w in weights.items() if last and word.startswith(last)]
        return sum(weights.get(word, 0.0) for word in finished) + max(shares, default=0.0)

    return bonus


@pytest.mark.parametrize("seed", range(6))
def test_hot_words_are_credited_by_their_share_and_only_as_whole_words(seed: int) -> None:
    frames = emissions(30, len(LETTERS), seed, peakiness=1.0)
    weights = {"ab": 2.0, "aba": 3.0, "bb": 1.5}
    expected = plain_search(frames, 20, hot_bonus(weights))
    scores = {
        tokens: log_prob + sum(weights.get(word, 0.0) for word in LETTERS.decode(tokens).split(" "))
        for tokens, log_prob in expected
    }
    best = max(scores, key=lambda tokens: scores[tokens])
    config = BeamConfig(**UNLIMITED | {"beam_size": 20})
    [hypothesis] = decode(frames, LETTERS, config, hot_words=weights)
    assert hypothesis.tokens == best
    assert hypothesis.score == pytest.approx(scores[best])


def test_a_hot_word_is_heard_where_it_nearly_was() -> None:
    letters = Vocabulary(tuple("abcdefghijklmnopqrstuvwxyz "))
    frames = spell(letters, "jazz", noise=5.0)
    frames[0] = spell(letters, "f", noise=5.0)[0]  # "fazz", but for the hot word
    frames[0, letters.ids["j"]] = frames[0, letters.ids["f"]] - 2.0
    frames[0] -= np.logaddexp.reduce(frames[0])
    assert decode(frames, letters)[0].text == "fazz"
    assert decode(frames, letters, hot_words={"jazz": 1.9})[0].text == "fazz"
    assert decode(frames, letters, hot_words={"jazz": 2.1})[0].text == "jazz"
    assert decode(frames, letters, hot_words={"az": 2.1})[0].text == "fazz"


def test_a_hot_phrase_of_word_pieces_is_heard_in_full_only() -> None:
    frames = np.log(np.full((6, len(PIECES)), 1 / len(PIECES)))
    [hypothesis] = decode(frames, PIECES, hot_words={"ab b": 9.0})
    assert hypothesis.text == "ab b"
    # Nothing else adds, so what is left of the score is the weight.
    assert hypothesis.score == pytest.approx(hypothesis.log_prob + 9.0)


def test_a_lexicon_leaves_only_its_words() -> None:
    frames = emissions(12, len(LETTERS), 3, peakiness=0.5)
    for hypothesis in decode(frames, LETTERS, lexicon=["ab", "b"], n_best=10):
        assert set(hypothesis.text.split()) <= {"ab", "b"}


def test_a_lexicon_of_word_pieces_leaves_only_its_words() -> None:
    frames = emissions(12, len(PIECES), 3, peakiness=0.5)
    texts = {h.text for h in decode(frames, PIECES, lexicon=["ab", "bab"], n_best=10)}
    assert any(texts)
    assert {word for text in texts for word in text.split()} <= {"ab", "bab"}


@pytest.mark.parametrize("seed", range(5))
def test_one_of_the_phrases_is_always_the_answer_and_has_its_exact_probability(seed: int) -> None:
    frames = emissions(7, len(LETTERS), seed, peakiness=4.0)
    phrases = ["ab", "b a", "abba b"]
    hypotheses = decode(frames, LETTERS, BeamConfig(beam_size=1), n_best=9, phrases=phrases)
    texts = all_paths(frames)
    exact = {
        phrase: float(np.logaddexp.reduce([p for p, _ in texts[tuple(LETTERS.encode(phrase))]]))
        for phrase in phrases
        if tuple(LETTERS.encode(phrase)) in texts
    }
    assert [h.text for h in hypotheses] == sorted(exact, key=lambda phrase: -exact[phrase])
    np.testing.assert_allclose([h.log_prob for h in hypotheses], sorted(exact.values(), reverse=True))


def test_too_few_frames_for_any_phrase_give_no_answer() -> None:
    assert decode(emissions(2, len(LETTERS), 0), LETTERS, phrases=["abab"]) == []


@pytest.mark.parametrize("sizes", [[1] * 90, [7, 0, 60, 23], [89, 1]])
def test_frames_in_pieces_give_the_same_answer(sizes: list[int]) -> None:
    frames = emissions(90, len(LETTERS), 1)
    decoder = BeamDecoder(LETTERS, BeamConfig(beam_size=8), hot_words={"ab": 2.0})
    [whole] = decoder.decode(frames[None], [90], n_best=5)
    stream = decoder.stream(n_best=5)
    for piece in np.split(frames, np.cumsum(sizes)[:-1]):
        stream.accept(piece)
    assert stream.finish() == whole


def test_a_stream_can_be_read_while_it_goes_on() -> None:
    frames = emissions(60, len(LETTERS), 2)
    decoder = BeamDecoder(LETTERS)
    stream = decoder.stream()
    stream.accept(frames[:30])
    assert stream.finish() == decode(frames[:30], LETTERS)
    stream.accept(frames[30:])
    assert stream.finish() == decode(frames, LETTERS)


def test_the_tree_is_cleaned_up_and_nothing_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    frames = emissions(3000, len(LETTERS), 5)
    decoder = BeamDecoder(LETTERS, BeamConfig(beam_size=10))
    [often] = decoder.decode(frames[None], [3000], n_best=3)
    stream = decoder.stream()
    stream.accept(frames)
    # Each frame may add 10 nodes; what is alive shares nearly all of its tokens, fewer than one a frame.
    assert stream.tree.size.max() < 2 * 3000
    monkeypatch.setattr(beam, "BLOCK", 10_000)
    assert decoder.decode(frames[None], [3000], n_best=3) == [often]


def test_padding_and_company_do_not_change_an_answer() -> None:
    frames = np.stack([emissions(30, len(LETTERS), seed) for seed in range(3)])
    decoder = BeamDecoder(LETTERS)
    frames[1, 20:] = 7.0
    together = decoder.decode(frames, [30, 20, 0])
    assert together[0] == decode(frames[0], LETTERS)
    assert together[1] == decode(frames[1, :20], LETTERS)
    assert [h.text for h in together[2]] == [""]


def test_sure_emissions_are_read_as_greedy_decoding_reads_them() -> None:
    frames = spell(LETTERS, "ab ba a", noise=14.0)
    [greedy] = greedy_decode(frames[None], [len(frames)], LETTERS)
    [found] = decode(frames, LETTERS, BeamConfig(log_add=False))
    assert (found.text, found.frames, found.ends) == (greedy.text, greedy.frames, greedy.ends)
    assert found.peaks == pytest.approx(greedy.peaks)
    assert found.log_prob == pytest.approx(greedy.log_prob)


def test_a_word_counts_beta() -> None:
    frames = spell(LETTERS, "ab b a", noise=8.0)
    [plain] = decode(frames, LETTERS)
    [counted] = decode(frames, LETTERS, BeamConfig(beta=1.5))
    assert plain.text == counted.text == "ab b a"
    assert counted.score == pytest.approx(plain.score + 3 * 1.5)


def test_answers_of_equal_text_are_one() -> None:
    spaced = Vocabulary(("a", "b", " "), "character", ("collapse_spaces",))
    frames = spell(spaced, "a ")
    texts = [h.text for h in decode(frames, spaced, n_best=20)]
    assert len(texts) == len(set(texts))


@pytest.mark.parametrize(
    ("frames", "said"),
    [
        (np.full((3, 4), np.nan), "log_probs: frame 0 holds NaN"),
        (np.zeros((3, 4)), "the posteriors of frame 0 sum to 4, not 1; pass log probabilities"),
        (np.log(np.full((3, 5), 0.2)), r"must be \(time, 4\) for this vocabulary, got \(3, 5\)"),
    ],
)
def test_emissions_that_are_no_distribution_are_refused(frames: NDArray[Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        BeamDecoder(LETTERS).stream().accept(frames)


def test_the_wrong_frame_of_a_batch_is_named() -> None:
    frames = np.stack([emissions(5, len(LETTERS), seed) for seed in range(2)])
    frames[1, 3] += 0.5
    with pytest.raises(ConfigError, match=r"log_probs\[1\]: the posteriors of frame 3 sum to 1.649, not 1"):
        BeamDecoder(LETTERS).decode(frames, [5, 5])


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"beam_size": 0}, "beam.beam_size must be >= 1, got 0"),
        ({"top_tokens": 0}, "beam.top_tokens must be >= 1, got 0"),
        ({"beam_threshold": -1.0}, "beam.beam_threshold must be >= 0 and finite, got -1.0"),
        ({"alpha": float("nan")}, "beam.alpha must be >= 0 and finite, got nan"),
        ({"beta": float("inf")}, "beam.beta must be finite, got inf"),
    ],
)
def test_a_setting_out_of_range_is_named(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        BeamConfig(**options)


@pytest.mark.parametrize(
    ("space", "error", "said"),
    [
        ({"hot_words": {"cab": 1.0}}, TextError, "hot word 'cab': .* no character 'c'"),
        ({"hot_words": {" ": 1.0}}, ConfigError, "hot word ' ' is empty"),
        ({"hot_words": {"a": float("nan")}}, ConfigError, "hot word 'a' must have a finite weight, got nan"),
        ({"lexicon": ["a b"]}, ConfigError, "lexicon:1: word 'a b' has a space in it"),
        ({"lexicon": []}, ConfigError, "lexicon: no words"),
        ({"phrases": ["ab", "x"]}, TextError, "phrases:2: .* no character 'x'"),
        ({"phrases": ["a"], "lexicon": ["a"]}, ConfigError, "phrases leave nothing open"),
    ],
)
def test_words_that_cannot_be_heard_are_refused(
    space: dict[str, Any], error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        BeamDecoder(LETTERS, **space)


def test_labels_are_not_decoded() -> None:
    with pytest.raises(ConfigError, match="no blank"):
        BeamDecoder(Vocabulary(("yes", "no"), "label"))


# ---- Language models ------------------------------------------------------------------------------------


def bigrams(vocabulary: tuple[str, ...], unit: LmUnit, seed: int) -> NgramModel:
    """A bigram model of random numbers, with half of all bigrams; those of <s> as a word are left out."""
    generator = np.random.default_rng(seed)
    names = ("<unk>", "<s>", "</s>", *vocabulary)
    singles = np.arange(len(names))[:, None]
    pairs = np.array([(a, b) for a in range(len(names)) for b in range(len(names)) if a != 2 and b != 1])
    pairs = pairs[generator.random(len(pairs)) < 0.5]
    levels = [
        Level(singles, -generator.gamma(2, size=len(singles)), -generator.gamma(1, size=len(singles))),
        Level(pairs, -generator.gamma(1, size=len(pairs)), np.zeros(len(pairs))),
    ]
    return build_model(names, levels, unit=unit)


def fused(
    frames: NDArray[Any],
    config: BeamConfig,
    words_of: Callable[[tuple[int, ...]], list[str]],
    lm: NgramModel,
    lexicon: Collection[str] = (),
    tidy: Callable[[tuple[int, ...]], tuple[int, ...]] = lambda tokens: tokens,
) -> dict[tuple[int, ...], float]:
    """Score every text by definition: all its paths, its words and their end, and beta for each of them."""
    scores, known = {}, {*lm.word_ids, *lexicon}
    texts: dict[tuple[int, ...], list[tuple[float, tuple[int, ...]]]] = {}
    for tokens, paths in all_paths(frames).items():
        texts.setdefault(tidy(tokens), []).extend(paths)
    for tokens, paths in texts.items():
        words = words_of(tokens)
        unknown = sum(word not in known for word in words)
        score = float(np.logaddexp.reduce([p for p, _ in paths]))
        score += config.alpha * float(lm.score_sentence(words).sum())
        scores[tokens] = score + config.beta * len(words) + config.unknown_score * unknown
    return scores


def tidy_separators(tokens: tuple[int, ...]) -> tuple[int, ...]:
    """Leave out separators at the begin and behind others, which make no other words."""
    space = LETTERS.ids[" "]
    return tuple(t for t, before in zip(tokens, (space, *tokens), strict=False) if not t == before == space)


def check_fusion(
    frames: NDArray[Any],
    vocabulary: Vocabulary,
    lm: NgramModel,
    words_of: Callable[[tuple[int, ...]], list[str]],
    config: BeamConfig,
    tidy: Callable[[tuple[int, ...]], tuple[int, ...]] = lambda tokens: tokens,
) -> None:
    expected = fused(frames, config, words_of, lm, tidy=tidy)
    found = decode(frames, vocabulary, config, n_best=8, lm=lm)
    texts = {vocabulary.normalize(vocabulary.decode(tokens)) for tokens in expected}
    assert len(found) == min(8, len(texts))
    best = sorted(expected, key=lambda tokens: -expected[tokens])[: len(found)]
    assert [h.tokens for h in found] == best
    for hypothesis in found:
        assert hypothesis.score == pytest.approx(expected[hypothesis.tokens], abs=1e-5)
        lm_log_prob = float(lm.score_sentence(words_of(hypothesis.tokens)).sum())
        assert hypothesis.lm_log_prob == pytest.approx(lm_log_prob, abs=1e-5)


@pytest.mark.parametrize("seed", range(10))
def test_a_word_model_scores_every_text_as_its_definition_says(seed: int) -> None:
    lm = bigrams(("a", "ab", "bab", "aa"), "word", seed)
    config = BeamConfig(**UNLIMITED, alpha=0.7, beta=0.9, unknown_score=-1.5)
    frames = emissions(2 + seed % 5, len(LETTERS), seed)
    check_fusion(frames, LETTERS, lm, lambda tokens: LETTERS.decode(tokens).split(), config, tidy_separators)


def words_of_pieces(tokens: tuple[int, ...]) -> list[str]:
    """Words; one that is not spelled as its text would be, in its first word without the mark, is none."""
    words = PIECES.decode(tokens).split()
    if tokens and not PIECES.token(tokens[0]).startswith("▁"):
        words[0] = "(misspelled)"
    return words


@pytest.mark.parametrize("seed", range(5))
def test_a_word_model_scores_words_of_pieces(seed: int) -> None:
    lm = bigrams(("a", "ab", "bab", "abb"), "word", seed)
    config = BeamConfig(**UNLIMITED, alpha=0.7, beta=-0.4, unknown_score=-1.5)
    frames = emissions(2 + seed % 4, len(PIECES), seed)
    found = decode(frames, PIECES, config, n_best=8, lm=lm)
    expected = fused(frames, config, words_of_pieces, lm)
    for hypothesis in found:
        assert hypothesis.score == pytest.approx(expected[hypothesis.tokens], abs=1e-5)
    assert found[0].score == pytest.approx(max(expected.values()), abs=1e-5)


@pytest.mark.parametrize("seed", range(10))
def test_a_character_model_scores_every_text_as_its_definition_says(seed: int) -> None:
    lm = bigrams(("a", "b", "<space>"), "character", seed)
    config = BeamConfig(**UNLIMITED, alpha=1.3, beta=0.2)
    frames = emissions(2 + seed % 5, len(LETTERS), seed)

    def characters(tokens: tuple[int, ...]) -> list[str]:
        return ["<space>" if token == " " else token for token in LETTERS.decode(tokens)]

    check_fusion(frames, LETTERS, lm, characters, config)


@pytest.mark.parametrize("seed", range(5))
def test_a_lexicon_beside_a_word_model_leaves_its_words_and_their_scores(seed: int) -> None:
    lm = bigrams(("a", "ab", "bab"), "word", seed)
    config = BeamConfig(**UNLIMITED, alpha=0.7, beta=0.9, unknown_score=-1.5)
    frames = emissions(5, len(LETTERS), seed)
    lexicon = {"a", "ab", "b"}  # b is <unk> to the model, but no unknown word
    expected = fused(
        frames, config, lambda tokens: LETTERS.decode(tokens).split(), lm, lexicon, tidy_separators
    )
    allowed = {t: score for t, score in expected.items() if set(LETTERS.decode(t).split()) <= lexicon}
    [best] = decode(frames, LETTERS, config, lm=lm, lexicon=sorted(lexicon))
    assert best.score == pytest.approx(max(allowed.values()), abs=1e-5)
    assert best.tokens == max(allowed, key=lambda tokens: allowed[tokens])


def test_a_large_weight_is_worth_a_wider_beam_but_never_a_wrong_score() -> None:
    lm = bigrams(("a", "ab", "bab", "aa"), "word", 3)
    frames = emissions(60, len(LETTERS), 3, peakiness=1.0)
    for beam_size in (1, 5, 50):
        [found] = decode(frames, LETTERS, BeamConfig(beam_size=beam_size, alpha=2.0, beta=1.0), lm=lm)
        words = found.text.split()
        unknown = sum(word not in lm.word_ids for word in words)
        lm_log_prob = float(lm.score_sentence(words).sum())
        assert found.lm_log_prob == pytest.approx(lm_log_prob, abs=1e-5)
        expected = found.log_prob + 2.0 * lm_log_prob + len(words) + BeamConfig().unknown_score * unknown
        assert found.score == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize(
    ("lm", "said"),
    [
        (bigrams(("a",), "character", 0), "knows 1 of the model's 3 tokens; it lacks 'b', ' '"),
        (
            bigrams(("A", "B", "a"), "word", 0),
            "the model can write 1 of the language model's 3 words, not 'A', 'B'",
        ),
    ],
)
def test_a_language_model_of_other_words_is_refused_with_the_counts(lm: NgramModel, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        BeamDecoder(LETTERS, lm=lm)


def test_without_weight_the_language_model_may_be_any() -> None:
    frames = emissions(12, len(LETTERS), 3)
    stranger = bigrams(("A", "B"), "word", 0)
    assert decode(frames, LETTERS, BeamConfig(alpha=0), lm=stranger) == decode(frames, LETTERS)
