"""Which samples an output frame is computed from, and what a cut through the audio spoils."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

CONV_REACH = 2  # frames to each side that a convolution of the subsampling sees
DELTA_REACH = 2  # frames to each side that a slope sees


@dataclass(frozen=True, kw_only=True)
class FrameGeometry:
    """How samples become feature frames, and those output frames."""

    n_fft: int
    """Samples in a feature frame."""
    hop_length: int
    """Samples from one feature frame to the next."""
    strides: tuple[int, int]
    """Of the two convolutions, over time."""
    deltas: int
    """Orders of slopes among the features."""

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "FrameGeometry":
        """Read it from a model's configuration.

        Raises:
            KeyError, TypeError, ValueError: If the configuration is damaged.
        """
        features, subsampling = config["features"], int(config["encoder"]["subsampling"])
        return cls(
            n_fft=int(features["n_fft"]),
            hop_length=int(features["hop_length"]),
            strides=(min(subsampling, 2), max(subsampling // 2, 1)),
            deltas=int(features.get("deltas", 0)),
        )

    @property
    def frames_per_output(self) -> int:
        """Feature frames from one output frame to the next."""
        return self.strides[0] * self.strides[1]

    @property
    def samples_per_output(self) -> int:
        """Samples from one output frame to the next."""
        return self.frames_per_output * self.hop_length

    @property
    def delta_margin(self) -> int:
        """Feature frames at each side of a cut whose slopes do not see all that they should."""
        return DELTA_REACH * self.deltas

    @property
    def margin(self) -> int:
        """Output frames behind a cut that hear zeros where there was sound."""
        spoilt = self.delta_margin
        for stride in self.strides:  # an output is centred on input stride * index
            spoilt = -(-(spoilt + CONV_REACH) // stride)
        return spoilt

    def num_frames(self, num_samples: int) -> int:
        """Count the feature frames of ``num_samples`` samples."""
        return max(0, 1 + (num_samples - self.n_fft) // self.hop_length)

    def num_samples(self, num_frames: int) -> int:
        """Count the samples under ``num_frames`` >= 1 feature frames."""
        return (num_frames - 1) * self.hop_length + self.n_fft

    def num_outputs(self, num_frames: int) -> int:
        """Count the output frames of ``num_frames`` feature frames, those at the end included."""
        for stride in self.strides:
            num_frames = -(-num_frames // stride)
        return num_frames

    def frames_for(self, num_outputs: int) -> int:
        """Count the feature frames that ``num_outputs`` >= 1 output frames need if more audio follows."""
        for stride in reversed(self.strides):
            num_outputs = stride * (num_outputs - 1) + 1 + CONV_REACH
        return num_outputs + self.delta_margin
