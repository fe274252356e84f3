"""Speech as it is spoken: samples in, text that grows out, and an utterance whenever the speaker pauses."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from speechrnn.audio import Waveform, check_array, check_given_rate
from speechrnn.decoding.decoder import DecodingStream
from speechrnn.decoding.hypothesis import Hypothesis
from speechrnn.errors import ConfigError
from speechrnn.live_audio import BlockConverter, Channel
from speechrnn.runtime.emission_stream import LIVE, LONG_S, EmissionStream, LogProbs, WindowOptions
from speechrnn.runtime.interpretation import Interpreter, Transcription
from speechrnn.runtime.model_file import ModelFile

NAME = "stream"
SPARE_S = 1.0  # of audio that is kept beyond what is needed


@dataclass(frozen=True, kw_only=True)
class EndpointOptions:
    """When an utterance ends."""

    silence_s: float = 0.8
    """After text: so long nothing but blanks, > 0 s."""
    longest_s: float = 60.0
    """So long altogether, with or without text, > 0 s; also bounds the memory of an endless stream."""

    def __post_init__(self) -> None:
        """Check the ranges; a ``ConfigError`` names the option."""
        for name in ("silence_s", "longest_s"):
            if not 0 < getattr(self, name) < math.inf:
                raise ConfigError(f"{name} must be > 0 and finite, got {getattr(self, name)!r}")


@dataclass(frozen=True, kw_only=True)
class StreamUpdate:
    """What has become known."""

    partial: str
    """Text of the utterance that is being spoken, as far as it is known; with greedy decoding it only grows, until
    the utterance has ended."""
    finals: tuple[Transcription, ...] = ()
    """Utterances that have ended, in order; the times of their words count from the start of the stream."""


class TranscriptionStream:
    """One live stream; its answers do not depend on how the samples were cut.

    An utterance's final text is that of a recording of it: where the network could not know all of it while it was
    spoken, because it is bidirectional or normalises utterances, it hears it again in the end. Not what is longer than
    ``LONG_S``, where the text is that of the windows.

    Example:
        >>> stream = speechrnn.load().stream()  # doctest: +SKIP
        >>> for samples in microphone:  # doctest: +SKIP
        ...     print(stream.feed(samples).partial)
        >>> print(stream.final().text)  # doctest: +SKIP
    """

    def __init__(
        self,
        model: ModelFile,
        interpreter: Interpreter,
        *,
        sample_rate: int | None = None,
        channel: Channel = "mean",
        windows: WindowOptions = LIVE,
        endpoint: EndpointOptions | None = None,
    ) -> None:
        """Begin a stream; ``Transcriber.stream`` says what the arguments are."""
        self.interpreter = interpreter
        if sample_rate is not None:
            check_given_rate(sample_rate, NAME)
        wanted = model.info.sample_rate
        self.sample_rate = sample_rate or wanted
        self.converter = BlockConverter(NAME, self.sample_rate, sample_rate=wanted, channel=channel)
        self.model, self.emissions = model, EmissionStream(model, windows)
        self.endpoint = endpoint
        self.num_frames = 0
        self.kept: list[Waveform] = []  # samples, the current utterance's among them
        self.kept_from, self.num_samples = 0, 0
        self._begin_utterance()

    @property
    def latency_s(self) -> float:
        """Seconds from a sound to its text, at most: lookahead and one chunk; the time to compute comes on top."""
        return self.emissions.latency_s

    def feed(self, samples: NDArray[Any]) -> StreamUpdate:
        """Hear more.

        Args:
            samples: (samples,) or (samples, channels) of int16, int32 or floats in [-1, 1], at the stream's
                rate; any number of them, also none.

        Raises:
            AudioError: If the samples are no numbers or far outside [-1, 1], or the stream was finished.
            ModelFileError: If the model cannot compute it.
        """
        self.emissions.check_open()
        array, _ = check_array(np.asarray(samples), self.sample_rate, NAME)
        waveform = self.converter.convert(array)
        self._keep(waveform)
        finals = tuple(self._hear(self.emissions.feed(waveform)))
        return StreamUpdate(partial=self.decoding.so_far().text, finals=finals)

    def final(self) -> Transcription:
        """End the stream and return the utterance that was being spoken, which may be empty.

        Whatever was not known before the end is part of it, also behind a pause.

        Raises:
            AudioError: If the stream was finished already.
            ModelFileError: If the model cannot compute it.
        """
        self.emissions.check_open()
        waveform = self.converter.flush()
        self._keep(waveform)
        rest = np.concatenate([self.emissions.feed(waveform), self.emissions.finish()])
        endpoint, self.endpoint = self.endpoint, None  # what is left is one utterance
        list(self._hear(rest))
        self.endpoint = endpoint
        return self._end_utterance(self.num_samples)

    def _keep(self, waveform: Waveform) -> None:
        """Keep what may have to be heard again, and of what is too long for it only the end."""
        if self.emissions.carries_state and not self.emissions.estimates:
            return  # the answers are exact
        self.kept.append(waveform)
        self.num_samples += len(waveform)
        rate = self.model.info.sample_rate
        if self.num_samples - self.kept_from > (LONG_S + self.latency_s + SPARE_S) * rate:
            self._forget(self.num_samples - math.ceil((self.latency_s + SPARE_S) * rate))

    def _forget(self, first: int) -> None:
        """Drop the samples before ``first``."""
        joined = np.concatenate(self.kept)
        self.kept, self.kept_from = [joined[first - self.kept_from :]], first

    def _hear_again(self, end: int) -> LogProbs | None:
        """Compute the utterance that ends before a sample; None if that is not needed or not possible."""
        start = self.first_frame * self.emissions.geometry.samples_per_output
        info = self.model.info
        if (
            not self.kept
            or start < self.kept_from
            or not info.n_fft <= end - start <= LONG_S * info.sample_rate
        ):
            return None
        waveform = np.concatenate(self.kept)[start - self.kept_from : end - self.kept_from]
        answers, _ = self.model.run(waveform[None], [len(waveform)])
        log_probs: LogProbs = answers[0]
        return log_probs

    def _begin_utterance(self) -> None:
        """Begin to decode anew; what the network remembers goes on."""
        self.decoding: DecodingStream = self.interpreter.stream(NAME)
        self.first_frame = self.num_frames
        self.last_spoken: int | None = None
        start = self.first_frame * self.emissions.geometry.samples_per_output
        if self.kept and self.kept_from < start:
            self._forget(min(start, self.num_samples))

    def _hear(self, log_probs: LogProbs) -> Iterator[Transcription]:
        """Decode frames, yielding each utterance that ends within them."""
        if self.endpoint is None:
            self.decoding.accept(log_probs)
            self.num_frames += len(log_probs)
            return
        is_spoken = log_probs.argmax(axis=1) != self.interpreter.info.vocabulary.blank
        begin = 0
        for index, spoken in enumerate(is_spoken.tolist()):
            self.num_frames += 1
            if spoken:
                self.last_spoken = self.num_frames
            if self._has_ended():
                self.decoding.accept(log_probs[begin : index + 1])
                begin = index + 1
                if self.last_spoken is None:
                    self._begin_utterance()
                else:
                    yield self._end_utterance(self.num_frames * self.emissions.geometry.samples_per_output)
        self.decoding.accept(log_probs[begin:])

    def _has_ended(self) -> bool:
        """Tell whether the utterance ends with the frame that was counted last."""
        assert self.endpoint is not None
        frame_s = self.interpreter.info.clock.frame_s
        is_silent = (
            self.last_spoken is not None
            and (self.num_frames - self.last_spoken) * frame_s >= self.endpoint.silence_s
        )
        return is_silent or (self.num_frames - self.first_frame) * frame_s >= self.endpoint.longest_s

    def _end_utterance(self, end: int) -> Transcription:
        """Tell what was heard before a sample, and begin the next utterance."""
        again = self._hear_again(end)
        found = self.decoding.finish() if again is None else self.interpreter.decode(again)
        hypotheses = [shift(hypothesis, self.first_frame) for hypothesis in found]
        duration_s = (self.num_frames - self.first_frame) * self.interpreter.info.clock.frame_s
        self._begin_utterance()
        return self.interpreter.tell(hypotheses, NAME, duration_s)


def shift(hypothesis: Hypothesis, num_frames: int) -> Hypothesis:
    """Let a hypothesis's frames count from further back."""
    return replace(
        hypothesis,
        frames=tuple(frame + num_frames for frame in hypothesis.frames),
        ends=tuple(frame + num_frames for frame in hypothesis.ends),
    )
