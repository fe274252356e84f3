"""The encoder: convolutional subsampling, then the recurrent stack."""

import torch
from torch import Tensor, nn

from speechrnn.nn.config import EncoderConfig
from speechrnn.nn.masking import frame_mask
from speechrnn.nn.recurrent import RecurrentStack, State, make_dropout

KERNEL_SIZE = 5  # odd, so that an output is centred on an input


class Subsampling(nn.Module):
    """Two convolutions over time and frequency, as in Deep Speech 2 (Amodei et al., 2016, arXiv:1512.02595).

    Both halve the frequencies; one halves time for each factor 2 of the subsampling. A pattern is learnt once
    for all the bands at which speakers' voices place it.
    """

    def __init__(self, config: EncoderConfig, input_size: int) -> None:
        super().__init__()
        channels = config.conv_channels
        self.time_strides = config.time_strides
        self.convolutions = nn.ModuleList(
            nn.Conv2d(inputs, channels, KERNEL_SIZE, stride=(stride, 2), padding=KERNEL_SIZE // 2)
            for inputs, stride in zip((1, channels), self.time_strides, strict=True)
        )
        self.output_size = channels * ((input_size + 3) // 4)

    def forward(self, features: Tensor, input_lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Subsample: (batch, time, n) to (batch, ceil(time / factor), output_size) and the new lengths.

        Padding is zeroed before each convolution, so a padded clip ends as a clip alone does: in zeros.
        """
        planes, lengths = features.unsqueeze(1), input_lengths
        for convolution, stride in zip(self.convolutions, self.time_strides, strict=True):
            mask = frame_mask(lengths, planes.shape[2])
            planes = planes.masked_fill(~mask.unsqueeze(1), 0.0)
            planes = torch.relu(convolution(planes))
            lengths = (lengths + stride - 1).div(stride, rounding_mode="floor")
        return planes.transpose(1, 2).flatten(2), lengths


class Encoder(nn.Module):
    """Features in, encoded frames out."""

    def __init__(self, config: EncoderConfig, input_size: int) -> None:
        super().__init__()
        self.config = config
        self.subsampling = Subsampling(config, input_size)
        self.recurrent = RecurrentStack(config, self.subsampling.output_size)
        self.dropout = make_dropout(config)

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
