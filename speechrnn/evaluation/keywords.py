"""A keyword detector measured as it is used: on a stream, in misses at so many false alarms an hour."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from speechrnn.decoding.keywords import Keyword, check_labels
from speechrnn.errors import ConfigError
from speechrnn.evaluation.detection import (
    NUM_RESAMPLES,
    DetCurve,
    Negatives,
    OperatingPoint,
    measure_point,
    measure_threshold,
    trace_curve,
)
from speechrnn.evaluation.keyword_close_up import KeywordCloseUp
from speechrnn.evaluation.keyword_listener import Heard, Listener, Progress
from speechrnn.evaluation.keyword_recordings import KeywordTrial, assign
from speechrnn.evaluation.results import Failure
from speechrnn.runtime.keyword_spotter import SpotterOptions
from speechrnn.runtime.log_mel import LogMel
from speechrnn.runtime.model_file import ModelFile

LATENCY_RATE = 1.0  # false alarms an hour, of the threshold at which latencies are told


@dataclass(frozen=True, kw_only=True)
class KeywordResult:
    """How well one keyword is found."""

    label: str
    negatives: Negatives = field(repr=False)
    """Its false alarms."""
    num_left_out: int = 0
    """Recordings that are no negatives for it, since their texts say it."""
    positives: NDArray[np.float64] = field(repr=False)
    """(n,) best confidence at each place where it was said."""
    groups: Sequence[str] | None = field(default=None, repr=False)
    """Speaker of each, where all are known."""
    latencies_s: NDArray[np.float64] = field(repr=False)
    """(n,) seconds from the end of the speech to the moment when the hit is told, at the threshold of one false alarm
    an hour (or of the first rate that was asked for); NaN of those that are missed there."""
    curve: DetCurve | None = field(repr=False)
    """Misses against false alarms; None without positives."""
    points: tuple[OperatingPoint, ...]
    """At each rate of false alarms that was asked for, and last at the threshold that the keyword has, of what is told
    beside the other keywords."""
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
        """Median over what is found there; None if nothing is."""
        found = self.latencies_s[np.isfinite(self.latencies_s)]
        return float(np.median(found)) if len(found) else None

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        curve = self.curve
        return {
            "label": self.label,
            "hours": self.negatives.hours,
            "num_left_out": self.num_left_out,
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
    """Of negatives, of the keyword that has fewest."""
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

    The negatives are one long stream, whose peaks are the false alarms; recordings whose text says a keyword are
    left out for that keyword, since to hear it there is right. For the positives each clip is put
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
        ConfigError: If the negatives of a keyword are shorter than a minute, or a positive is of no keyword, or
            there are positives but none of some keyword, or the noise cannot be read or is silent.
    """
    check_labels(keywords)
    start = time.perf_counter()
    listener = Listener(model, keywords, options, on_audio)
    if trial.noise:
        listener.check_noise(trial.noise)
    background = listener.hear_negatives(trial.negatives)
    owners = assign(trial.positives, keywords)
    conditions = [None, *trial.snrs_db] if trial.positives else []
    heard = {snr: listener.hear_positives(trial, owners, snr) for snr in conditions}
    listener.warn_of_speechless()
    features = LogMel.from_config(model.info.config["features"])
    results = []
    for number, keyword in enumerate(keywords):
        found = {snr: positives.of(number) for snr, positives in heard.items()}
        if trial.positives and not len(found[None].scores):
            reasons = [failure.reason for failure in listener.failures.values()]
            raise ConfigError(
                f"keyword {keyword.label!r}: no positive could be used; {'; '.join(reasons[:1])}"
            )
        measure = partial(
            measure_all,
            told=background.told_of(number),
            rates=trial.rates,
            threshold=listener.thresholds[number],
        )
        result = sum_up(keyword.label, background.of(number), found, measure)
        hardest = found[None].close_ups(num_close_ups, features) if found else ()
        surest = background.close_ups(number, num_close_ups, features)
        num_left_out = int(background.said[:, number].sum())
        results.append(
            replace(result, num_left_out=num_left_out, hardest_positives=hardest, surest_negatives=surest)
        )
    return KeywordEvaluation(
        model=model.info.name,
        model_sha256=model.sha256,
        keywords=tuple(results),
        hours=min(result.negatives.hours for result in results),
        failures=tuple(listener.failures.values()),
        settings=describe(keywords, listener, elapsed_s=time.perf_counter() - start),
    )


def describe(keywords: Sequence[Keyword], listener: Listener, *, elapsed_s: float) -> dict[str, Any]:
    """Tell, as plain data, of what the results depend on."""
    hits, options = listener.hits, listener.tracker.options
    window = {"window_s": options.window_s} if listener.tracker.is_classifier else {}
    return {
        "keywords": [
            str(keyword) if not keyword.templates else f"{keyword.label}, {len(keyword.templates)} recordings"
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


Measure = Callable[[Heard | None, Negatives], tuple[OperatingPoint, ...]]


def measure_all(
    found: Heard | None, negatives: Negatives, *, told: Negatives, rates: Sequence[float], threshold: float
) -> tuple[OperatingPoint, ...]:
    """Measure a keyword alone at each rate of false alarms, and at its threshold by what is told beside the others."""
    if found is None:
        points = [measure_point(None, negatives, rate) for rate in rates]
        return *points, measure_threshold(None, told, threshold)
    groups = found.groups
    points = [measure_point(found.scores, negatives, rate, groups=groups) for rate in rates]
    return *points, measure_threshold(found.told, told, threshold, groups=groups)


def sum_up(
    label: str, negatives: Negatives, heard: Mapping[float | None, Heard], measure: Measure
) -> KeywordResult:
    """Measure one keyword under all conditions."""
    clean, points = heard.get(None), measure(heard.get(None), negatives)
    told_at = next((point for point in points if point.target == LATENCY_RATE), points[0])
    return KeywordResult(
        label=label,
        negatives=negatives,
        positives=np.zeros(0) if clean is None else clean.scores,
        groups=None if clean is None else clean.groups,
        latencies_s=np.zeros(0) if clean is None else clean.latencies_s(told_at.threshold),
        curve=None if clean is None else trace_curve(clean.scores, negatives),
        points=points,
        in_noise={snr: measure(found, negatives) for snr, found in heard.items() if snr is not None},
    )
