"""What a beam search may say and what it is worth: language model, lexicon, phrases and hot words."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from speechrnn.decoding.beam_layout import TOKEN, HotWords, LanguageModel, Lexicon, Options
from speechrnn.decoding.grammar import compile_grammar, count_beginnings, separator_of
from speechrnn.decoding.hot_words import make_hot_words
from speechrnn.decoding.lexicon import Automaton, checked_words, lay_out, look_ahead, make_trie
from speechrnn.decoding.word_list import WordList, read_lines
from speechrnn.errors import ConfigError
from speechrnn.lm.ngram import ARRAYS, SPACE, NgramModel
from speechrnn.text import SEPARATOR, WORD_BOUNDARY, Vocabulary

if TYPE_CHECKING:
    from speechrnn.decoding.beam import BeamConfig

logger = logging.getLogger("speechrnn")

MOST_NAMED = 5
MOST_BEGINNINGS = 2000  # of phrases that are searched through without pruning


class SearchSpace(NamedTuple):
    """What the kernel reads."""

    config: "BeamConfig"
    lm: LanguageModel
    lexicon: Lexicon
    hot: HotWords
    tokens: Any
    options: Options
    begin_state: int
    end_of_sentence: int


class Words(NamedTuple):
    """What of the texts is known beforehand."""

    automaton: Automaton
    ahead: Any
    """(nodes,): what an unfinished word is worth."""
    separated: bool
    """Whether the automaton is of single words, which separators end."""
    closed: bool
    """Whether nothing else may be said."""


ANYTHING = Words(Automaton([{}], [-1]), np.zeros(1), separated=False, closed=False)


def make_search_space(
    vocabulary: Vocabulary,
    config: "BeamConfig",
    *,
    lm: NgramModel | None,
    lexicon: WordList | None,
    phrases: WordList | None,
    hot_words: Mapping[str, float] | None,
) -> SearchSpace:
    """Lay out what ``BeamDecoder`` was given; errors as its constructor's."""
    if vocabulary.blank is None:
        raise ConfigError("labels cannot be decoded with CTC: their vocabulary has no blank")
    check_company(lm, lexicon, phrases)
    if config.alpha == 0:
        lm = None
    over_tokens = lm is not None and lm.unit == "character"
    token_words = match_tokens(vocabulary, lm) if lm is not None and over_tokens else {}
    counted = config.beta != 0 and not over_tokens  # then it is tokens that count
    words = choose_words(vocabulary, None if over_tokens else lm, lexicon, phrases, counted=counted)
    if words.closed and not words.separated:
        config = exhaustive(config, words.automaton, len(vocabulary))
    return SearchSpace(
        config=config,
        lm=lm_arrays(lm),
        lexicon=lay_out(words.automaton, words.ahead),
        hot=make_hot_words(vocabulary, hot_words or {}),
        tokens=token_table(vocabulary, token_words, words.separated),
        options=make_options(vocabulary, config, lm, words, bool(hot_words)),
        begin_state=lm.begin_state() if lm is not None else 0,
        end_of_sentence=lm.end_of_sentence if lm is not None else -1,
    )


def check_company(lm: NgramModel | None, lexicon: WordList | None, phrases: WordList | None) -> None:
    """Check that options do not exclude each other; errors as ``BeamDecoder``'s constructor."""
    if phrases is not None and (lm is not None or lexicon is not None):
        raise ConfigError("phrases leave nothing open: they exclude a language model and a lexicon")
    if lexicon is not None and lm is not None and lm.unit != "word":
        raise ConfigError(f"a lexicon goes with a language model over words; this one is over {lm.unit}s")


def choose_words(
    vocabulary: Vocabulary,
    lm: NgramModel | None,
    lexicon: WordList | None,
    phrases: WordList | None,
    *,
    counted: bool,
) -> Words:
    """Decide which words may be said, and whether words matter at all."""
    if phrases is not None:
        lines, name = read_lines(phrases, "phrases")
        automaton = compile_grammar(lines, vocabulary, name)
        return Words(automaton, np.zeros(len(automaton.word)), separated=False, closed=True)
    if lexicon is not None:
        spelled = checked_words(vocabulary, *read_lines(lexicon, "lexicon"))
        words = {word: 0 if lm is None else lm.word_id(word) for word in spelled}
    elif lm is not None:
        words = spellable_words(vocabulary, lm)
    elif counted:
        words = {}
    else:
        return ANYTHING
    trie = make_trie(vocabulary, words)
    return Words(trie, look_ahead(trie, lm), separated=True, closed=lexicon is not None)


def exhaustive(config: "BeamConfig", automaton: Automaton, num_tokens: int) -> "BeamConfig":
    """Widen the search over a short list of phrases until it drops none: one of them is always the answer."""
    num_beginnings = count_beginnings(automaton, MOST_BEGINNINGS)
    if num_beginnings == MOST_BEGINNINGS:
        return config
    unlimited = 1e9  # nats
    return replace(
        config,
        beam_size=max(config.beam_size, 2 * num_beginnings),
        beam_threshold=unlimited,
        token_threshold=unlimited,
        top_tokens=num_tokens,
    )


def make_options(
    vocabulary: Vocabulary,
    config: "BeamConfig",
    lm: NgramModel | None,
    words: Words,
    has_hot_words: bool,
) -> Options:
    """Collect the kernel's numbers."""
    assert vocabulary.blank is not None
    return Options(
        beam_size=config.beam_size,
        threshold=float(config.beam_threshold),
        top_tokens=config.top_tokens,
        token_threshold=float(config.token_threshold),
        sums=config.log_add,
        blank=vocabulary.blank,
        separator=separator_of(vocabulary) if words.separated else -1,
        has_lm=lm is not None,
        has_lexicon=words is not ANYTHING,
        words_begin=vocabulary.unit != "character",
        closed=words.closed,
        may_be_empty=words.separated,
        has_hot_words=has_hot_words,
        alpha=float(config.alpha),
        beta=float(config.beta),
        unknown=lm.unknown if lm is not None else -1,
        unknown_ahead=lm.score(0, lm.unknown)[0] if lm is not None else 0.0,
        unknown_score=float(config.unknown_score if lm is not None else 0.0),
    )


def token_table(vocabulary: Vocabulary, token_words: Mapping[str, int], separated: bool) -> Any:
    """Say what each token means, (tokens,)."""
    table = np.zeros(len(vocabulary), TOKEN)
    for token, number in vocabulary.ids.items():
        begins_word = separated and (vocabulary.is_spaced or token.startswith(WORD_BOUNDARY))
        table[number] = (begins_word, token_words.get(token, -1))
    return table


def match_tokens(vocabulary: Vocabulary, lm: NgramModel) -> dict[str, int]:
    """Find the model's tokens in a language model over characters.

    Raises:
        ConfigError: If any is missing, with the counts.
    """
    known = set(lm.vocabulary)
    names = {token: SPACE if token == SEPARATOR else token for token in vocabulary.tokens}
    missing = [token for token, name in names.items() if name not in known]
    if missing:
        raise ConfigError(
            f"the language model knows {len(names) - len(missing)} of the model's {len(names)} tokens; it "
            f"lacks {name_some(missing)}. Build it from text with the model's normalisation, or over words"
        )
    return {token: lm.word_id(name) for token, name in names.items()}


def spellable_words(vocabulary: Vocabulary, lm: NgramModel) -> dict[str, int]:
    """Find the words of a language model that the model can write.

    Raises:
        ConfigError: If it cannot write most of them, with the counts: then the two do not belong together.
    """
    special = {lm.unknown, lm.begin_of_sentence, lm.end_of_sentence}
    numbered = {word: number for number, word in enumerate(lm.vocabulary) if number not in special}
    words = {word: number for word, number in numbered.items() if can_write(vocabulary, word)}
    lost = [word for word in numbered if word not in words]
    if len(lost) >= len(words):
        raise ConfigError(
            f"the model can write {len(words)} of the language model's {len(numbered)} words, not "
            f"{name_some(lost)}. Build the language model from text with the model's normalisation "
            f"({', '.join(vocabulary.normalization) or 'none'})"
        )
    if lost:
        logger.warning(
            "the model cannot write %d of the language model's %d words (%s); they will not be heard",
            len(lost),
            len(numbered),
            name_some(lost),
        )
    return words


def can_write(vocabulary: Vocabulary, word: str) -> bool:
    """Tell whether a model can write a word as it stands."""
    return vocabulary.normalize(word) == word and not vocabulary.unknown(word)


def name_some(items: Sequence[str]) -> str:
    """Name a few of many."""
    more = f" and {len(items) - MOST_NAMED} more" if len(items) > MOST_NAMED else ""
    return ", ".join(map(repr, items[:MOST_NAMED])) + more


def lm_arrays(lm: NgramModel | None) -> LanguageModel:
    """Take a language model's arrays, or those of one that knows nothing."""
    if lm is not None:
        return LanguageModel(*lm.arrays)
    nothing = [np.zeros(1, dtype) for dtype in ARRAYS.values()]
    for array in nothing:
        array.setflags(write=False)  # as a model's are, or the search would be compiled twice
    return LanguageModel(*nothing)
