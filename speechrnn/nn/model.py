"""The whole network: waveform in, log probabilities out."""

from torch import Tensor, nn

from speechrnn.nn.config import ModelConfig
from speechrnn.nn.encoder import Encoder
from speechrnn.nn.features import Features
from speechrnn.nn.heads import ClassificationHead, CTCHead


class SpeechModel(nn.Module):
    """Features, encoder and head, as one configuration says."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.features = Features(config.features)
        self.encoder = Encoder(config.encoder, config.features.n_features)
        self.head = make_head(config)

    def forward(self, waveform: Tensor, waveform_lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Compute log probabilities; an answer does not depend on the other clips of its batch.

        Args:
            waveform: (batch, samples) in [-1, 1] at the configured sample rate, padded at the end.
            waveform_lengths: (batch,) int64 samples.

        Returns:
            log_probs, (batch, frames, len(vocabulary)) for CTC or (batch, labels) for classification, and
            output_lengths (batch,) int64 frames.
        """
        return self.classify_frames(*self.features(waveform, waveform_lengths))

    def classify_frames(self, features: Tensor, input_lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Compute log probabilities from features (batch, time, n_features); as ``forward``."""
        encoded, output_lengths, _ = self.encoder(features, input_lengths)
        return self.head(encoded, output_lengths), output_lengths

    def num_parameters(self) -> int:
        """Count trainable numbers."""
        return sum(p.numel() for p in self.parameters() if p.requires_grad)


def make_head(config: ModelConfig) -> nn.Module:
    """Make the head for the task."""
    if config.vocabulary.blank is not None:
        return CTCHead(config.encoder, len(config.vocabulary), config.vocabulary.blank)
    return ClassificationHead(config.head, config.encoder, len(config.vocabulary))
