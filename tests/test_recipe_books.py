"""The books' prepare.py: sentences as they are read out, and books that a test must not know."""

import gzip
from pathlib import Path

import pytest
from recipe_modules import books
from releases import CLIP

from speechrnn.errors import ManifestError, TextError
from speechrnn.lm import estimate_model
from speechrnn.lm.sentences import read_sentences
from speechrnn.training import download
from speechrnn.training.download import DownloadError

EMMA = """EMMA

By Jane Austen

CHAPTER I

Emma Woodhouse, handsome, clever, and rich, with a comfortable
home--seemed to unite some of the _best_ blessings. She was
21 years old. "Don't go, Mr. Weston!" cried Mrs. Weston; it’s 'the
cliché' of Henry VIII. Go.
"""
QUOTED = "with a comfortable home seemed to unite some of"


@pytest.fixture
def shelf(tmp_path: Path) -> Path:
    folder = tmp_path / "shelf"
    folder.mkdir()
    (folder / "Jane Austen___Emma.txt").write_text(EMMA, encoding="utf-8")
    (folder / "Nobody___Café.txt").write_bytes("A café stood there.\r\n".encode("latin-1"))
    (folder / "notes.md").write_text("no book", encoding="utf-8")
    return folder


def write_held_out(tmp_path: Path, text: str) -> Path:
    table = tmp_path / "test.csv"
    table.write_text(f"audio,text\n{CLIP},{text}\n", encoding="utf-8")
    return table


def read(path: Path) -> list[str]:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return file.read().splitlines()


def test_sentences_are_written_as_they_are_read_out(shelf: Path, tmp_path: Path) -> None:
    prepared = books.prepare_books(shelf, tmp_path / "out")
    assert read(prepared.path) == [
        "by jane austen",
        "emma woodhouse handsome clever and rich with a comfortable home seemed to unite some of the best blessings",
        "don't go mister weston",
        "cried missus weston",
        "a cafe stood there",
    ]
    assert (prepared.num_books, prepared.num_words, prepared.left_out) == (2, 32, ())


def test_a_language_model_is_built_of_it(shelf: Path, tmp_path: Path) -> None:
    prepared = books.prepare_books(shelf, tmp_path / "out")
    model = estimate_model(read_sentences(prepared.path), order=2)
    assert {"mister", "weston", "cafe"} <= set(model.vocabulary)


def test_books_that_share_eight_words_with_a_held_out_transcript_are_left_out(
    shelf: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    held_out = write_held_out(tmp_path, f"so {QUOTED} everything")
    assert (
        books.main(["--source", str(shelf), "--out", str(tmp_path / "out"), "--held-out", str(held_out)]) == 0
    )
    assert read(tmp_path / "out" / books.TEXTS) == ["a cafe stood there"]
    assert "1 books, 4 words, without Jane Austen___Emma" in capsys.readouterr().out
    shorter = write_held_out(tmp_path, QUOTED.rsplit(" ", 2)[0])  # seven of them
    assert books.prepare_books(shelf, tmp_path / "other", held_out=[shorter]).num_books == 2


def test_without_held_out_transcripts_it_says_what_that_means(
    shelf: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert books.main(["--source", str(shelf), "--out", str(tmp_path / "out")]) == 0
    assert "no --held-out" in capsys.readouterr().err
    assert books.main(["--source", str(shelf), "--out", str(tmp_path / "out")]) != 0
    assert "exists already; --overwrite replaces it" in capsys.readouterr().err


def test_folders_without_books_and_shelves_that_are_all_held_out_are_named(
    shelf: Path, tmp_path: Path
) -> None:
    with pytest.raises(TextError, match=r"out: holds no book, NAME.txt"):
        books.prepare_books(tmp_path / "out", tmp_path / "out")
    (shelf / "Nobody___Café.txt").unlink()
    held_out = write_held_out(tmp_path, QUOTED)
    with pytest.raises(TextError, match="shelf: no book is left"):
        books.prepare_books(shelf, tmp_path / "out", held_out=[held_out])
    assert not (tmp_path / "out" / books.TEXTS).exists()
    with pytest.raises(ManifestError, match="gone.csv"):
        books.prepare_books(shelf, tmp_path / "out", held_out=[tmp_path / "gone.csv"])


def test_a_download_that_is_not_the_dataset_is_refused(
    shelf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fetch(urls: object, archive: Path, **_: object) -> None:
        folder = Path(archive).parent / books.FOLDER
        folder.mkdir(parents=True)
        (folder / "Nobody___Nothing.txt").write_text("Not it at all.", encoding="utf-8")

    monkeypatch.setattr(download, "download_release", fetch)
    with pytest.raises(DownloadError, match="is not the Gutenberg Dataset"):
        books.download_books(tmp_path / "release")
