"""The encoder: convolutional subsampling, then the recurrent stack."""

import torch
from torch import Tensor, nn

from speechrnn.nn.config import EncoderConfig
from speechrnn.nn.masking import frame_mask
from speechrnn.nn.recurrent import RecurrentStack, State

KERNEL_SIZE = 5  # odd, so that an output frame is centred on an input frame


class Subsampling(nn.Module):
    """Convolutions of stride 2 over time, one for each factor 2 of the subsampling."""

    def __init__(self, config: EncoderConfig, input_size: int) -> None:
        super().__init__()
        num_convolutions = config.subsampling.bit_length() - 1
        sizes = [input_size] + [config.conv_channels] * num_convolutions
        self.output_size = sizes[-1]
        self.convolutions = nn.ModuleList(
            nn.Conv1d(size, config.conv_channels, KERNEL_SIZE, stride=2, padding=KERNEL_SIZE // 2)
            for size in sizes[:-1]
        )

    def forward(self, features: Tensor, input_lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Subsample: (batch, time, n) to (batch, ceil(time / factor), channels) and the new lengths.

        Padding is zeroed before each convolution, so a padded clip ends as a clip alone does: in zeros.
        """
        lengths = input_lengths
        for convolution in self.convolutions:
            features = features.masked_fill(~frame_mask(lengths, features.shape[1]), 0.0)
            features = torch.relu(convolution(features.transpose(1, 2))).transpose(1, 2)
            lengths = (lengths + 1).div(2, rounding_mode="floor")
        return features, lengths


class Encoder(nn.Module):
    """Features in, encoded frames out."""

    def __init__(self, config: EncoderConfig, input_size: int) -> None:
        super().__init__()
        self.config = config
        self.subsampling = Subsampling(config, input_size)
        self.recurrent = RecurrentStack(config, self.subsampling.output_size)
        self.dropout = nn.Dropout(config.dropout)

    def forward(
        self, features: Tensor, input_lengths: Tensor, states: list[State] | None = None
    ) -> tuple[Tensor, Tensor, list[State]]:
        """Encode a padded batch.

        Args:
            features: (batch, time, n_features).
            input_lengths: (batch,) int64 frames.
            states: From an earlier call, to go on where it ended; unidirectional only.

        Returns:
            Encoded frames (batch, output time, output_size), output_lengths (batch,) int64, and the states.
        """
        subsampled, output_lengths = self.subsampling(features, input_lengths)
        encoded, states = self.recurrent(subsampled, output_lengths, states)
        return self.dropout(encoded), output_lengths, states
