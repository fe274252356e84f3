"""What a beam search may say and what it is worth: language model, lexicon, phrases and hot words."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from speechrnn.decoding.beam_layout import HotWords, LanguageModel, Lexicon, Options
from speechrnn.decoding.grammar import States, compile_grammar, count_beginnings, determinize, separator_of
from speechrnn.decoding.hot_words import make_hot_words
from speechrnn.decoding.lexicon import Automaton, lay_out, look_ahead, make_trie, read_words, unigram_scores
from speechrnn.decoding.spelling import Spelling
from speechrnn.decoding.word_list import WordList, read_lines
from speechrnn.errors import ConfigError
from speechrnn.lm.ngram import ARRAYS, SPACE, NgramModel
from speechrnn.text import SEPARATOR, Vocabulary

if TYPE_CHECKING:
    from speechrnn.decoding.beam import BeamConfig

logger = logging.getLogger("speechrnn")

MOST_NAMED = 5
MOST_BEGINNINGS = 2000  # of phrases that are searched through without pruning


class SearchSpace(NamedTuple):
    """What the kernel reads, and how to read its answer."""

    config: "BeamConfig"
    lm: LanguageModel
    lexicon: Lexicon
    hot: HotWords
    tokens: Any
    """(tokens,) of TOKEN."""
    options: Options
    begin_state: int
    end_of_sentence: int
    words: "Words"


class Words(NamedTuple):
    """What of the texts is known beforehand."""

    automaton: Automaton
    ahead: Any
    """(nodes,): what an unfinished word is worth."""
    lm_words: Sequence[int]
    """The language model's id of each word."""
    separated: bool
    """Whether the automaton is of single words, which separators or beginnings end."""
    closed: bool
    """Whether nothing else may be said."""
    said: Sequence[str] = ()
    """The words, where phones are read as words."""
    phrases: States | None = None
    """The phrases, where phones are read as such."""


ANYTHING = Words(Automaton([{}], [[]]), np.zeros(1), [], separated=False, closed=False)


def make_search_space(
    spelling: Spelling,
    config: "BeamConfig",
    *,
    lm: NgramModel | None,
    lexicon: WordList | None,
    phrases: WordList | None,
    hot_words: Mapping[str, float] | None,
) -> SearchSpace:
    """Lay out what ``BeamDecoder`` was given; errors as its constructor's."""
    vocabulary = spelling.vocabulary
    if vocabulary.blank is None:
        raise ConfigError("labels cannot be decoded with CTC: their vocabulary has no blank")
    check_company(lm, lexicon, phrases)
    if config.alpha == 0:
        lm = None
    over_tokens = lm is not None and lm.unit == "character"
    if over_tokens or (lm is None and lexicon is None and phrases is None):
        spelling = Spelling(vocabulary)
    token_words = match_tokens(vocabulary, lm) if lm is not None and over_tokens else {}
    counted = config.beta != 0 and not over_tokens  # then it is tokens that count
    words, spelling = choose_words(spelling, None if over_tokens else lm, lexicon, phrases, counted=counted)
    num_choices = max(map(len, words.automaton.words))
    if spelling.is_said:
        config = replace(config, top_tokens=config.top_tokens * (1 + num_choices))
    tokens = spelling.make_tokens(token_words, num_choices=num_choices)
    if words.closed and not words.separated:
        config = exhaustive(config, words.automaton, len(tokens))
    return SearchSpace(
        config=config,
        lm=lm_arrays(lm),
        lexicon=lay_out(words.automaton, words.ahead, words.lm_words),
        hot=make_hot_words(spelling, tokens, separator_of(vocabulary), hot_words or {}),
        tokens=tokens,
        options=make_options(vocabulary, config, lm, words, bool(hot_words)),
        begin_state=lm.begin_state() if lm is not None else 0,
        end_of_sentence=lm.end_of_sentence if lm is not None else -1,
        words=words,
    )


def check_company(lm: NgramModel | None, lexicon: WordList | None, phrases: WordList | None) -> None:
    """Check that options do not exclude each other; errors as ``BeamDecoder``'s constructor."""
    if phrases is not None and (lm is not None or lexicon is not None):
        raise ConfigError("phrases leave nothing open: they exclude a language model and a lexicon")
    if lexicon is not None and lm is not None and lm.unit != "word":
        raise ConfigError(f"a lexicon goes with a language model over words; this one is over {lm.unit}s")


def choose_words(
    spelling: Spelling,
    lm: NgramModel | None,
    lexicon: WordList | None,
    phrases: WordList | None,
    *,
    counted: bool,
) -> tuple[Words, Spelling]:
    """Decide which words may be said, and whether words matter at all; returns the spelling of a list, too."""
    if phrases is not None:
        lines, name = read_lines(phrases, "phrases")
        states = compile_grammar(lines, spelling, name)
        automaton = determinize(states)
        said = states if spelling.is_said else None
        ahead = np.zeros(len(automaton.words))
        return Words(automaton, ahead, [0], separated=False, closed=True, phrases=said), states.spelling
    if lexicon is not None:
        texts, spelling = read_words(spelling, *read_lines(lexicon, "lexicon"))
    elif lm is not None:
        texts = spellable_words(spelling, lm)
    elif counted:
        texts = []
    else:
        return ANYTHING, spelling
    lm_words = [0 if lm is None else lm.word_id(text) for text in texts]
    scores = None if lm is None else unigram_scores(lm, lm_words)
    trie = make_trie(spelling, texts, scores)
    words = Words(
        trie,
        look_ahead(trie, scores),
        lm_words,
        separated=True,
        closed=lexicon is not None or spelling.is_said,
        said=(texts if lexicon is not None else in_lower_case(texts)) if spelling.is_said else (),
    )
    return words, spelling


def in_lower_case(words: Sequence[str]) -> Sequence[str]:
    """Bring words to lower case if all of them are in upper case, as in the language models of LibriSpeech."""
    return words if any(word != word.upper() for word in words) else [word.lower() for word in words]


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
        joins=lm is not None and bool(words.said),  # letters with a small model lose as often as they gain
        num_alike=1,
        top_tokens=config.top_tokens,
        token_threshold=float(config.token_threshold),
        sums=config.log_add,
        blank=vocabulary.blank,
        separator=separator_of(vocabulary) if words.separated else -1,
        has_lm=lm is not None,
        has_lexicon=words is not ANYTHING,
        words_begin=words.separated and vocabulary.unit != "character",
        closed=words.closed,
        may_be_empty=words.separated,
        has_hot_words=has_hot_words,
        alpha=float(config.alpha),
        beta=float(config.beta),
        unknown=lm.unknown if lm is not None else -1,
        unknown_ahead=lm.score(0, lm.unknown)[0] if lm is not None else 0.0,
        unknown_score=float(config.unknown_score if lm is not None else 0.0),
    )


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


def spellable_words(spelling: Spelling, lm: NgramModel) -> list[str]:
    """Find the words of a language model that the model can write, or that its dictionary says.

    Raises:
        ConfigError: If these are not most of what it expects, with the counts: then the two do not belong together.
    """
    special = {lm.unknown, lm.begin_of_sentence, lm.end_of_sentence}
    known = [word for number, word in enumerate(lm.vocabulary) if number not in special]
    words = [word for word in known if spelling.can_spell(word)]
    lost = sorted(set(known) - set(words))
    shares = np.exp(lm.log_probs[1:])  # of the unigrams; of a large text's words most are rare
    lost_share, share = (sum(shares[lm.word_ids[word]] for word in some) for some in (lost, words))
    if len(lost) >= len(words) and lost_share >= share:
        raise ConfigError(complain_of_lost(spelling, lost, len(known)))
    if lost:
        logger.warning(
            "%s %d of the language model's %d words (%s); they will not be heard",
            "the dictionary does not say" if spelling.is_said else "the model cannot write",
            len(lost),
            len(known),
            name_some(lost),
        )
    return words


def complain_of_lost(spelling: Spelling, lost: Sequence[str], num_words: int) -> str:
    """Say that most words of a language model cannot be heard, and what to do about it."""
    num_found = num_words - len(lost)
    if spelling.is_said:
        return (
            f"the dictionary says {num_found} of the language model's {num_words} words, not {name_some(lost)}. Build "
            "the language model from text in words, or write a dictionary into the model that has them"
        )
    return (
        f"the model can write {num_found} of the language model's {num_words} words, not {name_some(lost)}. Build the "
        "language model from text with the model's normalisation "
        f"({', '.join(spelling.vocabulary.normalization) or 'none'})"
    )


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
