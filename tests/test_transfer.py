"""Fine-tuning: which weights another network takes over."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from corpora import write_corpus
from networks import CHARACTERS, make_config, make_model

from speechrnn.cli.main import main
from speechrnn.errors import CheckpointError
from speechrnn.nn.checkpoint import checkpoint_entry, load_checkpoint
from speechrnn.nn.export import export_model
from speechrnn.nn.model import SpeechModel
from speechrnn.nn.transfer import transfer_weights
from speechrnn.text import Vocabulary


def test_an_equal_network_takes_over_every_tensor() -> None:
    source, target = make_model(seed=1), make_model(seed=2)
    transfer = transfer_weights(source, target)
    assert transfer.anew == ()
    assert (transfer.num_tokens, transfer.num_outputs) == (5, 5)
    for name, tensor in source.state_dict().items():
        assert torch.equal(tensor, target.state_dict()[name])


def test_a_new_vocabulary_keeps_the_rows_of_its_old_tokens() -> None:
    # a, b, c and the space have the ids 1 to 4; in the new alphabet c is 1, x 2 and a 3.
    source = make_model(seed=1)
    target = SpeechModel(replace(make_config(), vocabulary=Vocabulary(("c", "x", "a"), "character")))
    before = target.state_dict()["head.output.weight"].clone()
    transfer = transfer_weights(source, target)
    theirs, ours = source.state_dict()["head.output.weight"], target.state_dict()["head.output.weight"]
    assert torch.equal(ours[[0, 1, 3]], theirs[[0, 3, 1]])
    assert torch.equal(ours[2], before[2])
    assert (transfer.num_tokens, transfer.num_outputs) == (3, 4)


def test_a_classifier_takes_the_encoder_of_a_text_model_and_begins_its_head_anew() -> None:
    target = make_model("classification", seed=2)
    before = target.state_dict()["head.output.weight"].clone()
    transfer = transfer_weights(make_model(seed=1), target)
    assert set(transfer.anew) == {name for name in target.state_dict() if name.startswith("head.")}
    assert transfer.num_tokens == 0
    assert torch.equal(target.state_dict()["head.output.weight"], before)


def test_a_layer_that_the_source_lacks_begins_anew() -> None:
    transfer = transfer_weights(make_model(), make_model(encoder={"num_layers": 3}))
    assert {name.split(".")[3] for name in transfer.anew} == {"2"}
    assert "begun anew: encoder.recurrent.layers.2." in str(transfer)


def test_statistics_of_other_features_are_not_taken_and_the_difference_is_named() -> None:
    transfer = transfer_weights(make_model(features={"f_min": 100.0}), make_model())
    assert transfer.other_features == ("f_min",)
    assert {name for name in transfer.anew if name.startswith("features.")} == {
        "features.mean",
        "features.variance",
        "features.has_statistics",
    }
    assert str(transfer).endswith("made for other features: f_min")


def test_a_network_of_other_sizes_is_refused() -> None:
    with pytest.raises(CheckpointError, match="no layer of its encoder has a shape of this one's"):
        transfer_weights(make_model(), make_model(encoder={"hidden_size": 5, "conv_channels": 3}))


RECIPE = """
model:
  class_path: CTCTask
  init_args:
    vocabulary: {unit: character, tokens: [a, b, c, d, " "]}
    features: {sample_rate: 8000, n_fft: 256, win_length: 200, hop_length: 80, n_mels: 12, n_mfcc: 6}
    encoder: {hidden_size: 8, conv_channels: 8, num_layers: 2, dropout: 0.0}
    optimization: {lr: 1.0e-12}
data: {num_workers: 0}
trainer: {max_epochs: 1, accelerator: cpu, logger: false, enable_progress_bar: false}
"""


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["source.ckpt", "source.onnx"])
def test_fit_begins_with_the_weights_of_a_checkpoint_or_model_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    source = make_model(seed=3)
    assert source.config.vocabulary == CHARACTERS
    state = {f"model.{name}": value for name, value in source.state_dict().items()}
    torch.save({"state_dict": state, "speechrnn": checkpoint_entry(source.config)}, tmp_path / "source.ckpt")
    export_model(source, tmp_path / "source.onnx")
    write_corpus(tmp_path / "data")
    (tmp_path / "recipe.yaml").write_text(RECIPE, encoding="utf-8")
    arguments = ["fit", "--config", str(tmp_path / "recipe.yaml"), "--data.root", str(tmp_path / "data")]
    arguments += ["--trainer.default_root_dir", str(tmp_path / "run")]
    assert main([*arguments, "--init-from", str(tmp_path / name)]) == 0
    tuned = load_checkpoint(tmp_path / "run" / "checkpoints" / "last.ckpt").state_dict()
    kernel = "encoder.recurrent.layers.0.forward_cell.weight_hh_l0"
    torch.testing.assert_close(tuned[kernel], source.state_dict()[kernel])
    assert f"{name}: 29 of 29 tensors; output layer: 5 of 6 tokens" in capsys.readouterr().err


@pytest.mark.filterwarnings("ignore")
def test_a_checkpoint_to_begin_with_that_is_missing_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_corpus(tmp_path / "data")
    (tmp_path / "recipe.yaml").write_text(RECIPE, encoding="utf-8")
    arguments = ["fit", "--config", str(tmp_path / "recipe.yaml"), "--data.root", str(tmp_path / "data")]
    assert main([*arguments, "--init_from", str(tmp_path / "nowhere.ckpt")]) == 1
    assert "nowhere.ckpt: no such model file" in capsys.readouterr().err
