"""The transcriber: audio of any kind in, text out."""

import logging
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from os import PathLike
from typing import Literal, TypeAlias, overload

import numpy as np

from speechrnn.audio import Source, source_name
from speechrnn.decoding.decoder import DecodingOptions
from speechrnn.decoding.hypothesis import NOTHING
from speechrnn.errors import AudioError, ConfigError, SpeechRNNError
from speechrnn.long_audio import LongAudio, load_or_open
from speechrnn.runtime.checkpoint_cache import exported_checkpoint
from speechrnn.runtime.clip_batches import Clip, LongClip, pad, split_batches, split_windows
from speechrnn.runtime.emission_stream import (
    LIVE,
    LONG_S,
    EmissionStream,
    LogProbs,
    WindowOptions,
    is_streamable,
)
from speechrnn.runtime.feature_statistics import count_statistics
from speechrnn.runtime.hearing_progress import OnHeard, nobody, part_of, watch
from speechrnn.runtime.interpretation import Emission, Interpreter, Transcription
from speechrnn.runtime.live_transcription import EndpointOptions, TranscriptionStream
from speechrnn.runtime.model_file import ModelFile, ModelInfo
from speechrnn.runtime.model_registry import find_model
from speechrnn.runtime.own_lm import add_own_lm, own_lm_of
from speechrnn.sound_file.opening import Buffer

logger = logging.getLogger("speechrnn")

LazySource: TypeAlias = Source | Callable[[], Source]
Channel: TypeAlias = Literal["mean"] | int

STATISTICS_SHARE = 0.1  # of the work on a long clip, about, to go through it for its mean and variance
MAX_BATCH_S = 120.0  # padded seconds in one run of the model
LONGEST_LABELLED_S = 300.0  # a keyword model hears clips whole
LONG_WINDOWS = WindowOptions(chunk_s=40.0, context_s=10.0, lookahead_s=10.0)
WINDOW_S = 240.0  # seconds read ahead, so that clips of about the same length can go together


class Transcriber:
    """Turn audio into text with one model.

    Example:
        >>> from speechrnn import load
        >>> load().transcribe(["a.wav", "b.flac"])  # doctest: +SKIP
        [Transcription(text='ONE', …), Transcription(text='TWO', …)]
    """

    def __init__(
        self,
        model: str | PathLike[str] | None = None,
        *,
        threads: int | None = None,
        device: str = "auto",
        decoding: DecodingOptions = DecodingOptions(),
        batch_s: float = MAX_BATCH_S,
        windows: WindowOptions = LONG_WINDOWS,
    ) -> None:
        """Open a model.

        Args:
            model: Name of a model that ships with speechrnn, a model file or a training checkpoint (.ckpt,
                exported once and kept); ``an4`` when not given.
            threads: Processor threads, >= 1; the physical cores, at most 4, when not given.
            device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
            decoding: How to get from the network's answers to text; when not given greedily, or with the language
                model that the model's card names.
            batch_s: Padded seconds of audio in one run of the model, > 0; more takes more memory. A clip
                that is longer goes alone.
            windows: How a clip of more than ``LONG_S`` seconds is cut; as many windows as ``batch_s`` holds
                go together. With more context and lookahead a bidirectional model's answer comes closer to
                that for the whole clip, a unidirectional one's is the same anyway.

        Raises:
            ModelFileError: If there is no such model, or the file is not one.
            CheckpointError: If a checkpoint cannot be exported.
            ConfigError: If ``threads`` is below 1, ``batch_s`` is not above 0, the device does not exist, or
                the model cannot be decoded as asked.
            TextError: If a word, phrase or hot word has a character that the model lacks.
        """
        if not batch_s > 0:
            raise ConfigError(f"batch_s must be > 0 s, got {batch_s}")
        self.batch_s = batch_s
        path = find_model(model)
        is_checkpoint = path.suffix == ".ckpt"
        self.model = ModelFile(
            exported_checkpoint(path) if is_checkpoint else path, threads=threads, device=device
        )
        self.name = self.info.card.get("name") or path.stem
        self.own_lm = own_lm_of(self.info, decoding)
        self.interpreter = Interpreter(self.info, add_own_lm(self.info, decoding))
        self.windows = replace(windows, batch=windows_together(windows, batch_s))

    @property
    def info(self) -> ModelInfo:
        """What the model says of itself."""
        return self.model.info

    @overload
    def transcribe(  # type: ignore[overload-overlap]  # a str is a sequence of str, but matches here first
        self, audio: Source, sample_rate: int | None = None, *, channel: Channel = "mean"
    ) -> Transcription: ...

    @overload
    def transcribe(
        self,
        audio: Sequence[Source],
        sample_rate: int | None = None,
        *,
        channel: Channel = "mean",
    ) -> list[Transcription]: ...

    def transcribe(
        self,
        audio: Source | Sequence[Source],
        sample_rate: int | None = None,
        *,
        channel: Channel = "mean",
    ) -> Transcription | list[Transcription]:
        """Transcribe one clip, or several at once.

        Args:
            audio: Path, bytes of a file, open binary file, or array (samples,) or (samples, channels) of
                int16, int32 or float; or a list of them.
            sample_rate: Rate of arrays, Hz; files say theirs themselves.
            channel: Which channel to hear: the ``mean`` of all, or one by number from 0.

        Returns:
            The transcription; for a list a list in the same order. Text does not depend on what else is in
            the list. A clip in which the model heard nothing has an empty text, and a warning says so.

        Raises:
            AudioError: If a clip cannot be read or is too short.
            ModelFileError: If the model cannot compute it.
        """
        if isinstance(audio, Sequence) and not isinstance(audio, str | Buffer):
            return self._transcribe_all(audio, sample_rate, channel)
        (result,) = self._transcribe_all([audio], sample_rate, channel)
        return result

    def _transcribe_all(
        self, sources: Sequence[Source], sample_rate: int | None, channel: Channel
    ) -> list[Transcription]:
        """Transcribe clips, or raise the first error."""
        results = []
        answers = self.transcribe_each(sources, sample_rate, channel=channel)
        for number, (source, answer) in enumerate(zip(sources, answers, strict=True), start=1):
            if isinstance(answer, SpeechRNNError):
                named = isinstance(source, str | PathLike) or len(sources) == 1
                raise answer if named else type(answer)(f"audio {number}: {answer}")
            warn_if_nothing_heard(answer, answer.source)
            results.append(answer)
        return results

    def stream(
        self,
        sample_rate: int | None = None,
        *,
        channel: Channel = "mean",
        windows: WindowOptions = LIVE,
        endpoint: EndpointOptions | None = None,
    ) -> TranscriptionStream:
        """Begin to transcribe audio that arrives in pieces: ``feed(samples)``, at the end ``final()``.

        A unidirectional model gives what it gives for the whole clip. A bidirectional one hears windows, and
        waits for the lookahead of each. One that normalises utterances (``speechrnn info`` tells) knows mean
        and variance only of what it has heard: it waits for ``warm_up_s`` first.

        Args:
            sample_rate: Rate of the samples, Hz; the model's own when not given.
            channel: ``mean`` of all channels, or one of them, counted from 0.
            windows: Sizes of chunk, context, lookahead and warm-up.
            endpoint: When an utterance ends and the next begins; without, all is one utterance, in memory.

        Raises:
            AudioError: If the sample rate is not above 0.
            ConfigError: If it is a keyword model; ``speechrnn spot`` listens with those.
            ModelFileError: If the file is of format 1 and cannot be streamed.
        """
        return TranscriptionStream(
            self.model,
            self.interpreter,
            sample_rate=sample_rate,
            channel=channel,
            windows=windows,
            endpoint=endpoint,
        )

    def transcribe_each(
        self,
        sources: Iterable[LazySource],
        sample_rate: int | None = None,
        *,
        channel: Channel = "mean",
        on_heard: OnHeard = nobody,
    ) -> Iterator[Transcription | SpeechRNNError]:
        """Transcribe many clips, yielding for each in turn its transcription, or the error that it met.

        Clips are read ahead for ``WINDOW_S`` seconds and sorted by length into batches; those longer than
        ``LONG_S`` are read, heard and decoded in pieces. So memory stays bounded, however long they are.

        Args:
            sources: As the ``audio`` of ``transcribe``; or functions that return such.
            sample_rate: Rate of arrays, Hz.
            channel: As for ``transcribe``.
            on_heard: Told now and then how far a clip longer than ``LONG_S`` has been heard; it is the one
                that is yielded next. A ``SpeechRNNError`` that it raises ends that clip, as its answer.
        """
        for found in self.hear_each(sources, sample_rate, channel):
            yield found if isinstance(found, SpeechRNNError) else self._read(found, on_heard)

    def compute_each(
        self, sources: Iterable[LazySource], sample_rate: int | None = None, *, channel: Channel = "mean"
    ) -> Iterator[Emission | SpeechRNNError]:
        """Run the network alone: as ``transcribe_each``, but yielding what an ``Interpreter`` reads."""
        for found in self.hear_each(sources, sample_rate, channel):
            yield self._join(found) if isinstance(found, LongClip) else found

    def hear_each(
        self, sources: Iterable[LazySource], sample_rate: int | None, channel: Channel
    ) -> Iterator[Emission | LongClip | SpeechRNNError]:
        """Run the network on all clips but the long ones, which come as they are, to be heard when read."""
        loaded = (self._load(source, sample_rate, channel) for source in sources)
        for window in split_windows(loaded, WINDOW_S * self.info.sample_rate):
            answers = self._compute_window(window)
            window.clear()  # or its waveforms would be kept while the next ones are read
            yield from answers

    def _read(self, found: Emission | LongClip, on_heard: OnHeard) -> Transcription | SpeechRNNError:
        """Read the network's answer for one clip, or return what is wrong with it."""
        try:
            if isinstance(found, Emission):
                return self.interpreter.read(found)
            decoding, num_samples = self.interpreter.stream(found.name), 0
            for log_probs, num_heard in self._hear_long(found, on_heard):
                decoding.accept(log_probs)
                num_samples += num_heard
            return self.interpreter.tell(decoding.finish(), found.name, num_samples / self.info.sample_rate)
        except SpeechRNNError as error:
            return error

    def _join(self, clip: LongClip) -> Emission | SpeechRNNError:
        """Compute all frames of a long clip, or return what is wrong with it."""
        try:
            parts, counts = zip(*self._hear_long(clip), strict=True)
        except SpeechRNNError as error:
            return error
        return Emission(clip.name, sum(counts) / self.info.sample_rate, np.concatenate(parts))

    def _hear_long(self, clip: LongClip, on_heard: OnHeard = nobody) -> Iterator[tuple[LogProbs, int]]:
        """Go through a long clip, yielding log_probs as they become known, and how many samples were heard."""
        counted = watch(clip.audio, part_of(on_heard, 0, STATISTICS_SHARE))
        statistics = count_statistics(self.model, counted)
        stream = EmissionStream(self.model, self.windows, statistics=statistics)
        begin = 0.0 if statistics is None else STATISTICS_SHARE
        for block in watch(clip.audio, part_of(on_heard, begin, 1)):
            yield stream.feed(block), len(block)
        yield stream.finish(), 0

    def _load(
        self, source: LazySource, sample_rate: int | None, channel: Channel
    ) -> Clip | LongClip | SpeechRNNError:
        """Load one source at the model's rate, or return what is wrong with it."""
        try:
            audio = source() if callable(source) else source
            name = source_name(audio)
            found = load_or_open(
                audio,
                sample_rate=self.info.sample_rate,
                whole_s=self._whole_s,
                source_rate=sample_rate,
                channel=channel,
            )
            if isinstance(found, LongAudio):
                if self.info.task == "classification":
                    raise AudioError(
                        f"{name}: longer than {LONGEST_LABELLED_S:g} s; a keyword model picks one label for a "
                        "clip, so cut it into clips"
                    )
                return LongClip(name, found)
            self.info.check_length(len(found), name)
        except SpeechRNNError as error:
            return error
        return Clip(name, found)

    @property
    def _whole_s(self) -> float:
        """Say how long a clip may be to be heard at once, seconds."""
        if self.info.task == "classification":
            return LONGEST_LABELLED_S
        return LONG_S if is_streamable(self.model) else math.inf

    def _compute_window(
        self, window: Sequence[Clip | LongClip | SpeechRNNError]
    ) -> list[Emission | LongClip | SpeechRNNError]:
        """Run the network on the clips that were read ahead, each result in its place."""
        results: dict[int, Emission | SpeechRNNError] = {}
        lengths = {i: len(clip.waveform) for i, clip in enumerate(window) if isinstance(clip, Clip)}
        for batch in split_batches(lengths, self.batch_s * self.info.sample_rate):
            clips = [clip for clip in (window[i] for i in batch) if isinstance(clip, Clip)]
            results.update(zip(batch, self._compute_batch(clips), strict=True))
        return [results[i] if isinstance(clip, Clip) else clip for i, clip in enumerate(window)]

    def _compute_batch(self, clips: Sequence[Clip]) -> Sequence[Emission | SpeechRNNError]:
        """Run the network once."""
        try:
            log_probs, output_lengths = self.model.run(*pad([clip.waveform for clip in clips]))
        except SpeechRNNError as error:
            return [error] * len(clips)
        is_ctc = self.info.task == "ctc"
        return [
            Emission(
                clip.name,
                len(clip.waveform) / self.info.sample_rate,
                answer[:length].copy() if is_ctc else answer,
            )
            for clip, answer, length in zip(clips, log_probs, output_lengths, strict=True)
        ]


def warn_if_nothing_heard(transcription: Transcription, name: str) -> None:
    """Say so when a model gave no token at all."""
    if transcription.hypothesis == NOTHING:
        logger.warning("%s: no answer that is allowed and sure enough", name)
    elif not transcription.hypothesis.tokens:
        logger.warning("%s: heard nothing in %.1f s", name, transcription.duration_s)


def windows_together(windows: WindowOptions, batch_s: float) -> int:
    """Count the windows of which ``batch_s`` seconds consist; at least one."""
    window_s = windows.context_s + windows.chunk_s + windows.lookahead_s
    return max(1, int(batch_s // window_s))
