"""The network on audio that arrives in pieces, or is too long to be heard at once; memory stays bounded.

A unidirectional model carries its state on, and gives what it gives for the whole clip. A bidirectional one
hears overlapping windows: of each the middle is kept, with ``context_s`` before it and ``lookahead_s`` behind
it. Either way the windows lie on a fixed grid of output frames, so an answer does not depend on how the samples
were cut: streamed is offline.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from speechrnn.audio import Waveform
from speechrnn.errors import AudioError, ConfigError, ModelFileError
from speechrnn.runtime import model_file
from speechrnn.runtime.feature_statistics import Statistics, StatisticsCounter, counted_until
from speechrnn.runtime.frame_geometry import FrameGeometry
from speechrnn.runtime.model_file import ModelFile

LogProbs = NDArray[np.float32]
LONG_S = 60.0  # clips up to here are heard whole, longer ones in windows


@dataclass(frozen=True, kw_only=True)
class WindowOptions:
    """How audio is cut into windows, seconds; each is rounded up to whole output frames."""

    chunk_s: float = 0.2
    """What each window adds, > 0."""
    context_s: float = 2.0
    """What a bidirectional model hears before it, and what a classifier pools with it, >= 0."""
    lookahead_s: float = 0.6
    """What a bidirectional model hears behind it, >= 0."""
    warm_up_s: float = 2.0
    """Heard before the first answer where utterances are normalised and their mean is not known yet, >= 0."""
    batch: int = 1
    """Windows that go through the network together, >= 1; a live stream has no time to wait for several."""

    def __post_init__(self) -> None:
        """Check every range; a ``ConfigError`` names the option."""
        if not 0 < self.chunk_s < math.inf:
            raise ConfigError(f"chunk_s must be > 0 and finite, got {self.chunk_s!r}")
        for name in ("context_s", "lookahead_s", "warm_up_s"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ConfigError(f"{name} must be >= 0 and finite, got {getattr(self, name)!r}")
        if self.batch < 1:
            raise ConfigError(f"batch must be >= 1, got {self.batch!r}")


LIVE = WindowOptions()


class Window(NamedTuple):
    """A stretch of audio and what is kept of its answer; all but ``num_frames`` count output frames."""

    first: int
    """Of those that are kept."""
    end: int
    """Behind the last that is kept."""
    start: int
    """Where its audio begins."""
    encoded_from: int
    """Where the recurrent layers begin."""
    encoded_to: int
    """Where they end."""
    num_frames: int
    """Feature frames of its audio."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """What windows that go together must have in common."""
        return self.num_frames, self.encoded_from - self.start, self.encoded_to - self.start


class EmissionStream:
    """One stream of audio on its way through the network.

    Attributes:
        latency_s: From a sound to its answer: what the answer waits for behind it, and at most one chunk.

    Example:
        >>> stream = EmissionStream(model)  # doctest: +SKIP
        >>> log_probs = [stream.feed(samples) for samples in microphone]  # doctest: +SKIP
        >>> log_probs.append(stream.finish())  # doctest: +SKIP
    """

    def __init__(
        self, model: ModelFile, options: WindowOptions = LIVE, *, statistics: Statistics | None = None
    ) -> None:
        """Begin a stream.

        Args:
            model: What to run; one model serves many streams.
            options: Sizes of the windows.
            statistics: Mean and variance for a model that normalises utterances, when they are known. Else
                the stream estimates them from what it has heard: a window is normalised by all frames up to
                its end, and the first ones by ``warm_up_s`` or all there is.

        Raises:
            ModelFileError: If the file was written before models could be streamed, and cannot be.
        """
        check_streamable(model)
        self.model, self.options = model, options
        info, self.geometry = model.info, FrameGeometry.from_config(model.info.config)
        self.carries_state = model_file.STATE in model.options
        self.is_classifier = info.task == "classification"
        self.estimates = model_file.KNOWN_MEAN in model.options and statistics is None
        self.statistics = statistics
        self.chunk, self.context, self.lookahead = map(self._outputs, self._sizes())
        self.margin = 0 if self.is_classifier and not self.carries_state else self.geometry.margin
        self.state: NDArray[np.float32] | None = None
        self.past: NDArray[np.float32] | None = None
        self.waveform: Waveform = np.zeros(0, np.float32)
        self.waveform_start = 0  # samples that went before the waveform that is kept
        self.num_emitted = 0
        self.is_finished = False

    def _sizes(self) -> tuple[float, float, float]:
        """Say what chunk, context and lookahead are for this model, in seconds."""
        options = self.options
        return options.chunk_s, options.context_s, 0.0 if self.carries_state else options.lookahead_s

    def _outputs(self, seconds: float) -> int:
        """Turn seconds into output frames, rounded up; half a sample of slack for 0.1 s that is not 0.1."""
        samples = seconds * self.model.info.sample_rate
        return math.ceil((samples - 0.5) / self.geometry.samples_per_output)

    @property
    def frame_s(self) -> float:
        """Seconds from one output frame to the next."""
        return self.geometry.samples_per_output / self.model.info.sample_rate

    @property
    def latency_s(self) -> float:
        """Seconds from a sound to the answer that it is part of, at most; the time to compute comes on top.

        The lookahead (of the model, and of its front end) and one chunk.
        """
        window = self._window_at(10 * self.margin + self.context, None)
        end = window.start * self.geometry.samples_per_output + self.geometry.num_samples(window.num_frames)
        return end / self.model.info.sample_rate - window.first * self.frame_s

    def feed(self, samples: Waveform) -> LogProbs:
        """Hear more.

        Args:
            samples: (samples,) float32 in [-1, 1] at the model's rate; any number of them, also none.

        Returns:
            What has become known: of a CTC model log_probs (frames, len(vocabulary)), of a classifier
            (chunks, labels), each pooled from ``context_s`` before the chunk to its end.

        Raises:
            AudioError: If samples are not finite, or the stream was finished.
            ModelFileError: If ONNX Runtime cannot compute it.
        """
        self.check_open()
        samples = np.asarray(samples, dtype=np.float32)
        if samples.ndim != 1:
            raise AudioError(f"a stream takes samples of one channel, (samples,), got shape {samples.shape}")
        if not np.isfinite(samples).all():
            raise AudioError("the stream's samples must be finite; some are NaN or infinite")
        self.waveform = np.concatenate([self.waveform, samples])
        return self._advance(total_frames=None)

    def finish(self) -> LogProbs:
        """End the stream and return the answers that are left; as ``feed``."""
        self.check_open()
        self.is_finished = True
        return self._advance(total_frames=self.geometry.num_frames(self._num_heard))

    def check_open(self) -> None:
        """Refuse a stream that was finished with an ``AudioError``."""
        if self.is_finished:
            raise AudioError("the stream is finished; begin another one")

    @property
    def _num_heard(self) -> int:
        """Count the samples fed so far."""
        return self.waveform_start + len(self.waveform)

    def _advance(self, total_frames: int | None) -> LogProbs:
        """Compute all windows that can be; ``total_frames`` are known at the end."""
        columns = len(self.model.info.vocabulary)
        answers = [np.zeros((0, columns), np.float32)]
        while windows := self._next_windows(total_frames):
            if self.estimates and self.statistics is None:
                self._warm_up(total_frames)
            answers += self._run(windows, total_frames)
            self.num_emitted = windows[-1].end
            self._forget()
        return np.concatenate(answers)

    def _next_windows(self, total_frames: int | None) -> list[Window]:
        """Find the next windows that have all they need and may go together."""
        together = 1 if self.carries_state or self.estimates else self.options.batch
        windows: list[Window] = []
        first = self.num_emitted
        while len(windows) < together:
            if total_frames is not None and first >= self.geometry.num_outputs(total_frames):
                break
            window = self._window_at(first, total_frames)
            if not self._has_audio(window) or (windows and window.shape != windows[0].shape):
                break
            windows.append(window)
            first = window.end
        is_full = len(windows) == together or total_frames is not None
        # The first windows have less context, so they cannot wait for others of their shape.
        starts_late = bool(windows) and windows[0].start > 0
        return windows if is_full or not starts_late else []

    def _window_at(self, first: int, total_frames: int | None) -> Window:
        """Lay the window whose first kept output is ``first``."""
        geometry = self.geometry
        end = first + self.chunk
        encoded_to = end + self.lookahead
        if total_frames is not None:
            num_outputs = geometry.num_outputs(total_frames)
            end, encoded_to = min(end, num_outputs), min(encoded_to, num_outputs)
        encoded_from = first if self.carries_state else max(0, first - self.context)
        start = max(0, encoded_from - self.margin)
        num_frames = self._frames_for(encoded_to - start)
        if total_frames is not None:
            num_frames = min(num_frames, total_frames - start * geometry.frames_per_output)
        return Window(first, end, start, encoded_from, encoded_to, num_frames)

    def _frames_for(self, num_outputs: int) -> int:
        """Count the feature frames that a window needs; a bidirectional classifier hears clips, not cuts."""
        if self.margin:
            return self.geometry.frames_for(num_outputs)
        return num_outputs * self.geometry.frames_per_output

    def _has_audio(self, window: Window) -> bool:
        """Tell whether all samples of a window, and of a warm-up that must come first, have been heard."""
        needed = window.start * self.geometry.frames_per_output + window.num_frames
        if self.estimates and self.statistics is None and not self.is_finished:
            needed = max(needed, self._warm_up_frames)
        return self.geometry.num_frames(self._num_heard) >= needed

    @property
    def _warm_up_frames(self) -> int:
        """Count the feature frames to hear before the first answer."""
        outputs = self._outputs(self.options.warm_up_s)
        return outputs * self.geometry.frames_per_output + self.geometry.delta_margin

    def _warm_up(self, total_frames: int | None) -> None:
        """Estimate mean and variance from the beginning."""
        num_frames = self._warm_up_frames if total_frames is None else total_frames
        counter = StatisticsCounter(self.model)
        if num_frames:
            counter.feed(self.waveform[: self.geometry.num_samples(num_frames)])
        self.statistics = counter.finish() if total_frames is not None else counter.so_far()

    def _run(self, windows: Sequence[Window], total_frames: int | None) -> list[LogProbs]:
        """Compute windows of one shape and keep the middle of each answer."""
        window = windows[0]
        waveforms = np.stack([self._cut(window) for window in windows])
        skip = window.encoded_from - window.start
        num_outputs = window.encoded_to - window.start
        hold = self.geometry.num_outputs(window.num_frames) - num_outputs
        cut = {model_file.SKIP: np.array([skip]), model_file.HOLD: np.array([hold])}
        can_cut = model_file.SKIP in self.model.options
        inputs = (cut if can_cut else {}) | self._carried() | self._normalization(window, total_frames)
        answers = self.model.run_window(waveforms, inputs)
        self._carry(answers, inputs, window)
        if self.is_classifier:
            return [answers["log_probs"]]
        begins = [w.start + (skip if can_cut else 0) for w in windows]
        return [
            rows[w.first - begin : w.end - begin]
            for rows, begin, w in zip(answers["log_probs"], begins, windows, strict=True)
        ]

    def _cut(self, window: Window) -> Waveform:
        """Take a window's samples."""
        start = window.start * self.geometry.samples_per_output - self.waveform_start
        return self.waveform[start : start + self.geometry.num_samples(window.num_frames)]

    def _carried(self) -> dict[str, NDArray[Any]]:
        """Say how the layers ended in the last window, if they are to go on from there."""
        carried = {model_file.STATE: self.state, model_file.PAST: self.past}
        return {name: value for name, value in carried.items() if value is not None}

    def _normalization(self, window: Window, total_frames: int | None) -> dict[str, NDArray[Any]]:
        """Say what mean and variance are known, and which frames of the window are to be counted."""
        if self.statistics is None:
            return {}
        counted = np.zeros(2, np.int64)
        if self.estimates:
            start = window.start * self.geometry.frames_per_output
            is_last = start + window.num_frames == total_frames
            end = window.num_frames - (0 if is_last else self.geometry.delta_margin)
            first = self.statistics.num_frames - start
            counted = np.array([first, max(first, end)])
        return self.statistics.inputs | {model_file.COUNTED: counted}

    def _carry(
        self, answers: dict[str, NDArray[Any]], inputs: dict[str, NDArray[Any]], window: Window
    ) -> None:
        """Keep what the next window needs to know."""
        self.state = answers.get(model_file.NEW_STATE)
        if self.is_classifier and self.carries_state:
            encoded = answers[model_file.ENCODED]
            joined = encoded if self.past is None else np.concatenate([self.past, encoded], axis=1)
            self.past = joined[:, max(0, joined.shape[1] - self.context) :]
        if self.estimates:
            start = window.start * self.geometry.frames_per_output
            self.statistics = counted_until(start + int(inputs[model_file.COUNTED][1]), answers)

    def _forget(self) -> None:
        """Drop samples that no window to come will hear."""
        start = self._window_at(self.num_emitted, None).start * self.geometry.samples_per_output
        self.waveform = self.waveform[start - self.waveform_start :]
        self.waveform_start = start


def stream_emissions(
    model: ModelFile,
    blocks: Iterable[Waveform],
    options: WindowOptions = LIVE,
    *,
    statistics: Statistics | None = None,
) -> Iterator[LogProbs]:
    """Run the network over the pieces of a clip, yielding answers as they become known; as ``EmissionStream``."""
    stream = EmissionStream(model, options, statistics=statistics)
    for block in blocks:
        yield stream.feed(block)
    yield stream.finish()


def is_streamable(model: ModelFile) -> bool:
    """Tell whether a model can hear a clip in pieces: all can but some files of format 1.

    Those have no inputs for the state of a unidirectional network, nor for the mean and variance of a clip.
    """
    config = model.info.config
    carries_state = config["encoder"].get("bidirectional", True) is False
    is_whole = config["features"].get("normalization") == "utterance"
    return model_file.SKIP in model.options or not (carries_state or is_whole)


def check_streamable(model: ModelFile) -> None:
    """Refuse a file that cannot be streamed, with a ``ModelFileError``."""
    if not is_streamable(model):
        raise ModelFileError(
            f"{model.path}: hears whole clips only: it is of format {model.info.format_version}, and streams "
            f"need format {model_file.FORMAT_VERSION}; export the model again"
        )
