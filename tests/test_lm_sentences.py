"""The text of a language model: files, standard input and manifests, in words and characters."""

import gzip
import io
import sys
from pathlib import Path

import pytest

from speechrnn.errors import ConfigError, ManifestError, TextError
from speechrnn.lm.sentences import LINES_PER_REPORT, read_sentences


def write(folder: Path, content: str | bytes, name: str = "x.txt") -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def test_a_line_is_a_sentence_and_an_empty_line_an_empty_one(tmp_path: Path) -> None:
    path = write(tmp_path, "one  two\tthree \r\n\n four\u00a0five")
    assert list(read_sentences(path)) == [["one", "two", "three"], [], ["four", "five"]]


def test_a_byte_order_mark_is_no_part_of_the_first_word(tmp_path: Path) -> None:
    assert list(read_sentences(write(tmp_path, b"\xef\xbb\xbfone\n"))) == [["one"]]


def test_characters_have_a_name_for_the_space(tmp_path: Path) -> None:
    path = write(tmp_path, " ab  ü\n\n<s>\n")
    expected = [["a", "b", "<space>", "ü"], [], ["<", "s", ">"]]
    assert list(read_sentences(path, unit="character")) == expected


def test_steps_come_in_their_order(tmp_path: Path) -> None:
    path = write(tmp_path, "It’s HERE, now!\n")
    steps = ("strip_punctuation", "lowercase")
    assert list(read_sentences(path, normalization=steps)) == [["it's", "here", "now"]]


def test_a_gzipped_text_is_known_by_its_content(tmp_path: Path) -> None:
    path = write(tmp_path, gzip.compress(b"one\ntwo\n"))
    assert list(read_sentences(path)) == [["one"], ["two"]]


@pytest.mark.parametrize("content", [b"one\ntwo\n", gzip.compress(b"one\ntwo\n")])
def test_a_dash_is_standard_input(content: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    stdin = io.TextIOWrapper(io.BufferedReader(io.BytesIO(content)))
    monkeypatch.setattr(sys, "stdin", stdin)
    assert list(read_sentences("-")) == [["one"], ["two"]]
    assert not stdin.closed


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("x.jsonl", '{"audio": "no.wav", "text": "one two"}\n{"audio": "no.wav", "text": ""}\n'),
        (
            "x.json",
            '{"audio_filepath": "no.wav", "text": "one two"}\n{"audio_filepath": "n.wav", "text": ""}\n',
        ),
        ("x.tsv", "path\tsentence\nno.mp3\tone two\nn.mp3\t\n"),
        ("x.csv", 'audio,text\nno.wav,"one two"\nn.wav,\n'),
    ],
)
@pytest.mark.parametrize("is_gzip", [False, True])
def test_a_manifest_gives_its_transcripts_without_its_audio(
    tmp_path: Path, name: str, content: str, is_gzip: bool
) -> None:
    data = gzip.compress(content.encode()) if is_gzip else content
    path = write(tmp_path, data, f"{name}.gz" if is_gzip else name)
    assert list(read_sentences(path)) == [["one", "two"], []]


def test_a_folder_of_clips_gives_its_transcripts(tmp_path: Path) -> None:
    write(tmp_path, b"", "a.wav")
    write(tmp_path, "one two\n", "a.txt")
    assert list(read_sentences(tmp_path)) == [["one", "two"]]


@pytest.mark.parametrize("word", ["<s>", "</s>", "<unk>"])
def test_a_word_of_the_model_itself_is_refused_with_its_line(tmp_path: Path, word: str) -> None:
    path = write(tmp_path, f"fine\nnot {word} fine\n")
    with pytest.raises(TextError, match=f"x.txt:2: {word} is a word of the language model itself"):
        list(read_sentences(path))


def test_a_word_of_the_model_itself_is_refused_in_a_manifest(tmp_path: Path) -> None:
    path = write(tmp_path, "audio,text\na.wav,fine\nb.wav,<unk>\n", "x.csv")
    with pytest.raises(TextError, match="x.csv:3: <unk> is a word"):
        list(read_sentences(path))


def test_a_broken_line_of_a_manifest_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="x.jsonl:1: "):
        list(read_sentences(write(tmp_path, "{\n", "x.jsonl")))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"fine\n\xff\n", "x.txt:2: is not UTF-8 text"),
        ("fine\n".encode("utf-16-le"), "x.txt:1: holds a zero byte; save the text as UTF-8"),
        (gzip.compress(b"fine\n" * 10000)[:-20], "x.txt: cannot be read"),
    ],
)
def test_what_is_no_text_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(TextError, match=message):
        list(read_sentences(write(tmp_path, content)))


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TextError, match="none.txt: cannot be read: No such file"):
        list(read_sentences(tmp_path / "none.txt"))


def test_an_unknown_step_or_unit_is_refused_with_the_nearest(tmp_path: Path) -> None:
    path = write(tmp_path, "one")
    with pytest.raises(ConfigError, match="no step 'lower'; did you mean 'lowercase'"):
        list(read_sentences(path, normalization=("lower",)))
    with pytest.raises(ConfigError, match="unit must be one of word, character, got 'phone'"):
        list(read_sentences(path, unit="phone"))  # type: ignore[arg-type]


def test_progress_is_told_in_bytes_and_comes_to_its_end(tmp_path: Path) -> None:
    path = write(tmp_path, "one\n" * (LINES_PER_REPORT + 1))
    seen: list[tuple[int, int]] = []
    for _ in read_sentences(path, on_progress=lambda done, total: seen.append((done, total))):
        pass
    assert seen == [(4 * LINES_PER_REPORT, 4 * LINES_PER_REPORT + 4), (1, 1)]
