"""Recipes, the YAML files that ``speechrnn fit`` takes, as far as the model is concerned."""

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from speechrnn.errors import ConfigError, SpeechRNNError
from speechrnn.nn.config import (
    EncoderConfig,
    FeatureConfig,
    HeadConfig,
    ModelConfig,
    config_from_dict,
)
from speechrnn.text import Vocabulary


def config_from_recipe(path: Path) -> ModelConfig:
    """Read the model's configuration out of a recipe, the YAML file that ``speechrnn fit`` takes.

    Raises:
        ConfigError: If the file is no such recipe, or a value of its model is unknown or wrong.
    """
    try:
        yaml = importlib.import_module("yaml")
    except ModuleNotFoundError:
        raise ConfigError(f'{path}: needs PyYAML; pip install "speechrnn[train]"') from None
    try:
        recipe = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise ConfigError(f"{path}: cannot be read as YAML: {reason}") from error
    try:
        return parse_recipe(recipe)
    except SpeechRNNError as error:
        raise ConfigError(f"{path}: {error}") from error
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ConfigError(
            f"{path}: is no recipe, which has model.init_args.vocabulary.tokens: {error!r}"
        ) from error


def parse_recipe(recipe: Mapping[str, Any]) -> ModelConfig:
    """Build the configuration from a recipe's plain values; errors as ``config_from_recipe``."""
    model = recipe["model"]
    task = str(model.get("class_path", "CTCTask")).rpartition(".")[2]
    if task == "LanguageModelTask":
        raise ConfigError("is a recipe for a language model, which hears nothing")
    given = model.get("init_args") or {}
    vocabulary = dict(given["vocabulary"])
    vocabulary["tokens"] = list(vocabulary["tokens"])
    vocabulary = {"unit": "character", "normalization": []} | vocabulary
    return ModelConfig(
        task="ctc" if task == "CTCTask" else "classification",
        vocabulary=Vocabulary.from_dict(vocabulary),
        features=config_from_dict(FeatureConfig, given.get("features") or {}, "features"),
        encoder=config_from_dict(EncoderConfig, given.get("encoder") or {}, "encoder"),
        head=config_from_dict(HeadConfig, given.get("head") or {}, "head"),
    )
