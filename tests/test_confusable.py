"""Phrases that a keyword could be taken for."""

import pytest

from speechrnn.training.confusable import confusable_phrases, neighbours, pieces


def test_a_word_is_taken_apart_into_its_halves() -> None:
    # half of five letters, rounded down, is two: three letters from the left, three from the right
    assert pieces(["alexa"]) == ["ale", "exa"]
    assert pieces(["ok"]) == []


def test_a_phrase_gives_its_words_alone_and_the_other_way_round() -> None:
    assert pieces(["view", "glass"]) == ["view", "glass", "glass view", "vie", "ew", "gla", "ass"]


def test_neighbours_are_spelled_alike() -> None:
    assert neighbours("glass", ["class", "sea", "grass", "glasses"]) == ["grass", "class", "glasses"] or set(
        neighbours("glass", ["class", "sea", "grass", "glasses"])
    ) == {"class", "grass", "glasses"}


def test_no_phrase_contains_the_keyword() -> None:
    made = confusable_phrases("go", ["going", "ago", "sea", "goat"], number=300, seed=1)
    assert len(made) == 300
    assert not any(text == "go" or " go " in f" {text} " for text in made)


def test_the_seed_fixes_the_phrases() -> None:
    words = ["grass", "class", "sea", "few"]
    one, same, other = (confusable_phrases("view glass", words, number=20, seed=seed) for seed in (1, 1, 2))
    assert one == same
    assert one != other


def test_without_other_words_there_is_nothing_to_say() -> None:
    with pytest.raises(ValueError, match="at least one that is not the keyword's"):
        confusable_phrases("go", ["Go"], number=1, seed=1)
