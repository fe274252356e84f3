"""Configuration of a recurrent language model as plain, checked data: what its checkpoint and file carry."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from speechrnn.errors import ConfigError
from speechrnn.nn.config import EncoderConfig, config_from_dict, refuse_unknown, require
from speechrnn.text import LANGUAGE_MODEL_TASK, Vocabulary


@dataclass(frozen=True, kw_only=True)
class LanguageNetworkConfig:
    """Embedding, recurrent layers and output layer (Mikolov et al., 2010; Zaremba et al., 2014, arXiv:1409.2329)."""

    cell: Literal["rnn", "gru", "lstm"] = "gru"
    """Recurrent cell; ``rnn`` is Elman's (1990) with tanh."""
    hidden_size: int = 256
    """State size of each layer."""
    num_layers: int = 1
    """Recurrent layers."""
    embedding_size: int = 256
    """Size of the vector that stands for a token."""
    dropout: float = 0.3
    """Share of activations dropped in front of each recurrent layer and the output, in training."""
    tied: bool = True
    """Whether the output layer shares its matrix with the embedding (Press and Wolf, 2017, arXiv:1608.05859)."""

    def __post_init__(self) -> None:
        """Check every range.

        Raises:
            ConfigError: Naming the option, its value and its range.
        """
        require(self.cell in ("rnn", "gru", "lstm"), "network.cell", self.cell, "rnn, gru or lstm")
        for name in ("hidden_size", "num_layers", "embedding_size"):
            require(getattr(self, name) > 0, f"network.{name}", getattr(self, name), "> 0")
        require(0 <= self.dropout < 1, "network.dropout", self.dropout, "in [0, 1)")

    @property
    def encoder(self) -> EncoderConfig:
        """The recurrent layers, as ``RecurrentStack`` takes them."""
        return EncoderConfig(
            cell=self.cell,
            hidden_size=self.hidden_size,
            num_layers=self.num_layers,
            dropout=self.dropout,
            bidirectional=False,
            norm="none",
            residual=False,
        )

    @property
    def num_state_parts(self) -> int:
        """Vectors of ``hidden_size`` in the state of all layers: one a layer, of LSTM cells two."""
        return self.num_layers * (2 if self.cell == "lstm" else 1)


@dataclass(frozen=True, kw_only=True)
class LanguageModelConfig:
    """All that is needed to build the language model again, and to give it text."""

    vocabulary: Vocabulary
    """Words or characters; the ids of a sentence's end and of unknown tokens are ``SentenceCoder``'s."""
    network: LanguageNetworkConfig = field(default_factory=LanguageNetworkConfig)

    def __post_init__(self) -> None:
        """Check the vocabulary.

        Raises:
            ConfigError: If it is not one of words or characters.
        """
        unit = self.vocabulary.unit
        wanted = "word or character for a language model"
        require(unit in ("word", "character"), "vocabulary.unit", unit, wanted)

    def to_dict(self) -> dict[str, Any]:
        """Return nested dicts of plain values: what checkpoints and model files store."""
        return {
            "task": LANGUAGE_MODEL_TASK,
            "network": dataclasses.asdict(self.network),
            "vocabulary": self.vocabulary.to_dict(),
        }

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> "LanguageModelConfig":
        """Build the configuration from what ``to_dict`` gave.

        Raises:
            ConfigError: If a key is missing or unknown, the nearest valid one named, or the task another one.
        """
        known = {"task", "network", "vocabulary"}
        refuse_unknown(plain, known, "config")
        missing = sorted(known - set(plain))
        if missing:
            raise ConfigError(f"config lacks {', '.join(missing)}")
        require(plain["task"] == LANGUAGE_MODEL_TASK, "task", plain["task"], LANGUAGE_MODEL_TASK)
        return cls(
            vocabulary=Vocabulary.from_dict(plain["vocabulary"]),
            network=config_from_dict(LanguageNetworkConfig, plain["network"], "network"),
        )
