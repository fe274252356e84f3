"""Books: the text of a language model for read English, a sentence a line.

The Gutenberg Dataset (Lahiri, 2014, "Complexity of Word Collocation Networks: A Preliminary Structural Analysis", EACL
Student Research Workshop): 3,036 English books by 142 authors, of Project Gutenberg.

Example:
    python recipes/books/prepare.py --held-out exp/librispeech/data/test.jsonl.gz    # downloads it, 430 MB
    python recipes/books/prepare.py --source DIR                                     # a folder of .txt files
"""

import argparse
import gzip
import hashlib
import re
import sys
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from speechrnn.cli.console import Progress, put, say
from speechrnn.cli.recipe import megabytes, recipe_parser, run_guarded
from speechrnn.errors import TextError
from speechrnn.manifest import read_manifest
from speechrnn.new_file import new_file
from speechrnn.training.download import fetch_release, ignore_progress

OWNER, REPOSITORY = "LuEE-C", "FewShotAuthorClassificationMetaLearning"
COMMIT = "4b14509afcb681cbbd305d562a112ed5f17f868a"  # of a copy; the author gives the archive by a form
URLS = (f"https://codeload.github.com/{OWNER}/{REPOSITORY}/zip/{COMMIT}",)
FOLDER = Path(f"{REPOSITORY}-{COMMIT}", "Gutenberg", "txt")
# GitHub packs the archive anew when asked, so what is checked are the names.
NAMES_SHA256 = "385b2634a3cfa2ca9f1da387ff936fe75e711418c6293a49ae23f1fe00f01758"
TEXTS = "books.txt.gz"
SHARED = 8  # words in a row that two texts have in common only if one quotes the other
TITLES = {
    "mr": "mister",
    "mrs": "missus",
    "dr": "doctor",
    "st": "saint",
    "messrs": "messieurs",
    "capt": "captain",
}
TITLES |= {"col": "colonel", "gen": "general", "lieut": "lieutenant", "rev": "reverend", "prof": "professor"}
TITLE = re.compile(rf"\b({'|'.join(TITLES)})\.", re.IGNORECASE)
ENDS = re.compile(r"(?<=[.!?;:])[\"')\]]*\s+")
NUMBER = re.compile(r"\d|\b(?=[IVXLC]{2})[IVXLC]+\b")  # how it is said depends
LOOSE_APOSTROPHE = re.compile(r"(?<![a-z])'+|'+(?![a-z])")
LEAST_WORDS = 2  # of a sentence; most others are headings


@dataclass(frozen=True)
class PreparedText:
    """What was written."""

    path: Path
    """A sentence a line, gzipped."""
    num_books: int
    """In it."""
    num_words: int
    """In it."""
    left_out: tuple[str, ...]
    """Names of books that share text with what is held out."""

    def __str__(self) -> str:
        """Sum it up in a line."""
        without = f", without {', '.join(self.left_out)}" if self.left_out else ""
        return f"{self.path}: {self.num_books:,} books, {self.num_words:,} words{without}"


def download_books(
    target: Path, *, on_progress: Callable[[int, int | None], object] = ignore_progress
) -> Path:
    """Download and unpack the books, unless they lie there already, and return their folder.

    Raises:
        DownloadError: If they cannot be had, or are not those that they should be.
    """
    return fetch_release(
        target / FOLDER,
        is_whole,
        URLS,
        target / f"{REPOSITORY}.zip",
        otherwise="what was downloaded is not the Gutenberg Dataset; try again",
        on_progress=on_progress,
    )


def is_whole(folder: Path) -> bool:
    """Tell whether a folder holds the dataset's books."""
    names = "\n".join(sorted(path.name for path in folder.glob("*.txt")))
    return hashlib.sha256(names.encode()).hexdigest() == NAMES_SHA256


def prepare_books(
    source: Path,
    out: Path,
    *,
    held_out: Sequence[Path] = (),
    overwrite: bool = False,
    on_book: Callable[[], object] = bool,
) -> PreparedText:
    """Write ``books.txt.gz``: sentences in lower case, of letters and apostrophes alone.

    Args:
        source: Folder of books, ``.txt``.
        out: Folder to write into.
        held_out: Manifests that the language model must not know; books that share eight words in a row with a
            transcript are left out whole.
        overwrite: Replace an existing file instead of refusing.
        on_book: Called for each book, for a progress bar.

    Raises:
        ManifestError: If a manifest cannot be read.
        TextError: If there is no book, or none is left, one cannot be read, or the file exists.
    """
    books = find_books(source)
    wanted = {
        run
        for manifest in held_out
        for utterance in read_manifest(manifest)
        for run in runs(utterance.text.split())
    }
    num_words, left_out = 0, []
    with new_file(out / TEXTS, overwrite=overwrite, error=TextError) as partial:
        with gzip.open(partial, "wt", encoding="utf-8", compresslevel=1) as file:
            for book in books:
                on_book()
                sentences = list(to_sentences(read_book(book)))
                words = " ".join(sentences).split()
                if not wanted.isdisjoint(runs(words)):
                    left_out.append(book.stem)
                    continue
                num_words += len(words)
                file.writelines(f"{sentence}\n" for sentence in sentences)
        if not num_words:
            raise TextError(f"{source}: no book is left")
    return PreparedText(out / TEXTS, len(books) - len(left_out), num_words, tuple(left_out))


def find_books(source: Path) -> list[Path]:
    """List the books of a folder in the order of their names; a ``TextError`` if there is none."""
    books = sorted(source.glob("*.txt"))
    if not books:
        raise TextError(f"{source}: holds no book, NAME.txt")
    return books


def read_book(path: Path) -> str:
    """Read a book in UTF-8 or, as older ones are, in Latin-1; a ``TextError`` if it cannot be read."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise TextError(f"{path}: cannot be read: {error.strerror}") from error
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def runs(words: Sequence[str]) -> Iterator[str]:
    """List all ``SHARED`` words in a row."""
    return (" ".join(words[start : start + SHARED]) for start in range(len(words) - SHARED + 1))


def to_sentences(text: str) -> Iterator[str]:
    """Part a book into sentences as they are read out, leaving out headings and what has numbers in digits."""
    text = text.replace("’", "'").replace("--", " ").replace("_", "")
    letters = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    for paragraph in re.split(r"\n\s*\n", letters.replace("\r", "")):
        if paragraph.isupper():
            continue
        spelled_out = TITLE.sub(lambda found: TITLES[found[1].lower()], " ".join(paragraph.split()))
        for sentence in ENDS.split(spelled_out):
            words = LOOSE_APOSTROPHE.sub(" ", re.sub(r"[^a-z']+", " ", sentence.lower())).split()
            if len(words) >= LEAST_WORDS and not NUMBER.search(sentence):
                yield " ".join(words)


def prepare(args: argparse.Namespace) -> None:
    """Prepare what the command line asks for."""
    source = args.source
    if source is None:
        with megabytes("downloading books") as on_progress:
            source = download_books(args.out / "release", on_progress=on_progress)
    with Progress("preparing books", total=len(find_books(source))) as progress:
        prepared = prepare_books(
            source, args.out, held_out=args.held_out, overwrite=args.overwrite, on_book=progress.advance
        )
    put(str(prepared))
    if not args.held_out:
        say("no --held-out: a test of recordings of these books would be no test")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the recipe's command line and return the exit status."""
    parser = recipe_parser(
        "Prepare books for a language model: a sentence a line.",
        out="exp/books",
        default_source="the Gutenberg Dataset, which is downloaded",
        writes=TEXTS,
    )
    parser.add_argument(
        "--held-out",
        action="append",
        default=[],
        type=Path,
        metavar="MANIFEST",
        help="leave out books that share text with these transcripts; may be given several times",
    )
    args = parser.parse_args(argv)
    return run_guarded(lambda: prepare(args))


if __name__ == "__main__":
    sys.exit(main())
