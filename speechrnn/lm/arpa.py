"""Language models read from ARPA files, plain or gzipped: the text format of every n-gram toolkit."""

import math
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from speechrnn.errors import ModelFileError
from speechrnn.lm.lines import Lines, open_lines
from speechrnn.lm.ngram import BEGIN_OF_SENTENCE, END_OF_SENTENCE, LM_UNITS, UNKNOWN, LmUnit, NgramModel
from speechrnn.lm.progress import OnProgress, ignore_progress
from speechrnn.lm.trie import Level, build_model

LN_10 = math.log(10)
CHUNK = 100_000  # lines in memory at a time
COUNT = re.compile(rb"ngram\s+(\d+)\s*=\s*(\d+)$")
UNIT_COMMENT = re.compile(rb"#\s*unit:\s*(\w+)$")
LOG10_UNKNOWN = -100.0  # KenLM's unknown_missing_logprob
FOREIGN_UNKNOWN = b"<UNK>"
MOST_SHOWN = 60  # characters of a wrong line


def read_arpa(
    path: str | os.PathLike[str], *, unit: LmUnit | None = None, on_progress: OnProgress | None = None
) -> NgramModel:
    r"""Read an ARPA file.

    Blanks and tabs are the same, line ends may be Windows', back-off weights may be left out, and
    anything may stand before ``\data\`` and after ``\end\``. ``<UNK>`` is read as ``<unk>``. A file
    without ``<unk>`` gives words that it does not know the log10 probability -100, as KenLM does. Contexts
    that are no n-grams themselves are added, which changes no score.

    Args:
        path: The file, gzipped or not, whatever its name.
        unit: What its words are; when not given, what a comment ``# unit: character`` says, or else words.
        on_progress: Told the n-grams read, and their number.

    Raises:
        ModelFileError: Naming line, value and cure, if it cannot be read, is no ARPA file or ends early,
            its counts are not those of its sections, a line is no n-gram of its section, a word is not
            among the unigrams, a log probability is positive, an n-gram comes twice, or <s> or </s> lacks.
    """
    with open_lines(Path(path)) as lines:
        return ArpaReader(lines, on_progress or ignore_progress).read(unit)


class ArpaReader:
    """Reads section by section what ``read_arpa`` promises."""

    def __init__(self, lines: Lines, on_progress: OnProgress) -> None:
        self.lines, self.on_progress = lines, on_progress
        self.ids: dict[bytes, int] = {}
        self.counts: list[int] = []
        self.starts: list[int] = []  # line of each section's header
        self.num_read = 0

    def read(self, unit: LmUnit | None) -> NgramModel:
        """Read the whole file."""
        named = self.skip_to_data()
        header = self.read_counts()
        levels = []
        for order in range(1, len(self.counts) + 1):
            levels.append(self.read_section(order, header))
            header = self.lines.filled()
            if order == 1:
                levels[0] = self.complete_unigrams(levels[0])
        if header != b"\\end\\":
            self.fail_between(header, "\\end\\")
        return build_model(self.decode_words(), levels, unit=unit or named, place=self.place)

    def skip_to_data(self) -> LmUnit:
        r"""Skip what stands before \data\, and return the unit that a comment there names."""
        unit: LmUnit = "word"
        while (line := self.lines.filled()) != b"\\data\\":
            if not line:
                self.lines.fail("this is no ARPA file, it has no line \\data\\; give an ARPA or .srlm file")
            found = UNIT_COMMENT.match(line)
            if found and found[1].decode() in LM_UNITS:
                unit = "character" if found[1] == b"character" else "word"
        return unit

    def read_counts(self) -> bytes:
        r"""Read the counts of \data\, and return the line after them."""
        while not (line := self.lines.filled()).startswith(b"\\"):
            found = COUNT.match(line)
            if not found or int(found[1]) != len(self.counts) + 1:
                wanted = f"`ngram {len(self.counts) + 1}=COUNT` or `\\1-grams:`"
                self.lines.fail(f"expected {wanted}, got {shown(line) if line else 'the end of the file'}")
            self.counts.append(int(found[2]))
        if not self.counts:
            self.lines.fail("\\data\\ has no counts; it needs a line `ngram 1=COUNT` and one for each order")
        return line

    def read_section(self, order: int, header: bytes) -> Level:
        """Read the n-grams of one order."""
        if header != b"\\%d-grams:" % order:
            self.fail_between(header, f"\\{order}-grams:")
        self.starts.append(self.lines.number)
        chunks = [self.parse(lines, order) for lines in self.chunks(order)]
        if not chunks:
            return Level(np.empty((0, order), np.int32), np.empty(0), np.empty(0))
        ngrams, log_probs, backoffs = (np.concatenate(part) for part in zip(*chunks, strict=True))
        is_last = order == len(self.counts)  # back-off weights mean nothing there
        return Level(ngrams, log_probs * LN_10, backoffs * (0.0 if is_last else LN_10))

    def chunks(self, order: int) -> Iterator[list[bytes]]:
        """Give the lines of a section, some at a time."""
        missing = count = self.counts[order - 1]
        while missing:
            lines = self.lines.take(min(CHUNK, missing))
            missing -= len(lines)
            if not lines:
                self.lines.fail(
                    f"the file is cut off: it ends after {count - missing} of {count} {order}-grams"
                )
            yield lines
            self.num_read += len(lines)
            self.on_progress(self.num_read, sum(self.counts))

    def parse(
        self, lines: list[bytes], order: int
    ) -> tuple[NDArray[np.int32], NDArray[np.float64], NDArray[np.float64]]:
        """Turn lines into word ids (n, order), log10 probabilities and log10 back-off weights."""
        rows = [line.split() for line in lines]
        if not {len(row) for row in rows} <= {order + 1, order + 2}:
            self.find_fault(lines, order)
        for row in rows:
            if len(row) == order + 1:
                row.append(b"0")
        first, *words, last = zip(*rows, strict=True)
        if order == 1:
            self.number_words(words[0])
        try:
            log_probs, backoffs = to_numbers(first), to_numbers(last)
            ids = np.stack([self.look_up(column) for column in words], axis=1)
        except (KeyError, ValueError):
            self.find_fault(lines, order)
        if not (np.isfinite(log_probs) & np.isfinite(backoffs) & (log_probs <= 0)).all():
            self.find_fault(lines, order)
        return ids, log_probs, backoffs

    def look_up(self, words: Sequence[bytes]) -> NDArray[np.int32]:
        """Find the ids of words; KeyError if one has none."""
        return np.fromiter(map(self.ids.__getitem__, words), np.int32, len(words))

    def number_words(self, words: Sequence[bytes]) -> None:
        """Give unigrams their ids."""
        first = len(self.ids)
        wanted = range(first, first + len(words))
        numbered = dict(zip(words, wanted, strict=True))
        if len(numbered) != len(words) or not self.ids.keys().isdisjoint(numbered):
            self.fail_double(words, first)
        self.ids.update(numbered)

    def fail_double(self, words: Sequence[bytes], first: int) -> NoReturn:
        """Say which unigram comes twice; ``first`` is the row of the first of them."""
        for row, word in enumerate(words, start=first):
            if self.ids.setdefault(word, row) != row:
                earlier = self.place(1, self.ids[word])
                raise ModelFileError(f"{self.place(1, row)}: {shown(word)} was already at {earlier}")
        raise AssertionError("no unigram comes twice")

    def complete_unigrams(self, level: Level) -> Level:
        """Check that the three special words are there; a missing <unk> is added."""
        for word in (BEGIN_OF_SENTENCE, END_OF_SENTENCE):
            if word.encode() not in self.ids:
                self.lines.fail(f"the 1-grams lack {word}; a model of sentences needs it", self.starts[0])
        for foreign in (UNKNOWN.encode(), FOREIGN_UNKNOWN):
            if foreign in self.ids:
                self.ids = {**self.ids, UNKNOWN.encode(): self.ids[foreign]}
                return level
        self.ids[UNKNOWN.encode()] = unknown = len(self.ids)
        return Level(
            np.append(level.ngrams, np.array([[unknown]], np.int32), axis=0),
            np.append(level.log_probs, LOG10_UNKNOWN * LN_10),
            np.append(level.backoffs, 0.0),
        )

    def decode_words(self) -> list[str]:
        """Spell the words in the order of their ids."""
        spelled = {number: word for word, number in self.ids.items()}  # <unk> comes after its other spelling
        try:
            return [spelled[number].decode() for number in range(len(spelled))]
        except UnicodeDecodeError:
            self.fail_spelling()

    def fail_spelling(self) -> NoReturn:
        """Say which unigram is no UTF-8."""
        for word, number in self.ids.items():
            try:
                word.decode()
            except UnicodeDecodeError as error:
                raise ModelFileError(f"{self.place(1, number)}: is not UTF-8 text: {error}") from error
        raise AssertionError("all unigrams are UTF-8")

    def place(self, order: int, row: int) -> str:
        """Name the line of an n-gram."""
        return f"{self.lines.path}:{self.starts[order - 1] + 1 + row}"

    def find_fault(self, lines: list[bytes], order: int) -> NoReturn:
        """Say what is wrong with one of the lines that were taken last."""
        for number, line in enumerate(lines, start=self.lines.number - len(lines) + 1):
            if message := self.judge(line.split(), order, number):
                self.lines.fail(message, number)
        raise AssertionError("all lines are right")

    def judge(self, fields: list[bytes], order: int, number: int) -> str:
        """Say what is wrong with a line of n-grams; "" if nothing."""
        if not fields or fields[0].startswith(b"\\"):
            count = self.counts[order - 1]
            found = number - self.starts[order - 1] - 1
            return f"there are {found} {order}-grams; \\data\\ says `ngram {order}={count}`"
        if len(fields) not in (order + 1, order + 2):
            words = "1 word" if order == 1 else f"{order} words"
            wanted = f"a log10 probability, {words} and perhaps a back-off weight"
            return f"expected {wanted}, got {len(fields)} fields: {shown(b' '.join(fields))}"
        for field in (fields[0], *fields[order + 1 :]):
            if not is_number(field):
                return f"{shown(field)} is not a number"
        if float(fields[0]) > 0:
            return f"a log10 probability must be <= 0, got {shown(fields[0])}"
        missing = [word for word in fields[1 : order + 1] if order > 1 and word not in self.ids]
        return f"the word {shown(missing[0])} is not among the 1-grams" if missing else ""

    def fail_between(self, line: bytes, wanted: str) -> NoReturn:
        """Say what is wrong with a line that should begin a section."""
        order = len(self.starts)
        if not line:
            self.lines.fail(f"the file is cut off: it ends before {wanted}")
        if order and is_number(line.split()[0]):
            says = f"\\data\\ says `ngram {order}={self.counts[order - 1]}`"
            self.lines.fail(f"there are more {order}-grams than that: {says}")
        self.lines.fail(f"expected {wanted}, got {shown(line)}")


def to_numbers(fields: Sequence[bytes]) -> NDArray[np.float64]:
    """Read numbers; ValueError if one is none."""
    return np.fromiter(map(float, fields), np.float64, len(fields))


def is_number(field: bytes) -> bool:
    """Tell whether a field is a finite number."""
    try:
        return math.isfinite(float(field))
    except ValueError:
        return False


def shown(line: bytes) -> str:
    """Show a piece of the file in an error."""
    text = line.decode(errors="backslashreplace")
    return repr(text if len(text) <= MOST_SHOWN else f"{text[:MOST_SHOWN]}…")
