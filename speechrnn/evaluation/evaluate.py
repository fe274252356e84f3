"""Run a model over a manifest and count its errors."""

import functools
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from speechrnn.audio import Waveform, load_audio
from speechrnn.decoding import SpokenWord
from speechrnn.errors import AudioError, ManifestError, SpeechRNNError
from speechrnn.evaluation.breakdown import break_down, count_frequent_errors, measure_all, speakers_of
from speechrnn.evaluation.calibration import measure_calibration
from speechrnn.evaluation.close_up import look_closely
from speechrnn.evaluation.results import Evaluation, Failure, JudgedWord, UtteranceResult
from speechrnn.evaluation.signal_to_noise import estimate_snr_db
from speechrnn.manifest import Utterance
from speechrnn.metrics import (
    NUM_RESAMPLES,
    ErrorCounts,
    accuracy_table,
    align,
    character_errors,
    word_errors,
)
from speechrnn.runtime import Transcriber, Transcription
from speechrnn.runtime.provenance import describe_decoder, describe_model

ROUNDING_S = 0.01  # manifests round durations


def evaluate(
    transcriber: Transcriber,
    utterances: Sequence[Utterance],
    *,
    num_close_ups: int = 0,
    on_utterance: Callable[[], None] = lambda: None,
) -> Evaluation:
    """Transcribe utterances and compare with their references.

    An utterance whose audio cannot be used is listed under ``failures`` and left out of the measures.

    Args:
        transcriber: The model.
        utterances: What to evaluate, as ``read_manifest`` returns it.
        num_close_ups: Of how many of the worst utterances to keep what the model heard.
        on_utterance: Called after each utterance, for progress.

    Raises:
        ManifestError: If not one utterance could be evaluated, the first one's trouble named, or references are words
            and the model writes phones.
    """
    check_references(transcriber, utterances)
    start, sample_rate = time.perf_counter(), transcriber.info.sample_rate
    results: list[UtteranceResult] = []
    failures: list[Failure] = []
    ratios: dict[str, float | None] = {}
    sources = sources_of(utterances, sample_rate, on_waveform=partial(note_ratio, ratios, sample_rate))
    answers = transcriber.transcribe_each(sources, sample_rate)
    for utterance, answer in zip(utterances, answers, strict=True):
        if isinstance(answer, SpeechRNNError):
            failures.append(fail(utterance, answer))
        else:
            results.append(compare(utterance, answer, transcriber, snr_db=ratios.get(utterance.id)))
        on_utterance()
    if not results:
        reason = f"; the first: {failures[0].reason}" if failures else ""
        raise ManifestError(f"none of {len(utterances)} utterances could be evaluated{reason}")
    settings = describe(transcriber, elapsed_s=time.perf_counter() - start)
    worst = {result.id for result in worst_first(results)[:num_close_ups] if result.words.errors}
    shown = [utterance for utterance in utterances if utterance.id in worst]
    return summarize(transcriber, results, failures, settings=settings, shown=shown)


def check_references(transcriber: Transcriber, utterances: Sequence[Utterance]) -> None:
    """Refuse to compare phones with words, with a ``ManifestError``."""
    vocabulary = transcriber.info.vocabulary
    if vocabulary.unit != "phone" or transcriber.interpreter.reads_words:
        return
    wrong = next((each for each in utterances if vocabulary.unknown(each.text)), None)
    if wrong is not None:
        raise ManifestError(
            f"{wrong.place or wrong.id}: the model writes phones, and {wrong.text!r} is none; "
            "`speechrnn prepare phones` turns a manifest's words into phones, and with --lm the model writes words"
        )


def note_ratio(ratios: dict[str, float | None], sample_rate: int, name: str, waveform: Waveform) -> None:
    """Estimate the signal-to-noise ratio of an utterance while its waveform is there."""
    ratios[name] = estimate_snr_db(waveform, sample_rate)


def worst_first(results: Sequence[UtteranceResult]) -> list[UtteranceResult]:
    """Order by errors, then rate, then confidence: of labels, the surest mistakes come first."""
    return sorted(results, key=lambda u: (u.words.errors, u.words.rate, u.confidence), reverse=True)


def describe(transcriber: Transcriber, *, elapsed_s: float) -> dict[str, Any]:
    """Tell, as plain data, of what the results depend on."""
    vocabulary = transcriber.info.vocabulary
    return {
        "model": describe_model(transcriber),
        "hears": transcriber.info.hears,
        "decoder": describe_decoder(transcriber.interpreter),
        "normalization": list(vocabulary.normalization),
        "num_resamples": NUM_RESAMPLES,
        "seed": 0,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "elapsed_s": round(elapsed_s, 3),
    }


def sources_of(
    utterances: Iterable[Utterance],
    sample_rate: int,
    *,
    on_waveform: Callable[[str, Waveform], None] = lambda name, waveform: None,
) -> Iterator[Callable[[], Waveform]]:
    """Make what a transcriber reads, an utterance at its turn; ``on_waveform`` is told of each."""
    load = functools.lru_cache(maxsize=1)(load_audio)  # neighbours are often parts of one recording

    def load_and_tell(utterance: Utterance) -> Waveform:
        waveform = load_utterance(utterance, sample_rate, load=load)
        on_waveform(utterance.id, waveform)
        return waveform

    return (partial(load_and_tell, utterance) for utterance in utterances)


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


def compare(
    utterance: Utterance, answer: Transcription, transcriber: Transcriber, *, snr_db: float | None = None
) -> UtteranceResult:
    """Count the errors of one answer against the reference, normalised as the model's transcripts were.

    ``snr_db`` is what was estimated; what the manifest says goes before it.
    """
    info = transcriber.info
    reference, hypothesis = info.vocabulary.normalize(utterance.text), answer.text
    if info.task == "classification":
        alignment = align([reference], [hypothesis])
        words = ErrorCounts(hits=1) if reference == hypothesis else ErrorCounts(substitutions=1)
    else:
        alignment = align(reference.split(), hypothesis.split())
        words = word_errors(reference, hypothesis)
    is_known = utterance.snr_db is not None
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
        alignment=alignment,
        snr_db=utterance.snr_db if is_known else snr_db,
        is_snr_estimated=not is_known and snr_db is not None,
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
    transcriber: Transcriber,
    results: Sequence[UtteranceResult],
    failures: Sequence[Failure],
    *,
    settings: Mapping[str, Any],
    shown: Sequence[Utterance],
) -> Evaluation:
    """Add the utterances up, and look closely at those that shall be shown."""
    task, sample_rate = transcriber.info.task, transcriber.info.sample_rate
    speakers = speakers_of(results)
    spoken = [word for result in results for word in result.spoken]
    return Evaluation(
        model=transcriber.name,
        model_sha256=transcriber.model.sha256,
        task=task,
        utterances=tuple(results),
        failures=tuple(failures),
        measures=measure_all(results, task),
        num_speakers=None if speakers is None else len(set(speakers)),
        calibration=measure_calibration([w.confidence for w in spoken], [w.is_right for w in spoken])
        if spoken
        else None,
        table=accuracy_table([r.reference for r in results], [r.hypothesis for r in results])
        if task == "classification"
        else None,
        breakdowns=break_down(results, task),
        frequent_errors=count_frequent_errors(results),
        settings=settings,
        close_ups=tuple(look_closely(transcriber, load_utterance(u, sample_rate), u.id) for u in shown),
    )
