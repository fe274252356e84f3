"""Keyword lines, by hand."""

import pytest

from speechrnn.decoding.keywords import Keyword, check_labels, parse_keyword, parse_keywords, with_thresholds
from speechrnn.errors import ConfigError


def test_a_line_has_spellings_boost_threshold_and_label_in_any_order() -> None:
    keyword = parse_keyword(" alexa |alexsa  :0.5 @wake word #0.25", "line")
    assert keyword == Keyword(label="wake word", spellings=("alexa", "alexsa"), boost=0.5, threshold=0.25)


def test_a_keyword_alone_is_its_own_label() -> None:
    assert parse_keyword("view  glass", "line") == Keyword(label="view glass", spellings=("view glass",))


def test_marks_within_words_are_part_of_them() -> None:
    assert parse_keyword("c#sharp a:b x@y", "line").spellings == ("c#sharp a:b x@y",)


def test_a_keyword_is_written_as_it_is_read() -> None:
    line = "alexa | alexsa :0.5 #0.25 @wake"
    assert str(parse_keyword(line, "line")) == line
    assert str(parse_keyword("jarvis", "line")) == "jarvis"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("a | | b", "f:1: a spelling is empty in 'a | | b'"),
        (":1 @x", "a spelling is empty"),
        ("a :x", "boost must be a number behind ':', got 'x'"),
        ("a #", "threshold must be a number behind '#', got ''"),
        ("a #1.5", "f:1: keyword 'a': threshold must be in [0, 1], got 1.5"),
        ("a :inf", "boost must be finite"),
        ("a #0.1 #0.2", "'#' is given twice"),
        ("a @", "label that is not empty"),
        ("a#0.3", "f:1: '#0.3' needs a space in front of it in 'a#0.3'"),
        ("a b:2 #0.3", "':2' needs a space"),
    ],
)
def test_a_wrong_line_is_named(line: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_keywords([line], "f")
    assert said in str(caught.value)


def test_a_file_may_have_comments_and_empty_lines() -> None:
    assert [k.label for k in parse_keywords(["# mine", "", "a", "b"], "f")] == ["a", "b"]


def test_no_keyword_is_refused() -> None:
    with pytest.raises(ConfigError, match="f: no keyword"):
        parse_keywords(["# none", ""], "f")
    with pytest.raises(ConfigError, match="no keyword to look for"):
        check_labels([])


def test_double_labels_are_refused_with_both_places() -> None:
    with pytest.raises(ConfigError, match="f:3: label 'a' is taken by f:1"):
        parse_keywords(["a", "b", "c @a"], "f")
    keyword = Keyword(label="a", spellings=("a",))
    with pytest.raises(ConfigError, match="label 'a' names 2 keywords"):
        check_labels([keyword, keyword])


def test_a_keyword_has_spellings_or_templates() -> None:
    with pytest.raises(ConfigError, match="must have spellings or templates"):
        Keyword(label="a")
    with pytest.raises(ConfigError, match="an empty spelling"):
        Keyword(label="a", spellings=(" ",))


def test_thresholds_are_set_in_a_file_and_all_else_stays() -> None:
    lines = ["# mine", "a | b #0.1 @x", "c", ""]
    assert with_thresholds(lines, {"x": 0.5, "y": 0.9}) == ["# mine", "a | b #0.5 @x", "c", ""]
