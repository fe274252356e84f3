"""Checkpoints: loaded without unpickling, refused when they are not ours."""

import os
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from networks import make_model, noise

from speechrnn.errors import CheckpointError
from speechrnn.nn.checkpoint import checkpoint_entry, describe_checkpoint, load_checkpoint


def save(path: Path, **changes: Any) -> Path:
    model = make_model()
    state = {f"model.{name}": value for name, value in model.state_dict().items()}
    entry = checkpoint_entry(model.config)
    torch.save({"state_dict": state, "epoch": 3, "global_step": 40, "speechrnn": entry} | changes, path)
    return path


def test_a_network_comes_back_from_its_checkpoint(tmp_path: Path) -> None:
    restored = load_checkpoint(save(tmp_path / "m.ckpt"))
    waveform, lengths = noise(1, 4000), torch.tensor([4000])
    torch.testing.assert_close(restored(waveform, lengths)[0], make_model()(waveform, lengths)[0])
    assert not restored.training


def test_a_checkpoint_is_described_without_building_the_network(tmp_path: Path) -> None:
    described = describe_checkpoint(save(tmp_path / "m.ckpt"))
    assert (described["epoch"], described["global_step"], described["format_version"]) == (3, 40, 1)
    assert described["config"]["encoder"]["cell"] == "lstm"


class Trap:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("sprung",)


def test_a_checkpoint_cannot_run_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"state_dict": Trap(), "speechrnn": {}}, "m.ckpt")
    with pytest.raises(CheckpointError, match="not a checkpoint, or a damaged one"):
        load_checkpoint("m.ckpt")
    assert not Path("sprung").exists()


def test_a_plain_pickle_is_refused(tmp_path: Path) -> None:
    (tmp_path / "m.ckpt").write_bytes(pickle.dumps({"speechrnn": {"format_version": 1}}))
    with pytest.raises(CheckpointError, match="m.ckpt"):
        load_checkpoint(tmp_path / "m.ckpt")


def test_a_checkpoint_of_another_version_is_refused_naming_both(tmp_path: Path) -> None:
    path = save(tmp_path / "m.ckpt", speechrnn={"format_version": 7, "config": {}})
    with pytest.raises(CheckpointError, match=r"checkpoint format 7, this speechrnn reads format 1"):
        load_checkpoint(path)


def test_somebody_elses_checkpoint_is_refused(tmp_path: Path) -> None:
    torch.save({"state_dict": {}}, tmp_path / "m.ckpt")
    with pytest.raises(CheckpointError, match="not one that speechrnn wrote"):
        load_checkpoint(tmp_path / "m.ckpt")


def test_a_truncated_checkpoint_is_refused(tmp_path: Path) -> None:
    path = save(tmp_path / "m.ckpt")
    path.write_bytes(path.read_bytes()[:-500])
    with pytest.raises(CheckpointError, match="damaged"):
        load_checkpoint(path)


def test_a_missing_checkpoint_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="x.ckpt: no such checkpoint"):
        load_checkpoint(tmp_path / "x.ckpt")


def test_weights_that_do_not_fit_the_configuration_are_refused(tmp_path: Path) -> None:
    path = save(tmp_path / "m.ckpt", state_dict={"model.head.output.bias": torch.zeros(2)})
    with pytest.raises(CheckpointError, match="does not fit this version"):
        load_checkpoint(path)
