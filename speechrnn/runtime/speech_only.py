"""Transcription of the stretches of a recording in which somebody speaks; silence costs nothing."""

import collections
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from speechrnn.audio import Waveform
from speechrnn.decoding.hypothesis import NOTHING, Hypothesis
from speechrnn.decoding.words import FrameClock, SpokenWord
from speechrnn.errors import SpeechRNNError
from speechrnn.long_audio import LongAudio, reopenable
from speechrnn.runtime.hearing_progress import OnHeard, nobody, part_of, watch
from speechrnn.runtime.interpretation import Transcription
from speechrnn.runtime.transcriber import Channel, LazySource, Transcriber
from speechrnn.voice_activity import (
    Interval,
    VoiceActivityOptions,
    find_speech_in_levels,
    measure_levels,
)

SURVEY_SHARE = 0.2  # of the work on a recording, about, to find where somebody speaks
DEFAULT_OPTIONS = VoiceActivityOptions(max_speech_s=30.0)


@dataclass
class Recording:
    """A recording of which some stretches are still to be transcribed."""

    name: str
    duration_s: float
    speech: tuple[Interval, ...] = ()
    answers: list[Transcription | SpeechRNNError] = field(default_factory=list)
    """Of the first stretches, with times and frames of the whole recording."""

    @property
    def is_whole(self) -> bool:
        """Whether every stretch has its answer."""
        return len(self.answers) == len(self.speech)


@dataclass(frozen=True, kw_only=True)
class SpokenParts:
    """A transcription, and where in the recording somebody spoke."""

    transcription: Transcription
    speech: tuple[Interval, ...] = ()


def transcribe_speech(
    transcriber: Transcriber,
    sources: Iterable[LazySource],
    *,
    channel: Channel = "mean",
    options: VoiceActivityOptions = DEFAULT_OPTIONS,
    on_heard: OnHeard = nobody,
) -> Iterator[SpokenParts | SpeechRNNError]:
    """Transcribe many clips where somebody speaks, yielding for each in turn its answer or its error.

    The stretches of all clips are batched together. Times count from the start of the clip.

    Args:
        transcriber: With one hypothesis for a stretch.
        sources: Paths, bytes, open files, or arrays at the model's rate; or functions that return such.
        channel: ``mean`` of all channels, or one of them, counted from 0.
        options: What counts as a stretch of speech.
        on_heard: Told how far a clip has been searched for speech and heard; it is the one that is yielded next.
    """
    recordings: collections.deque[Recording | SpeechRNNError] = collections.deque()
    rate = transcriber.info.sample_rate
    searched, heard = part_of(on_heard, 0, SURVEY_SHARE), part_of(on_heard, SURVEY_SHARE, 1)

    def parts() -> Iterator[Waveform]:
        for source in sources:
            try:
                audio = open_anew(source, sample_rate=rate, channel=channel)
                is_next = not recordings  # or the bar would jump there and back
                recording = survey(audio, options, on_heard=searched if is_next else nobody)
            except SpeechRNNError as error:
                recordings.append(error)
                continue
            recordings.append(recording)
            yield from cut(audio.blocks(), recording.speech, sample_rate=rate)

    for answer in transcriber.transcribe_each(parts(), rate):
        yield from finished(recordings)
        first = recordings[0]
        assert isinstance(first, Recording)  # an error is always finished
        stretch = first.speech[len(first.answers)]
        # Now rather than when all are there: hours of words and tokens would be held twice.
        first.answers.append(place(answer, stretch.start_s, transcriber.info.clock))
        heard(first.duration_s if first.is_whole else stretch.end_s, first.duration_s)
    yield from finished(recordings)


def open_anew(source: LazySource, *, sample_rate: int, channel: Channel) -> LongAudio:
    """Prepare to go through a clip more than once; errors as ``load_audio``."""
    audio = reopenable(source() if callable(source) else source)
    return LongAudio(source=audio, sample_rate=sample_rate, source_rate=sample_rate, channel=channel)


def survey(
    audio: LongAudio,
    options: VoiceActivityOptions = VoiceActivityOptions(),
    *,
    on_heard: OnHeard = nobody,
) -> Recording:
    """Go through a clip once to find its stretches of speech, holding no more of it than a block.

    Args:
        audio: The clip.
        options: What counts as a stretch of speech.
        on_heard: Told how far that is.

    Raises:
        AudioError: As ``load_audio``.
    """
    num_samples = 0

    def counted() -> Iterator[Waveform]:
        nonlocal num_samples
        for block in watch(audio, on_heard):
            num_samples += len(block)
            yield block

    levels = measure_levels(counted(), sample_rate=audio.sample_rate)
    duration_s = num_samples / audio.sample_rate
    speech = find_speech_in_levels(levels, duration_s=duration_s, options=options)
    return Recording(audio.name, duration_s, speech)


def cut(blocks: Iterable[Waveform], stretches: Iterable[Interval], *, sample_rate: int) -> Iterator[Waveform]:
    """Cut stretches, in their order and not overlapping, out of a clip that comes in blocks."""
    coming, held, first = iter(blocks), np.zeros(0, dtype=np.float32), 0  # held begins at sample `first`
    for stretch in stretches:
        start, end = round(stretch.start_s * sample_rate), round(stretch.end_s * sample_rate)
        for block in coming if first + len(held) < end else ():
            dropped = min(len(held), max(0, start - first))
            held, first = np.concatenate([held[dropped:], block]), first + dropped
            if first + len(held) >= end:
                break
        yield held[max(0, start - first) : end - first]


def place(
    answer: Transcription | SpeechRNNError, start_s: float, clock: FrameClock
) -> Transcription | SpeechRNNError:
    """Move what was heard in a stretch to where the stretch is in its recording; an error stays as it is."""
    if isinstance(answer, SpeechRNNError):
        return answer
    first, heard = round(start_s / clock.frame_s), answer.hypothesis
    return replace(
        answer,
        words=tuple(shift(word, start_s) for word in answer.words),
        hypothesis=replace(
            heard,
            frames=tuple(first + frame for frame in heard.frames),
            ends=tuple(first + end for end in heard.ends),
        ),
    )


def shift(word: SpokenWord, seconds: float) -> SpokenWord:
    """Move a word to a later time."""
    return replace(word, start_s=word.start_s + seconds, end_s=word.end_s + seconds)


def finished(
    recordings: "collections.deque[Recording | SpeechRNNError]",
) -> Iterator[SpokenParts | SpeechRNNError]:
    """Take away those recordings at the front of which nothing is missing."""
    while recordings:
        first = recordings[0]
        if isinstance(first, Recording) and not first.is_whole:
            return
        recordings.popleft()
        yield first if isinstance(first, SpeechRNNError) else merge(first)


def merge(recording: Recording) -> SpokenParts | SpeechRNNError:
    """Put the answers for a recording's stretches together; the first error is its error."""
    answers: list[Transcription] = []
    for interval, answer in zip(recording.speech, recording.answers, strict=True):
        if isinstance(answer, SpeechRNNError):
            return type(answer)(f"{recording.name}: at {interval.start_s:.1f} s: {answer}")
        answers.append(answer)
    heard = [answer for answer in answers if answer.text]
    words = tuple(word for answer in heard for word in answer.words)
    confidences = [word.confidence for word in words] or [answer.confidence for answer in heard]
    transcription = Transcription(
        text=" ".join(answer.text for answer in heard),
        confidence=math.fsum(confidences) / len(confidences) if confidences else 1.0,
        duration_s=recording.duration_s,
        source=recording.name,
        hypothesis=join([answer.hypothesis for answer in answers]),
        words=words,
    )
    return SpokenParts(transcription=transcription, speech=recording.speech)


def join(hypotheses: Sequence[Hypothesis]) -> Hypothesis:
    """Put hypotheses one behind the other; where all are ``NOTHING``, it is."""
    parts = [part for part in hypotheses if part != NOTHING]
    if hypotheses and not parts:
        return NOTHING
    peaks = tuple(peak for part in parts for peak in part.peaks)
    return Hypothesis(
        text=" ".join(part.text for part in parts if part.text),
        tokens=tuple(token for part in parts for token in part.tokens),
        frames=tuple(frame for part in parts for frame in part.frames),
        log_prob=math.fsum(part.log_prob for part in parts),
        confidence=math.fsum(peaks) / len(peaks) if peaks else 1.0,
        ends=tuple(end for part in parts for end in part.ends),
        peaks=peaks,
    )
