"""Keyword search against brute force over all paths, and streamed against whole."""

import itertools
import tracemalloc

import numpy as np
import pytest
from numpy.typing import NDArray

from speechrnn.decoding.keyword_search import (
    LEAST_SPELLED,
    SPELLED_SHARE,
    KeywordSearch,
    SearchOptions,
    TemplateSearch,
)
from speechrnn.decoding.keywords import Keyword
from speechrnn.errors import ConfigError, TextError
from speechrnn.text import Vocabulary

VOCABULARY = Vocabulary(("a", "b", "c"))
PLAIN = SearchOptions(gap_cost=0.0)


def random_log_probs(frames: int, seed: int) -> NDArray[np.float32]:
    logits = np.random.default_rng(seed).normal(size=(frames, len(VOCABULARY))) * 2
    return (logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)).astype(np.float32)


def spelled(*spellings: str, **more: float) -> Keyword:
    return Keyword(label=spellings[0], spellings=spellings, **more)


def collapse(path: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(token for token, _ in itertools.groupby(path) if token)


def best_by_brute_force(log_probs: NDArray[np.float32], tokens: tuple[int, ...], end: int) -> float:
    """The best path of any length that ends at a frame, begins and ends with a token, and reads the keyword."""
    ratios = log_probs - log_probs.max(axis=1, keepdims=True)
    best = -np.inf
    for start in range(end + 1):
        for path in itertools.product(range(len(VOCABULARY)), repeat=end + 1 - start):
            if path[0] and path[-1] and collapse(path) == tokens:
                score = sum(float(ratios[start + i, token]) for i, token in enumerate(path))
                best = max(best, score)
    return best / len(tokens)


@pytest.mark.parametrize("text", ["a", "ab", "aa", "abc", "aba"])
def test_the_score_is_that_of_the_best_of_all_paths(text: str) -> None:
    log_probs = random_log_probs(5, seed=len(text))
    search = KeywordSearch(VOCABULARY, [spelled(text)], frame_s=0.04, options=PLAIN)
    scores = search.feed(log_probs).log_scores[:, 0]
    tokens = tuple(VOCABULARY.encode(text))
    expected = [best_by_brute_force(log_probs, tokens, end) for end in range(5)]
    np.testing.assert_allclose(scores, expected, atol=1e-5)


def test_what_the_model_heard_has_score_0_and_says_where_it_began() -> None:
    heard = np.full((6, 4), 0.01, np.float32)
    for frame, token in enumerate([0, 1, 0, 2, 0, 0]):
        heard[frame, token] = 0.97
    search = KeywordSearch(VOCABULARY, [spelled("ab")], frame_s=0.04, options=PLAIN)
    scores, starts = search.feed(np.log(heard))
    assert scores[3, 0] == 0
    assert starts[3, 0] == 1
    assert scores[2, 0] < -1  # log(0.01 / 0.97) / 2


def test_a_gap_costs_by_the_second() -> None:
    heard = np.log(np.array([[0.01, 0.97, 0.01, 0.01], [0.97, 0.01, 0.01, 0.01], [0.01, 0.01, 0.97, 0.01]]))
    options = SearchOptions(gap_cost=2.0)
    search = KeywordSearch(VOCABULARY, [spelled("ab")], frame_s=0.04, options=options)
    assert search.feed(heard.astype(np.float32)).log_scores[2, 0] == pytest.approx(-0.04 * 2.0 / 2)


def test_the_best_spelling_counts_and_a_boost_is_added() -> None:
    log_probs = random_log_probs(30, seed=1)

    def scores(*keywords: Keyword) -> NDArray[np.float64]:
        return KeywordSearch(VOCABULARY, keywords, frame_s=0.04, options=PLAIN).feed(log_probs).log_scores

    alone = scores(spelled("ab"), spelled("cab"))
    np.testing.assert_array_equal(scores(spelled("ab", "cab"))[:, 0], alone.max(axis=1))
    np.testing.assert_allclose(scores(spelled("ab", boost=0.5))[:, 0], alone[:, 0] + 0.5)


@pytest.mark.parametrize("other", [("AB",), ("cab", "aB"), (" ab ",)])
def test_two_keywords_cannot_be_told_apart_by_one_spelling(other: tuple[str, ...]) -> None:
    vocabulary = Vocabulary(("a", "b", "c"), normalization=("lowercase",))
    keywords = [spelled("ab"), spelled("cb"), Keyword(label="r3", spellings=other)]
    with pytest.raises(ConfigError, match="keywords 'ab' and 'r3' have a spelling that is the same"):
        KeywordSearch(vocabulary, keywords, frame_s=0.04)


def test_a_spelling_that_a_keyword_has_twice_is_no_harm() -> None:
    vocabulary, log_probs = (
        Vocabulary(("a", "b", "c"), normalization=("lowercase",)),
        random_log_probs(30, seed=5),
    )
    once, twice = (
        KeywordSearch(vocabulary, [keyword], frame_s=0.04).feed(log_probs)
        for keyword in (spelled("ab"), spelled("ab", "AB", "ab"))
    )
    np.testing.assert_array_equal(once.log_scores, twice.log_scores)
    np.testing.assert_array_equal(once.starts, twice.starts)


def test_starts_are_those_of_the_best_spelling() -> None:
    log_probs = random_log_probs(30, seed=2)
    apart = KeywordSearch(VOCABULARY, [spelled("ab"), spelled("cab")], frame_s=0.04).feed(log_probs)
    together = KeywordSearch(VOCABULARY, [spelled("ab", "cab"), spelled("c")], frame_s=0.04).feed(log_probs)
    chosen = apart.log_scores.argmax(axis=1)
    np.testing.assert_array_equal(together.starts[:, 0], apart.starts[np.arange(30), chosen])


def all_kinds() -> list[Keyword]:
    templates = (random_log_probs(6, seed=7), random_log_probs(4, seed=8), random_log_probs(1, seed=9))
    return [spelled("ab"), Keyword(label="recorded", templates=templates), spelled("cb", "bc")]


def test_streamed_in_any_pieces_is_whole() -> None:
    log_probs = random_log_probs(50, seed=3)
    whole = KeywordSearch(VOCABULARY, all_kinds(), frame_s=0.04).feed(log_probs)
    search = KeywordSearch(VOCABULARY, all_kinds(), frame_s=0.04)
    pieces = [search.feed(log_probs[a:b]) for a, b in itertools.pairwise([0, 0, 1, 7, 30, 50])]
    # Products of matrices are rounded by the blocks that they are cut into.
    np.testing.assert_allclose(np.concatenate([p.log_scores for p in pieces]), whole.log_scores, atol=1e-6)
    np.testing.assert_array_equal(np.concatenate([p.starts for p in pieces]), whole.starts)


def test_keywords_do_not_disturb_each_other() -> None:
    log_probs = random_log_probs(40, seed=4)
    together = KeywordSearch(VOCABULARY, all_kinds(), frame_s=0.04).feed(log_probs)
    for place, keyword in enumerate(all_kinds()):
        alone = KeywordSearch(VOCABULARY, [keyword], frame_s=0.04).feed(log_probs)
        np.testing.assert_array_equal(alone.log_scores[:, 0], together.log_scores[:, place])


def test_no_path_is_longer_than_allowed() -> None:
    heard = np.full((40, 4), 0.01, np.float32)
    heard[:, 0] = 0.97
    heard[0], heard[30] = [0.01, 0.97, 0.01, 0.01], [0.01, 0.01, 0.97, 0.01]
    options = SearchOptions(longest_s=1.0, gap_cost=0.0)  # 25 frames
    scores, starts = KeywordSearch(VOCABULARY, [spelled("ab")], frame_s=0.04, options=options).feed(
        np.log(heard)
    )
    assert scores[30, 0] < -1
    assert (np.arange(40) - starts[:, 0])[np.isfinite(scores[:, 0])].max() < 25


def slow_warp(stream: NDArray[np.float64], template: NDArray[np.float64]) -> float:
    """Mean distance of the best warp of a whole template that ends at the stream's end, path by path."""

    def walk(t: int, m: int) -> list[tuple[float, int]]:
        here = distance(t, m)
        if m == 0:
            return [(here, 1)]
        found = []
        if t >= 1:
            found += [(c + here, n + 1) for c, n in walk(t - 1, m - 1)]
        if t >= 2:
            found += [(c + distance(t - 1, m) + here, n + 2) for c, n in walk(t - 2, m - 1)]
        if t >= 1 and m >= 2:
            found += [(c + distance(t, m - 1) + here, n + 2) for c, n in walk(t - 1, m - 2)]
        return found

    def distance(t: int, m: int) -> float:
        return -float(np.log(np.sqrt(stream[t] * template[m]).sum()))

    paths = walk(len(stream) - 1, len(template) - 1)
    cost, length = min(paths)
    return cost / length


@pytest.mark.parametrize("temperature", [1.0, 0.5])
def test_a_template_is_warped_as_path_by_path(temperature: float) -> None:
    stream, template = random_log_probs(7, seed=5), random_log_probs(4, seed=6)
    search = TemplateSearch([[template]], temperature=temperature)
    score = search.feed(stream).log_scores[-1, 0]
    tempered = [np.exp(temperature * log_probs.astype(float)) for log_probs in (stream, template)]
    warped = slow_warp(*(probs / probs.sum(1, keepdims=True) for probs in tempered))
    assert score == pytest.approx(-warped / (2 * temperature**2), abs=1e-5)


def test_a_recording_finds_itself_and_two_best_are_averaged() -> None:
    templates = [random_log_probs(6, seed=seed) for seed in range(3)]
    alone = [TemplateSearch([[t]], temperature=1.0).feed(templates[0]).log_scores[-1, 0] for t in templates]
    scores, starts = TemplateSearch([templates], temperature=1.0).feed(templates[0])
    assert alone[0] == pytest.approx(0, abs=1e-6)
    assert scores[-1, 0] == pytest.approx(np.sort(alone)[-2:].mean())
    assert starts[-1, 0] == 0


def test_recordings_and_spellings_of_a_keyword_are_heard_together() -> None:
    heard, template = random_log_probs(30, seed=11), random_log_probs(6, seed=12)
    both = Keyword(label="both", spellings=("ab",), templates=(template,))
    alone = [spelled("ab"), Keyword(label="recorded", templates=(template,))]
    scores, starts = KeywordSearch(VOCABULARY, [both, spelled("cb")], frame_s=0.04).feed(heard)
    parts, part_starts = KeywordSearch(VOCABULARY, alone, frame_s=0.04).feed(heard)
    joined = parts[:, 1] + SPELLED_SHARE * np.maximum(parts[:, 0], LEAST_SPELLED)
    np.testing.assert_allclose(scores[:, 0], joined)
    np.testing.assert_array_equal(starts[:, 0], part_starts[:, 1])
    np.testing.assert_allclose(
        scores[:, 1], KeywordSearch(VOCABULARY, [spelled("cb")], frame_s=0.04).feed(heard).log_scores[:, 0]
    )
    assert np.isfinite(scores[5:, 0]).all()  # where it cannot have been said, too


def test_ten_hours_take_no_more_memory_than_ten_seconds() -> None:
    piece = random_log_probs(10 * 25, seed=10)
    search = KeywordSearch(VOCABULARY, all_kinds(), frame_s=0.04)
    search.feed(piece)
    tracemalloc.start()
    search.feed(piece)
    _, once = tracemalloc.get_traced_memory()
    assert search.spellings is not None
    search.spellings.frame += 10 * 3600 * 25  # ten hours pass
    before = tracemalloc.get_traced_memory()[0]
    for _ in range(5):
        search.feed(piece)
    after, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 1.2 * once + 10_000
    assert after - before < 10_000


def test_a_spelling_that_the_model_cannot_write_is_refused() -> None:
    with pytest.raises(TextError, match=r"keyword 'ax': .* no character 'x'"):
        KeywordSearch(VOCABULARY, [spelled("ax")], frame_s=0.04)


def test_a_template_of_another_vocabulary_is_refused() -> None:
    keyword = Keyword(label="x", templates=(np.zeros((3, 29), np.float32),))
    with pytest.raises(ConfigError, match=r"must be \(frames, 4\) for this model, got \(3, 29\)"):
        KeywordSearch(VOCABULARY, [keyword], frame_s=0.04)


@pytest.mark.parametrize(
    ("name", "value"), [("gap_cost", -1), ("longest_s", 0), ("template_temperature", np.inf)]
)
def test_options_out_of_range_are_refused(name: str, value: float) -> None:
    with pytest.raises(ConfigError, match=f"{name} must be"):
        SearchOptions(**{name: value})
