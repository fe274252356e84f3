"""Phrases and small grammars: which texts they accept."""

import pytest

from speechrnn.decoding.grammar import compile_grammar, count_beginnings, determinize
from speechrnn.decoding.lexicon import Automaton
from speechrnn.decoding.spelling import Spelling
from speechrnn.errors import ConfigError, TextError
from speechrnn.text import Vocabulary

LETTERS = Vocabulary(tuple("abcdefghijklmnopqrstuvwxyz' "), "character", ("lowercase", "collapse_spaces"))
PIECES = Vocabulary(("▁a", "b", "▁b", "a"), "token")
WORDS = Vocabulary(("go", "stop", "zero"), "word")


def compile_written(lines: list[str], vocabulary: Vocabulary, name: str = "phrases") -> Automaton:
    return determinize(compile_grammar(lines, Spelling(vocabulary), name))


def accepts(automaton: Automaton, vocabulary: Vocabulary, text: str) -> bool:
    node = 0
    for token in vocabulary.encode(text):
        if token not in automaton.arcs[node]:
            return False
        node = automaton.arcs[node][token]
    return automaton.words[node] == [0]


@pytest.mark.parametrize(
    ("lines", "accepted", "refused"),
    [
        (["Go on", "stop"], ["go on", "stop"], ["go", "on", "go on stop", "stopp"]),
        (["a | b c"], ["a", "b c"], ["a c", "b"]),
        (["( a | b ) c"], ["a c", "b c"], ["c", "a b c"]),
        (["a [b] c"], ["a c", "a b c"], ["a b", "a b b c"]),
        (["[a] b"], ["b", "a b"], ["a", "b b"]),
        (["a+"], ["a", "a a a a"], ["", "a b"]),
        (["x a*"], ["x", "x a", "x a a"], ["a"]),
        (["x (b | [a]* )"], ["x", "x b", "x a", "x a a"], ["x a b", "x b b", "x b a"]),
        (["(a [b])+ c"], ["a c", "a b c", "a a b a c"], ["b c", "a b b c"]),
        (["a{2}"], ["a a"], ["a", "a a a"]),
        (["a{1,2}"], ["a", "a a"], ["a a a"]),
        (["x a{2,}"], ["x a a", "x a a a a"], ["x a"]),
        (["call <who>", "<who> = anna | doctor who"], ["call anna", "call doctor who"], ["call", "call who"]),
        (["pin <digit>{2}"], ["pin zero nine"], ["pin zero", "pin ten one"]),
        (["<letter>+ <digit>"], ["a z one"], ["one"]),
        (["# a comment", "", "go"], ["go"], ["a comment"]),
        (["ab", "abc", "ab"], ["ab", "abc"], ["a", "abcd"]),
    ],
)
def test_a_grammar_accepts_its_texts_and_no_others(
    lines: list[str], accepted: list[str], refused: list[str]
) -> None:
    automaton = compile_written(lines, LETTERS)
    for text in accepted:
        assert accepts(automaton, LETTERS, text), text
    for text in refused:
        assert not accepts(automaton, LETTERS, text), text


def test_word_pieces_and_words_need_no_separator() -> None:
    assert accepts(compile_written(["ab bab"], PIECES), PIECES, "ab bab")
    assert accepts(compile_written(["go+ stop"], WORDS), WORDS, "go go stop")


def test_where_words_are_written_a_tab_is_a_space() -> None:
    assert accepts(compile_written(["go\ton"], LETTERS), LETTERS, "go on")


def test_beginnings_are_counted_up_to_a_limit() -> None:
    # "", a, "a ", "a b", "a c"
    assert count_beginnings(compile_written(["a (b | c)"], LETTERS), 100) == 5
    assert count_beginnings(compile_written(["a (b | c)"], LETTERS), 3) == 3
    assert count_beginnings(compile_written(["a+"], LETTERS), 100) == 100


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("( a", r"f.txt:2: '\(' is not closed in '\( a'"),
        ("a )", r"f.txt:2: '\)' without its beginning in 'a \)'"),
        ("a | ", r"f.txt:2: nothing beside a bracket or \| in 'a \|'"),
        ("()", "f.txt:2: nothing beside a bracket"),
        ("+ a", r"f.txt:2: '\+' out of place"),
        ("a{x}", r"f.txt:2: '\{x\}' is no count such as"),
        ("a{3,1}", r"f.txt:2: '\{3,1\}' must count up, to 100 at most"),
        ("a{200}", "must count up, to 100 at most"),
        ("<who>", "f.txt:2: no rule <who>, only <digit>, <letter>, <x>"),
        ("b <x>", "f.txt:2: rule <x> holds itself"),
        ("[a]", r"f.txt:2: '\[a\]' may be nothing at all"),
        ("(go | [a] b*)", "may be nothing at all"),
        ("([a])+", "may be nothing at all"),
    ],
)
def test_a_line_that_is_no_phrase_is_named(line: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        compile_written(["go", line, "<x> = a <x>"], LETTERS, "f.txt")


def test_a_character_that_the_model_lacks_is_named_with_its_line() -> None:
    with pytest.raises(TextError, match="f.txt:1: .* no character .ö'"):
        compile_written(["schön wär es"], LETTERS, "f.txt")


def test_an_empty_file_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"f.txt: no phrases"):
        compile_written(["", "# nothing"], LETTERS, "f.txt")


def test_a_grammar_too_large_is_refused() -> None:
    with pytest.raises(ConfigError, match="over 100000 states"):
        compile_written(["((<letter>{50}){50}){50}"], LETTERS)
