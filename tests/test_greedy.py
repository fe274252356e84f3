"""Greedy decoding against answers by hand and against its definition."""

from collections.abc import Sequence
from itertools import groupby
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from speechrnn.decoding import GreedyStream, Hypothesis, greedy_decode
from speechrnn.errors import ConfigError
from speechrnn.text import Vocabulary

LETTERS = Vocabulary(("a", "b"))


def posteriors(path: str, best: Sequence[float] | float = 0.8) -> NDArray[Any]:
    """(time, 3) log posteriors whose best tokens spell a path; ``-`` is the blank."""
    heights = np.broadcast_to(best, len(path))
    rows = [
        np.where(np.arange(3) == "-ab".index(c), p, (1 - p) / 2) for c, p in zip(path, heights, strict=True)
    ]
    return np.log(np.array(rows).reshape(-1, 3))


def decode(path: str, best: Sequence[float] | float = 0.8) -> Hypothesis:
    frames = posteriors(path, best)
    [hypothesis] = greedy_decode(frames[None], [len(frames)], LETTERS)
    return hypothesis


@pytest.mark.parametrize(
    ("path", "text", "frames"),
    [
        ("ab", "ab", (0, 1)),
        ("a", "a", (0,)),
        ("aaa", "a", (0,)),
        ("-aa-", "a", (1,)),
        ("aab--b", "abb", (0, 2, 5)),
        ("----", "", ()),
        ("abab", "abab", (0, 1, 2, 3)),
    ],
)
def test_repeats_are_merged_and_blanks_dropped(path: str, text: str, frames: tuple[int, ...]) -> None:
    hypothesis = decode(path)
    assert hypothesis.text == text
    assert hypothesis.frames == frames
    assert hypothesis.tokens == tuple(LETTERS.encode(text))


def test_greedy_decode_keeps_a_repeat_across_a_blank() -> None:
    assert decode("a-a").text == "aa"
    assert decode("a-a").frames == (0, 2)


def test_the_probability_is_that_of_the_path() -> None:
    # 0.8 · 0.5 · 0.9 = 0.36
    assert decode("a-b", [0.8, 0.5, 0.9]).log_prob == pytest.approx(np.log(0.36))


def test_the_confidence_is_the_mean_of_each_tokens_highest_posterior() -> None:
    # a: max(0.6, 0.9), the blank between counts nothing, b: 0.5; (0.9 + 0.5) / 2 = 0.7
    assert decode("aa-b", [0.6, 0.9, 0.99, 0.5]).confidence == pytest.approx(0.7)


def test_silence_is_an_empty_text_with_confidence_1() -> None:
    hypothesis = decode("--")
    assert (hypothesis.text, hypothesis.tokens, hypothesis.confidence) == ("", (), 1.0)
    assert hypothesis.log_prob == pytest.approx(2 * np.log(0.8))


def test_no_frames_at_all_are_an_empty_text_with_probability_1() -> None:
    batch = np.zeros((1, 4, 3))
    assert greedy_decode(batch, [0], LETTERS) == [Hypothesis("", (), (), 0.0, 1.0)]
    assert greedy_decode(np.zeros((1, 0, 3)), [0], LETTERS)[0].text == ""


def test_an_empty_batch_gives_no_hypotheses() -> None:
    assert greedy_decode(np.zeros((0, 5, 3)), [], LETTERS) == []


def test_frames_beyond_the_length_are_ignored_whatever_they_hold() -> None:
    batch = np.stack([posteriors("abab"), posteriors("abab")])
    batch[0, 2:] = np.nan
    first, second = greedy_decode(batch, np.array([2, 4], dtype=np.int64), LETTERS)
    assert (first.text, second.text) == ("ab", "abab")
    assert first == decode("ab")


def test_words_are_joined_by_spaces() -> None:
    vocabulary = Vocabulary(("go", "north"), "word")
    assert greedy_decode(posteriors("a-ab")[None], [4], vocabulary)[0].text == "go go north"


def test_impossible_tokens_are_no_trouble() -> None:
    frames = np.array([[-np.inf, 0.0, -np.inf], [0.0, -np.inf, -np.inf]])
    [hypothesis] = greedy_decode(frames[None], [2], LETTERS)
    assert hypothesis == Hypothesis("a", (1,), (0,), 0.0, 1.0, ends=(0,), peaks=(1.0,))


def test_rounding_does_not_push_the_confidence_above_1() -> None:
    frames = np.array([[-20.0, 1e-7, -20.0]], dtype=np.float32)
    assert greedy_decode(frames[None], [1], LETTERS)[0].confidence == 1.0


def test_results_are_plain_numbers() -> None:
    hypothesis = greedy_decode(posteriors("ab")[None].astype(np.float32), [2], LETTERS)[0]
    assert {type(value) for value in (*hypothesis.tokens, *hypothesis.frames)} == {int}
    assert type(hypothesis.log_prob) is type(hypothesis.confidence) is float


@given(
    arrays(
        np.float64, st.tuples(st.integers(1, 3), st.integers(0, 6), st.just(3)), elements=st.floats(-9, 9)
    ),
    st.data(),
)
def test_greedy_decoding_equals_its_definition(scores: NDArray[Any], data: st.DataObject) -> None:
    log_probs = scores - np.log(np.exp(scores).sum(-1, keepdims=True))
    lengths = data.draw(st.lists(st.integers(0, scores.shape[1]), min_size=len(scores), max_size=len(scores)))
    for rows, length, hypothesis in zip(
        log_probs, lengths, greedy_decode(log_probs, lengths, LETTERS), strict=True
    ):
        best = [max(range(3), key=lambda token, row=row: row[token]) for row in rows[:length]]
        runs = [
            (token, [t for t, _ in run]) for token, run in groupby(enumerate(best), key=lambda pair: pair[1])
        ]
        spoken = [(token, times) for token, times in runs if token != 0]
        peaks = [max(np.exp(rows[t, token]) for t in times) for token, times in spoken]
        assert hypothesis.text == "".join("-ab"[token] for token, _ in spoken)
        assert hypothesis.frames == tuple(times[0] for _, times in spoken)
        assert hypothesis.log_prob == pytest.approx(sum(rows[t, token] for t, token in enumerate(best)))
        assert hypothesis.confidence == pytest.approx(np.mean(peaks) if peaks else 1.0)
        assert 0 <= hypothesis.confidence <= 1


# ---- What cannot be decoded -------------------------------------------------------------------


def test_nan_in_a_real_frame_is_an_error_that_names_the_utterance() -> None:
    batch = np.stack([posteriors("ab"), posteriors("ab")])
    batch[1, 1, 0] = np.nan
    with pytest.raises(ConfigError, match=r"log_probs\[1\] holds NaN"):
        greedy_decode(batch, [2, 2], LETTERS)


@pytest.mark.parametrize("shape", [(4, 3), (1, 4, 2), (1, 4, 4), (1, 1, 4, 3)])
def test_another_shape_than_the_vocabularys_is_an_error(shape: tuple[int, ...]) -> None:
    with pytest.raises(
        ConfigError, match=r"log_probs must be \(batch, time, 3\) for this vocabulary, got \("
    ):
        greedy_decode(np.zeros(shape), [4], LETTERS)


@pytest.mark.parametrize("lengths", [[4, 4], [], [[4]], 4])
def test_lengths_that_do_not_pair_are_an_error(lengths: Any) -> None:
    with pytest.raises(ConfigError, match=r"output_lengths must be \(1,\), got \("):
        greedy_decode(np.zeros((1, 4, 3)), lengths, LETTERS)


@pytest.mark.parametrize("length", [-1, 5])
def test_a_length_outside_the_frames_is_an_error(length: int) -> None:
    with pytest.raises(ConfigError, match=rf"output_lengths\[1\] must be in \[0, 4\], got {length}"):
        greedy_decode(np.zeros((2, 4, 3)), [4, length], LETTERS)


@pytest.mark.parametrize("lengths", [[1.0], [0.5]])
def test_lengths_as_fractions_are_an_error(lengths: list[float]) -> None:
    with pytest.raises(ConfigError, match="output_lengths must be integers, got float64"):
        greedy_decode(np.zeros((1, 4, 3)), lengths, LETTERS)


def test_labels_cannot_be_decoded() -> None:
    with pytest.raises(ConfigError, match="labels cannot be decoded with CTC"):
        greedy_decode(np.zeros((1, 4, 2)), [4], Vocabulary(("yes", "no"), "label"))


def test_the_text_is_normalised_as_the_references_were() -> None:
    vocabulary = Vocabulary(("a", " "), "character", ("collapse_spaces",))
    path = [2, 1, 2, 0, 2, 1, 2]  # " a  a " before normalisation
    log_probs = np.log(np.full((1, len(path), 3), 1e-3))
    log_probs[0, range(len(path)), path] = 0.0
    assert greedy_decode(log_probs, [len(path)], vocabulary)[0].text == "a a"


# ---- In pieces ------------------------------------------------------------------------------------------


@given(st.integers(0, 2**32 - 1), st.integers(0, 30), st.lists(st.integers(0, 30), max_size=6))
def test_an_utterance_in_pieces_is_decoded_as_the_whole(seed: int, length: int, places: list[int]) -> None:
    rows = np.random.default_rng(seed).standard_normal((length, 3)) * 3
    rows -= np.log(np.exp(rows).sum(axis=1, keepdims=True))
    vocabulary = Vocabulary(("a", "b"))
    [whole] = greedy_decode(rows[None], [length], vocabulary)
    stream = GreedyStream(vocabulary)
    for piece in np.split(rows, sorted(min(place, length) for place in places)):
        stream.accept(piece)
        stream.finish()  # looking at it changes nothing
    found = stream.finish()
    assert (found.text, found.tokens, found.frames, found.ends, found.peaks, found.confidence) == (
        whole.text,
        whole.tokens,
        whole.frames,
        whole.ends,
        whole.peaks,
        whole.confidence,
    )
    assert found.log_prob == pytest.approx(whole.log_prob)


def test_a_token_that_goes_on_over_a_seam_is_one_token() -> None:
    # a a | a - | a: two a's, the first in frames 0 to 2 with its peak in the second piece.
    stream = GreedyStream(Vocabulary(("a",)))
    for piece in ([[0.4, 0.6], [0.3, 0.7]], [[0.1, 0.9], [0.8, 0.2]], [[0.2, 0.8]]):
        stream.accept(np.log(piece))
    found = stream.finish()
    assert (found.text, found.frames, found.ends) == ("aa", (0, 4), (2, 4))
    np.testing.assert_allclose(found.peaks, [0.9, 0.8])


def test_a_piece_that_holds_nan_is_refused_by_the_streams_name() -> None:
    with pytest.raises(ConfigError, match=r"clip\[0\] holds NaN"):
        GreedyStream(Vocabulary(("a",)), "clip").accept([[np.nan, 0.0]])
