"""Heads: from encoded frames to log probabilities."""

import torch
from torch import Tensor, nn

from speechrnn.nn.config import EncoderConfig, HeadConfig
from speechrnn.nn.masking import frame_mask

BLANK_BIAS = -2.0  # begins training away from the plateau on which every frame is blank


class CTCHead(nn.Module):
    """Log probabilities of each token in each frame (Graves et al., 2006)."""

    def __init__(self, encoder: EncoderConfig, num_tokens: int, blank: int) -> None:
        super().__init__()
        self.output = nn.Linear(encoder.output_size, num_tokens)
        with torch.no_grad():
            self.output.bias[blank] = BLANK_BIAS

    def forward(self, encoded: Tensor, output_lengths: Tensor) -> Tensor:
        """Map (batch, time, output_size) to log_probs (batch, time, num_tokens), float32."""
        log_probs: Tensor = self.output(encoded).float().log_softmax(-1)
        return log_probs


class ClassificationHead(nn.Module):
    """Log probabilities of each label for a whole clip."""

    def __init__(self, config: HeadConfig, encoder: EncoderConfig, num_labels: int) -> None:
        super().__init__()
        self.pooling = config.pooling
        self.forward_size = encoder.hidden_size if encoder.bidirectional else encoder.output_size
        self.attention = nn.Linear(encoder.output_size, 1) if config.pooling == "attention" else None
        self.output = nn.Linear(encoder.output_size, num_labels)

    def forward(self, encoded: Tensor, output_lengths: Tensor) -> Tensor:
        """Map (batch, time, output_size) to log_probs (batch, num_labels), float32."""
        log_probs: Tensor = self.output(self.pool(encoded, output_lengths)).float().log_softmax(-1)
        return log_probs

    def pool(self, encoded: Tensor, output_lengths: Tensor) -> Tensor:
        """Sum up each clip's real frames: (batch, time, output_size) to (batch, output_size)."""
        # A clip with no frame at all is pooled from one frame of zeros.
        lengths = output_lengths.clamp(min=1)
        mask = frame_mask(lengths, encoded.shape[1])
        if self.pooling == "mean":
            return encoded.masked_fill(~mask, 0.0).sum(1) / lengths.unsqueeze(1)
        if self.pooling == "max":
            return encoded.masked_fill(~mask, -torch.inf).amax(1)
        if self.attention is not None:
            scores: Tensor = self.attention(encoded).masked_fill(~mask, -torch.inf)
            return (scores.softmax(1) * encoded).sum(1)
        return self.last(encoded, lengths)

    def last(self, encoded: Tensor, lengths: Tensor) -> Tensor:
        """Take what each direction holds after its last step: the final frame, backwards the first."""
        index = (lengths - 1).view(-1, 1, 1).expand(-1, 1, encoded.shape[-1])
        final = encoded.gather(1, index).squeeze(1)
        return torch.cat([final[:, : self.forward_size], encoded[:, 0, self.forward_size :]], dim=-1)
