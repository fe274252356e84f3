"""Training: from a manifest to a checkpoint, resumed exactly, interrupted safely, and every shipped recipe."""

import gzip
import json
import logging
import re
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import soundfile
import torch
from corpora import make_data, make_task, write_corpus
from networks import noise
from trainers import Stop, assert_same_weights, make_trainer, weights

from speechrnn.cli.main import main
from speechrnn.errors import ConfigError, ManifestError, TextError
from speechrnn.manifest import Utterance
from speechrnn.nn.augmentation import AugmentationConfig
from speechrnn.nn.checkpoint import load_checkpoint
from speechrnn.training.callbacks import AugmentationShares, DataWait
from speechrnn.training.checkpointing import LastCheckpoint
from speechrnn.training.classification_task import ClassificationTask
from speechrnn.training.prepare import prepare_utterances
from speechrnn.training.recipe import config_from_recipe

pytestmark = [
    # Lightning's advice on more workers, and its use of a torch function that torch is about to rename.
    pytest.mark.filterwarnings("ignore:.*does not have many workers.*"),
    pytest.mark.filterwarnings("ignore:.*number of training batches.*"),
    pytest.mark.filterwarnings("ignore:.*LeafSpec.*:FutureWarning"),
    pytest.mark.filterwarnings("ignore:.*isinstance.treespec, LeafSpec.*"),
    pytest.mark.filterwarnings("ignore:Trying to infer the .batch_size.*"),
]
RECIPES = [
    path
    for path in sorted((Path(__file__).parent.parent / "recipes").glob("*/*.yaml"))
    if "LanguageModelTask" not in path.read_text(encoding="utf-8")  # they are run in test_language_model.py
]


@pytest.fixture(autouse=True)
def ctrl_c_still_works() -> Iterator[None]:
    """Lightning ignores Ctrl-C once it has seen one; the rest of the tests should not."""
    handler = signal.getsignal(signal.SIGINT)
    yield
    signal.signal(signal.SIGINT, handler)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_corpus(tmp_path_factory.mktemp("corpus"))


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_corpus(tmp_path_factory.mktemp("labelled"), labels=True)


def fit(corpus: Path, root: Path, *, ckpt_path: Path | None = None, **options: Any) -> Any:
    task = make_task()
    trainer = make_trainer(root, **options)
    trainer.fit(task, datamodule=make_data(corpus), ckpt_path=ckpt_path, weights_only=True)
    return task


def test_training_logs_what_one_needs_to_see(corpus: Path, tmp_path: Path) -> None:
    task = make_task()
    trainer = make_trainer(tmp_path, callbacks=[DataWait()])
    trainer.fit(task, datamodule=make_data(corpus))
    logged = trainer.callback_metrics
    for name in ("train/loss", "val/loss", "val/wer", "val/cer", "val/error_rate"):
        assert logged[name].isfinite()
    for name in ("val/blank_share", "val/non_empty_share", "train/data_wait_share"):
        assert 0 <= logged[name] <= 1
    assert logged["train/masked_utterances"] == 0
    assert logged["val/error_rate"] == logged["val/wer"]


def test_augmentation_is_proven_in_the_log(corpus: Path, tmp_path: Path) -> None:
    task = make_task(augmentation=AugmentationConfig(gain_db=3.0, rooms=0.5))
    trainer = make_trainer(tmp_path, callbacks=[AugmentationShares()], max_epochs=2)
    trainer.fit(task, datamodule=make_data(corpus))
    assert trainer.callback_metrics["train/augmented/gain"] == 1
    assert 0 < trainer.callback_metrics["train/augmented/room"] < 1


def test_a_carried_state_is_one_that_a_clip_left_or_zeros(labelled: Path) -> None:
    task = make_task(labels=True, encoder={"bidirectional": False}, carry_state=0.5)
    assert task.draw_states(3) is None  # nothing was left before the first batch
    [left] = task.left_states = [(torch.arange(1.0, 9.0).view(2, 4),)]
    [(drawn,)] = task.draw_states(200)
    rows = {tuple(row) for row in drawn.tolist()}
    assert rows == {(0, 0, 0, 0), *map(tuple, left[0].tolist())}
    assert 60 < int((drawn[:, 0] == 0).sum()) < 140


def test_training_with_carried_states_begins_the_next_batch_in_them(labelled: Path, tmp_path: Path) -> None:
    task = make_task(labels=True, encoder={"bidirectional": False}, carry_state=1.0)
    make_trainer(tmp_path, max_epochs=1).fit(task, datamodule=make_data(labelled))
    features, lengths = torch.zeros(1, 10, task.config.features.n_features), torch.tensor([10])
    carried = task.eval().classify(features, lengths)
    assert not torch.allclose(carried, task.model.classify_frames(features, lengths)[0])


def test_states_cannot_be_carried_backwards() -> None:
    with pytest.raises(ConfigError, match="carry_state must be 0 when encoder.bidirectional is true"):
        make_task(labels=True, carry_state=0.5)
    with pytest.raises(ConfigError, match=r"carry_state must be in \[0, 1\], got 2"):
        make_task(labels=True, carry_state=2.0)


def test_the_validation_error_rate_is_the_ratio_of_all_counts(corpus: Path, tmp_path: Path) -> None:
    # By hand: the WER of each batch size is that of greedy decoding utterance by utterance.
    from speechrnn.metrics import word_errors
    from speechrnn.training.utterances import load_cut

    task = make_task()
    data = make_data(corpus)
    rates = [
        make_trainer(tmp_path).validate(task, make_data(corpus, max_batch_s=s), verbose=False)[0]["val/wer"]
        for s in (1.3, 2.0, 30.0)
    ]
    errors = total = 0
    for cut in data.cuts("dev"):
        waveform = torch.from_numpy(load_cut(cut, 8000)).unsqueeze(0)
        with torch.no_grad():
            answer = task.eval().model(waveform, torch.tensor([waveform.shape[1]]))
        counts = word_errors(cut.supervisions[0].text, task.decode(*answer)[0].text)
        errors, total = errors + counts.errors, total + counts.reference_length
    assert rates == pytest.approx([errors / total] * 3)


@pytest.mark.filterwarnings("ignore:We have exceeded the max_duration constraint")
@pytest.mark.parametrize("norm", ["none", "layer", "batch"])
@pytest.mark.parametrize("labels", [False, True], ids=["texts", "labels"])
def test_error_rates_are_the_same_alone_and_in_batches_of_32(tmp_path: Path, norm: str, labels: bool) -> None:
    data = write_corpus(tmp_path / "corpus", num_utterances=32, labels=labels)
    found = {}
    for size, max_batch_s in ((1, 0.01), (32, 1000.0)):
        task = make_task(labels=labels, encoder={"norm": norm})
        trainer = make_trainer(tmp_path)
        [found[size]] = trainer.validate(
            task, make_data(data, max_batch_s=max_batch_s, num_buckets=1), verbose=False
        )
        assert trainer.num_val_batches == [32 // size]
    rates = ["val/error_rate"] if labels else ["val/wer", "val/cer", "val/blank_share"]
    assert [found[1][rate] for rate in rates] == [found[32][rate] for rate in rates]
    assert found[1]["val/loss"] == pytest.approx(found[32]["val/loss"], rel=1e-5)


def test_a_task_can_be_validated_before_and_after_it_is_trained(corpus: Path, tmp_path: Path) -> None:
    task, data = make_task(), make_data(corpus)
    [before] = make_trainer(tmp_path).validate(task, data, verbose=False)
    make_trainer(tmp_path, max_epochs=2).fit(task, datamodule=data)
    [after] = make_trainer(tmp_path).validate(task, data, verbose=False)
    assert after["val/loss"] < before["val/loss"]


@pytest.mark.parametrize("step", [2, 8, 10])
def test_a_resumed_run_ends_with_the_same_weights(corpus: Path, tmp_path: Path, step: int) -> None:
    whole = weights(fit(corpus, tmp_path, callbacks=[Stop(step, tmp_path / "k.ckpt")]))
    resumed = weights(fit(corpus, tmp_path, ckpt_path=tmp_path / "k.ckpt"))
    assert_same_weights(resumed, whole)


def test_an_interrupt_leaves_a_checkpoint_from_which_training_goes_on(corpus: Path, tmp_path: Path) -> None:
    whole = weights(fit(corpus, tmp_path))
    with pytest.raises(SystemExit):
        fit(corpus, tmp_path, callbacks=[Stop(4), LastCheckpoint()], enable_checkpointing=True)
    load_checkpoint(tmp_path / "checkpoints/last.ckpt")
    assert_same_weights(weights(fit(corpus, tmp_path, ckpt_path=tmp_path / "checkpoints/last.ckpt")), whole)


def test_a_failure_leaves_a_checkpoint_too(corpus: Path, tmp_path: Path) -> None:
    class Fail(pl.Callback):
        def on_train_batch_end(self, trainer: pl.Trainer, *_: Any, **__: Any) -> None:
            if trainer.global_step == 2:
                raise RuntimeError("disk on fire")

    with pytest.raises(RuntimeError, match="disk on fire"):
        fit(corpus, tmp_path, callbacks=[Fail(), LastCheckpoint()], enable_checkpointing=True)
    assert load_checkpoint(tmp_path / "checkpoints/last.ckpt").config.task == "ctc"


def test_global_statistics_are_those_of_the_training_set(corpus: Path, tmp_path: Path) -> None:
    task = make_task(features={"normalization": "global"})
    make_trainer(tmp_path, max_steps=1).fit(task, datamodule=make_data(corpus))
    data = make_data(corpus)
    features = task.model.features
    frames = []
    for batch in data.val_dataloader():  # dev is train here
        values, lengths = features.unnormalized(batch.waveform, batch.waveform_lengths)
        frames += [row[:length] for row, length in zip(values, lengths, strict=True)]
    together = torch.cat(frames)
    torch.testing.assert_close(features.mean, together.mean(0), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(features.variance, together.var(0, correction=0), atol=1e-4, rtol=1e-3)


def test_augmentation_changes_training_and_nothing_else(corpus: Path, tmp_path: Path) -> None:
    augmentation = AugmentationConfig(speeds=(0.9, 1.1), time_masks=1, frequency_masks=1, narrowband=0.5)
    task = make_task(augmentation=augmentation)
    trainer = make_trainer(tmp_path, max_epochs=1)
    trainer.fit(task, datamodule=make_data(corpus))
    assert trainer.callback_metrics["train/loss"].isfinite()
    first, second = (trainer.validate(task, make_data(corpus), verbose=False) for _ in range(2))
    assert first == second


def write_one(root: Path, text: str, num_samples: int, name: str = "odd") -> None:
    write_corpus(root, num_utterances=4)
    soundfile.write(root / "odd.wav", noise(num_samples).numpy(), 8000)
    utterances = [Utterance(id=f"u{n}", audio=root / f"u{n}.wav", text="ab", speaker="s") for n in range(4)]
    utterances.append(Utterance(id=name, audio=root / "odd.wav", text=text, speaker="s"))
    prepare_utterances(utterances, root / "train.jsonl.gz", overwrite=True)


def test_an_unknown_character_stops_training_before_it_begins(tmp_path: Path) -> None:
    write_one(tmp_path, "a quiz", 4000)
    with pytest.raises(TextError, match=r"train.jsonl.gz: utterance odd: .*'q' \(1×\)"):
        fit(tmp_path, tmp_path)


def test_an_utterance_without_an_alignment_is_named_and_masked(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_one(tmp_path, "abcabcabcabc", 600)
    with caplog.at_level(logging.WARNING, "speechrnn"):
        task = fit(tmp_path, tmp_path, max_epochs=1)
    assert any("1 of 5 utterances have too few frames" in message for message in caplog.messages)
    assert any("'odd' is masked" in message for message in caplog.messages)
    assert task.trainer.callback_metrics["train/masked_utterances"] == 1
    assert all(value.isfinite().all() for value in weights(task).values())


def test_a_set_without_a_usable_utterance_is_refused(tmp_path: Path) -> None:
    write_corpus(tmp_path, num_utterances=2)
    utterance = Utterance(id="odd", audio=tmp_path / "u0.wav", text="abc" * 100, speaker="s")
    prepare_utterances([utterance], tmp_path / "train.jsonl.gz", overwrite=True)
    with pytest.raises(ManifestError, match=r"none of 1 utterances has more frames"):
        fit(tmp_path, tmp_path)


def test_missing_audio_stops_training_before_it_begins(tmp_path: Path) -> None:
    write_corpus(tmp_path, num_utterances=4)
    (tmp_path / "u2.wav").unlink()
    with pytest.raises(ManifestError, match=r"train.jsonl.gz: 1 audio files are missing: .*u2.wav"):
        fit(tmp_path, tmp_path)


def test_a_line_that_is_not_json_is_named(tmp_path: Path) -> None:
    write_corpus(tmp_path, num_utterances=4)
    path = tmp_path / "train.jsonl.gz"
    lines = gzip.decompress(path.read_bytes()).decode().splitlines()
    path.write_bytes(gzip.compress("\n".join([*lines[:2], "{oops", *lines[2:]]).encode()))
    with pytest.raises(ManifestError, match=r"train.jsonl.gz:3: not a Lhotse cut"):
        fit(tmp_path, tmp_path)


def shrink(recipe: Path, data: Path, root: Path, *more: str) -> list[str]:
    """Run a recipe for two steps on a small corpus."""
    return [
        "--config",
        str(recipe),
        "--data.root",
        str(data),
        "--data.num_workers",
        "0",
        "--trainer.default_root_dir",
        str(root),
        "--trainer.accelerator",
        "cpu",
        "--trainer.enable_progress_bar",
        "false",
        *more,
    ]


DIGITS = ("zero", "one", "two", "three")


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Clips of digits."""
    return write_words(tmp_path_factory.mktemp("digits"), DIGITS)


def write_words(root: Path, words: Sequence[str]) -> Path:
    """Write a clip of noise for each word, and the same manifest for all splits."""
    root.mkdir(exist_ok=True)
    utterances = []
    for number, word in enumerate(words):
        audio = root / f"{number}.wav"
        soundfile.write(audio, noise(16000 + 1000 * number).numpy(), 16000)
        utterances.append(Utterance(id=word, audio=audio, text=word, speaker=f"s{number}"))
    for split in ("train", "dev", "test"):
        prepare_utterances(utterances, root / f"{split}.jsonl.gz")
    return root


def words_of(recipe: Path) -> tuple[str, ...]:
    """Find texts that suit a recipe: labels or phones of its own, or words of letters."""
    vocabulary = config_from_recipe(recipe).vocabulary
    if vocabulary.unit == "phone":
        return tuple(" ".join(vocabulary.tokens[first : first + 3]) for first in range(4))
    return vocabulary.tokens[:4] if vocabulary.unit == "label" else DIGITS


@pytest.mark.filterwarnings(
    "ignore"
)  # the command line shows Lightning's advice to users, here it is not news
@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_every_recipe_is_trained_tested_exported_and_used(
    recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    corpus = write_words(tmp_path / "corpus", words_of(recipe))
    # A recipe that mixes recordings in names manifests where the recipe's README makes them.
    named = re.findall(r"(noise|neighbours): exp/", recipe.read_text())
    others = [f"--model.augmentation.{name}={corpus / 'train.jsonl.gz'}" for name in named]
    if "competition:" in recipe.read_text():
        assert main(["lm", "build", str(corpus / "train.jsonl.gz"), "-o", "lm.arpa"]) == 0
        others.append("--model.competition.lm=lm.arpa")
    steps = [
        *others,
        "--trainer.max_epochs",
        "1",
        "--trainer.max_steps",
        "2",
        "--model.encoder.hidden_size",
        "8",
    ]
    assert main(["fit", *shrink(recipe, corpus, tmp_path, *steps)]) == 0
    checkpoints = tmp_path / "checkpoints"
    assert sorted(path.name for path in checkpoints.iterdir()) == ["best.ckpt", "last.ckpt"]
    best = str(checkpoints / "best.ckpt")
    capsys.readouterr()
    options = shrink(recipe, corpus, tmp_path, "--model.encoder.hidden_size", "8")
    assert main(["test", *options, "--ckpt_path", best]) == 0
    assert "95 % bootstrap over 4 speakers" in capsys.readouterr().out
    [results] = tmp_path.glob("lightning_logs/*/test_results.jsonl")
    assert len([json.loads(line) for line in results.read_text().splitlines()]) == 4
    assert main(["predict", *options, "--ckpt_path", best]) == 0
    assert "predict: 4 utterances in" in capsys.readouterr().out
    assert main(["export", best, str(tmp_path / "m.onnx")]) == 0
    assert main(["transcribe", "-m", str(tmp_path / "m.onnx"), str(corpus / "1.wav")]) == 0


@pytest.mark.filterwarnings("ignore")
def test_a_finished_run_is_never_trained_over_and_can_go_on(
    digits: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    [recipe] = [path for path in RECIPES if path.match("fsdd/gru.yaml")]
    small = ["--model.encoder.hidden_size", "8"]
    options = shrink(recipe, digits, tmp_path, *small)
    assert main(["fit", *options, "--trainer.max_epochs", "1"]) == 0
    before = (tmp_path / "checkpoints/last.ckpt").read_bytes()
    assert main(["fit", *options, "--trainer.max_epochs", "2"]) == 1
    assert "holds the checkpoints of an earlier run; go on with --ckpt_path last" in capsys.readouterr().err
    assert (tmp_path / "checkpoints/last.ckpt").read_bytes() == before
    assert main(["fit", *options, "--trainer.max_epochs", "2", "--ckpt_path", "last"]) == 0
    assert torch.load(tmp_path / "checkpoints/last.ckpt", weights_only=True)["epoch"] == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--model.encoder.hiden_size", "3"], "did you mean 'model.encoder.hidden_size'?"),
        (["--data.rot", "x"], "unknown key 'data.rot'; did you mean 'data.root'?"),
        (["--trainer.devicez", "2"], "unknown key 'trainer.devicez'; did you mean 'trainer.devices'?"),
        (["--model.encoder.dropout", "2"], "encoder.dropout must be in [0, 1), got 2.0"),
        (["--trainer.max_epochs", "many"], 'Parser key "trainer.max_epochs"'),
        (["--ckpt_path", "missing.ckpt"], "missing.ckpt: no such checkpoint"),
        (["--ckpt_path", "last"], "last.ckpt: no such checkpoint; has this run been trained?"),
        (["--trainer.devices", "0"], "Trainer(devices='0')` value is not a valid input"),
        (["--trainer.accelerator", "tpu"], "Requirement 'torch_xla>=1.13' not met"),
        (["--threads", "0"], "threads must be > 0, got 0"),
        (
            ["--checkpoint.save_top_k", "2"],
            "checkpoint.filename must tell checkpoints apart with save_top_k 2",
        ),
        (["--last_checkpoint.every_n_steps", "0"], "last_checkpoint.every_n_steps must be > 0, got 0"),
    ],
)
def test_a_wrong_option_is_named_with_its_cure(
    arguments: list[str], said: str, digits: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["fit", *shrink(RECIPES[0], digits, tmp_path, *arguments)]) in (1, 2)
    error = capsys.readouterr().err
    assert said in error
    assert "Traceback" not in error


def test_an_unknown_key_of_a_file_is_named_with_the_nearest(
    digits: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = tmp_path / "r.yaml"
    recipe.write_text(RECIPES[0].read_text().replace("hop_length", "hop_lenght"))
    assert main(["fit", *shrink(recipe, digits, tmp_path)]) == 2
    assert "did you mean 'model.features.hop_length'?" in capsys.readouterr().err


@pytest.mark.filterwarnings("ignore")
def test_classification_is_learnt(labelled: Path, tmp_path: Path) -> None:
    task = make_task(labels=True)
    trainer = make_trainer(tmp_path, max_epochs=30)
    trainer.fit(task, datamodule=make_data(labelled))
    assert trainer.callback_metrics["val/accuracy"] == 1
    assert trainer.callback_metrics["val/error_rate"] == 0


@pytest.mark.filterwarnings("ignore")
def test_ctrl_c_leaves_a_checkpoint_and_status_130(
    digits: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    [recipe] = [path for path in RECIPES if path.match("fsdd/gru.yaml")]
    step = ClassificationTask.training_step

    def interrupted(task: ClassificationTask, batch: Any, batch_idx: int) -> Any:
        if task.global_step == 2:
            raise KeyboardInterrupt
        return step(task, batch, batch_idx)

    options = shrink(recipe, digits, tmp_path, "--model.encoder.hidden_size", "8", "--data.max_batch_s", "2")
    with monkeypatch.context() as patch:
        patch.setattr(ClassificationTask, "training_step", interrupted)
        assert main(["fit", *options, "--trainer.max_epochs", "3"]) == 130
    assert "to go on: --ckpt_path last" in capsys.readouterr().err
    assert torch.load(tmp_path / "checkpoints/last.ckpt", weights_only=True)["global_step"] == 2
    assert main(["fit", *options, "--trainer.max_epochs", "2", "--ckpt_path", "last"]) == 0
