"""The recurrent language model: its network, its streams of text, its training and its perplexity."""

import gzip
import itertools
import json
import logging
import math
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from language_models import (
    CELLS,
    SENTENCES,
    WORDS,
    make_language_model,
    make_language_task,
    make_text_data,
    write_language_checkpoint,
    write_texts,
)
from networks import make_config, make_model
from trainers import Stop, make_trainer

from speechrnn.cli.main import main
from speechrnn.errors import CheckpointError, ConfigError, ManifestError
from speechrnn.nn.checkpoint import (
    checkpoint_entry,
    describe_checkpoint,
    load_checkpoint,
    load_language_model,
)
from speechrnn.nn.language_config import LanguageModelConfig, LanguageNetworkConfig
from speechrnn.text import SentenceCoder, Vocabulary
from speechrnn.training.checkpointing import LastCheckpoint
from speechrnn.training.perplexity import Perplexity
from speechrnn.training.text_data import (
    IGNORED,
    TextDataModule,
    TokenColumns,
    build_vocabulary,
    join_sentences,
    read_texts,
)

pytestmark = [
    # Lightning's advice on more workers, and its use of a torch function that torch is about to rename.
    pytest.mark.filterwarnings("ignore:.*does not have many workers.*"),
    pytest.mark.filterwarnings("ignore:.*number of training batches.*"),
    pytest.mark.filterwarnings("ignore:.*LeafSpec.*:FutureWarning"),
    pytest.mark.filterwarnings("ignore:.*isinstance.treespec, LeafSpec.*"),
]
RECIPES = [
    path
    for path in sorted((Path(__file__).parent.parent / "recipes").glob("*/*.yaml"))
    if "LanguageModelTask" in path.read_text(encoding="utf-8")
]
TOKENS = torch.tensor([[0, 1, 5, 3, 2, 6, 4, 0, 2, 2, 1]])


@pytest.fixture(autouse=True)
def ctrl_c_still_works() -> Iterator[None]:
    """Lightning ignores Ctrl-C once it has seen one; the rest of the tests should not."""
    handler = signal.getsignal(signal.SIGINT)
    yield
    signal.signal(signal.SIGINT, handler)


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_texts(tmp_path_factory.mktemp("texts"))


# ---- Vocabulary -----------------------------------------------------------------------------------------


def test_a_sentence_becomes_ids_with_unknown_words_as_one() -> None:
    coder = SentenceCoder(WORDS)
    # </s> 0, go 1, stop 2, one 3, two 4, help 5, <unk> 6
    assert coder.encode("GO tiger two") == [1, 6, 4]
    assert coder.encode("") == []
    assert (coder.end, coder.unknown, len(coder)) == (0, 6, 7)
    assert coder.decode([1, 6, 4]) == "go <unk> two"


def test_characters_are_joined_without_spaces() -> None:
    coder = SentenceCoder(Vocabulary(("a", "b", " "), "character"))
    assert coder.decode(coder.encode("ab a")) == "ab a"


def test_the_vocabulary_holds_what_is_frequent_the_most_frequent_first() -> None:
    vocabulary = build_vocabulary(["b b a c", "A b c <unk>"], unit="word", normalization=["lowercase"])
    assert vocabulary.tokens == ("b", "a", "c")
    assert build_vocabulary(["b b a"], unit="word", min_count=2).tokens == ("b",)
    assert build_vocabulary(["ab b"], unit="character").tokens == ("b", " ", "a")


def test_a_text_without_a_frequent_token_is_refused() -> None:
    with pytest.raises(
        ManifestError, match=r"no word of the training text comes 3 times; lower data.min_count"
    ):
        build_vocabulary(["a a b"], unit="word", min_count=3)


# ---- Text -----------------------------------------------------------------------------------------------


def test_texts_are_read_from_lines_tables_and_manifests_without_audio(tmp_path: Path) -> None:
    wanted = ["one two", "go"]
    (tmp_path / "a.txt").write_text("one two\n\n  \ngo", encoding="utf-8")
    (tmp_path / "a.txt.gz").write_bytes(gzip.compress(b"one two\r\ngo\n"))
    (tmp_path / "a.csv").write_text("audio,text\nnix.wav,one two\nnix.wav,\nnix2.wav,go\n", encoding="utf-8")
    (tmp_path / "a.tsv").write_text("path\tsentence\nx.mp3\tone two\ny.mp3\tgo\n", encoding="utf-8")
    rows = [json.dumps({"audio_filepath": "nix.wav", "text": text}) for text in wanted]
    (tmp_path / "a.jsonl").write_text("\n".join(rows), encoding="utf-8")
    for path in tmp_path.iterdir():
        assert list(read_texts(path)) == wanted, path.name


def test_a_wrong_line_of_a_manifest_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"audio": "a.wav", "text": "go"}\n{oops\n', encoding="utf-8")
    with pytest.raises(ManifestError, match=r"a.jsonl:2: is not one JSON object"):
        list(read_texts(tmp_path / "a.jsonl"))


@pytest.mark.parametrize(
    ("name", "said"),
    [("nix.txt", "no such text; name the file with --data.train"), ("empty.txt", "holds no text")],
)
def test_a_missing_or_empty_text_is_named(name: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "empty.txt").write_text("\n", encoding="utf-8")
    with pytest.raises(ManifestError, match=rf"{name}: {said}"):
        make_text_data(tmp_path, train=name).build_vocabulary()


@pytest.mark.parametrize("option", ["min_count", "batch_size", "eval_batch_size", "bptt_steps"])
def test_a_size_of_zero_is_refused_by_name(option: str) -> None:
    with pytest.raises(ConfigError, match=rf"data.{option} must be >= 1, got 0"):
        TextDataModule("x", **{option: 0})  # type: ignore[arg-type]


# ---- Columns --------------------------------------------------------------------------------------------


def test_columns_hold_the_stream_once_and_each_target_is_the_next_token() -> None:
    # Sentences [1, 2], [3] and [4]: the stream is 0 1 2 0 3 0 4 0, seven targets; three columns of 3, 2, 2.
    stream = join_sentences([np.array([1, 2]), np.array([3]), np.array([4])], 0)
    assert stream.tolist() == [0, 1, 2, 0, 3, 0, 4, 0]
    first, second = TokenColumns(stream, batch_size=3, bptt_steps=2)
    assert first.tokens.tolist() == [[0, 1], [0, 3], [0, 4]]
    assert first.targets.tolist() == [[1, 2], [3, 0], [4, 0]]
    assert second.targets.tolist() == [[0], [IGNORED], [IGNORED]]
    assert (first.lengths.tolist(), second.lengths.tolist()) == ([2, 2, 2], [1, 0, 0])
    assert (first.begins, second.begins) == (True, False)


@pytest.mark.parametrize("world_size", [1, 2, 3])
@pytest.mark.parametrize("batch_size", [3, 5, 100])
def test_all_processes_together_see_each_token_once_in_as_many_batches(
    batch_size: int, world_size: int
) -> None:
    stream = np.arange(24)
    shares = [
        TokenColumns(stream, batch_size=batch_size, bptt_steps=4, rank=rank, world_size=world_size)
        for rank in range(world_size)
    ]
    targets = [t for share in shares for batch in share for t in batch.targets.flatten().tolist()]
    assert sorted(t for t in targets if t != IGNORED) == list(range(1, 24))
    assert len({len(share) for share in shares}) == 1


def test_fewer_columns_than_processes_are_refused() -> None:
    with pytest.raises(ManifestError, match="1 columns of text cannot be shared by 2 processes"):
        TokenColumns(np.arange(9), batch_size=1, bptt_steps=4, rank=0, world_size=2)


def test_the_order_of_sentences_changes_with_the_epoch_and_only_with_it(texts: Path) -> None:
    def stream(epoch: int, **options: Any) -> list[int]:
        data = make_text_data(texts, batch_size=1, **options)
        data.use_vocabulary(WORDS)
        tokens: list[int] = data.columns("train", epoch=epoch).tokens[0].tolist()
        return tokens

    assert stream(0) == stream(0) != stream(1)
    assert sorted(stream(0)) == sorted(stream(1))
    assert stream(0, shuffle=False) == stream(1, shuffle=False)
    assert stream(0, seed=1) != stream(0)


# ---- Network --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("steps", [1, 2, 3, 7])
def test_a_carried_state_gives_what_one_long_run_gives(cell: str, steps: int) -> None:
    model = make_language_model(cell=cell)
    with torch.no_grad():
        whole, _ = model(TOKENS, torch.tensor([TOKENS.shape[1]]))
        states, parts = None, []
        for start in range(0, TOKENS.shape[1], steps):
            chunk = TOKENS[:, start : start + steps]
            log_probs, states = model(chunk, torch.tensor([chunk.shape[1]]), states)
            parts.append(log_probs)
    torch.testing.assert_close(torch.cat(parts, dim=1), whole, atol=1e-5, rtol=0)


def test_log_probs_are_those_of_the_equations_written_in_numpy() -> None:
    # One Elman layer: h_t = tanh(W x_t + b + U h_{t-1} + c); ln P = log softmax(E h_t + d), E the embedding.
    model = make_language_model(cell="rnn", num_layers=1)
    w = {name: value.detach().numpy().astype(float) for name, value in model.named_parameters()}
    cell = "recurrent.layers.0.forward_cell."
    hidden = np.zeros(12)
    expected = []
    for token in TOKENS[0].tolist():
        recurrent = w[cell + "weight_hh_l0"] @ hidden + w[cell + "bias_hh_l0"]
        x = w["embedding.weight"][token]
        hidden = np.tanh(w[cell + "weight_ih_l0"] @ x + w[cell + "bias_ih_l0"] + recurrent)
        logits = w["embedding.weight"] @ hidden + w["bias"]
        expected.append(logits - np.log(np.exp(logits).sum()))
    with torch.no_grad():
        log_probs, _ = model(TOKENS, torch.tensor([TOKENS.shape[1]]))
    np.testing.assert_allclose(log_probs[0], expected, atol=1e-5)


def test_padding_does_not_change_what_comes_before_it() -> None:
    model = make_language_model()
    with torch.no_grad():
        alone, _ = model(TOKENS[:, :4], torch.tensor([4]))
        batch = torch.cat([TOKENS, TOKENS.flip(1)])
        padded, _ = model(batch, torch.tensor([4, TOKENS.shape[1]]))
    torch.testing.assert_close(padded[:1, :4], alone, atol=1e-6, rtol=0)


def test_tied_weights_are_one_matrix_and_count_once(tmp_path: Path) -> None:
    # 7 ids, embedding and hidden size 12, one GRU layer: 7 * 12 + (3 * 12) * (12 + 12 + 2) + 7 = 1027.
    tied, untied = (make_language_model(num_layers=1, tied=tied) for tied in (True, False))
    assert tied.output_weight.data_ptr() == tied.embedding.weight.data_ptr()
    assert untied.output_weight.data_ptr() != untied.embedding.weight.data_ptr()
    assert tied.num_parameters() == 7 * 12 + 36 * 26 + 7
    assert untied.num_parameters() == tied.num_parameters() + 7 * 12
    path = write_language_checkpoint(tmp_path / "m.ckpt", tied)
    assert describe_checkpoint(path)["num_parameters"] == tied.num_parameters()


def test_sizes_that_differ_are_joined_by_a_projection() -> None:
    model = make_language_model(embedding_size=5)
    assert model.projection is not None
    assert model.output_weight.shape == (7, 5)
    assert make_language_model(embedding_size=5, tied=False).projection is None
    assert model(TOKENS, torch.tensor([11]))[0].shape == (1, 11, 7)


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ({"cell": "tcn"}, "network.cell must be rnn, gru or lstm, got 'tcn'"),
        ({"hidden_size": 0}, "network.hidden_size must be > 0, got 0"),
        ({"dropout": 1.0}, r"network.dropout must be in \[0, 1\), got 1.0"),
    ],
)
def test_a_value_out_of_range_is_named(option: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        LanguageNetworkConfig(**option)


def test_the_configuration_survives_as_plain_data_and_refuses_what_it_does_not_know() -> None:
    config = make_language_model(cell="lstm").config
    plain = json.loads(json.dumps(config.to_dict()))
    assert LanguageModelConfig.from_dict(plain) == config
    with pytest.raises(
        ConfigError, match=r"network.hiden_size does not exist; did you mean network.hidden_size"
    ):
        LanguageModelConfig.from_dict(plain | {"network": {"hiden_size": 3}})
    with pytest.raises(ConfigError, match="config lacks network"):
        LanguageModelConfig.from_dict({"task": "language_model", "vocabulary": plain["vocabulary"]})
    with pytest.raises(ConfigError, match="task must be language_model, got 'ctc'"):
        LanguageModelConfig.from_dict(plain | {"task": "ctc"})
    with pytest.raises(ConfigError, match="vocabulary.unit must be word or character"):
        LanguageModelConfig(vocabulary=Vocabulary(("yes", "no"), "label"))


def test_a_checkpoint_gives_back_the_model_and_tells_what_it_is_not(tmp_path: Path) -> None:
    model = make_language_model(cell="lstm")
    path = write_language_checkpoint(tmp_path / "lm.ckpt", model)
    lengths = torch.tensor([TOKENS.shape[1]])
    torch.testing.assert_close(load_language_model(path)(TOKENS, lengths)[0], model(TOKENS, lengths)[0])
    with pytest.raises(
        CheckpointError, match="lm.ckpt: a language model, which knows text and hears nothing"
    ):
        load_checkpoint(path)
    hears = make_model()
    state = {f"model.{name}": value for name, value in hears.state_dict().items()}
    torch.save({"state_dict": state, "speechrnn": checkpoint_entry(make_config())}, tmp_path / "ctc.ckpt")
    with pytest.raises(CheckpointError, match="ctc.ckpt: not a language model but one for ctc"):
        load_language_model(tmp_path / "ctc.ckpt")


# ---- Perplexity -----------------------------------------------------------------------------------------


def test_perplexity_is_that_of_all_tokens_by_hand_and_not_a_mean_of_batches() -> None:
    # P = 1/2, 1/4, 1/8 and 1/2: the mean of -log2 P is (1 + 2 + 3 + 1) / 4 = 1.75, so perplexity 2^1.75.
    # Averaged over the batches (1/2, 1/4, 1/8) and (1/2) it would be 2^1.5.
    metric = Perplexity()
    metric.update(torch.tensor([0.5, 0.25, 0.125]).log())
    metric.update(torch.tensor([0.5]).log())
    assert float(metric.compute()) == pytest.approx(2**1.75, rel=1e-6)


def perplexity_by_hand(task: Any, sentences: tuple[str, ...]) -> float:
    """Go through the text token by token, in double precision, as one long sequence."""
    coder = SentenceCoder(task.config.vocabulary)
    stream = [0, *(token for s in sentences for token in [*coder.encode(s), 0])]
    model, states, nats = task.model.double().eval(), None, 0.0
    with torch.no_grad():
        for token, target in itertools.pairwise(stream):
            log_probs, states = model(torch.tensor([[token]]), torch.tensor([1]), states)
            nats -= float(log_probs[0, 0, target])
    return math.exp(nats / (len(stream) - 1))


@pytest.mark.parametrize("cell", CELLS)
def test_the_validation_perplexity_is_that_of_the_whole_text_however_it_is_cut(
    cell: str, texts: Path, tmp_path: Path
) -> None:
    task = make_language_task(cell=cell)
    make_trainer(tmp_path).fit(task, datamodule=make_text_data(texts))
    found = [
        make_trainer(tmp_path).validate(task, make_text_data(texts, bptt_steps=steps), verbose=False)[0]
        for steps in (1, 2, 5, 100)
    ]
    by_hand = perplexity_by_hand(task, SENTENCES)
    for logged in found:
        assert logged["val/perplexity"] == pytest.approx(by_hand, rel=1e-5)
        assert logged["val/loss"] == pytest.approx(math.log(by_hand), abs=1e-5)
        assert logged["val/unknown_share"] == 0


def test_the_test_says_perplexity_bits_and_unknown_characters(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    write_texts(tmp_path, sentences=("ab", "ba a"))
    (tmp_path / "test.txt").write_text("abz\n", encoding="utf-8")
    task = make_language_task()
    data = make_text_data(tmp_path, unit="character")
    make_trainer(tmp_path, max_epochs=1).fit(task, datamodule=data)
    with caplog.at_level(logging.WARNING, "speechrnn"):
        [logged] = make_trainer(tmp_path).test(task, data, verbose=False)
    bits = math.log2(logged["test/perplexity"])
    assert logged["test/bits_per_character"] == pytest.approx(bits, rel=1e-5)
    assert logged["test/unknown_share"] == 0.25  # a, b, z and the end
    said = capsys.readouterr().out
    assert (
        f"test: perplexity {logged['test/perplexity']:.2f} per character, {bits:.3f} bits per character"
        in said
    )
    assert "25.00 % are <unk>" in said
    assert any("test.txt: 1 of 3 characters are <unk> to the model" in message for message in caplog.messages)


# ---- Training -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cell", CELLS)
def test_a_small_text_is_learnt_by_heart(cell: str, texts: Path, tmp_path: Path) -> None:
    # In this order each word is known from those before it, across ends of sentences and of steps.
    task = make_language_task(lr=0.03, cell=cell, hidden_size=32, embedding_size=32, num_layers=1)
    data = make_text_data(texts, batch_size=1, bptt_steps=8, shuffle=False)
    trainer = make_trainer(tmp_path, max_epochs=60)
    trainer.fit(task, datamodule=data)
    assert trainer.callback_metrics["val/perplexity"] < 1.1


def fit(texts: Path, root: Path, *, ckpt_path: Path | None = None, **options: Any) -> dict[str, torch.Tensor]:
    task = make_language_task(cell="lstm")
    trainer = make_trainer(root, **options)
    trainer.fit(task, datamodule=make_text_data(texts), ckpt_path=ckpt_path, weights_only=True)
    return {name: value.clone() for name, value in task.model.state_dict().items()}


@pytest.mark.parametrize("step", [2, 3, 5])  # three batches an epoch
def test_a_resumed_run_ends_with_the_same_weights_also_from_within_an_epoch(
    texts: Path, tmp_path: Path, step: int
) -> None:
    whole = fit(texts, tmp_path, callbacks=[Stop(step, tmp_path / "k.ckpt")])
    resumed = fit(texts, tmp_path, ckpt_path=tmp_path / "k.ckpt")
    for name, value in whole.items():
        assert torch.equal(value, resumed[name]), name


def test_batches_of_a_text_that_would_be_others_are_not_taken_for_those_that_are_done(
    texts: Path, tmp_path: Path
) -> None:
    fit(texts, tmp_path, callbacks=[Stop(2, tmp_path / "k.ckpt")])
    trainer, data = make_trainer(tmp_path), make_text_data(texts, bptt_steps=3)
    with pytest.raises(ConfigError, match=r"k.ckpt: 2 batches of epoch 0 are done, .* data.bptt_steps"):
        trainer.fit(
            make_language_task(cell="lstm"),
            datamodule=data,
            ckpt_path=tmp_path / "k.ckpt",
            weights_only=True,
        )


def test_an_interrupt_leaves_a_checkpoint_from_which_training_goes_on(texts: Path, tmp_path: Path) -> None:
    whole = fit(texts, tmp_path)
    with pytest.raises(SystemExit):
        fit(texts, tmp_path, callbacks=[Stop(4), LastCheckpoint()], enable_checkpointing=True)
    resumed = fit(texts, tmp_path, ckpt_path=tmp_path / "checkpoints/last.ckpt")
    for name, value in whole.items():
        assert torch.equal(value, resumed[name]), name


def test_a_checkpoint_is_tested_with_its_own_vocabulary_and_without_the_training_text(
    texts: Path, tmp_path: Path
) -> None:
    fit(texts, tmp_path, max_epochs=1, callbacks=[Stop(2, tmp_path / "k.ckpt")])
    (tmp_path / "test.txt").write_text("one two go\n", encoding="utf-8")
    task = make_language_task(cell="lstm")
    trainer = make_trainer(tmp_path)
    [logged] = trainer.test(
        task, make_text_data(tmp_path), ckpt_path=tmp_path / "k.ckpt", weights_only=True, verbose=False
    )
    assert logged["test/perplexity"] == pytest.approx(perplexity_by_hand(task, ("one two go",)), rel=1e-5)


def test_without_a_checkpoint_there_is_nothing_to_test(texts: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no model to measure; name one with --ckpt_path best"):
        make_trainer(tmp_path).test(make_language_task(), make_text_data(texts), verbose=False)


def test_the_checkpoint_of_another_task_is_refused(texts: Path, tmp_path: Path) -> None:
    torch.save({"state_dict": {}, "pytorch-lightning_version": pl.__version__}, tmp_path / "x.ckpt")
    with pytest.raises(CheckpointError, match=r"x.ckpt: not the checkpoint of a language model"):
        fit(texts, tmp_path, ckpt_path=tmp_path / "x.ckpt")


# ---- Command line ---------------------------------------------------------------------------------------


def options(recipe: Path, texts: Path, root: Path, *more: str) -> list[str]:
    """Run a recipe on a small text."""
    files = [word for split in ("train", "dev", "test") for word in (f"--data.{split}", f"{split}.txt")]
    trainer = ["--trainer.accelerator", "cpu", "--trainer.enable_progress_bar", "false"]
    place = ["--data.root", str(texts), "--trainer.default_root_dir", str(root)]
    small = ["--model.network.hidden_size", "8", "--model.network.embedding_size", "8"]
    return ["--config", str(recipe), *place, *files, *trainer, *small, *more]


def test_there_is_a_recipe() -> None:
    assert RECIPES


@pytest.mark.filterwarnings("ignore")  # Lightning's advice to users is not news here
@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_every_recipe_is_trained_resumed_tested_and_exported(
    recipe: Path,
    texts: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    steps = ["--trainer.max_epochs", "1", "--trainer.max_steps", "2"]
    assert main(["fit", *options(recipe, texts, tmp_path, *steps)]) == 0
    checkpoints = tmp_path / "checkpoints"
    assert sorted(path.name for path in checkpoints.iterdir()) == ["best.ckpt", "last.ckpt"]
    more = ["--trainer.max_epochs", "2", "--ckpt_path", "last"]
    assert main(["fit", *options(recipe, texts, tmp_path, *more)]) == 0
    best = str(checkpoints / "best.ckpt")
    capsys.readouterr()
    for command in ("validate", "test"):
        assert main([command, *options(recipe, texts, tmp_path), "--ckpt_path", best]) == 0
    said = capsys.readouterr().out
    assert "val/perplexity" in said
    assert "test: perplexity" in said
    assert main(["predict", *options(recipe, texts, tmp_path), "--ckpt_path", best]) == 1
    assert "`speechrnn predict` transcribes, and a language model hears nothing" in capsys.readouterr().err
    assert main(["export", best, str(tmp_path / "lm.onnx")]) == 0
    assert main(["info", str(tmp_path / "lm.onnx")]) == 0
    assert "language_model" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--data.bptt_step", "3"], "unknown key 'data.bptt_step'; did you mean 'data.bptt_steps'?"),
        (["--model.network.hiden_size", "9"], "did you mean 'model.network.hidden_size'?"),
        (["--model.network.dropout", "2"], "network.dropout must be in [0, 1), got 2.0"),
        (["--data.bptt_steps", "0"], "data.bptt_steps must be >= 1, got 0"),
        (["--data", "TextDataModul"], "unknown class 'TextDataModul'; did you mean 'TextDataModule'?"),
        (["--data", "SpeechDataModule"], "data.class_path must be TextDataModule for a LanguageModelTask"),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_a_wrong_option_is_named_with_its_cure(
    arguments: list[str], said: str, texts: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["fit", *options(RECIPES[0], texts, tmp_path, *arguments)]) in (1, 2)
    error = capsys.readouterr().err
    assert said in error
    assert "Traceback" not in error


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_a_missing_folder_is_asked_for(recipe: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fit", "--config", str(recipe)]) == 2
    assert capsys.readouterr().err.endswith("speechrnn: error: --data.root is missing\n")
