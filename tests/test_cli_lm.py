"""``speechrnn lm``: its actions, what they print, and how they fail."""

import json
import sys
from pathlib import Path

import pytest

from speechrnn.cli.main import LM, main
from speechrnn.lm import read_lm

TEXT = "turn the light on\nturn the light off\nturn it on\n"


@pytest.fixture
def text(tmp_path: Path) -> str:
    (tmp_path / "x.txt").write_text(TEXT)
    return str(tmp_path / "x.txt")


@pytest.fixture
def model(text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> str:
    assert main(["lm", "build", text, "-o", str(tmp_path / "x.arpa"), "--order", "3"]) == 0
    capsys.readouterr()
    return str(tmp_path / "x.arpa")


# ---- Finding the action ---------------------------------------------------------------------------------


def test_help_lists_the_actions(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lm", "--help"]) == 0
    out = capsys.readouterr().out
    assert all(name in out and action.summary in out for name, action in LM.items())


@pytest.mark.parametrize("action", list(LM))
def test_every_action_has_help(action: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lm", action, "--help"]) == 0
    assert f"usage: speechrnn lm {action}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "usage: speechrnn lm COMMAND ..."),
        (["biuld", "x"], "no command 'biuld'; did you mean `speechrnn lm build`?"),
        (["zzz"], f"no command 'zzz'; commands are {', '.join(LM)}"),
        (["build", "x", "-o", "y.arpa", "--ordr", "3"], "unknown argument '--ordr'; did you mean --order?"),
        (["build", "x", "-o", "y.arpa", "--unit", "phone"], "invalid choice: 'phone'"),
        (["build", "x"], "the following arguments are required: --output/-o"),
        (["convert", "x"], "the following arguments are required: OUT"),
    ],
)
def test_wrong_usage_is_answered_with_what_is_meant(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["lm", *arguments]) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.out == ""


# ---- build ----------------------------------------------------------------------------------------------


def test_build_writes_a_model_and_tells_its_size(
    text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "new" / "x.arpa"
    assert main(["lm", "build", text, "-o", str(path), "--order", "2"]) == 0
    # <unk> <s> </s> turn the light on off it; <s> turn, turn the, the light, light on, light off, on </s>,
    # off </s>, turn it, it on
    captured = capsys.readouterr()
    assert captured.out == f"{path}: 9 1-grams, 9 2-grams of words\n"
    # bigrams that come once, twice, three times: 7, 1, 1; unigrams lack the last
    assert "speechrnn: warning: 1-grams: too little or too regular text" in captured.err
    assert read_lm(path).counts == (9, 9)


def test_build_takes_several_texts_and_manifests(text: str, tmp_path: Path) -> None:
    manifest = tmp_path / "x.jsonl"
    manifest.write_text('{"audio": "none.wav", "text": "GOOD morning!"}\n')
    path = tmp_path / "x.srlm"
    steps = ["--normalize", "lowercase", "strip_punctuation"]
    assert main(["lm", "build", text, str(manifest), "-o", str(path), "--order", "2", *steps]) == 0
    assert {"good", "morning", "light"} < set(read_lm(path).vocabulary)


def test_build_makes_models_of_characters(text: str, tmp_path: Path) -> None:
    path = tmp_path / "x.arpa.gz"
    assert main(["lm", "build", text, "-o", str(path), "--unit", "character"]) == 0
    model = read_lm(path)
    assert (model.unit, model.order) == ("character", 4)
    assert "<space>" in model.vocabulary


def test_build_prunes(text: str, tmp_path: Path) -> None:
    path = tmp_path / "x.arpa"
    assert main(["lm", "build", text, "-o", str(path), "--order", "2", "--prune", "0", "1"]) == 0
    # that come twice: <s> turn, turn the, the light, on </s>
    assert read_lm(path).counts == (9, 4)


def test_convert_rounds_and_packs(text: str, tmp_path: Path) -> None:
    exact, small = tmp_path / "x.arpa", tmp_path / "x.srlm.xz"
    assert main(["lm", "build", text, "-o", str(exact), "--order", "2"]) == 0
    assert main(["lm", "convert", str(exact), str(small), "--step", "0.5"]) == 0
    log_probs = read_lm(small).log_probs
    assert (log_probs % 0.5 == 0).all()
    assert abs(log_probs - read_lm(exact).log_probs).max() <= 0.25 + 1e-6
    assert main(["lm", "convert", str(exact), str(tmp_path / "y.srlm"), "--step", "0"]) == 1


def test_build_keeps_what_matters_most(text: str, tmp_path: Path) -> None:
    path = tmp_path / "x.arpa"
    few = ["--order", "2", "--most-words", "3", "--most-ngrams", "9"]
    assert main(["lm", "build", text, "-o", str(path), *few]) == 0
    model = read_lm(path)
    assert set(model.vocabulary) == {"<unk>", "<s>", "</s>", "turn", "the", "light"}
    assert model.counts == (6, 3)


def test_build_keeps_to_a_vocabulary(text: str, tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("turn\nlight on\n")
    path, words = tmp_path / "x.arpa", str(tmp_path / "words.txt")
    assert main(["lm", "build", text, "-o", str(path), "--order", "2", "--vocabulary", words]) == 0
    assert set(read_lm(path).vocabulary) == {"<unk>", "<s>", "</s>", "turn", "light", "on"}


def test_build_says_words_in_phones(text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    dictionary = tmp_path / "few.dict"
    dictionary.write_text("turn  T ER1 N\nthe  DH AH0\nthe(2)  DH IY0\nlight  L AY1 T\non  AA1 N\n")
    given = ["lm", "build", text, "-o", str(tmp_path / "phones.arpa"), "--order", "2"]
    assert main([*given, "--pronunciations", str(dictionary)]) == 0
    model = read_lm(tmp_path / "phones.arpa")  # of the one sentence that has neither "off" nor "it"
    assert set(model.vocabulary) == {"<unk>", "<s>", "</s>", *["T", "ER", "N", "DH", "AH", "L", "AY", "AA"]}
    capsys.readouterr()
    assert main([*given, "--pronunciations", str(dictionary), "--unit", "character", "--overwrite"]) == 2
    assert "--pronunciations says words: it does not go with --unit character" in capsys.readouterr().err


def test_build_replaces_only_on_demand(text: str, model: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lm", "build", text, "-o", model, "--order", "1"]) == 1
    assert "exists already; --overwrite replaces it" in capsys.readouterr().err
    assert read_lm(model).order == 3
    assert main(["lm", "build", text, "-o", model, "--order", "1", "--overwrite"]) == 0
    assert read_lm(model).order == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["{text}", "-o", "{folder}/x.bin"],
            "x.bin: the name must end in .arpa, .arpa.gz, .srlm or .srlm.xz",
        ),
        (["{folder}/none.txt", "-o", "{folder}/y.arpa"], "none.txt: cannot be read: No such file"),
        (["{folder}/empty.txt", "-o", "{folder}/y.arpa"], "the text holds no words"),
        (
            ["{folder}/wrong.txt", "-o", "{folder}/y.arpa"],
            "wrong.txt:2: </s> is a word of the language model",
        ),
        (["{text}", "-o", "{folder}/y.arpa", "--order", "0"], "order must be >= 1, got 0"),
        (["{text}", "-o", "{folder}/y.arpa", "--prune", "1", "0"], "prune must be >= 0 and never fall"),
        (
            ["{text}", "-o", "{folder}/y.arpa", "--normalize", "lower"],
            "no step 'lower'; did you mean 'lowercase'?",
        ),
        (["{text}", "-o", "{folder}/y.arpa", "--vocabulary", "{folder}/none"], "none: cannot be read"),
        (["{text}", "-o", "{folder}/y.arpa", "--most-words", "0"], "most_words must be >= 1, got 0"),
        (["{text}", "-o", "{folder}/y.arpa", "--most-ngrams", "8"], "most_ngrams must be >= the 9 words"),
    ],
)
def test_build_says_what_is_wrong_and_writes_nothing(
    text: str, tmp_path: Path, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty.txt").write_text("\n\n")
    (tmp_path / "wrong.txt").write_text("fine\nnot </s>\n")
    before = sorted(tmp_path.iterdir())
    assert main(["lm", "build", *(each.format(text=text, folder=tmp_path) for each in arguments)]) == 1
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.out == ""
    assert sorted(tmp_path.iterdir()) == before


# ---- perplexity, convert, info --------------------------------------------------------------------------


def test_perplexity_prints_a_line_for_each_text_and_their_total(
    text: str, model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("numba")
    (tmp_path / "y.txt").write_text("turn the radio off\n")
    other = str(tmp_path / "y.txt")
    assert main(["lm", "perplexity", model, text, other]) == 0
    header, *rows = capsys.readouterr().out.splitlines()
    assert header.split() == ["sentences", "words", "unknown", "perplexity", "without", "unknown"]
    assert [row.split()[:4] for row in rows] == [
        [text, "3", "11", "0"],
        [other, "1", "4", "1"],
        ["total", "4", "15", "1"],
    ]
    assert len({len(row) for row in (header, *rows)}) == 1


def test_perplexity_prints_json(text: str, model: str, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("numba")
    assert main(["lm", "perplexity", model, text, "--json"]) == 0
    measured = json.loads(capsys.readouterr().out)
    assert measured["texts"] == {text: measured["total"]}
    assert (measured["total"]["words"], measured["total"]["unknown"]) == (11, 0)
    assert 1 < measured["total"]["perplexity"] == measured["total"]["perplexity_of_known"] < 9


def test_perplexity_of_characters_counts_characters(
    text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("numba")
    path = str(tmp_path / "c.srlm")
    main(["lm", "build", text, "-o", path, "--unit", "character"])
    capsys.readouterr()
    assert main(["lm", "perplexity", path, text, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["total"]["characters"] == len(TEXT) - 3


def test_perplexity_without_numba_says_what_to_install(
    text: str, model: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "numba", None)
    monkeypatch.delitem(sys.modules, "speechrnn.lm.scoring", raising=False)
    assert main(["lm", "perplexity", model, text]) == 1
    assert 'pip install "speechrnn[lm]"' in capsys.readouterr().err


def test_convert_there_and_back_gives_the_same_file(
    model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    binary, back = str(tmp_path / "x.srlm"), str(tmp_path / "back.arpa")
    assert main(["lm", "convert", model, binary]) == 0
    assert main(["lm", "convert", binary, back]) == 0
    assert Path(back).read_bytes() == Path(model).read_bytes()
    assert main(["lm", "convert", model, back]) == 1
    assert "exists already" in capsys.readouterr().err
    assert main(["lm", "convert", model, back, "--overwrite"]) == 0


def test_convert_does_not_pass_damage_on(
    model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    binary = tmp_path / "x.srlm"
    main(["lm", "convert", model, str(binary)])
    raw = bytearray(binary.read_bytes())
    raw[-1] ^= 1
    binary.write_bytes(raw)
    assert main(["lm", "convert", str(binary), str(tmp_path / "y.arpa")]) == 1
    assert "its suffixes are damaged" in capsys.readouterr().err
    assert not (tmp_path / "y.arpa").exists()


def test_info_shows_what_is_in_a_model(
    model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["lm", "info", model]) == 0
    shown = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert (shown["format"], shown["unit"], shown["order"], shown["vocabulary"]) == ("ARPA", "word", "3", "9")
    assert (shown["1-grams"], shown["2-grams"], shown["3-grams"]) == ("9", "9", "9")
    assert shown["size_bytes"] == str(Path(model).stat().st_size)


def test_info_prints_json(model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    binary = str(tmp_path / "x.srlm")
    main(["lm", "convert", model, binary])
    assert main(["lm", "info", binary, "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["path"], shown["format"], shown["counts"]) == (binary, "binary", [9, 9, 9])


@pytest.mark.parametrize("action", ["info", "perplexity"])
def test_a_file_that_is_no_model_is_an_error(
    text: str, action: str, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [text, text] if action == "perplexity" else [text]
    assert main(["lm", action, *arguments]) == 1
    assert f"{text}:3: this is no ARPA file" in capsys.readouterr().err
