"""Words of a hypothesis: their letters, times and confidences, by hand."""

import math

import pytest

from speechrnn.decoding import ConfidenceScale, FrameClock, Hypothesis, split_words
from speechrnn.errors import ConfigError
from speechrnn.text import Vocabulary

LETTERS = Vocabulary(("a", "b", " "))
PIECES = Vocabulary(("▁a", "b", "▁", "▁ab"), "token")
WORDS = Vocabulary(("go", "stop"), "word")
CLOCK = FrameClock(frame_s=0.02, first_s=0.005)


def spoken(vocabulary: Vocabulary, *tokens: tuple[str, int, int, float]) -> Hypothesis:
    """Make a hypothesis of (token, first frame, last frame, peak)."""
    ids = tuple(vocabulary.ids[token] for token, *_ in tokens)
    return Hypothesis(
        text=vocabulary.decode(ids),
        tokens=ids,
        frames=tuple(first for _, first, _, _ in tokens),
        log_prob=-1.0,
        confidence=1.0,
        ends=tuple(last for _, _, last, _ in tokens),
        peaks=tuple(peak for *_, peak in tokens),
    )


def test_words_run_from_their_first_token_to_the_end_of_their_last() -> None:
    hypothesis = spoken(LETTERS, ("a", 2, 2, 0.9), ("b", 4, 5, 0.5), (" ", 6, 7, 0.8), ("b", 10, 12, 0.7))
    first, second = split_words(hypothesis, LETTERS, CLOCK)
    assert (first.text, second.text) == ("ab", "b")
    # Frame t is from 0.005 + 0.02 t to 0.005 + 0.02 (t + 1) s.
    assert (first.start_s, first.end_s) == pytest.approx((0.045, 0.125))
    assert (second.start_s, second.end_s) == pytest.approx((0.205, 0.265))
    assert (first.confidence, second.confidence) == pytest.approx((0.9 * 0.5, 0.7))


def test_separators_at_the_ends_or_twice_make_no_words() -> None:
    hypothesis = spoken(
        LETTERS, (" ", 0, 0, 1), ("a", 1, 1, 1), (" ", 2, 2, 1), (" ", 4, 4, 1), ("b", 5, 5, 1)
    )
    assert [word.text for word in split_words(hypothesis, LETTERS, CLOCK)] == ["a", "b"]


def test_word_pieces_begin_words_with_their_mark() -> None:
    hypothesis = spoken(
        PIECES, ("▁a", 0, 0, 0.5), ("b", 1, 1, 0.5), ("▁", 2, 2, 0.1), ("b", 3, 3, 0.6), ("▁ab", 4, 4, 1)
    )
    words = split_words(hypothesis, PIECES, CLOCK)
    assert [word.text for word in words] == ["ab", "b", "ab"]
    assert [word.confidence for word in words] == pytest.approx([0.25, 0.6, 1.0])


def test_each_token_of_a_word_vocabulary_is_a_word() -> None:
    words = split_words(spoken(WORDS, ("go", 0, 3, 0.5), ("stop", 5, 9, 1)), WORDS, CLOCK)
    assert [word.text for word in words] == ["go", "stop"]


def test_an_empty_text_has_no_words() -> None:
    assert split_words(spoken(LETTERS), LETTERS, CLOCK) == ()


def test_a_temperature_divides_the_log_odds() -> None:
    # log(0.8 / 0.2) = log 4; half of it is log 2, the odds of 2 / 3.
    assert ConfidenceScale(temperature=2.0).confidence_of(0.8) == pytest.approx(2 / 3)
    assert ConfidenceScale(temperature=0.5).confidence_of(2 / 3) == pytest.approx(0.8)
    assert ConfidenceScale(temperature=7.0).confidence_of(0.5) == pytest.approx(0.5)


def test_a_bias_is_added_to_what_the_temperature_left() -> None:
    # log(4) / 2 + log(3) = log 6, the odds of 6 / 7; log(1) + log(3) is those of 3 / 4.
    assert ConfidenceScale(temperature=2.0, bias=math.log(3)).confidence_of(0.8) == pytest.approx(6 / 7)
    assert ConfidenceScale(bias=math.log(3)).confidence_of(0.5) == pytest.approx(3 / 4)
    assert ConfidenceScale(bias=-math.log(3)).confidence_of(0.5) == pytest.approx(1 / 4)


@pytest.mark.parametrize("probability", [0.0, 1.0])
def test_certainty_has_finite_odds(probability: float) -> None:
    assert 0 < ConfidenceScale(temperature=2.0).confidence_of(probability) < 1
    assert 0 < ConfidenceScale(bias=0.5).confidence_of(probability) < 1
    assert ConfidenceScale().confidence_of(probability) == probability


@pytest.mark.parametrize(("probability", "bias"), [(0.0, -1e3), (1.0, 1e3)])
def test_extreme_scales_end_at_the_ends_of_the_range(probability: float, bias: float) -> None:
    assert ConfidenceScale(temperature=1e-3, bias=bias).confidence_of(probability) == probability


@pytest.mark.parametrize(
    ("scale", "said"),
    [
        ({"temperature": 0.0}, "temperature must be > 0 and finite, got 0"),
        ({"temperature": math.inf}, "temperature must be > 0 and finite, got inf"),
        ({"bias": math.nan}, "bias must be finite, got nan"),
    ],
)
def test_a_scale_out_of_range_is_refused(scale: dict[str, float], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        ConfidenceScale(**scale)


def test_words_have_scaled_confidences() -> None:
    hypothesis = spoken(LETTERS, ("a", 0, 0, 0.9), ("b", 1, 1, 0.5))
    scale = ConfidenceScale(temperature=3.0, bias=0.5)
    [word] = split_words(hypothesis, LETTERS, CLOCK, scale=scale)
    assert word.confidence == scale.confidence_of(0.45)
