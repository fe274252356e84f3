"""Speech recognition: training a CTC model and counting its errors."""

import logging
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor

from speechrnn.decoding import Hypothesis, greedy_decode
from speechrnn.metrics import character_errors, word_errors
from speechrnn.nn.augmentation import AugmentationConfig, SpecAugment, WaveformAugmentation, draw_warps
from speechrnn.nn.checkpoint import checkpoint_entry
from speechrnn.nn.config import EncoderConfig, FeatureConfig, ModelConfig
from speechrnn.nn.ctc_loss import CTCLoss, ctc_loss
from speechrnn.nn.model import SpeechModel
from speechrnn.text import Vocabulary
from speechrnn.training.competition import Competition, CompetitionConfig
from speechrnn.training.joint_loss import joint_mean
from speechrnn.training.optimization import OptimizationConfig, make_optimizer
from speechrnn.training.preflight import Preflight
from speechrnn.training.results import UtteranceResult, finish_test, log_sample_pairs
from speechrnn.training.share import Share
from speechrnn.training.utterances import SpeechBatch
from speechrnn.training.weight_average import weight_average

NUM_SAMPLE_PAIRS = 2
logger = logging.getLogger("speechrnn")


class CTCTask(pl.LightningModule):
    """Train a recurrent encoder with CTC; validate it by word error rate with greedy decoding."""

    def __init__(
        self,
        vocabulary: Vocabulary,
        features: FeatureConfig = FeatureConfig(),
        encoder: EncoderConfig = EncoderConfig(),
        augmentation: AugmentationConfig = AugmentationConfig(),
        optimization: OptimizationConfig = OptimizationConfig(),
        competition: CompetitionConfig = CompetitionConfig(),
    ) -> None:
        """Build the network.

        Args:
            vocabulary: Tokens of the transcripts and the normalisation that leads to them.
            features: From waveform to features.
            encoder: Subsampling and recurrent layers.
            augmentation: Changes to training batches.
            optimization: AdamW and its schedule.
            competition: What targets compete with, for a network that is read with a language model.
        """
        super().__init__()
        self.config = ModelConfig(task="ctc", vocabulary=vocabulary, features=features, encoder=encoder)
        self.model = SpeechModel(self.config)
        self.optimization = optimization
        self.competition_config = competition
        self.competition: Competition | None = None
        self.augmentation = augmentation
        self.waveform_augmentation = WaveformAugmentation(augmentation, features.sample_rate)
        self.spec_augment = SpecAugment(augmentation)
        self.token_loss = Share(0.0)
        self.word_errors = Share()
        self.character_errors = Share()
        self.blank_frames = Share()
        self.spoken = Share()
        self.sample_pairs: list[tuple[str, str]] = []
        self.results: list[UtteranceResult] = []
        self.unusable: set[str] = set()

    def configure_callbacks(self) -> list[pl.Callback]:
        """Have manifests and features seen to before the first step, and weights averaged if that is wanted."""
        return [Preflight(), *weight_average(self.optimization)]

    def setup(self, stage: str) -> None:
        """Read the competition's language, which nothing but training needs; errors as ``Competition``."""
        if stage == "fit" and self.competition_config.lm is not None and self.competition is None:
            self.competition = Competition(self.competition_config, self.config.vocabulary)

    def training_step(self, batch: SpeechBatch, batch_idx: int) -> Tensor:
        """Compute the loss of an augmented batch."""
        waveform, waveform_lengths = self.waveform_augmentation(batch.waveform, batch.waveform_lengths)
        warps = draw_warps(self.augmentation, len(waveform), waveform.device)
        features, input_lengths = self.model.features(waveform, waveform_lengths, warps)
        features = self.spec_augment(features, input_lengths)
        log_probs, output_lengths = self.model.classify_frames(features, input_lengths)
        loss = self.loss(batch, log_probs, output_lengths)
        self.name_unusable(batch, loss)
        size = len(batch.texts)
        self.log("train/loss", loss.loss, prog_bar=True, batch_size=size)
        masked = (loss.infeasible | loss.empty).sum().float()
        self.log("train/masked_utterances", masked, reduce_fx="sum", on_epoch=True, on_step=False)
        if self.competition is None:
            return joint_mean(loss.total, loss.num_tokens)
        total = self.competition.total_loss(loss, log_probs, output_lengths)
        competing = (total / loss.num_tokens.clamp(min=1)).detach()
        self.log("train/competition", competing, prog_bar=True, batch_size=size)
        return joint_mean(total, loss.num_tokens)

    def loss(self, batch: SpeechBatch, log_probs: Tensor, output_lengths: Tensor) -> CTCLoss:
        """Compute the CTC loss of a batch's log_probs."""
        ids = [
            torch.tensor(self.config.vocabulary.encode(text, name), dtype=torch.int64)
            for text, name in zip(batch.texts, batch.utterances, strict=True)
        ]
        target_lengths = torch.tensor([len(target) for target in ids], device=log_probs.device)
        targets = torch.nn.utils.rnn.pad_sequence(ids, batch_first=True).to(log_probs.device)
        blank = self.config.vocabulary.blank
        assert blank is not None
        return ctc_loss(log_probs, output_lengths, targets, target_lengths, blank=blank)

    def name_unusable(self, batch: SpeechBatch, loss: CTCLoss) -> None:
        """Say once of each utterance that it has no alignment and was masked."""
        unusable = (loss.infeasible | loss.empty).tolist()
        for index, name in enumerate(batch.utterances):
            if unusable[index] and batch.is_readable(index) and name not in self.unusable:
                self.unusable.add(name)
                logger.warning("utterance %r is masked: its target is empty or longer than its frames", name)

    def validation_step(self, batch: SpeechBatch, batch_idx: int) -> None:
        """Count a batch's errors."""
        log_probs, output_lengths = self.model(batch.waveform, batch.waveform_lengths)
        loss = self.loss(batch, log_probs, output_lengths)
        self.token_loss.update(loss.total, loss.num_tokens)
        hypotheses = self.decode(log_probs, output_lengths)
        self.count_blanks(log_probs, output_lengths)
        for index, (text, hypothesis) in enumerate(zip(batch.texts, hypotheses, strict=True)):
            if not batch.is_readable(index):
                continue
            reference = self.config.vocabulary.normalize(text)
            words = word_errors(reference, hypothesis.text)
            characters = character_errors(reference, hypothesis.text)
            self.word_errors.update(words.errors, words.reference_length)
            self.character_errors.update(characters.errors, characters.reference_length)
            self.spoken.update(int(bool(hypothesis.text)), 1)
            if len(self.sample_pairs) < NUM_SAMPLE_PAIRS:
                self.sample_pairs.append((reference, hypothesis.text))

    def count_blanks(self, log_probs: Tensor, output_lengths: Tensor) -> None:
        """Count the frames whose best token is the blank: near 1, the model says nothing."""
        time = torch.arange(log_probs.shape[1], device=log_probs.device)
        real = time < output_lengths.unsqueeze(1)
        blank = (log_probs.argmax(-1) == self.config.vocabulary.blank) & real
        self.blank_frames.update(int(blank.sum()), int(real.sum()))

    def decode(self, log_probs: Tensor, output_lengths: Tensor) -> list[Hypothesis]:
        """Decode greedily."""
        return greedy_decode(
            log_probs.float().cpu().numpy(), output_lengths.cpu().numpy(), self.config.vocabulary
        )

    def on_validation_epoch_end(self) -> None:
        """Log loss and error rates, the signs of a collapse to blanks, and two sample pairs."""
        self.log("val/loss", self.token_loss)
        self.log("val/error_rate", self.word_errors, prog_bar=True)
        if self.config.vocabulary.unit == "phone":
            self.log("val/per", self.word_errors)
        else:
            self.log("val/wer", self.word_errors)
            self.log("val/cer", self.character_errors)
        self.log("val/blank_share", self.blank_frames)
        self.log("val/non_empty_share", self.spoken)
        log_sample_pairs(self, self.sample_pairs)
        self.sample_pairs = []

    def test_step(self, batch: SpeechBatch, batch_idx: int) -> None:
        """Decode a batch and keep each utterance's result."""
        hypotheses = self.decode(*self.model(batch.waveform, batch.waveform_lengths))
        for index, hypothesis in enumerate(hypotheses):
            if not batch.is_readable(index):
                continue
            reference = self.config.vocabulary.normalize(batch.texts[index])
            counts = word_errors(reference, hypothesis.text)
            self.results.append(
                UtteranceResult(
                    batch.utterances[index],
                    batch.speakers[index],
                    reference,
                    hypothesis.text,
                    counts.errors,
                    counts.reference_length,
                )
            )

    def on_test_epoch_end(self) -> None:
        """Report the word error rate, or that of phones, over all processes, with its interval."""
        of_phones = self.config.vocabulary.unit == "phone"
        name, title = ("per", "phone error rate") if of_phones else ("wer", "word error rate")
        finish_test(self, self.results, name=name, title=title)
        self.results = []

    def predict_step(self, batch: SpeechBatch, batch_idx: int) -> list[dict[str, str]]:
        """Transcribe a batch."""
        hypotheses = self.decode(*self.model(batch.waveform, batch.waveform_lengths))
        return [
            {"utterance": name, "hypothesis": hypothesis.text}
            for index, (name, hypothesis) in enumerate(zip(batch.utterances, hypotheses, strict=True))
            if batch.is_readable(index)
        ]

    def configure_optimizers(self) -> Any:
        """Make optimizer and schedule."""
        steps = self.trainer.estimated_stepping_batches
        return make_optimizer(self.model, self.optimization, steps)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add what makes the checkpoint a model."""
        checkpoint.update(speechrnn=checkpoint_entry(self.config))
