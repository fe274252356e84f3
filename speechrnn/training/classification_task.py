"""Keyword classification: training a classifier of clips and counting its errors."""

from typing import Any

import pytorch_lightning as pl
import torch
import torch.nn.functional as F
from torch import Tensor

from speechrnn.nn.augmentation import AugmentationConfig, SpecAugment, WaveformAugmentation, draw_warps
from speechrnn.nn.checkpoint import checkpoint_entry
from speechrnn.nn.config import EncoderConfig, FeatureConfig, HeadConfig, ModelConfig, require
from speechrnn.nn.model import SpeechModel
from speechrnn.nn.recurrent import State
from speechrnn.text import Vocabulary
from speechrnn.training.distillation import DistillationConfig, Teacher
from speechrnn.training.joint_loss import joint_mean
from speechrnn.training.optimization import OptimizationConfig, make_optimizer
from speechrnn.training.preflight import Preflight
from speechrnn.training.results import UtteranceResult, finish_test
from speechrnn.training.share import Share
from speechrnn.training.utterances import SpeechBatch
from speechrnn.training.weight_average import weight_average


class ClassificationTask(pl.LightningModule):
    """Train a recurrent encoder with a pooling head to name the keyword of a clip."""

    def __init__(
        self,
        vocabulary: Vocabulary,
        features: FeatureConfig = FeatureConfig(),
        encoder: EncoderConfig = EncoderConfig(),
        head: HeadConfig = HeadConfig(),
        augmentation: AugmentationConfig = AugmentationConfig(),
        optimization: OptimizationConfig = OptimizationConfig(),
        label_smoothing: float = 0.0,
        carry_state: float = 0.0,
        distillation: DistillationConfig = DistillationConfig(),
    ) -> None:
        """Build the network.

        Args:
            vocabulary: The labels, unit ``label``.
            features: From waveform to features.
            encoder: Subsampling and recurrent layers.
            head: Pooling.
            augmentation: Changes to training batches.
            optimization: AdamW and its schedule.
            label_smoothing: Probability spread over all labels, 0 to below 1.
            carry_state: Share of training clips that begin in the state that another clip left, as in a
                stream, and not in zeros; for unidirectional encoders.
            distillation: A larger classifier to learn from, too.

        Raises:
            ConfigError: Naming an option, its value and its range.
        """
        super().__init__()
        self.config = ModelConfig(
            task="classification",
            vocabulary=vocabulary,
            features=features,
            encoder=encoder,
            head=head,
        )
        self.model = SpeechModel(self.config)
        self.optimization = optimization
        self.label_smoothing = label_smoothing
        require(0 <= carry_state <= 1, "carry_state", carry_state, "in [0, 1]")
        require(
            not (carry_state and encoder.bidirectional),
            "carry_state",
            carry_state,
            "0 when encoder.bidirectional is true (its backward direction starts at the end)",
        )
        self.carry_state = carry_state
        self.left_states: list[State] | None = None
        self.distillation = distillation
        self.teacher: Teacher | None = None
        self.augmentation = augmentation
        self.waveform_augmentation = WaveformAugmentation(augmentation, features.sample_rate)
        self.spec_augment = SpecAugment(augmentation)
        self.clip_loss = Share(0.0)
        self.label_errors = Share()
        self.results: list[UtteranceResult] = []

    def configure_callbacks(self) -> list[pl.Callback]:
        """Have manifests and features seen to before the first step, and weights averaged if that is wanted."""
        return [Preflight(), *weight_average(self.optimization)]

    def setup(self, stage: str) -> None:
        """Load the teacher, which nothing but training needs; errors as ``Teacher``."""
        if stage == "fit" and self.distillation.teacher is not None and self.teacher is None:
            self.teacher = Teacher(
                self.distillation, self.config.vocabulary, self.config.features.sample_rate
            )

    def training_step(self, batch: SpeechBatch, batch_idx: int) -> Tensor:
        """Compute the loss of an augmented batch."""
        waveform, waveform_lengths = self.waveform_augmentation(batch.waveform, batch.waveform_lengths)
        warps = draw_warps(self.augmentation, len(waveform), waveform.device)
        features, input_lengths = self.model.features(waveform, waveform_lengths, warps)
        features = self.spec_augment(features, input_lengths)
        log_probs = self.classify(features, input_lengths)
        # Log probabilities are their own log softmax, so cross entropy takes them as logits.
        losses = F.cross_entropy(
            log_probs, self.targets(batch), label_smoothing=self.label_smoothing, reduction="none"
        )
        if self.teacher is not None:
            share = self.distillation.weight
            losses = (1 - share) * losses + share * self.teacher.losses(waveform, waveform_lengths, log_probs)
        has_audio = batch.waveform_lengths > 0
        total, count = torch.where(has_audio, losses, 0.0).sum(), has_audio.sum()
        self.log("train/loss", total / count.clamp(min=1), prog_bar=True, batch_size=len(batch.texts))
        return joint_mean(total, count)

    def classify(self, features: Tensor, input_lengths: Tensor) -> Tensor:
        """Compute a training batch's log_probs, some clips from states that the batch before left."""
        states = self.draw_states(len(features)) if self.carry_state else None
        encoded, output_lengths, states = self.model.encoder(features, input_lengths, states)
        self.left_states = [tuple(part.detach() for part in state) for state in states]
        log_probs: Tensor = self.model.head(encoded, output_lengths)
        return log_probs

    def draw_states(self, batch_size: int) -> list[State] | None:
        """Draw a state for each clip: one that another clip left, or zeros; none before the second batch."""
        if self.left_states is None:
            return None
        one = self.left_states[0][0]
        rows = torch.randint(len(one), (batch_size,), device=one.device)
        carried = torch.rand(batch_size, 1, device=one.device) < self.carry_state
        return [tuple(part[rows] * carried for part in state) for state in self.left_states]

    def targets(self, batch: SpeechBatch) -> Tensor:
        """Look up the labels' ids, (batch,)."""
        vocabulary = self.config.vocabulary
        pairs = zip(batch.texts, batch.utterances, strict=True)
        ids = [vocabulary.encode(text, name)[0] for text, name in pairs]
        return torch.tensor(ids, device=batch.waveform.device)

    def validation_step(self, batch: SpeechBatch, batch_idx: int) -> None:
        """Count a batch's errors."""
        log_probs, _ = self.model(batch.waveform, batch.waveform_lengths)
        targets, has_audio = self.targets(batch), batch.waveform_lengths > 0
        losses = F.nll_loss(log_probs, targets, reduction="none")
        self.clip_loss.update(losses[has_audio].sum(), has_audio.sum())
        wrong = (log_probs.argmax(-1) != targets) & has_audio
        self.label_errors.update(int(wrong.sum()), int(has_audio.sum()))

    def on_validation_epoch_end(self) -> None:
        """Log the loss and the error rate; accuracy is what it lacks to 1."""
        self.log("val/loss", self.clip_loss)
        self.log("val/error_rate", self.label_errors, prog_bar=True)
        self.log("val/accuracy", 1 - self.label_errors.compute())

    def test_step(self, batch: SpeechBatch, batch_idx: int) -> None:
        """Classify a batch and keep each clip's result."""
        for prediction in self.predict_step(batch, batch_idx):
            index = batch.utterances.index(prediction["utterance"])
            reference = self.config.vocabulary.normalize(batch.texts[index])
            hypothesis, speaker = prediction["hypothesis"], batch.speakers[index]
            self.results.append(
                UtteranceResult(
                    prediction["utterance"],
                    speaker,
                    reference,
                    hypothesis,
                    int(hypothesis != reference),
                    1,
                )
            )

    def on_test_epoch_end(self) -> None:
        """Report the error rate over all processes, with its interval."""
        finish_test(self, self.results, name="error_rate", title="error rate (1 - accuracy)")
        self.results = []

    def predict_step(self, batch: SpeechBatch, batch_idx: int) -> list[dict[str, str]]:
        """Classify a batch."""
        log_probs, _ = self.model(batch.waveform, batch.waveform_lengths)
        labels = [self.config.vocabulary.decode([index]) for index in log_probs.argmax(-1).tolist()]
        return [
            {"utterance": name, "hypothesis": label}
            for index, (name, label) in enumerate(zip(batch.utterances, labels, strict=True))
            if batch.is_readable(index)
        ]

    def configure_optimizers(self) -> Any:
        """Make optimizer and schedule."""
        steps = self.trainer.estimated_stepping_batches
        return make_optimizer(self.model, self.optimization, steps)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add what makes the checkpoint a model."""
        checkpoint.update(speechrnn=checkpoint_entry(self.config))
