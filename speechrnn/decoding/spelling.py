"""How words become tokens of a search: by the characters they are written with, or the phones they are said with."""

import itertools
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from speechrnn.decoding.beam_layout import TOKEN
from speechrnn.errors import ConfigError, TextError
from speechrnn.pronunciations import MOST_WAYS, Pronunciations
from speechrnn.text import WORD_BOUNDARY, Vocabulary

NONE = -1
STRESS = re.compile(r"(?<=[A-Z])[012](?!\S)")  # of a vowel, as CMUdict marks it


def leave_out_stress(vocabulary: Vocabulary, phones: str) -> str:
    """Leave out the marks of stress in phones that a model does not have."""
    return STRESS.sub("", phones) if vocabulary.unknown(phones) else phones


@dataclass(frozen=True)
class Spelling:
    """Words as a model's tokens.

    Phones do not tell where a word begins. So where they are read as words, a search has each of them several times:
    within a word, and as the beginning of a word after the first, second, third … of the words that sound like the one
    before. With blank and phones numbered from 0 to ``n``, phone ``p`` begins a word as ``p + n``, ``p + 2 * n``, ….
    """

    vocabulary: Vocabulary
    """Of the model."""
    pronunciations: Pronunciations | None = None
    """How words are said, if the model hears phones and words are to be read from them."""
    own_ways: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Words to the ways to say them that go before those of ``pronunciations``."""

    @property
    def is_said(self) -> bool:
        """Whether words are read from phones."""
        return self.pronunciations is not None

    @property
    def num_phones(self) -> int:
        """From a phone within a word to the same at its beginning."""
        return len(self.vocabulary.tokens)

    def normalize(self, text: str, kind: str) -> str:
        """Normalise a word or phrase that a user wrote; ``kind`` names it in errors.

        Raises:
            ConfigError: If it is empty.
            TextError: If it has a character that the vocabulary lacks, or a word that nobody says how to say.
        """
        normalized = " ".join(self.vocabulary.normalize(text).split())
        if not normalized:
            raise ConfigError(f"{kind} {text!r} is empty")
        if self.pronunciations is None:
            self.vocabulary.encode(normalized, f"{kind} {text!r}")
        elif not self.spell(normalized):
            unknown = [word for word in normalized.split() if not self.ways_to_say(word)]
            raise TextError(
                f"{kind} {text!r}: the dictionary does not say how {unknown[0]!r} is said; in a lexicon or "
                "alone in a line of phrases its phones may stand behind it and a tab, such as "
                f"{' '.join(self.vocabulary.tokens[:3])}"
            )
        return normalized

    def ways_to_say(self, word: str) -> tuple[str, ...]:
        """List the ways to say a word; none if nobody knows."""
        if word in self.own_ways:
            return self.own_ways[word]
        return self.pronunciations.of(word) if self.pronunciations is not None else ()

    def spell(self, phrase: str) -> list[list[int]]:
        """List the ways to write a word, or words with spaces between them, in tokens of the search.

        Returns:
            One way if it is written, up to ``MOST_WAYS`` if it is said, none if that is not known.

        Raises:
            TextError: If the vocabulary lacks a character or phone.
        """
        if not self.is_said:
            return [self.vocabulary.encode(phrase)]
        ways = itertools.product(*(self.ways_to_say(word) for word in phrase.split()))
        return [
            [token for word in words for token in self.begin(self.vocabulary.encode(word))]
            for words in itertools.islice(ways, MOST_WAYS)
        ]

    def begin(self, phones: list[int]) -> list[int]:
        """Mark the first of a word's phones as its beginning."""
        first, *others = phones
        return [first + self.num_phones, *others]

    def begins_word(self, token: int) -> bool:
        """Tell whether a token of the search is the beginning of a word that is said."""
        return self.is_said and token > self.num_phones

    def can_spell(self, word: str) -> bool:
        """Tell whether a word can be written as it stands, or said."""
        if self.is_said:
            return bool(self.ways_to_say(word))
        return self.vocabulary.normalize(word) == word and not self.vocabulary.unknown(word)

    def make_tokens(self, token_words: Mapping[str, int], *, num_choices: int = 1) -> NDArray[np.void]:
        """Say what each token of the search means, (tokens,) of TOKEN.

        Args:
            token_words: Token to its word in a language model over tokens.
            num_choices: Most words that sound alike.
        """
        vocabulary = self.vocabulary
        table = np.zeros(len(vocabulary), TOKEN)
        table["column"] = table["arc"] = np.arange(len(vocabulary))
        table["lm_word"] = NONE
        for token, number in vocabulary.ids.items():
            begins_word = vocabulary.is_spaced or token.startswith(WORD_BOUNDARY)
            table["begins_word"][number] = begins_word and not self.is_said
            table["lm_word"][number] = token_words.get(token, NONE)
        if not self.is_said:
            return table
        beginnings = np.tile(table[1:], num_choices)
        beginnings["begins_word"] = True
        beginnings["arc"] += self.num_phones
        beginnings["choice"] = np.arange(len(beginnings)) // self.num_phones
        return np.concatenate([table, beginnings])
