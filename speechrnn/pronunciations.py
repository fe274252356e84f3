"""How words are said: a dictionary from words to phones, in the layout of CMUdict, as files and models carry it."""

import base64
import itertools
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from speechrnn.errors import ConfigError, TextError

COMMENT, REMARK = ";;;", " #"
VARIANT = re.compile(r"\(\d+\)$")  # read(2) is another way to say read
STRESS = str.maketrans("", "", "012")
ENDINGS = {"'s": " Z", "s'": " Z", "'": "", "s": " Z", "ed": " D", "ing": " IH NG"}  # of English words
SHORTEST_PART = 3  # letters of what a compound is put together from
MOST_WAYS = 8  # to say a phrase
MOST_BYTES = 1 << 25  # of a packed dictionary, when it is unpacked


@dataclass(frozen=True)
class Pronunciations:
    """Words, and for each the ways to say it.

    Example:
        >>> said = Pronunciations.parse(["read  R IY1 D", "read(2)  R EH1 D", "proof  P R UW1 F"], "words.dict")
        >>> said.of("Read"), said.of("proofread")[0]
        (('R IY D', 'R EH D'), 'P R UW F R IY D')
    """

    ways: Mapping[str, tuple[str, ...]]
    """Word, in lower case, to its pronunciations, the usual one first: phones, spaces between them, no stress."""

    @classmethod
    def read(cls, paths: Iterable[Path]) -> "Pronunciations":
        """Read dictionaries; a word that two of them have is said as in the first.

        Raises:
            ConfigError: If one cannot be read or has no word, or a word no phones.
        """
        ways: dict[str, tuple[str, ...]] = {}
        for path in paths:
            ways = {**cls.parse(read_lines(path), str(path)).ways, **ways}
        return cls(ways)

    @classmethod
    def parse(cls, lines: Iterable[str], source: str) -> "Pronunciations":
        """Read the lines of a dictionary, each a word and its phones; ``source`` is named in ``read``'s errors."""
        ways: dict[str, tuple[str, ...]] = {}
        for number, line in enumerate(lines, start=1):
            if line.startswith(COMMENT) or not line.strip():
                continue
            word, *phones = line.partition(REMARK)[0].split()
            if not phones:
                raise ConfigError(f"{source}:{number}: no phones behind the word {word!r}")
            word, way = VARIANT.sub("", word).lower(), " ".join(phones).translate(STRESS)
            if way not in ways.get(word, ()):
                ways[word] = (*ways.get(word, ()), way)
        if not ways:
            raise ConfigError(f"{source}: no words")
        return cls(ways)

    def of(self, word: str) -> tuple[str, ...]:
        """Look a word up; if it is not there, take it apart into an English ending, or two words, that are.

        Returns:
            Ways to say it; none if it is not known.
        """
        word = word.lower()
        if word in self.ways:
            return self.ways[word]
        for ending, phones in ENDINGS.items():
            stem = word.removesuffix(ending)
            if stem != word and stem in self.ways:
                return tuple(way + phones for way in self.ways[stem])
        for end in range(SHORTEST_PART, len(word) - SHORTEST_PART + 1):
            if word[:end] in self.ways and word[end:] in self.ways:
                return tuple(self.combine([word[:end], word[end:]]))
        return ()

    def of_phrase(self, phrase: str) -> tuple[str, ...]:
        """Say words one after the other, in at most ``MOST_WAYS`` ways; nothing is said in one way, which is empty.

        Raises:
            TextError: Naming the words that are not known.
        """
        words = phrase.split()
        unknown = [word for word in words if not self.of(word)]
        if unknown:
            names = ", ".join(map(repr, unknown))
            raise TextError(f"the dictionary does not say how {names} is said; write it in phones")
        return tuple(self.combine(words))

    def combine(self, words: Iterable[str]) -> Iterator[str]:
        """Join known words in all ways, the usual ones first."""
        ways = itertools.product(*(self.of(word) for word in words))
        return (" ".join(way) for way in itertools.islice(ways, MOST_WAYS))

    def pack(self) -> str:
        """Bring it to a short text for ``unpack``: lines of word, tab and phones, by zlib and base64."""
        lines = (f"{word}\t{way}" for word, ways in sorted(self.ways.items()) for way in ways)
        return base64.b64encode(zlib.compress("\n".join(lines).encode(), 9)).decode()

    @classmethod
    def unpack(cls, packed: str) -> "Pronunciations":
        """Read what ``pack`` wrote.

        Raises:
            ConfigError: If it is damaged.
        """
        try:
            unpacking = zlib.decompressobj()
            text = unpacking.decompress(base64.b64decode(packed, validate=True), MOST_BYTES)
            if not unpacking.eof:
                raise ConfigError("pronunciations are damaged: cut short, or too long")
            return cls(join_ways(text.decode().splitlines()))
        except (ValueError, zlib.error) as error:
            raise ConfigError(f"pronunciations are damaged: {error}") from error


def join_ways(lines: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Read lines as ``pack`` writes them: nothing is left to tidy up, and a model opens three times as fast.

    Raises:
        ConfigError: If a line has no phones, or there is none.
    """
    ways: dict[str, tuple[str, ...]] = {}
    for line in lines:
        word, _, way = line.partition("\t")
        if not way:
            raise ConfigError(f"pronunciations are damaged: no phones behind the word {word!r}")
        ways[word] = (*ways.get(word, ()), way)
    if not ways:
        raise ConfigError("pronunciations are damaged: no words")
    return ways


def read_lines(path: Path) -> list[str]:
    """Read a dictionary's lines; a ``ConfigError`` if that fails."""
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8: {error.reason} at byte {error.start}") from error
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
