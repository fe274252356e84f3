"""Language modelling: training a recurrent model of text and measuring its perplexity."""

import math
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor

from speechrnn.errors import CheckpointError, ConfigError
from speechrnn.nn.checkpoint import KEY, checkpoint_entry
from speechrnn.nn.language_config import LanguageModelConfig, LanguageNetworkConfig
from speechrnn.nn.language_model import RecurrentLanguageModel, detach
from speechrnn.nn.recurrent import State
from speechrnn.text import LANGUAGE_MODEL_TASK, SentenceCoder, Vocabulary
from speechrnn.training.joint_loss import joint_mean
from speechrnn.training.optimization import OptimizationConfig, make_optimizer
from speechrnn.training.perplexity import Perplexity
from speechrnn.training.share import Share
from speechrnn.training.text_data import IGNORED, TextBatch, TextDataModule
from speechrnn.training.weight_average import weight_average

STATES_KEY = "train_states"  # the entry of a checkpoint that was saved within an epoch


class LanguageModelTask(pl.LightningModule):
    """Train a recurrent language model with truncated BPTT; validate it by perplexity.

    The state is carried, cut off from its gradient, from batch to batch of an epoch, and begins each epoch and
    each validation as zeros. A checkpoint holds it, so that a resume within an epoch goes on exactly; only with
    several processes does each column then begin anew.
    """

    model: RecurrentLanguageModel

    def __init__(
        self,
        network: LanguageNetworkConfig = LanguageNetworkConfig(),
        optimization: OptimizationConfig = OptimizationConfig(),
        vocabulary: Vocabulary | None = None,
    ) -> None:
        """Set up the task; without a vocabulary the network is built when there is a text or a checkpoint.

        Args:
            network: Embedding, recurrent layers and output.
            optimization: AdamW and its schedule.
            vocabulary: Words or characters; those of the training text, or of the checkpoint, when not given.
        """
        super().__init__()
        self.network = network
        self.optimization = optimization
        self.train_states: list[State] | None = None
        self.eval_states: list[State] | None = None
        self.perplexity = Perplexity()
        self.unknown = Share()
        if vocabulary is not None:
            self.build(vocabulary)

    def build(self, vocabulary: Vocabulary) -> None:
        """Build the network."""
        self.config = LanguageModelConfig(vocabulary=vocabulary, network=self.network)
        self.model = RecurrentLanguageModel(self.config)

    def configure_callbacks(self) -> list[pl.Callback]:
        """Have weights averaged if that is wanted."""
        return weight_average(self.optimization)

    def configure_model(self) -> None:
        """Build the network with the training text's vocabulary, unless only a checkpoint is to be measured.

        Raises:
            ConfigError: If the data is not text.
        """
        data = text_data_of(self.trainer)
        if not hasattr(self, "model"):
            if self.trainer.state.fn != "fit":
                return
            self.build(data.build_vocabulary())
        data.use_vocabulary(self.config.vocabulary)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take over the checkpoint's vocabulary and, within an epoch, its state.

        Raises:
            CheckpointError: If it is not a language model's.
        """
        plain = checkpoint.get(KEY, {}).get("config", {})
        if plain.get("task") != LANGUAGE_MODEL_TASK:
            raise CheckpointError(f"{self.trainer.ckpt_path}: not the checkpoint of a language model")
        vocabulary = Vocabulary.from_dict(plain["vocabulary"])
        if not hasattr(self, "model") or self.config.vocabulary != vocabulary:
            self.build(vocabulary)
        text_data_of(self.trainer).use_vocabulary(vocabulary)
        if self.trainer.world_size == 1 and STATES_KEY in checkpoint:
            self.train_states = [tuple(state) for state in checkpoint[STATES_KEY]]

    def training_step(self, batch: TextBatch, batch_idx: int) -> Tensor:
        """Compute the mean loss of a batch's tokens, and carry the state on."""
        log_probs, self.train_states = self.predict(batch, self.train_states)
        total, count = -log_probs.sum(), torch.tensor(log_probs.numel(), device=log_probs.device)
        self.log(
            "train/loss", total / count.clamp(min=1), prog_bar=True, batch_size=max(log_probs.numel(), 1)
        )
        return joint_mean(total, count)

    def predict(self, batch: TextBatch, states: list[State] | None) -> tuple[Tensor, list[State]]:
        """Give the log probabilities (tokens,) of a batch's targets, and the state behind it, cut off."""
        if states is not None:
            states = [tuple(part.to(self.device) for part in state) for state in states]
        log_probs, states = self.model(batch.tokens, batch.lengths, None if batch.begins else states)
        real = batch.targets != IGNORED
        chosen = log_probs[real].gather(-1, batch.targets[real].unsqueeze(-1)).squeeze(-1)
        return chosen, detach(states)

    def on_train_epoch_end(self) -> None:
        """Forget the state."""
        self.train_states = None

    def validation_step(self, batch: TextBatch, batch_idx: int) -> None:
        """Count a batch's tokens by their log probabilities, and carry the state on."""
        log_probs, self.eval_states = self.predict(batch, self.eval_states)
        self.perplexity.update(log_probs)
        real = batch.targets != IGNORED
        coder = SentenceCoder(self.config.vocabulary)
        self.unknown.update(int((batch.targets[real] == coder.unknown).sum()), int(real.sum()))

    def test_step(self, batch: TextBatch, batch_idx: int) -> None:
        """Count a batch's tokens, as in validation."""
        self.validation_step(batch, batch_idx)

    def on_validation_epoch_end(self) -> None:
        """Log the perplexity."""
        self.log_perplexity("val")

    def on_test_epoch_end(self) -> None:
        """Log the perplexity and print it with what it was measured on."""
        self.log_perplexity("test")
        perplexity = float(self.perplexity.compute())
        share = 100 * float(self.unknown.compute())
        unit = self.config.vocabulary.unit
        bits = f", {math.log2(perplexity):.3f} bits per character" if unit == "character" else ""
        if self.trainer.is_global_zero:
            print(
                f"test: perplexity {perplexity:.2f} per {unit}{bits} "
                f"(the end of each sentence counted as one; {share:.2f} % are <unk>)"
            )

    def log_perplexity(self, stage: str) -> None:
        """Log perplexity, nats and bits per token over all processes, and the share of <unk>."""
        nats = math.log(float(self.perplexity.compute()))
        self.log(f"{stage}/perplexity", self.perplexity, prog_bar=True)
        self.log(f"{stage}/loss", nats)
        self.log(f"{stage}/unknown_share", self.unknown)
        if self.config.vocabulary.unit == "character":
            self.log(f"{stage}/bits_per_character", nats / math.log(2))

    def configure_optimizers(self) -> Any:
        """Make optimizer and schedule."""
        steps = self.trainer.estimated_stepping_batches
        return make_optimizer(self.model, self.optimization, steps)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add what makes the checkpoint a model, and the state of an epoch that is not over."""
        checkpoint[KEY] = checkpoint_entry(self.config)
        if self.train_states is not None:
            checkpoint[STATES_KEY] = [tuple(part.cpu() for part in state) for state in self.train_states]


def text_data_of(trainer: pl.Trainer) -> TextDataModule:
    """Return the data that a trainer was given.

    Raises:
        ConfigError: If it is not text.
    """
    data: Any = trainer.datamodule  # type: ignore[attr-defined]
    if not isinstance(data, TextDataModule):
        raise ConfigError(
            f"data.class_path must be TextDataModule for a LanguageModelTask, got {type(data).__name__}"
        )
    return data
