"""The vocabulary spells texts without loss, or says what it lacks."""

import json
import pickle
import string
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from speechrnn.errors import TextError
from speechrnn.text import NORMALIZATIONS, Vocabulary, collapse_spaces, strip_punctuation

LETTERS = Vocabulary(tuple(string.ascii_lowercase + " '"))
PIECES = Vocabulary(("▁", "▁the", "▁c", "at", "a", "t", "c"), "token")
DIGITS = Vocabulary(("zero", "one", "two"), "label")


# ---- Ids and the blank ------------------------------------------------------------------------


def test_the_blank_is_0_and_tokens_follow_it_in_their_order() -> None:
    vocabulary = Vocabulary(("b", "a"))
    assert (vocabulary.blank, vocabulary.first_id, len(vocabulary)) == (0, 1, 3)
    assert vocabulary.ids == {"b": 1, "a": 2}
    assert vocabulary.encode("abba") == [2, 1, 1, 2]


def test_labels_have_no_blank_and_begin_at_0() -> None:
    assert (DIGITS.blank, DIGITS.first_id, len(DIGITS)) == (None, 0, 3)
    assert DIGITS.encode("zero") == [0]
    assert DIGITS.decode([0]) == "zero"


def test_the_first_token_is_not_lost_from_a_text() -> None:
    # Others drop what is 0 or falsy: the first letter of the alphabet or the first label.
    assert LETTERS.encode("aaa") == [1, 1, 1]
    assert LETTERS.decode([1, 1, 1]) == "aaa"
    assert LETTERS.encode("a") == [1]


def test_an_empty_text_has_no_ids() -> None:
    assert LETTERS.encode("") == []
    assert LETTERS.decode([]) == ""
    assert LETTERS.unknown("") == Counter()


# ---- Units ------------------------------------------------------------------------------------


def test_characters_are_joined_as_they_are() -> None:
    assert LETTERS.decode(LETTERS.encode("it's  me ")) == "it's  me "


def test_words_are_joined_by_one_space() -> None:
    vocabulary = Vocabulary(("go", "north"), "word")
    assert vocabulary.encode("north  go\tgo") == [2, 1, 1]
    assert vocabulary.decode([2, 1, 1]) == "north go go"


def test_word_pieces_are_joined_and_their_mark_is_a_space() -> None:
    # ▁the ▁c at; ▁ a t
    assert PIECES.encode("the cat") == [2, 3, 4]
    assert PIECES.decode([2, 3, 4]) == "the cat"
    assert PIECES.encode("at") == [1, 4]
    assert PIECES.decode([1, 5, 6, 3]) == "at c"


def test_the_longest_piece_that_fits_is_taken() -> None:
    vocabulary = Vocabulary(("▁a", "▁ab", "b", "bc", "c"), "token")
    assert vocabulary.encode("ab") == [2]
    assert vocabulary.encode("abbc") == [2, 4]


@given(st.text(string.ascii_lowercase + " '"))
def test_any_text_of_known_characters_comes_back_as_it_was(text: str) -> None:
    ids = LETTERS.encode(text)
    assert LETTERS.decode(ids) == text
    assert 0 not in ids
    assert len(ids) == len(text)


@given(st.lists(st.sampled_from(["go", "north", "a"])))
def test_any_known_words_come_back_as_they_were(words: list[str]) -> None:
    vocabulary = Vocabulary(("a", "go", "north"), "word")
    assert vocabulary.decode(vocabulary.encode(" ".join(words))) == " ".join(words)


@given(st.lists(st.text("act", min_size=1)))
def test_any_known_pieces_come_back_as_they_were(words: list[str]) -> None:
    assert PIECES.decode(PIECES.encode(" ".join(words))) == " ".join(words)


@given(st.text())
def test_what_is_unknown_and_what_is_known_make_up_the_text(text: str) -> None:
    unknown = LETTERS.unknown(text)
    assert unknown == Counter(c for c in text if c not in string.ascii_lowercase + " '")
    if unknown:
        with pytest.raises(TextError):
            LETTERS.encode(text)
    else:
        assert LETTERS.decode(LETTERS.encode(text)) == text


# ---- Normalisation ----------------------------------------------------------------------------


def test_no_step_is_taken_that_is_not_declared() -> None:
    assert LETTERS.normalize("  Ｗeird,  TEXT ") == "  Ｗeird,  TEXT "


@pytest.mark.parametrize(
    ("step", "text", "expected"),
    [
        ("nfc", "e\u0301", "é"),
        ("nfc", "ﬁ", "ﬁ"),
        ("nfkc", "ﬁ２", "fi2"),
        ("lowercase", "ÉT", "ét"),
        ("uppercase", "straße", "STRASSE"),
        ("strip_punctuation", "«it's», he said…", "it's he said"),
        ("strip_punctuation", "don’t say ‘no’", "don't say no"),
        ("collapse_spaces", " a \t b\u00a0\n", "a b"),
    ],
)
def test_each_step_does_what_its_name_says(step: str, text: str, expected: str) -> None:
    assert Vocabulary(("a",), normalization=(step,)).normalize(text) == expected


def test_steps_are_taken_in_their_order() -> None:
    # "- a": punctuation first leaves " a", whose space is then collapsed; the other way round it stays.
    assert Vocabulary(("a",), normalization=("strip_punctuation", "collapse_spaces")).normalize("- a") == "a"
    assert Vocabulary(("a",), normalization=("collapse_spaces", "strip_punctuation")).normalize("- a") == " a"


def test_encoding_normalises_first() -> None:
    vocabulary = Vocabulary(
        ("a", "b", " "), normalization=("lowercase", "strip_punctuation", "collapse_spaces")
    )
    assert vocabulary.encode(" A,  b! ") == [1, 3, 2]
    assert vocabulary.unknown("A,C") == Counter("c")
    assert Vocabulary(("yes",), "label", ("lowercase",)).encode("YES") == [0]


@pytest.mark.parametrize("step", sorted(NORMALIZATIONS))
@given(text=st.text())
def test_taking_a_step_twice_changes_nothing_more(step: str, text: str) -> None:
    once = NORMALIZATIONS[step](text)
    assert NORMALIZATIONS[step](once) == once


@given(st.text())
def test_only_punctuation_and_spaces_are_removed(text: str) -> None:
    assert [c for c in strip_punctuation(text) if c.isalnum()] == [c for c in text if c.isalnum()]
    assert [c for c in collapse_spaces(text) if not c.isspace()] == [c for c in text if not c.isspace()]


# ---- What the vocabulary lacks ----------------------------------------------------------------


def test_unknown_characters_are_named_with_place_and_count() -> None:
    with pytest.raises(TextError) as caught:
        LETTERS.encode("7 señores, 77", where="train.jsonl:17: utterance 'a12'")
    assert str(caught.value) == (
        "train.jsonl:17: utterance 'a12': the vocabulary of 28 characters has no character "
        "'7' (3×), 'ñ' (1×), ',' (1×); add it to vocabulary.tokens, or a step to vocabulary.normalization"
    )


def test_unknown_words_pieces_and_labels_are_named_as_such() -> None:
    with pytest.raises(TextError, match=r"no word 'south' \(2×\)"):
        Vocabulary(("go",), "word").encode("go south south")
    with pytest.raises(TextError, match=r"no token 'h' \(1×\)"):
        PIECES.encode("that")
    with pytest.raises(TextError, match=r"a.wav: the vocabulary of 3 labels has no label 'nine' \(1×\)"):
        DIGITS.encode("nine", where="a.wav")


def test_an_empty_label_is_an_error() -> None:
    with pytest.raises(TextError, match="no label ''"):
        DIGITS.encode("")


def test_a_label_of_two_words_is_one_label() -> None:
    vocabulary = Vocabulary(("turn on", "turn off"), "label")
    assert vocabulary.encode("turn off") == [1]
    assert vocabulary.decode([1]) == "turn off"


def test_of_many_unknown_characters_ten_are_named_and_the_others_counted() -> None:
    with pytest.raises(TextError, match=r"'J' \(1×\) and 2 more;"):
        LETTERS.encode("ABCDEFGHIJKL")


@pytest.mark.parametrize("number", [0, -1, 29])
def test_an_id_that_is_no_tokens_is_an_error(number: int) -> None:
    with pytest.raises(TextError, match=f"id {number} is no token's: they go from 1 to 28"):
        LETTERS.decode([1, number])


def test_a_label_id_beyond_the_last_is_an_error() -> None:
    with pytest.raises(TextError, match="id 3 is no token's: they go from 0 to 2"):
        DIGITS.decode([3])


# ---- Building one -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"tokens": ()}, r"vocabulary\.tokens must not be empty"),
        ({"tokens": ("a", "")}, r"not empty \(quote them\), got ''"),
        ({"tokens": ("a", "b", "a", "a")}, r"vocabulary\.tokens has 'a' 3 times"),
        ({"tokens": ("a", "bc")}, "must be single characters, got 'bc'"),
        ({"tokens": ("a b",), "unit": "word"}, "must be words without spaces, got 'a b'"),
        ({"tokens": (" ",), "unit": "word"}, "must be words without spaces, got ' '"),
        (
            {"tokens": ("a",), "unit": "syllable"},
            "must be one of character, word, token, phone, label, got 'syllable'",
        ),
        ({"tokens": (True, False), "unit": "label"}, r"\(quote them\), got True"),
        ({"tokens": (1, True), "unit": "label"}, r"\(quote them\), got 1"),
        ({"tokens": (["a"],)}, r"got \['a'\]"),
        ({"tokens": 5}, r"vocabulary\.tokens must be a list, got 5"),
        ({"tokens": {"a": 1}}, r"vocabulary\.tokens must be a list, got"),
        ({"tokens": ("a",), "normalization": None}, r"vocabulary\.normalization must be a list, got None"),
        ({"tokens": ("a",), "normalization": ("lower",)}, "no step 'lower'; did you mean 'lowercase'"),
        ({"tokens": ("a",), "normalization": ("NFC",)}, "no step 'NFC'; did you mean"),
    ],
)
def test_a_vocabulary_that_is_wrong_is_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(TextError, match=message):
        Vocabulary(**fields)


@pytest.mark.parametrize(
    "vocabulary", [LETTERS, PIECES, DIGITS, Vocabulary(("ß",), "word", ("nfc", "lowercase"))]
)
def test_plain_data_gives_the_same_vocabulary_again(vocabulary: Vocabulary) -> None:
    plain = json.loads(json.dumps(vocabulary.to_dict()))
    assert Vocabulary.from_dict(plain) == vocabulary
    assert pickle.loads(pickle.dumps(vocabulary)) == vocabulary
    assert hash(Vocabulary.from_dict(plain)) == hash(vocabulary)


def test_a_text_of_tokens_is_its_characters_and_a_text_of_normalisation_one_step() -> None:
    vocabulary = Vocabulary.from_dict({"tokens": "ab '", "normalization": "lowercase"})
    assert vocabulary == Vocabulary(("a", "b", " ", "'"), "character", ("lowercase",))


def test_an_unknown_key_is_refused_with_the_nearest_valid_one() -> None:
    with pytest.raises(
        TextError, match=r"vocabulary\.normalisation .* did you mean vocabulary\.normalization\?"
    ):
        Vocabulary.from_dict({"tokens": "ab", "normalisation": []})


def test_plain_data_without_tokens_is_refused() -> None:
    with pytest.raises(TextError, match=r"vocabulary\.tokens is missing"):
        Vocabulary.from_dict({"unit": "word"})


def test_a_vocabulary_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        LETTERS.tokens = ("x",)  # type: ignore[misc]
