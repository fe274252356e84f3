"""Run a model over a manifest and count its errors."""

import functools
import operator
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from speechrnn.audio import Waveform, load_audio
from speechrnn.decoding import SpokenWord
from speechrnn.errors import AudioError, ManifestError, SpeechRNNError
from speechrnn.evaluation.calibration import Calibration, measure_calibration
from speechrnn.manifest import Utterance
from speechrnn.metrics import (
    ClassificationCounts,
    ErrorCounts,
    Interval,
    accuracy_table,
    align,
    bootstrap_interval,
    character_errors,
    word_errors,
)
from speechrnn.runtime import Transcriber, Transcription

LEVEL = 0.95
ROUNDING_S = 0.01  # manifests round durations


@dataclass(frozen=True, kw_only=True)
class UtteranceResult:
    """One utterance: what was said, what the model heard, and how far apart they are."""

    id: str
    audio: str
    speaker: str | None
    reference: str
    """The transcript after the model's own normalisation."""
    hypothesis: str
    confidence: float
    """In [0, 1]."""
    duration_s: float
    words: ErrorCounts
    """Errors of a transcript in words; of a label, one word whatever it is."""
    characters: ErrorCounts
    spoken: tuple["JudgedWord", ...] = ()
    """The hypothesis word by word."""


@dataclass(frozen=True, kw_only=True)
class JudgedWord:
    """A word, or the label of a clip, that the model answered."""

    text: str
    start_s: float
    end_s: float
    confidence: float
    """In [0, 1]."""
    is_right: bool
    """Whether the reference has it there."""


@dataclass(frozen=True, kw_only=True)
class Failure:
    """An utterance that could not be transcribed, and is part of no measure."""

    id: str
    audio: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Measure:
    """A ratio of counts over the whole manifest, with its bootstrap interval."""

    name: str
    """``WER``, ``CER`` or ``accuracy``."""
    value: float
    """``numerator / denominator``, a share of 1."""
    numerator: int
    denominator: int
    interval: Interval
    """In which the value would lie in ``LEVEL`` of all draws of such test sets."""
    counts: ErrorCounts | None = None
    """Substitutions, deletions and insertions of an error rate."""


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """All that a report needs."""

    model: str
    model_sha256: str
    task: str
    utterances: tuple[UtteranceResult, ...]
    """In the manifest's order."""
    failures: tuple[Failure, ...]
    measures: tuple[Measure, ...]
    """WER and CER of transcripts, accuracy of labels."""
    num_speakers: int | None
    """How many speakers the intervals resample; None if they resample utterances."""
    calibration: Calibration | None = None
    """How far the confidences of words or labels can be trusted; None if the model answered nothing."""
    table: ClassificationCounts | None = None
    """Per-class results of labels."""

    @property
    def duration_s(self) -> float:
        """Seconds of audio that were evaluated."""
        return sum(result.duration_s for result in self.utterances)

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {
            "model": {"name": self.model, "sha256": self.model_sha256, "task": self.task},
            "num_utterances": len(self.utterances),
            "num_failures": len(self.failures),
            "duration_s": round(self.duration_s, 3),
            "interval": {
                "level": LEVEL,
                "resampled": "utterances" if self.num_speakers is None else "speakers",
                "num_speakers": self.num_speakers,
            },
            "measures": {measure.name: asdict(measure) for measure in self.measures},
            "calibration": None if self.calibration is None else plain(self.calibration),
            "classes": None if self.table is None else table_to_dict(self.table),
            "utterances": [plain(result) for result in self.utterances],
            "failures": [asdict(failure) for failure in self.failures],
        }


def plain(result: Any) -> dict[str, Any]:
    """Return a dataclass as JSON will have it, with lists for tuples."""
    return asdict(
        result, dict_factory=lambda items: {k: list(v) if isinstance(v, tuple) else v for k, v in items}
    )


def table_to_dict(table: ClassificationCounts) -> dict[str, Any]:
    """Return a per-class table as plain data: rows, and the confusion matrix with references in rows."""
    rows = [{**asdict(row), "precision": row.precision, "recall": row.recall} for row in table.classes]
    return {"rows": rows, "labels": list(table.labels), "confusion": table.confusion.tolist()}


def evaluate(
    transcriber: Transcriber,
    utterances: Sequence[Utterance],
    *,
    on_utterance: Callable[[], None] = lambda: None,
) -> Evaluation:
    """Transcribe utterances and compare with their references.

    An utterance whose audio cannot be used is listed under ``failures`` and left out of the measures.

    Args:
        transcriber: The model.
        utterances: What to evaluate, as ``read_manifest`` returns it.
        on_utterance: Called after each utterance, for progress.

    Raises:
        ManifestError: If not one utterance could be evaluated, the first one's trouble named.
    """
    results: list[UtteranceResult] = []
    failures: list[Failure] = []
    sources = sources_of(utterances, transcriber.info.sample_rate)
    answers = transcriber.transcribe_each(sources, transcriber.info.sample_rate)
    for utterance, answer in zip(utterances, answers, strict=True):
        if isinstance(answer, SpeechRNNError):
            failures.append(fail(utterance, answer))
        else:
            results.append(compare(utterance, answer, transcriber))
        on_utterance()
    if not results:
        reason = f"; the first: {failures[0].reason}" if failures else ""
        raise ManifestError(f"none of {len(utterances)} utterances could be evaluated{reason}")
    return summarize(transcriber, results, failures)


def sources_of(utterances: Iterable[Utterance], sample_rate: int) -> Iterator[Callable[[], Waveform]]:
    """Make what a transcriber reads, an utterance at its turn."""
    load = functools.lru_cache(maxsize=1)(load_audio)  # neighbours are often parts of one recording
    return (partial(load_utterance, utterance, sample_rate, load=load) for utterance in utterances)


def fail(utterance: Utterance, error: SpeechRNNError) -> Failure:
    """Note an error, which names the file at least."""
    audio, reason = str(utterance.audio), str(error)
    if not reason.startswith(audio):
        reason = f"{audio}: {reason}"
    return Failure(id=utterance.id, audio=audio, reason=reason)


def load_utterance(
    utterance: Utterance,
    sample_rate: int,
    *,
    load: Callable[..., NDArray[np.float32]] = load_audio,
) -> NDArray[np.float32]:
    """Load an utterance's waveform (samples,) at ``sample_rate``; ``load`` may be a cached ``load_audio``.

    Raises:
        AudioError: If the file cannot be read, or ends before the utterance does.
    """
    channel = "mean" if utterance.channel is None else utterance.channel
    waveform = load(utterance.audio, sample_rate=sample_rate, channel=channel)
    duration_s, whole_s = utterance.duration_s, utterance.file_duration_s
    reaches_end = duration_s is None or (whole_s is not None and duration_s >= whole_s - ROUNDING_S)
    if utterance.start_s == 0 and reaches_end:
        return waveform
    file_s = len(waveform) / sample_rate
    end_s = file_s if duration_s is None else utterance.start_s + duration_s
    if utterance.start_s >= file_s or end_s > file_s + ROUNDING_S:
        raise AudioError(
            f"{utterance.audio}: utterance {utterance.id!r} is at {utterance.start_s:.3f} s to "
            f"{end_s:.3f} s, the file ends at {file_s:.3f} s"
        )
    return waveform[round(utterance.start_s * sample_rate) : round(end_s * sample_rate)]


def compare(utterance: Utterance, answer: Transcription, transcriber: Transcriber) -> UtteranceResult:
    """Count the errors of one answer against the reference, normalised as the model's transcripts were."""
    info = transcriber.info
    reference, hypothesis = info.vocabulary.normalize(utterance.text), answer.text
    if info.task == "classification":
        words = ErrorCounts(hits=1) if reference == hypothesis else ErrorCounts(substitutions=1)
    else:
        words = word_errors(reference, hypothesis)
    return UtteranceResult(
        id=utterance.id,
        audio=str(utterance.audio),
        speaker=utterance.speaker,
        reference=reference,
        hypothesis=hypothesis,
        confidence=answer.confidence,
        duration_s=answer.duration_s,
        words=words,
        characters=character_errors(reference, hypothesis),
        spoken=tuple(judge(reference, answer)),
    )


def judge(reference: str, answer: Transcription) -> Iterator[JudgedWord]:
    """Tell of each word of an answer, or of its label, whether it is right."""
    words = answer.words
    if answer.text and not words:
        words = (SpokenWord(answer.text, 0.0, answer.duration_s, answer.confidence),)
        verdicts = [answer.text == reference]
    else:
        pairs = align(reference.split(), [word.text for word in words])
        verdicts = [operation == "hit" for operation, _, heard in pairs if heard is not None]
    for word, is_right in zip(words, verdicts, strict=True):
        yield JudgedWord(**asdict(word), is_right=is_right)


def summarize(
    transcriber: Transcriber, results: Sequence[UtteranceResult], failures: Sequence[Failure]
) -> Evaluation:
    """Add the utterances up."""
    speakers = speakers_of(results)
    spoken = [word for result in results for word in result.spoken]
    words = [result.words for result in results]
    table = None
    if transcriber.info.task == "classification":
        measures = [accuracy(words, speakers)]
        table = accuracy_table([r.reference for r in results], [r.hypothesis for r in results])
    else:
        characters = [result.characters for result in results]
        measures = [error_rate("WER", words, speakers), error_rate("CER", characters, speakers)]
    return Evaluation(
        model=transcriber.name,
        model_sha256=transcriber.model.sha256,
        task=transcriber.info.task,
        utterances=tuple(results),
        failures=tuple(failures),
        measures=tuple(measures),
        num_speakers=None if speakers is None else len(set(speakers)),
        calibration=measure_calibration([w.confidence for w in spoken], [w.is_right for w in spoken])
        if spoken
        else None,
        table=table,
    )


def speakers_of(results: Sequence[UtteranceResult]) -> list[str] | None:
    """List the speaker of each utterance; None unless all are known and they are several."""
    speakers = [result.speaker for result in results if result.speaker is not None]
    return speakers if len(speakers) == len(results) and len(set(speakers)) > 1 else None


def error_rate(name: str, counts: Sequence[ErrorCounts], groups: Sequence[str] | None) -> Measure:
    """Sum errors over all utterances and divide by the sum of reference lengths."""
    total = functools.reduce(operator.add, counts)
    errors, lengths = [c.errors for c in counts], [c.reference_length for c in counts]
    return Measure(
        name=name,
        value=total.rate,
        numerator=total.errors,
        denominator=total.reference_length,
        interval=bootstrap_interval(errors, lengths, groups=groups, level=LEVEL),
        counts=total,
    )


def accuracy(counts: Sequence[ErrorCounts], groups: Sequence[str] | None) -> Measure:
    """Divide right answers by all."""
    right = [c.hits for c in counts]
    return Measure(
        name="accuracy",
        value=sum(right) / len(right),
        numerator=sum(right),
        denominator=len(right),
        interval=bootstrap_interval(right, [1] * len(right), groups=groups, level=LEVEL),
    )
