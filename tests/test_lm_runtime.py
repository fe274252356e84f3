"""The recurrent language model at work: it scores as torch does, and samples what it was told to."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from language_models import CELLS, LETTERS, WORDS, make_language_model, write_language_checkpoint
from networks import make_model
from onnx import helper
from test_model_file import save_foreign
from tiny_model import write_model

from speechrnn.cli.main import main
from speechrnn.errors import ConfigError, ModelFileError
from speechrnn.nn import language_export
from speechrnn.nn.export import export_model
from speechrnn.nn.language_export import export_language_model
from speechrnn.nn.language_model import RecurrentLanguageModel
from speechrnn.runtime import language_model
from speechrnn.runtime.language_model import RecurrentLM, SamplingConfig
from speechrnn.text import SentenceCoder

TEXTS = ["one two go", "", "HELP help tiger", "go", "stop " * 30 + "two"]


@pytest.fixture(scope="module")
def lm(tmp_path_factory: pytest.TempPathFactory) -> RecurrentLM:
    path = tmp_path_factory.mktemp("lm") / "lm.onnx"
    return RecurrentLM(export_language_model(make_language_model(), path, card={"name": "commands"}))


def torch_score(model: RecurrentLanguageModel, text: str) -> float:
    """Add up ln P of a sentence's tokens and its end."""
    ids = SentenceCoder(model.config.vocabulary).encode(text)
    with torch.no_grad():
        log_probs, _ = model(torch.tensor([[0, *ids]]), torch.tensor([len(ids) + 1]))
    return sum(float(row[target]) for row, target in zip(log_probs[0], [*ids, 0], strict=True))


# ---- Export ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize(
    "network", [{}, {"embedding_size": 5}, {"tied": False, "embedding_size": 7}, {"num_layers": 1}]
)
def test_every_network_is_exported_exactly_its_state_too(
    cell: str, network: dict[str, Any], tmp_path: Path
) -> None:
    model = make_language_model(cell=cell, **network)
    file = RecurrentLM(export_language_model(model, tmp_path / "lm.onnx"))
    tokens = torch.randint(7, (2, 23), generator=torch.Generator().manual_seed(3))
    states, state = None, file.begin_state(2)
    for start, end in ((0, 5), (5, 6), (6, 23)):
        chunk, lengths = tokens[:, start:end], torch.tensor([end - start] * 2)
        with torch.no_grad():
            expected, states = model(chunk, lengths, states)
        log_probs, state = file.run(chunk.numpy(), lengths.numpy(), state)
        np.testing.assert_allclose(log_probs, expected.numpy(), atol=1e-4)
    np.testing.assert_allclose(state, language_export.stack_states(states or []).numpy(), atol=1e-4)


def test_the_state_of_a_padded_row_is_that_after_its_own_last_token(lm: RecurrentLM) -> None:
    tokens = np.array([[0, 1, 2, 3], [0, 4, 0, 0]])
    _, together = lm.run(tokens, np.array([4, 2]), lm.begin_state(2))
    _, alone = lm.run(tokens[1:, :2], np.array([2]), lm.begin_state(1))
    np.testing.assert_allclose(together[1], alone[0], atol=1e-6)


def test_half_precision_nearly_halves_the_file(tmp_path: Path) -> None:
    model = make_language_model(hidden_size=64, embedding_size=64)
    single = export_language_model(model, tmp_path / "single.onnx").stat().st_size
    assert export_language_model(model, tmp_path / "half.onnx", half=True).stat().st_size < 0.62 * single


def test_a_tied_matrix_is_stored_once(tmp_path: Path) -> None:
    path = export_language_model(make_language_model(), tmp_path / "lm.onnx")
    shapes = [tuple(tensor.dims) for tensor in onnx.load(path).graph.initializer]
    assert shapes.count((7, 12)) == 1


def test_a_file_that_differs_from_torch_is_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build = language_export.build_language_model

    def slightly_wrong(model: RecurrentLanguageModel, **options: Any) -> onnx.ModelProto:
        return build(make_language_model(seed=1), **options)

    monkeypatch.setattr(language_export, "build_language_model", slightly_wrong)
    with pytest.raises(ModelFileError, match=r"differs from torch by .* on 1 tokens; not written"):
        export_language_model(make_language_model(), tmp_path / "lm.onnx")
    assert list(tmp_path.iterdir()) == []


def test_the_kind_of_a_checkpoint_decides_what_is_exported_and_info_shows_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint = write_language_checkpoint(tmp_path / "lm.ckpt", make_language_model())
    card = tmp_path / "card.json"
    card.write_text('{"name": "commands"}', encoding="utf-8")
    output = str(tmp_path / "lm.onnx")
    assert main(["export", str(checkpoint), output, "--card", str(card)]) == 0
    assert "equal to torch" in capsys.readouterr().err
    assert main(["info", "--json", output]) == 0
    described = json.loads(capsys.readouterr().out)
    assert (described["kind"], described["name"]) == ("language model", "commands")
    assert described["config"]["task"] == "language_model"
    assert described["knows"] == "text of 5 different words"
    assert main(["info", "--json", str(checkpoint)]) == 0
    assert json.loads(capsys.readouterr().out)["config"]["network"]["cell"] == "gru"


# ---- What it refuses ------------------------------------------------------------------------------------


def test_what_is_no_language_model_is_refused_by_what_it_is(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match=r"nix.onnx: no such model file"):
        RecurrentLM(tmp_path / "nix.onnx")
    with pytest.raises(ModelFileError, match=r"x.onnx: an ONNX file, but not one that speechrnn wrote"):
        RecurrentLM(save_foreign(tmp_path / "x.onnx"))
    with pytest.raises(ModelFileError, match=r"t.onnx: not a language model but one that hears \(task ctc\)"):
        RecurrentLM(write_model(tmp_path / "t.onnx"))
    with pytest.raises(ModelFileError, match="one that hears"):
        RecurrentLM(export_model(make_model(), tmp_path / "m.onnx"))


def with_properties(source: Path, target: Path, **changes: str) -> Path:
    proto = onnx.load(source)
    properties = {entry.key: entry.value for entry in proto.metadata_props}
    del proto.metadata_props[:]
    helper.set_model_props(proto, properties | {f"speechrnn.{key}": text for key, text in changes.items()})
    onnx.save(proto, target)
    return target


def test_damaged_metadata_is_named(lm: RecurrentLM, tmp_path: Path) -> None:
    bad = tmp_path / "bad.onnx"
    with pytest.raises(ModelFileError, match="model file format 9, this speechrnn reads 1 and 2"):
        RecurrentLM(with_properties(lm.path, bad, format_version="9"))
    with pytest.raises(ModelFileError, match="damaged metadata: "):
        RecurrentLM(with_properties(lm.path, bad, config="{"))
    with pytest.raises(ModelFileError, match="damaged metadata: 'vocabulary' is missing"):
        RecurrentLM(with_properties(lm.path, bad, config='{"task": "language_model"}'))
    shorter = json.dumps(dict(lm.info.config) | {"vocabulary": {"tokens": ["go"], "unit": "word"}})
    with pytest.raises(ModelFileError, match="damaged: 7 ids, its vocabulary has 3"):
        RecurrentLM(with_properties(lm.path, bad, config=shorter))


# ---- Scores ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cell", CELLS)
def test_scores_are_those_of_torch_token_by_token(cell: str, tmp_path: Path) -> None:
    model = make_language_model(cell=cell)
    scores = RecurrentLM(export_language_model(model, tmp_path / "lm.onnx")).score(TEXTS)
    assert scores.shape == (len(TEXTS),)
    assert scores.dtype == np.float64
    np.testing.assert_allclose(scores, [torch_score(model, text) for text in TEXTS], atol=1e-3)


def test_a_text_scores_the_same_in_a_batch_and_alone(
    lm: RecurrentLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    together = lm.score(TEXTS)
    np.testing.assert_allclose(together, [lm.score([text])[0] for text in TEXTS], atol=1e-4)
    monkeypatch.setattr(language_model, "MAX_BATCH_NUMBERS", 60)
    np.testing.assert_allclose(lm.score(TEXTS), together, atol=1e-4)
    assert lm.score([]).shape == (0,)


def test_all_next_tokens_have_probability_one_in_sum(lm: RecurrentLM) -> None:
    # P(go …) in its two ways: "go" and its end, or "go" and any other token with whatever follows it.
    log_probs, _ = lm.run(np.array([[0, 1]]), np.array([2]), lm.begin_state(1))
    np.testing.assert_allclose(np.exp(log_probs.astype(float)).sum(-1), 1, atol=1e-6)
    assert lm.score(["go"])[0] == pytest.approx(float(log_probs[0, 0, 1] + log_probs[0, 1, 0]), abs=1e-5)


def test_unknown_words_count_as_one_and_the_same(lm: RecurrentLM) -> None:
    tiger, zebra, known = lm.score(["go tiger", "go zebra", "go two"])
    assert tiger == zebra != known
    assert lm.count_tokens(["go tiger", ""]) == 4


# ---- Samples --------------------------------------------------------------------------------------------


def test_samples_are_fixed_by_the_seed_and_do_not_depend_on_their_number(lm: RecurrentLM) -> None:
    five = lm.sample(5)
    assert lm.sample(5) == five
    assert lm.sample(2) == five[:2]
    assert lm.sample(5, config=SamplingConfig(seed=1)) != five
    assert lm.sample(0) == []
    assert len(set(five)) > 1


def test_a_temperature_of_zero_takes_the_most_probable_token_each_time(lm: RecurrentLM) -> None:
    config = SamplingConfig(temperature=0, num_tokens=6)
    [first, second] = lm.sample(2, config=config)
    assert first == second
    # By hand: the best token but <unk> after each beginning.
    ids: list[int] = []
    for _ in range(6):
        row = np.array([[0, *ids]])
        log_probs, _ = lm.run(row, np.array([row.shape[1]]), lm.begin_state(1))
        best = int(log_probs[0, -1, : lm.coder.unknown].argmax())
        if best == lm.coder.end:
            break
        ids.append(best)
    assert first == lm.coder.decode(ids)
    assert lm.sample(2, config=SamplingConfig(top_k=1, num_tokens=6)) == [first, second]


def test_tokens_are_drawn_as_often_as_they_are_probable(lm: RecurrentLM) -> None:
    num = 2000
    firsts = [text.split()[:1] for text in lm.sample(num, config=SamplingConfig(num_tokens=1))]
    log_probs, _ = lm.run(np.array([[0]]), np.array([1]), lm.begin_state(1))
    probs = np.exp(log_probs[0, 0, : lm.coder.unknown].astype(float))
    probs /= probs.sum()
    for word, prob in zip(["", *WORDS.tokens], probs, strict=True):
        share = sum(first == ([word] if word else []) for first in firsts) / num
        assert abs(share - prob) < 4 * math.sqrt(prob * (1 - prob) / num)


def test_a_sentence_begins_with_its_prompt_even_an_unknown_one(lm: RecurrentLM) -> None:
    for text in lm.sample(4, prompt="GO tiger", config=SamplingConfig(num_tokens=3)):
        assert text.startswith("go tiger")
        assert len(text.split()) <= 5
        assert "<unk>" not in text


def test_characters_are_joined_to_a_text(tmp_path: Path) -> None:
    lm = RecurrentLM(export_language_model(make_language_model(LETTERS), tmp_path / "lm.onnx"))
    [text] = lm.sample(1, prompt="ab", config=SamplingConfig(num_tokens=20, seed=2))
    assert text.startswith("ab")
    assert set(text) <= set("abc ")


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ({"temperature": -1.0}, "temperature must be >= 0, got -1.0"),
        ({"temperature": float("nan")}, "temperature must be >= 0, got nan"),
        ({"top_k": 0}, "top_k must be >= 1, got 0"),
        ({"num_tokens": 0}, "num_tokens must be >= 1, got 0"),
        ({"seed": -1}, "seed must be >= 0, got -1"),
    ],
)
def test_a_sampling_option_out_of_range_is_named(option: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        SamplingConfig(**option)


def test_a_negative_number_of_sentences_is_refused(lm: RecurrentLM) -> None:
    with pytest.raises(ConfigError, match="num_sentences must be >= 0, got -1"):
        lm.sample(-1)


def test_a_language_model_is_not_asked_to_hear(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = export_language_model(make_language_model(), tmp_path / "lm.onnx")
    assert main(["transcribe", "-m", str(path), "x.wav"]) == 1
    assert "lm.onnx: a language model, which knows text and hears nothing" in capsys.readouterr().err
