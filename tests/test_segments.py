"""Segments of subtitles: words whose times are written down, cut where a person would cut them."""

from typing import Any

import pytest

from speechrnn.decoding.hypothesis import NOTHING
from speechrnn.decoding.words import SpokenWord
from speechrnn.errors import ConfigError
from speechrnn.runtime.interpretation import Transcription
from speechrnn.runtime.segments import SegmentOptions, fold, split_segments
from speechrnn.voice_activity import Interval


def spoken(*words: tuple[str, float, float]) -> Transcription:
    """Make a transcription of words, each with start and end, and confidences 0.5, 0.6, …"""
    found = tuple(
        SpokenWord(text, start, end, 0.5 + 0.1 * place) for place, (text, start, end) in enumerate(words)
    )
    return Transcription(
        text=" ".join(word.text for word in found),
        confidence=0.5,
        duration_s=60.0,
        source="x.wav",
        hypothesis=NOTHING,
        words=found,
    )


def evenly(text: str, *, word_s: float = 0.3, pause_s: float = 0.1) -> Transcription:
    """Say words of the same length with the same pause between."""
    step = word_s + pause_s
    return spoken(*((word, i * step, i * step + word_s) for i, word in enumerate(text.split())))


def texts(transcription: Transcription, **options: Any) -> list[str]:
    return [s.text for s in split_segments(transcription, options=SegmentOptions(**options))]


def test_a_long_pause_ends_a_segment_and_a_short_one_does_not() -> None:
    said = spoken(("one", 1.0, 1.2), ("two", 1.8, 2.0), ("three", 2.8, 3.0))  # pauses of 0.6 and 0.8 s
    first, second = split_segments(said)
    assert (first.text, first.start_s, first.end_s) == ("one two", 1.0, 2.0)
    assert (second.text, second.start_s, second.end_s) == ("three", 2.8, 3.0)
    assert first.confidence == pytest.approx((0.5 + 0.6) / 2)
    assert [word.text for word in first.words] == ["one", "two"]


def test_what_fits_no_subtitle_is_cut_at_its_longest_pause() -> None:
    said = spoken(("aa", 0.0, 0.3), ("bb", 0.4, 0.7), ("cc", 0.8, 1.0), ("dd", 1.4, 1.7), ("ee", 1.8, 2.0))
    assert texts(said, max_line_width=8, max_line_count=1) == ["aa bb cc", "dd ee"]


def test_without_a_longest_pause_the_cut_is_in_the_middle() -> None:
    assert texts(evenly("aa bb cc dd ee ff"), max_line_width=8, max_line_count=1) == ["aa bb cc", "dd ee ff"]


def test_a_pause_near_an_end_makes_no_crumbs() -> None:
    said = spoken(
        ("aa", 0.0, 0.3),
        ("bb", 0.9, 1.1),
        ("cc", 1.2, 1.4),
        ("dd", 1.5, 1.7),
        ("ee", 1.8, 2.0),
        ("ff", 2.1, 2.3),
    )
    assert texts(said, max_line_width=8, max_line_count=1) == ["aa bb cc", "dd ee ff"]


def test_no_segment_is_longer_than_allowed() -> None:
    said = evenly(" ".join("abcdefghijklmnopqrstuvwxyz" * 20), word_s=0.3)
    segments = split_segments(said)
    assert max(segment.end_s - segment.start_s for segment in segments) <= 7.0
    assert " ".join(segment.text for segment in segments) == said.text
    assert [word for segment in segments for word in segment.words] == list(said.words)


def test_a_word_longer_than_a_subtitle_is_one() -> None:
    assert texts(spoken(("a" * 90, 0.0, 9.0), ("b", 9.1, 9.3))) == ["a" * 90, "b"]


def test_segments_reach_as_far_as_the_sound_but_not_into_each_other() -> None:
    said = spoken(("one", 1.0, 1.1), ("two", 2.0, 2.1), ("three", 4.0, 4.1))
    speech = [Interval(0.8, 2.5), Interval(3.9, 4.6)]
    bounds = [(s.start_s, s.end_s) for s in split_segments(said, speech=speech)]
    # One and two share a sound: the first may reach to where the second begins, which then has no room.
    assert bounds == [(0.8, 2.0), (2.0, 2.5), (3.9, 4.6)]


def test_words_outside_of_all_speech_keep_their_times() -> None:
    said = spoken(("one", 1.0, 1.1))
    for speech in ([], [Interval(2.0, 3.0)], [Interval(0.0, 0.5)]):
        assert [(s.start_s, s.end_s) for s in split_segments(said, speech=speech)] == [(1.0, 1.1)]


def test_a_label_is_one_segment_and_an_empty_text_none() -> None:
    label = Transcription(text="yes", confidence=0.7, duration_s=1.5, source="x", hypothesis=NOTHING)
    (segment,) = split_segments(label)
    assert (segment.text, segment.start_s, segment.end_s, segment.confidence) == ("yes", 0.0, 1.5, 0.7)
    assert split_segments(spoken()) == ()


@pytest.mark.parametrize(
    ("text", "width", "lines"),
    [
        ("one", 10, ["one"]),
        ("one two three", 20, ["one two three"]),
        ("the quick brown fox", 16, ["the quick", "brown fox"]),  # not "the quick brown", "fox"
        ("a b c d", 3, ["a b", "c d"]),
        ("incomprehensible a", 5, ["incomprehensible", "a"]),
    ],
)
def test_text_is_folded_into_lines_of_about_the_same_length(text: str, width: int, lines: list[str]) -> None:
    assert fold(text.split(), width) == lines


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_line_width": 0}, "max_line_width must be >= 1, got 0"),
        ({"max_line_count": 0}, "max_line_count must be >= 1, got 0"),
        ({"max_duration_s": 0.0}, "max_duration_s must be > 0, got 0.0"),
        ({"max_pause_s": float("nan")}, "max_pause_s must be >= 0, got nan"),
    ],
)
def test_options_out_of_range_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        SegmentOptions(**options)
