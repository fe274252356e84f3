"""Mean and variance of a clip's features, counted in pieces: what an utterance is normalised by."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from speechrnn.audio import Waveform
from speechrnn.runtime import model_file
from speechrnn.runtime.frame_geometry import FrameGeometry
from speechrnn.runtime.model_file import ModelFile

BLOCK_S = 30.0  # heard at a time


@dataclass(frozen=True, kw_only=True)
class Statistics:
    """Mean and variance of the feature frames that were heard."""

    num_frames: int
    """How many."""
    mean: NDArray[np.float32]
    """(1, 1, n_features)."""
    variance: NDArray[np.float32]
    """(1, 1, n_features)."""

    @property
    def inputs(self) -> dict[str, NDArray[Any]]:
        """What a model file takes them as."""
        return {
            model_file.KNOWN_FRAMES: np.full((1, 1, 1), self.num_frames, np.float32),
            model_file.KNOWN_MEAN: self.mean,
            model_file.KNOWN_VARIANCE: self.variance,
        }


class StatisticsCounter:
    """Mean and variance of a clip that arrives in pieces; only the front end runs."""

    def __init__(self, model: ModelFile) -> None:
        """Begin a clip for a model that normalises utterances."""
        self.model = model
        self.geometry = FrameGeometry.from_config(model.info.config)
        nothing = np.zeros((1, 1, model.options[model_file.KNOWN_MEAN][-1]), np.float32)
        self.statistics = Statistics(num_frames=0, mean=nothing, variance=nothing)
        self.waveform: Waveform = np.zeros(0, np.float32)
        self.first_frame = 0  # of the waveform that is kept
        self.block = self.geometry.num_frames(round(BLOCK_S * model.info.sample_rate))

    def feed(self, samples: Waveform) -> None:
        """Hear more: (samples,) float32 at the model's rate."""
        self.waveform = np.concatenate([self.waveform, samples])
        margin = self.geometry.delta_margin
        while self._num_frames - margin >= (end := self.statistics.num_frames + self.block):
            self._count(end, end + margin)

    def so_far(self) -> Statistics:
        """Return mean and variance of all frames that are certain, whatever follows."""
        return self._count(self._num_frames - self.geometry.delta_margin, self._num_frames)

    def finish(self) -> Statistics:
        """Return mean and variance of the whole clip."""
        return self._count(self._num_frames, self._num_frames)

    @property
    def _num_frames(self) -> int:
        """Count the feature frames heard so far."""
        return self.first_frame + self.geometry.num_frames(len(self.waveform))

    def _count(self, end: int, heard_until: int) -> Statistics:
        """Count the frames up to ``end``, hearing those up to ``heard_until`` for the slopes of the last."""
        known = self.statistics
        if end <= known.num_frames:
            return known
        start = (known.num_frames - self.first_frame, end - self.first_frame)
        samples = self.waveform[: self.geometry.num_samples(heard_until - self.first_frame)]
        inputs = known.inputs | {
            model_file.COUNTED: np.array(start),
            model_file.FRAME_LIMIT: np.array([1]),
        }
        self.statistics = counted_until(end, self.model.run_window(samples[None], inputs))
        first_frame = max(0, end - self.geometry.delta_margin)
        self.waveform = self.waveform[(first_frame - self.first_frame) * self.geometry.hop_length :]
        self.first_frame = first_frame
        return self.statistics


def counted_until(num_frames: int, answers: Mapping[str, NDArray[Any]]) -> Statistics:
    """Read mean and variance of the first ``num_frames`` frames."""
    mean, variance = answers[model_file.MEAN], answers[model_file.VARIANCE]
    return Statistics(num_frames=num_frames, mean=mean, variance=variance)


def count_statistics(model: ModelFile, blocks: Iterable[Waveform]) -> Statistics | None:
    """Go through a clip for its mean and variance; None if the model does not need them."""
    if model_file.KNOWN_MEAN not in model.options:
        return None
    counter = StatisticsCounter(model)
    for block in blocks:
        counter.feed(block)
    return counter.finish()
