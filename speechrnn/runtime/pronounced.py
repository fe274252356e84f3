"""Keywords in the tokens of the model that looks for them: as they are written, or for a model of phones as said."""

import re
from collections.abc import Iterable
from dataclasses import replace

from speechrnn.decoding.keyword_search import spell
from speechrnn.decoding.keywords import Keyword
from speechrnn.decoding.rivals import SHORTEST
from speechrnn.decoding.spelling import leave_out_stress
from speechrnn.errors import ConfigError, TextError
from speechrnn.runtime.model_file import ModelInfo

PHONES = re.compile(r"\[([^][]*)\]")  # [V Y UW] instead of view


def pronounce(info: ModelInfo, keywords: Iterable[Keyword]) -> tuple[Keyword, ...]:
    """Bring the spellings of keywords to tokens of the model, with spaces between them where it writes phones.

    Every way that the dictionary has to say a spelling becomes a spelling of its own. Spellings between brackets are
    phones already; marks of stress that the model does not have are left out.

    Raises:
        TextError: If a word is not in the model's dictionary, or the model lacks a phone.
        ModelFileError: If the model of phones has no dictionary.
    """
    if info.vocabulary.unit != "phone":
        return tuple(keywords)
    return tuple(
        replace(keyword, spellings=ways_to_say(info, keyword)) if keyword.spellings else keyword
        for keyword in keywords
    )


def find_rivals(info: ModelInfo, spoken: Iterable[Keyword]) -> list[tuple[str, ...]]:
    """Find for each keyword that ``pronounce`` brought to phones the words that it could be heard in.

    Returns:
        Their ways to be said, of phones that the model has; none for keywords with recordings or shorter than
        ``SHORTEST``, and none from a model that writes letters or has no dictionary.
    """
    if info.vocabulary.unit != "phone" or not info.packed_pronunciations:
        return [() for _ in spoken]
    return [rivals_of(info, keyword) for keyword in spoken]


def rivals_of(info: ModelInfo, keyword: Keyword) -> tuple[str, ...]:
    """Find the rivals of one keyword; the dictionary is opened only if there can be any."""
    if keyword.templates or all(len(way.split()) < SHORTEST for way in keyword.spellings):
        return ()
    rivals = info.rival_finder.find_rivals(keyword.spellings)
    return tuple(rival for rival in rivals if not info.vocabulary.unknown(rival))


def ways_to_say(info: ModelInfo, keyword: Keyword) -> tuple[str, ...]:
    """List the ways to say a keyword, each once; errors as ``pronounce``."""
    ways = [way for spelling in keyword.spellings for way in ways_to_say_spelling(info, keyword, spelling)]
    return tuple(dict.fromkeys(ways))


def ways_to_say_spelling(info: ModelInfo, keyword: Keyword, spelling: str) -> tuple[str, ...]:
    """List the ways to say one spelling; errors as ``pronounce``."""
    phones = PHONES.fullmatch(spelling)
    if phones:
        if not phones[1].split():
            raise ConfigError(f"keyword {keyword.label!r}: no phones in {spelling!r}")
        known = leave_out_stress(info.vocabulary, phones[1])
        spell(info.vocabulary, known)
        return (" ".join(info.vocabulary.normalize(known).split()),)
    try:
        return info.pronunciations.of_phrase(info.vocabulary.normalize(spelling))
    except TextError as error:
        example = " ".join(info.vocabulary.tokens[:3])
        raise TextError(f"keyword {keyword.label!r}: {error} between brackets, such as [{example}]") from None
