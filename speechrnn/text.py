"""Text to tokens and back: the vocabulary, which owns the blank, and the normalisation in front of it."""

import difflib
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, Literal

from speechrnn.errors import TextError

Unit = Literal["character", "word", "token", "phone", "label"]
UNITS = ("character", "word", "token", "phone", "label")
SPACED_UNITS = ("word", "phone")  # stand in a text with spaces between them
SEPARATOR = " "  # between words, of characters
ASCII_PUNCTUATION = {  # as strip_punctuation knows it, for texts of books' length
    code: None for code in range(128) if chr(code) != "'" and unicodedata.category(chr(code)).startswith("P")
}
UNKNOWN = "<unk>"  # what a language model reads for a word that it does not know
LANGUAGE_MODEL_TASK = "language_model"  # beside ctc and classification, in checkpoints and model files
WORD_BOUNDARY = "▁"  # of word pieces, as SentencePiece writes it
MOST_NAMED = 10


def strip_punctuation(text: str) -> str:
    """Drop Unicode punctuation, but for apostrophes, which belong to words; ’ within a word becomes one."""
    if text.isascii():
        return text.translate(ASCII_PUNCTUATION)
    text = re.sub(r"(?<=\w)’(?=\w)", "'", text)
    return "".join(c for c in text if c == "'" or not unicodedata.category(c).startswith("P"))


def collapse_spaces(text: str) -> str:
    """Bring each run of white space down to one space, none at the ends."""
    return " ".join(text.split())


NORMALIZATIONS: Mapping[str, Callable[[str], str]] = {
    "nfc": lambda text: unicodedata.normalize("NFC", text),
    "nfkc": lambda text: unicodedata.normalize("NFKC", text),
    "lowercase": str.lower,
    "uppercase": str.upper,
    "strip_punctuation": strip_punctuation,
    "collapse_spaces": collapse_spaces,
}


@dataclass(frozen=True)
class Vocabulary:
    """The tokens that a model can write.

    For CTC the blank has id 0 and token ``i`` has id ``i + 1``; labels of a classifier have no blank and
    begin at 0. The blank is never a number in a user's configuration.

    Example:
        >>> vocabulary = Vocabulary(("a", "b"), "character", ("lowercase",))
        >>> vocabulary.encode("AB"), len(vocabulary), vocabulary.blank
        ([1, 2], 3, 0)
    """

    tokens: tuple[str, ...]
    """Characters, words, word pieces, phones or labels, in the order of their ids."""
    unit: Unit = "character"
    """What a token is; ``token`` means pieces of words, those that begin one marked with ▁."""
    normalization: tuple[str, ...] = ()
    """Steps in front of encoding, in order: nfc, nfkc, lowercase, uppercase, strip_punctuation, collapse_spaces."""

    def __post_init__(self) -> None:
        """Check tokens and steps.

        Raises:
            TextError: If there is no token, one is empty, double, no text, or no single character or word
                where it must be, or the unit or a step of the normalisation does not exist.
        """
        for name in ("tokens", "normalization"):
            object.__setattr__(self, name, self.to_tuple(name, getattr(self, name)))
        if self.unit not in UNITS:
            raise TextError(f"vocabulary.unit must be one of {', '.join(UNITS)}, got {self.unit!r}")
        if not self.tokens:
            raise TextError("vocabulary.tokens must not be empty")
        for token in self.tokens:
            self.check_token(token)
        [(token, count)] = Counter(self.tokens).most_common(1)
        if count > 1:
            raise TextError(f"vocabulary.tokens has {token!r} {count} times")
        for step in self.normalization:
            if step not in NORMALIZATIONS:
                [nearest] = difflib.get_close_matches(str(step), NORMALIZATIONS, n=1, cutoff=0.0)
                raise TextError(f"vocabulary.normalization: no step {step!r}; did you mean {nearest!r}?")

    @staticmethod
    def to_tuple(name: str, value: object) -> tuple[Any, ...]:
        """Bring a field to a tuple; a text of tokens is its characters, a text elsewhere one name."""
        if isinstance(value, str):
            return tuple(value) if name == "tokens" else (value,)
        if not isinstance(value, list | tuple):
            raise TextError(f"vocabulary.{name} must be a list, got {value!r}")
        return tuple(value)

    def check_token(self, token: object) -> None:
        """Check one token; errors as the constructor's."""
        if not isinstance(token, str) or not token:  # YAML reads an unquoted yes, no or 1 as no text
            raise TextError(f"vocabulary.tokens must be texts that are not empty (quote them), got {token!r}")
        if self.unit == "character" and len(token) != 1:
            raise TextError(f"vocabulary.tokens must be single characters, got {token!r}")
        if self.is_spaced and token.split() != [token]:
            raise TextError(f"vocabulary.tokens must be {self.unit}s without spaces, got {token!r}")

    def __len__(self) -> int:
        """Count the ids, the blank's included."""
        return len(self.tokens) + self.first_id

    @property
    def blank(self) -> int | None:
        """Id of the blank; None for labels, which have none."""
        return None if self.unit == "label" else 0

    @property
    def is_spaced(self) -> bool:
        """Whether tokens stand in a text with spaces between them, as words do."""
        return self.unit in SPACED_UNITS

    @property
    def first_id(self) -> int:
        """Id of the first token."""
        return 0 if self.unit == "label" else 1

    @cached_property
    def ids(self) -> dict[str, int]:
        """Id of each token."""
        return {token: number for number, token in enumerate(self.tokens, start=self.first_id)}

    @cached_property
    def longest(self) -> int:
        """Characters of the longest token."""
        return max(map(len, self.tokens))

    def normalize(self, text: str) -> str:
        """Take a text through the declared steps."""
        for step in self.normalization:
            text = NORMALIZATIONS[step](text)
        return text

    def split(self, text: str) -> list[str]:
        """Split a text into what should be tokens, after normalising it."""
        text = self.normalize(text)
        if self.unit == "label":
            return [text]
        if self.is_spaced:
            return text.split()
        return list(text) if self.unit == "character" else self.split_pieces(text)

    def split_pieces(self, text: str) -> list[str]:
        """Split a text into word pieces, the longest that fits first; what fits none is split off alone."""
        text = "".join(WORD_BOUNDARY + word for word in text.split())
        pieces = []
        while text:
            sizes = range(min(self.longest, len(text)), 0, -1)
            size = next((size for size in sizes if text[:size] in self.ids), 1)
            pieces.append(text[:size])
            text = text[size:]
        return pieces

    def unknown(self, text: str) -> Counter[str]:
        """Count what the vocabulary cannot spell in a text."""
        return Counter(token for token in self.split(text) if token not in self.ids)

    def encode(self, text: str, where: str = "text") -> list[int]:
        """Turn a text into ids; an empty text has none.

        Args:
            text: The transcript or label, before normalisation.
            where: What to name in an error: the file and utterance.

        Raises:
            TextError: Naming ``where``, and each unknown character with its count. Nothing is ever dropped.
        """
        tokens = self.split(text)
        try:
            return [self.ids[token] for token in tokens]
        except KeyError:
            raise TextError(f"{where}: {self.complain(text)}") from None

    def complain(self, text: str) -> str:
        """Say what the vocabulary lacks."""
        unknown = self.unknown(text).most_common()
        named = ", ".join(f"{token!r} ({count}×)" for token, count in unknown[:MOST_NAMED])
        more = f" and {len(unknown) - MOST_NAMED} more" if len(unknown) > MOST_NAMED else ""
        what = "label" if self.unit == "label" else self.unit
        return (
            f"the vocabulary of {len(self.tokens)} {self.unit}s has no {what} {named}{more}; "
            "add it to vocabulary.tokens, or a step to vocabulary.normalization"
        )

    def decode(self, ids: Iterable[int]) -> str:
        """Turn ids (without blanks) into a text.

        Raises:
            TextError: If an id is no token's.
        """
        tokens = [self.token(number) for number in ids]
        if self.is_spaced or self.unit == "label":
            return " ".join(tokens)
        text = "".join(tokens)
        return text.replace(WORD_BOUNDARY, " ").strip() if self.unit == "token" else text

    def token(self, number: int) -> str:
        """Look up the token of an id; errors as ``decode``."""
        if not self.first_id <= number < len(self):
            raise TextError(f"id {number} is no token's: they go from {self.first_id} to {len(self) - 1}")
        return self.tokens[number - self.first_id]

    def to_dict(self) -> dict[str, Any]:
        """Return plain data: what checkpoints and model files store."""
        return {"tokens": list(self.tokens), "unit": self.unit, "normalization": list(self.normalization)}

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> "Vocabulary":
        """Build the vocabulary from what ``to_dict`` gave; a text for ``tokens`` is a list of its characters.

        Raises:
            TextError: If a key is unknown, tokens are missing, or as the constructor.
        """
        known = [f.name for f in fields(cls)]
        for key in plain:
            if key not in known:
                [nearest] = difflib.get_close_matches(str(key), known, n=1, cutoff=0.0)
                raise TextError(f"vocabulary.{key} does not exist; did you mean vocabulary.{nearest}?")
        if "tokens" not in plain:
            raise TextError("vocabulary.tokens is missing")
        return cls(**plain)


@dataclass(frozen=True)
class SentenceCoder:
    """Sentences as the ids of a language model: a vocabulary's tokens, the end of a sentence, and <unk>.

    The end has id 0, where a model that hears has its blank; <unk> comes behind the last token.

    Example:
        >>> coder = SentenceCoder(Vocabulary(("go", "on"), "word"))
        >>> coder.encode("go on now"), coder.end, len(coder)
        ([1, 2, 3], 0, 4)
    """

    vocabulary: Vocabulary
    """Words or characters."""

    def __len__(self) -> int:
        """Count the ids, those of the end and of <unk> included."""
        return len(self.vocabulary) + 1

    @property
    def end(self) -> int:
        """Id of the end of a sentence."""
        return 0

    @property
    def unknown(self) -> int:
        """Id of whatever the vocabulary does not have."""
        return len(self.vocabulary)

    def encode(self, text: str) -> list[int]:
        """Turn a sentence into ids, without its end; what the vocabulary lacks becomes <unk>."""
        ids = self.vocabulary.ids
        return [ids.get(token, self.unknown) for token in self.vocabulary.split(text)]

    def join(self, tokens: Iterable[str]) -> str:
        """Write tokens as a text: words with spaces between them, characters without."""
        return (" " if self.vocabulary.is_spaced else "").join(tokens)

    def decode(self, ids: Iterable[int]) -> str:
        """Turn ids, without the end, into a text; <unk> is spelled ``<unk>``.

        Raises:
            TextError: If an id is no token's.
        """
        return self.join(UNKNOWN if i == self.unknown else self.vocabulary.token(i) for i in ids)
