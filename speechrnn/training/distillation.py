"""Distillation: a small classifier learns what a larger one answers, not only which label is right."""

from dataclasses import dataclass

import torch
from torch import Tensor

from speechrnn.errors import ConfigError
from speechrnn.nn.config import require
from speechrnn.nn.transfer import load_network
from speechrnn.text import Vocabulary


@dataclass(frozen=True, kw_only=True)
class DistillationConfig:
    """Who teaches, and how much that counts (Hinton et al., 2015, arXiv:1503.02531)."""

    teacher: str | None = None
    """Checkpoint, model file or shipped model, a classifier of the same labels; none by default."""
    weight: float = 0.5
    """Share of the loss that is the teacher's, in [0, 1]; the rest is that of the labels."""
    temperature: float = 2.0
    """By which the log probabilities of both are divided, > 0; above 1, what is unlikely counts more."""

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            ConfigError: Naming the option, its value and its range.
        """
        require(0 <= self.weight <= 1, "distillation.weight", self.weight, "in [0, 1]")
        require(self.temperature > 0, "distillation.temperature", self.temperature, "> 0")


class Teacher:
    """A trained classifier that hears what another learns from. No module: it is in no checkpoint, and never learns."""

    def __init__(self, config: DistillationConfig, vocabulary: Vocabulary, sample_rate: int) -> None:
        """Load it.

        Args:
            config: Names it.
            vocabulary: Labels of the network that learns.
            sample_rate: Of the waveform that this hears, Hz.

        Raises:
            CheckpointError: If it cannot be read.
            ConfigError: If it has other labels, or hears another sample rate.
        """
        assert config.teacher is not None
        self.model = load_network(config.teacher)
        self.temperature = config.temperature
        theirs, rate = self.model.config.vocabulary, self.model.config.features.sample_rate
        if theirs.unit != "label" or set(theirs.tokens) != set(vocabulary.tokens):
            raise ConfigError(
                f"distillation.teacher {config.teacher} must have the labels {', '.join(vocabulary.tokens)}, "
                f"got {', '.join(theirs.tokens)}"
            )
        if rate != sample_rate:
            raise ConfigError(
                f"distillation.teacher {config.teacher} must hear {sample_rate} Hz, got {rate} Hz"
            )
        self.order = [theirs.ids[token] for token in vocabulary.tokens]

    def losses(self, waveform: Tensor, waveform_lengths: Tensor, log_probs: Tensor) -> Tensor:
        """Measure how far answers are from its own.

        Args:
            waveform: (batch, samples), padded at the end.
            waveform_lengths: (batch,) int64 samples.
            log_probs: (batch, labels) of the network that learns.

        Returns:
            (batch,): temperature² · KL(teacher ‖ student), both tempered; its gradient does not fade with temperature.
        """
        with torch.no_grad():
            told, _ = self.model.to(waveform.device)(waveform, waveform_lengths)
        temper = 1 / self.temperature
        wanted = (told[:, self.order] * temper).log_softmax(-1)
        distances: Tensor = wanted.exp() * (wanted - (log_probs * temper).log_softmax(-1))
        return distances.sum(-1) / temper**2
