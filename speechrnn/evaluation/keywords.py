"""A keyword detector measured as it is used: on a stream, in misses at so many false alarms an hour."""

import itertools
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from speechrnn.audio import Waveform
from speechrnn.decoding.keyword_hits import HitOptions
from speechrnn.decoding.keywords import Keyword, check_labels
from speechrnn.errors import ConfigError, SpeechRNNError
from speechrnn.evaluation.detection import (
    NUM_RESAMPLES,
    RATES,
    DetCurve,
    Negatives,
    OperatingPoint,
    check_hours,
    find_peaks,
    measure_point,
    measure_threshold,
    trace_curve,
)
from speechrnn.evaluation.evaluate import fail, load_utterance
from speechrnn.evaluation.keyword_close_up import KeywordCloseUp, Recorded, Track, look_at
from speechrnn.evaluation.keyword_recordings import assign
from speechrnn.evaluation.results import Failure
from speechrnn.manifest import Utterance
from speechrnn.runtime.keyword_spotter import (
    ScoreTracker,
    SpotterOptions,
    default_hits,
    find_threshold,
    to_confidences,
)
from speechrnn.runtime.log_mel import LogMel
from speechrnn.runtime.model_file import ModelFile
from speechrnn.voice_activity import find_speech

GAP_S = 1.0  # of a negative in front of each positive
TOLERANCE_S = 0.5  # behind a positive, in which it may still be found
FAINTEST = 0.01  # confidence below which a peak is none
LATENCY_RATE = 1.0  # false alarms an hour, of the threshold at which latencies are told
BEFORE_S, AFTER_S = 2.0, 0.5  # what is shown of a negative around a peak

Progress = Callable[[float], object]
"""Told the seconds of audio that were heard."""


@dataclass(frozen=True, kw_only=True)
class KeywordResult:
    """How well one keyword is found."""

    label: str
    negatives: Negatives = field(repr=False)
    """Its false alarms."""
    positives: NDArray[np.float64] = field(repr=False)
    """(n,) best confidence at each place where it was said."""
    latencies_s: NDArray[np.float64] = field(repr=False)
    """(n,) seconds from the end of the speech to the moment when the hit would be told."""
    curve: DetCurve | None = field(repr=False)
    """Misses against false alarms; None without positives."""
    points: tuple[OperatingPoint, ...]
    """At each rate of false alarms that was asked for, and last at the threshold that the keyword has."""
    in_noise: Mapping[float, tuple[OperatingPoint, ...]] = field(default_factory=dict)
    """The same with noise at so many dB, the thresholds those of the negatives as they are."""
    hardest_positives: tuple[KeywordCloseUp, ...] = field(default=(), compare=False, repr=False)
    """Those that it was least sure of, the least first; not part of the plain data."""
    surest_negatives: tuple[KeywordCloseUp, ...] = field(default=(), compare=False, repr=False)
    """The false alarms that it was surest of, the surest first; not part of the plain data."""

    @property
    def own(self) -> OperatingPoint:
        """At the threshold that the keyword has."""
        return self.points[-1]

    @property
    def median_latency_s(self) -> float | None:
        """Median over what is found at one false alarm an hour; None if nothing is."""
        points = [point for point in self.points if point.target == LATENCY_RATE] or list(self.points)
        found = self.latencies_s[self.positives >= points[0].threshold]
        return float(np.median(found)) if len(found) else None

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        curve = self.curve
        return {
            "label": self.label,
            "points": [point.to_dict() for point in self.points],
            "in_noise": {f"{snr:g}": [p.to_dict() for p in points] for snr, points in self.in_noise.items()},
            "median_latency_s": self.median_latency_s,
            "positives": self.positives.tolist(),
            "false_alarms": np.sort(self.negatives.scores)[::-1].tolist(),
            "curve": curve
            and {
                "thresholds": curve.thresholds.tolist(),
                "false_alarms_per_hour": curve.false_alarms_per_hour.tolist(),
                "miss_rates": curve.miss_rates.tolist(),
            },
        }


@dataclass(frozen=True, kw_only=True)
class KeywordEvaluation:
    """All that a report needs."""

    model: str
    model_sha256: str
    keywords: tuple[KeywordResult, ...]
    """In the order in which they were given."""
    hours: float
    """Of negatives."""
    failures: tuple[Failure, ...]
    """Recordings that could not be used, and are part of no measure."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Plain data: the keywords, how the stream was listened to, how long it took."""

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {
            "model": {"name": self.model, "sha256": self.model_sha256},
            "settings": dict(self.settings),
            "hours": self.hours,
            "failures": [{"audio": failure.audio, "reason": failure.reason} for failure in self.failures],
            "keywords": [keyword.to_dict() for keyword in self.keywords],
        }


@dataclass(frozen=True, kw_only=True)
class KeywordTrial:
    """What a detector is tried on."""

    negatives: Sequence[Utterance]
    """Recordings in which no keyword is said."""
    positives: Sequence[Utterance] = ()
    """Clips of one keyword each; their texts are its label."""
    noise: Sequence[Utterance] = ()
    """Recordings that are mixed with the positives."""
    snrs_db: Sequence[float] = ()
    """How loud a positive is above the noise, a measurement for each."""
    rates: Sequence[float] = RATES
    """False alarms an hour."""

    def __post_init__(self) -> None:
        """Check the values; a ``ConfigError`` names the one that is wrong."""
        if not self.negatives:
            raise ConfigError("there are no negatives to count false alarms on")
        if not self.rates or not all(0 <= rate < np.inf for rate in self.rates):
            raise ConfigError(f"false alarms an hour must be >= 0 and finite, got {list(self.rates)}")
        if bool(self.noise) != bool(self.snrs_db):
            raise ConfigError("noise and signal-to-noise ratios go together; one of them is missing")


def evaluate_keywords(
    model: ModelFile,
    keywords: Sequence[Keyword],
    trial: KeywordTrial,
    options: SpotterOptions = SpotterOptions(),
    *,
    num_close_ups: int = 0,
    on_audio: Progress = lambda seconds: None,
) -> KeywordEvaluation:
    """Run the streaming detector over negatives, and over positives embedded in them.

    The negatives are one long stream, whose peaks are the false alarms. For the positives each clip is put
    behind ``GAP_S`` seconds of a negative; its score is the best confidence from its start until shortly
    behind its end.

    Args:
        model: A CTC model or a classifier.
        keywords: What to look for.
        trial: On what.
        options: How the stream is listened to.
        num_close_ups: How many of each keyword's positives that were hardest to find, and of its false alarms
            that were surest, to keep as they were heard.
        on_audio: Told the seconds of audio that were heard.

    Raises:
        ConfigError: If the negatives are shorter than a minute, or a positive is of no keyword, or there are
            positives but none of some keyword.
    """
    check_labels(keywords)
    start = time.perf_counter()
    listener = Listener(model, keywords, options, on_audio)
    background = listener.hear_negatives(trial.negatives)
    owners = assign(trial.positives, keywords)
    conditions = [None, *trial.snrs_db] if trial.positives else []
    heard = {snr: listener.hear_positives(trial, owners, snr) for snr in conditions}
    features = LogMel.from_config(model.info.config["features"])
    results = []
    for number, keyword in enumerate(keywords):
        found = {snr: positives.of(number) for snr, positives in heard.items()}
        if trial.positives and not len(found[None].scores):
            raise ConfigError(f"keyword {keyword.label!r}: no positive could be used")
        measure = partial(measure_all, rates=trial.rates, threshold=find_threshold(model, keyword, options))
        result = sum_up(keyword.label, background.of(number), found, measure)
        hardest = found[None].close_ups(num_close_ups, features) if found else ()
        surest = background.close_ups(number, num_close_ups, features)
        results.append(replace(result, hardest_positives=hardest, surest_negatives=surest))
    return KeywordEvaluation(
        model=model.info.name,
        model_sha256=model.sha256,
        keywords=tuple(results),
        hours=results[0].negatives.hours,
        failures=tuple(listener.failures.values()),
        settings=describe(keywords, listener, elapsed_s=time.perf_counter() - start),
    )


def describe(keywords: Sequence[Keyword], listener: "Listener", *, elapsed_s: float) -> dict[str, Any]:
    """Tell, as plain data, of what the results depend on."""
    hits, options = listener.hits, listener.tracker.options
    window = {"window_s": options.window_s} if listener.tracker.is_classifier else {}
    return {
        "keywords": [
            str(keyword) if keyword.spellings else f"{keyword.label}, {len(keyword.templates)} recordings"
            for keyword in keywords
        ],
        "chunk_s": options.chunk_s,
        **window,
        "patience": hits.patience,
        "refractory_s": hits.refractory_s,
        "num_resamples": NUM_RESAMPLES,
        "seed": 0,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "elapsed_s": round(elapsed_s, 3),
    }


class Background(NamedTuple):
    """Negatives as one stream, and where in it keywords seem to be."""

    track: Track
    recordings: list[Recorded]
    peaks: list[NDArray[np.int64]]
    """Frames, the surest first, of each keyword."""

    def find_recordings(self, keyword: int) -> NDArray[np.int64]:
        """Find the recording of each peak."""
        ends = [recording.end_s for recording in self.recordings]
        return np.minimum(np.searchsorted(ends, self.track.ends_s[self.peaks[keyword]]), len(ends) - 1)

    def of(self, keyword: int) -> Negatives:
        """Take the false alarms of one keyword."""
        return Negatives(
            scores=self.track.confidences[self.peaks[keyword], keyword].astype(np.float64),
            recordings=self.find_recordings(keyword),
            durations_s=np.array([recording.duration_s for recording in self.recordings]),
        )

    def close_ups(self, keyword: int, number: int, features: LogMel) -> tuple[KeywordCloseUp, ...]:
        """Look at the surest false alarms."""
        places = zip(self.peaks[keyword][:number], self.find_recordings(keyword), strict=False)
        return tuple(
            look_at(
                self.track,
                self.recordings[recording],
                keyword,
                stretch_s=(at_s - BEFORE_S, min(at_s + AFTER_S, self.recordings[recording].end_s)),
                features=features,
            )
            for at_s, recording in ((float(self.track.ends_s[frame]), place) for frame, place in places)
        )


class Place(NamedTuple):
    """Where a positive lies in the stream."""

    keyword: int
    clip: Recorded
    speech_end_s: float
    """Seconds of the stream."""

    @property
    def stretch_s(self) -> tuple[float, float]:
        """Where the keyword may be found."""
        return self.clip.start_s, self.clip.end_s + TOLERANCE_S


class Heard(NamedTuple):
    """Positives under one condition."""

    track: Track
    places: list[Place]
    scores: NDArray[np.float64]
    latencies_s: NDArray[np.float64]

    def of(self, keyword: int) -> "Heard":
        """Take those of one keyword."""
        mine = [number for number, place in enumerate(self.places) if place.keyword == keyword]
        places = [self.places[number] for number in mine]
        return Heard(self.track, places, self.scores[mine], self.latencies_s[mine])

    @property
    def groups(self) -> list[str] | None:
        """Speakers, if each is known and there are several."""
        names = [place.clip.utterance.speaker or "" for place in self.places]
        return names if all(names) and len(set(names)) > 1 else None

    def close_ups(self, number: int, features: LogMel) -> tuple[KeywordCloseUp, ...]:
        """Look at those that were hardest to find."""
        hardest = [self.places[place] for place in np.argsort(self.scores, kind="stable")[:number]]
        return tuple(
            look_at(self.track, place.clip, place.keyword, stretch_s=place.stretch_s, features=features)
            for place in hardest
        )


Measure = Callable[[Heard | None, Negatives], tuple[OperatingPoint, ...]]


def measure_all(
    found: Heard | None, negatives: Negatives, *, rates: Sequence[float], threshold: float
) -> tuple[OperatingPoint, ...]:
    """Measure a keyword at each rate of false alarms, and at its threshold."""
    scores, groups = (None, None) if found is None else (found.scores, found.groups)
    points = [measure_point(scores, negatives, rate, groups=groups) for rate in rates]
    return *points, measure_threshold(scores, negatives, threshold, groups=groups)


def sum_up(
    label: str, negatives: Negatives, heard: Mapping[float | None, Heard], measure: Measure
) -> KeywordResult:
    """Measure one keyword under all conditions."""
    clean = heard.get(None)
    return KeywordResult(
        label=label,
        negatives=negatives,
        positives=np.zeros(0) if clean is None else clean.scores,
        latencies_s=np.zeros(0) if clean is None else clean.latencies_s,
        curve=None if clean is None else trace_curve(clean.scores, negatives),
        points=measure(clean, negatives),
        in_noise={snr: measure(found, negatives) for snr, found in heard.items() if snr is not None},
    )


class Listener:
    """Runs the detector over recordings, noting those that cannot be used."""

    def __init__(
        self, model: ModelFile, keywords: Sequence[Keyword], options: SpotterOptions, on_audio: Progress
    ) -> None:
        """Prepare; errors as ``KeywordSpotter``."""
        self.tracker = ScoreTracker(model, keywords, options)
        self.sample_rate, self.on_audio = model.info.sample_rate, on_audio
        self.hits: HitOptions = options.hits or default_hits(model)
        self.failures: dict[str, Failure] = {}

    def load(self, utterances: Iterable[Utterance]) -> Iterator[tuple[Utterance, Waveform]]:
        """Load recordings one by one."""
        for utterance in utterances:
            try:
                yield utterance, load_utterance(utterance, self.sample_rate)
            except SpeechRNNError as error:
                self.failures[utterance.id] = fail(utterance, error)

    def track(self, waveforms: Iterable[Waveform]) -> Track:
        """Run one stream from beginning to end."""
        self.tracker.restart()
        found = []
        for waveform in waveforms:
            found.append(to_confidences(self.tracker.feed(waveform)).astype(np.float32))
            self.on_audio(len(waveform) / self.sample_rate)
        found.append(to_confidences(self.tracker.finish()).astype(np.float32))
        confidences = lasting(np.concatenate(found), self.hits.patience)
        clock = self.tracker.clock
        ends = clock.first_s + np.arange(1, len(confidences) + 1, dtype=np.float64) * clock.frame_s
        return Track(confidences, ends)

    def hear_negatives(self, utterances: Sequence[Utterance]) -> Background:
        """Find each keyword's false alarms."""
        recordings: list[Recorded] = []

        def waveforms() -> Iterator[Waveform]:
            for utterance, waveform in self.load(utterances):
                start_s = recordings[-1].end_s if recordings else 0.0
                recordings.append(Recorded(utterance, start_s, len(waveform) / self.sample_rate))
                yield waveform

        track = self.track(waveforms())
        check_hours(sum(recording.duration_s for recording in recordings))
        rest = max(1, round(self.hits.refractory_s / self.tracker.clock.frame_s))
        columns = track.confidences.T.astype(np.float64)
        peaks = [find_peaks(np.where(column >= FAINTEST, column, 0.0), rest=rest) for column in columns]
        return Background(track, recordings, peaks)

    def hear_positives(self, trial: KeywordTrial, owners: Sequence[int], snr_db: float | None) -> Heard:
        """Score each positive, embedded in the negatives; without ``snr_db`` no noise is mixed in."""
        places: list[Place] = []
        gaps = self.pieces(trial.negatives)
        noise = self.pieces(trial.noise) if snr_db is not None else None

        def waveforms() -> Iterator[Waveform]:
            at = 0
            numbers = {
                utterance.id: number for utterance, number in zip(trial.positives, owners, strict=True)
            }
            for utterance, clip in self.load(trial.positives):
                spoken = find_speech(clip, sample_rate=self.sample_rate)
                if not spoken:
                    reason = f"{utterance.audio}: holds no speech"
                    self.failures[utterance.id] = Failure(
                        id=utterance.id, audio=str(utterance.audio), reason=reason
                    )
                    continue
                gap = gaps(round(GAP_S * self.sample_rate))
                piece = np.concatenate([gap, clip])
                if noise is not None and snr_db is not None:
                    piece = mix(piece, noise(len(piece)), level=power(clip), snr_db=snr_db)
                start_s = (at + len(gap)) / self.sample_rate
                at += len(piece)
                clip_place = Recorded(utterance, start_s, len(clip) / self.sample_rate)
                places.append(Place(numbers[utterance.id], clip_place, start_s + spoken[-1].end_s))
                yield piece
            yield gaps(round(2 * GAP_S * self.sample_rate))

        track = self.track(waveforms())
        delay_s = self.hits.hold_s + self.tracker.emissions.latency_s
        return Heard(track, places, *score_places(track, places, delay_s=delay_s))

    def pieces(self, utterances: Sequence[Utterance]) -> Callable[[int], Waveform]:
        """Make what takes the next so many samples from recordings that follow each other for ever."""
        stream = itertools.chain.from_iterable(
            self.load(utterances) for _ in itertools.repeat(None) if utterances
        )
        rest: list[Waveform] = [np.zeros(0, np.float32)]

        def take(num_samples: int) -> Waveform:
            while len(rest[0]) < num_samples:
                rest[0] = np.concatenate([rest[0], next(stream)[1]])
            taken, rest[0] = rest[0][:num_samples], rest[0][num_samples:]
            return taken

        return take


def lasting(confidences: NDArray[np.float32], patience: int) -> NDArray[np.float32]:
    """Take the least of each frame and those before it that patience asks for: what a threshold must not pass."""
    if patience == 1 or not len(confidences):
        return confidences
    padded = np.concatenate([np.zeros_like(confidences[:1]).repeat(patience - 1, axis=0), confidences])
    windows = np.lib.stride_tricks.sliding_window_view(padded, patience, axis=0)
    least: NDArray[np.float32] = windows.min(axis=-1)
    return least


def score_places(
    track: Track, places: Sequence[Place], *, delay_s: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Find the best confidence at each place, and how long after the speech it would be told."""
    scores, latencies = np.zeros(len(places)), np.zeros(len(places))
    for number, place in enumerate(places):
        first, last = np.searchsorted(track.ends_s, place.stretch_s, side="right").tolist()
        column = track.confidences[first : max(last, first + 1), place.keyword]
        if len(column):
            best = int(column.argmax())
            scores[number] = column[best]
            latencies[number] = track.ends_s[first + best] + delay_s - place.speech_end_s
    return scores, latencies


def mix(waveform: Waveform, noise: Waveform, *, level: float, snr_db: float) -> Waveform:
    """Add noise, scaled so that ``level`` is ``snr_db`` above its power."""
    own = power(noise)
    gain = np.sqrt(level / own / 10 ** (snr_db / 10)) if own > 0 else 0.0
    return np.clip(waveform + gain * noise, -1, 1).astype(np.float32)


def power(waveform: Waveform) -> float:
    """Compute the mean square."""
    return float(np.square(waveform, dtype=np.float64).mean())
