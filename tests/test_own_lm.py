"""A model that names its language model is read with it, unless somebody says otherwise."""

import json
import shutil
import sys
from pathlib import Path

import pytest
import soundfile
from test_pronunciations import write_phone_model
from tiny_model import SAMPLE_RATE, speak

from speechrnn.cli.main import main
from speechrnn.decoding import ConfidenceScale, DecodingOptions
from speechrnn.errors import ConfigError, ModelFileError
from speechrnn.lm import estimate_model, read_lm, write_lm
from speechrnn.runtime import ModelFile, Transcriber
from speechrnn.runtime.interpretation import DEFAULT_LM_CHOICE
from speechrnn.runtime.metadata import write_metadata
from speechrnn.runtime.provenance import describe_decoder

SENTENCES = [["abba", "cab"], ["cab", "dab"], ["dab", "abba"]]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A model of phones, and beside it the language model that its card names."""
    write_lm(estimate_model(SENTENCES, order=2), tmp_path / "tonal.srlm.xz")
    return write_phone_model(tmp_path / "tones.onnx", hears="tones", language_model="tonal")


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    path = tmp_path / "clip.wav"
    soundfile.write(path, speak("abbacb"), SAMPLE_RATE, subtype="PCM_16")
    return path


def test_the_language_model_beside_the_model_is_used(model: Path, clip: Path) -> None:
    own = Transcriber(model)
    lm = read_lm(model.with_name("tonal.srlm.xz"))
    given = Transcriber(model, decoding=DecodingOptions(lm=lm))
    assert (own.own_lm, given.own_lm) == ("tonal", None)
    assert own.transcribe(clip).text == "abba cab"
    assert own.transcribe(clip) == given.transcribe(clip)
    assert describe_decoder(own.interpreter)["lm"] is True


@pytest.mark.parametrize(
    "decoding",
    [
        DecodingOptions(alpha=0.0),
        DecodingOptions(lexicon=["cab", "abba"]),
        DecodingOptions(phrases=["abba cab", "cab"]),
    ],
)
def test_it_is_left_out_where_it_is_not_wanted(model: Path, clip: Path, decoding: DecodingOptions) -> None:
    transcriber = Transcriber(model, decoding=decoding)
    assert transcriber.own_lm is None
    assert transcriber.interpreter.options == decoding
    assert transcriber.transcribe(clip).text.upper() in ("A B B A C B", "ABBA CAB")


def test_other_wishes_go_with_it(model: Path, clip: Path) -> None:
    transcriber = Transcriber(model, decoding=DecodingOptions(n_best=2))
    assert transcriber.own_lm == "tonal"
    found = transcriber.transcribe(clip)
    assert {*found.text.split(), *found.alternatives[0].text.split()} <= {"abba", "cab", "dab"}


def test_a_language_model_that_is_missing_is_named_with_the_cures(model: Path) -> None:
    model.with_name("tonal.srlm.xz").unlink()
    with pytest.raises(
        ModelFileError, match="tones.onnx: is read with the language model tonal, .*--lm none"
    ):
        Transcriber(model)


def test_without_numba_the_extra_and_the_way_around_are_named(
    model: Path, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "numba", None)
    for module in ("speechrnn.lm.scoring", "speechrnn.decoding.beam_kernel"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    with pytest.raises(ConfigError, match=r"the language model tonal: .*speechrnn\[lm\]\"; or .*--lm none"):
        Transcriber(model)
    assert Transcriber(model, decoding=DecodingOptions(alpha=0.0)).transcribe(clip).text == "A B B A C B"


def test_transcribe_tells_of_it_and_can_do_without(
    model: Path, clip: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["transcribe", "-m", str(model), str(clip)]) == 0
    captured = capsys.readouterr()
    assert captured.out == "abba cab\n"
    assert "model tones: tones; read with the language model tonal" in captured.err
    assert main(["transcribe", "-m", str(model), str(clip), "--lm", "none", "-f", "json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["text"] == "A B B A C B"
    assert answer["decoder"]["method"] == "greedy"
    assert main(["transcribe", "-m", str(model), str(clip), "--lm", "none", "--lm-alpha", "1"]) == 2
    assert "--lm-alpha weighs a language model" in capsys.readouterr().err


def test_weights_on_the_command_line_weigh_it(
    model: Path, clip: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["transcribe", "-m", str(model), str(clip), "--lm-alpha", "0.25", "-f", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["decoder"]["lm_alpha"] == 0.25


def test_a_language_model_that_nobody_has_is_refused(
    model: Path, clip: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["transcribe", "-m", str(model), str(clip), "--lm", "nowhere"]) == 1
    assert "nowhere: no such language model; those that ship with speechrnn: " in capsys.readouterr().err


@pytest.mark.parametrize("name", ["", "../tonal", "sub/tonal"])
def test_a_name_that_is_no_files_is_refused(tmp_path: Path, name: str) -> None:
    path = write_phone_model(tmp_path / "m.onnx", hears="tones", language_model=name)
    with pytest.raises(
        ModelFileError, match="m.onnx: its card names the language model .*, which is no name"
    ):
        Transcriber(path)


def test_the_language_model_is_no_file_of_the_working_folder(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model.with_name("tonal.srlm.xz").rename(tmp_path / "tonal")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelFileError, match="which is not here"):
        Transcriber(model)


def test_a_link_leads_to_the_language_model_too(model: Path, clip: Path, tmp_path: Path) -> None:
    link = tmp_path / "links" / "mine.onnx"
    link.parent.mkdir()
    link.symlink_to(model)
    assert Transcriber(link).transcribe(clip).text == "abba cab"


def test_a_path_is_no_name_of_a_shipped_one(
    model: Path,
    clip: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("./books-en", "./none"):
        assert main(["transcribe", "-m", str(model), str(clip), "--lm", name]) == 1
        assert "no such language model" in capsys.readouterr().err


def test_an_exported_copy_keeps_the_name(model: Path, clip: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for name in ("tones.onnx", "tonal.srlm.xz"):
        shutil.copy(tmp_path / name, elsewhere / name)
    assert Transcriber(elsewhere / "tones.onnx").transcribe(clip).text == "abba cab"


@pytest.fixture
def manifest(clip: Path) -> Path:
    """One clip twice; what is heard, ``abba cab``, is right in three words of four."""
    other, path = clip.with_name("other.wav"), clip.with_name("dev.tsv")
    shutil.copy(clip, other)
    path.write_text(f"audio\ttext\n{clip}\tabba cab\n{other}\tabba dab\n", encoding="utf-8")
    return path


@pytest.mark.parametrize("before", [{}, {"temperature": 2.0, "lm": {"alpha": 0.7, "beta": -0.3}}])
def test_confidences_are_calibrated_as_the_model_is_read(
    model: Path, manifest: Path, before: dict[str, object], capsys: pytest.CaptureFixture[str]
) -> None:
    write_metadata(model, {"speechrnn.decoding": json.dumps(before)})
    greedy, weights = ModelFile(model).info.decoding.scale, ModelFile(model).info.decoding.lm
    assert main(["calibrate", str(manifest), "-m", str(model)]) == 0
    assert " over 4 answers: " in capsys.readouterr().out
    kept = ModelFile(model).info.decoding
    assert kept.scale == greedy
    assert kept.lm is not None
    expected = weights or DEFAULT_LM_CHOICE
    assert (kept.lm.alpha, kept.lm.beta) == (expected.alpha, expected.beta)
    assert kept.lm.scale not in (expected.scale, ConfidenceScale())
    assert Transcriber(model).interpreter.scale == kept.lm.scale
    assert Transcriber(model, decoding=DecodingOptions(alpha=0.0)).interpreter.scale == greedy


def test_another_model_keeps_the_weights_that_confidences_were_calibrated_with(
    model: Path, manifest: Path, tmp_path: Path
) -> None:
    other = write_phone_model(tmp_path / "other.onnx", hears="tones", language_model="tonal")
    choice = {"lm": {"alpha": 0.7, "beta": -0.3}}
    write_metadata(model, {"speechrnn.decoding": json.dumps(choice)})
    assert main(["calibrate", str(manifest), "-m", str(model), "--into", str(other)]) == 0
    kept = ModelFile(other).info.decoding.lm
    assert kept is not None
    assert (kept.alpha, kept.beta) == (0.7, -0.3)
    assert ModelFile(model).info.decoding.to_dict()["lm"] == {**choice["lm"], "temperature": 1.0, "bias": 0.0}


def test_a_model_of_phones_that_is_read_greedily_is_calibrated_so(
    clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = write_phone_model(tmp_path / "plain.onnx", hears="tones")
    manifest = clip.with_name("phones.tsv")
    manifest.write_text(f"audio\ttext\n{clip}\tA B B A C A\n", encoding="utf-8")
    assert main(["calibrate", str(manifest), "-m", str(model)]) == 0
    assert " over 6 answers: " in capsys.readouterr().out
    kept = ModelFile(model).info.decoding
    assert kept.lm is None
    assert kept.scale != ConfidenceScale()
