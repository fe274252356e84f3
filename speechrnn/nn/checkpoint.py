"""Training checkpoints: what speechrnn adds to Lightning's, and how a model comes back out of one."""

from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

import torch

from speechrnn.errors import CheckpointError, SpeechRNNError
from speechrnn.nn.config import ModelConfig
from speechrnn.nn.language_config import LanguageModelConfig
from speechrnn.nn.language_model import RecurrentLanguageModel
from speechrnn.nn.model import SpeechModel
from speechrnn.text import LANGUAGE_MODEL_TASK

FORMAT_VERSION = 1
KEY = "speechrnn"
PREFIX = "model."  # the task's attribute that holds the network


def checkpoint_entry(config: ModelConfig | LanguageModelConfig) -> dict[str, Any]:
    """Make the entry that turns a checkpoint into a model: format version and configuration, plain data."""
    return {"format_version": FORMAT_VERSION, "config": config.to_dict()}


def load_checkpoint(path: str | PathLike[str]) -> SpeechModel:
    """Rebuild the network of a checkpoint, in evaluation mode, on the CPU.

    The file is never unpickled: only tensors and plain values are read from it.

    Raises:
        CheckpointError: If the file is missing, damaged, not of speechrnn, of another format version, or a
            language model's.
    """
    model = load_any(path)
    if not isinstance(model, SpeechModel):
        raise CheckpointError(f"{path}: a language model, which knows text and hears nothing")
    return model


def load_language_model(path: str | PathLike[str]) -> RecurrentLanguageModel:
    """Rebuild the language model of a checkpoint, in evaluation mode, on the CPU.

    Raises:
        CheckpointError: As ``load_checkpoint``, or if it is a model that hears.
    """
    model = load_any(path)
    if not isinstance(model, RecurrentLanguageModel):
        raise CheckpointError(f"{path}: not a language model but one for {model.config.task}")
    return model


def load_any(path: str | PathLike[str]) -> SpeechModel | RecurrentLanguageModel:
    """Rebuild whatever network a checkpoint holds; errors as ``load_checkpoint``."""
    checkpoint = read_checkpoint(path)
    try:
        model = make_model(checkpoint[KEY]["config"])
        model.load_state_dict(model_weights(checkpoint["state_dict"]))
    except (SpeechRNNError, RuntimeError, KeyError, TypeError) as error:
        raise CheckpointError(f"{path}: the checkpoint does not fit this version: {error}") from error
    return model.eval()


def make_model(config: Mapping[str, Any]) -> SpeechModel | RecurrentLanguageModel:
    """Make an untrained network of a checkpoint's configuration."""
    if config.get("task") == LANGUAGE_MODEL_TASK:
        return RecurrentLanguageModel(LanguageModelConfig.from_dict(config))
    return SpeechModel(ModelConfig.from_dict(config))


def read_checkpoint(path: str | PathLike[str]) -> dict[str, Any]:
    """Read a checkpoint's dictionary and check that it is ours; errors as ``load_checkpoint``."""
    if not Path(path).is_file():
        raise CheckpointError(f"{path}: no such checkpoint")
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises a different type for each kind of damage
        # Its message would advise to unpickle the file, which runs whatever is in it.
        raise CheckpointError(f"{path}: not a checkpoint, or a damaged one") from error
    if not isinstance(checkpoint, dict) or KEY not in checkpoint:
        raise CheckpointError(f"{path}: a checkpoint, but not one that speechrnn wrote")
    version = checkpoint[KEY].get("format_version")
    if version != FORMAT_VERSION:
        raise CheckpointError(
            f"{path}: checkpoint format {version}, this speechrnn reads format {FORMAT_VERSION}; "
            "use the speechrnn that wrote it"
        )
    return checkpoint


def model_weights(state_dict: Mapping[str, Any]) -> dict[str, Any]:
    """Pick the network's tensors out of a task's."""
    return {k.removeprefix(PREFIX): v for k, v in state_dict.items() if k.startswith(PREFIX)}


def describe_checkpoint(path: str | PathLike[str]) -> dict[str, Any]:
    """Tell what a checkpoint holds, as plain data; errors as ``load_checkpoint``."""
    checkpoint = read_checkpoint(path)
    weights = model_weights(checkpoint["state_dict"])
    return {
        "kind": "checkpoint",
        "format_version": checkpoint[KEY]["format_version"],
        "epoch": checkpoint.get("epoch"),
        "global_step": checkpoint.get("global_step"),
        "num_parameters": sum(tensor.numel() for tensor in weights.values()),
        "config": checkpoint[KEY]["config"],
    }
