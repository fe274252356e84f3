"""A keyword detector run over recordings as over one stream, and what it heard there."""

import bisect
import itertools
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from speechrnn.audio import Waveform
from speechrnn.decoding.keyword_hits import Candidate, HitOptions, HitPicker
from speechrnn.decoding.keyword_search import Scores
from speechrnn.decoding.keywords import Keyword
from speechrnn.errors import ConfigError, SpeechRNNError
from speechrnn.evaluation.detection import FAINTEST, Negatives, check_hours, find_peaks
from speechrnn.evaluation.evaluate import fail, load_utterance
from speechrnn.evaluation.keyword_close_up import KeywordCloseUp, Recorded, Track, look_at
from speechrnn.evaluation.keyword_recordings import KeywordTrial, says
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

logger = logging.getLogger("speechrnn")

GAP_S = 1.0  # of a negative in front of each positive
TOLERANCE_S = 0.5  # behind a positive, in which it may still be found
SILENT_PEAK = 0.01  # of a clip that holds nothing, -40 dB
NAMED = 3  # recordings in a warning
BEFORE_S, AFTER_S = 2.0, 0.5  # what is shown of a negative around a peak

Progress = Callable[[float], object]
"""Told the seconds of audio that were heard."""


class Background(NamedTuple):
    """Negatives as one stream, and where in it keywords seem to be."""

    track: Track
    recordings: list[Recorded]
    peaks: list[NDArray[np.int64]]
    """Frames, the surest first, of each keyword; none where the keyword is said."""
    told: list[Candidate]
    """Hits where the keyword is not said."""
    said: NDArray[np.bool_]
    """(recordings, keywords) whether it is said there."""

    def find_recordings(self, keyword: int) -> NDArray[np.int64]:
        """Find the recording of each peak."""
        return find_places(self.recordings, self.track.ends_s[self.peaks[keyword]])

    def of(self, keyword: int) -> Negatives:
        """Take the false alarms of one keyword, and the recordings in which it is not said."""
        silent = ~self.said[:, keyword]
        number_of = np.cumsum(silent) - 1
        durations_s = np.array([recording.duration_s for recording in self.recordings])[silent]
        return Negatives(
            scores=self.track.confidences[self.peaks[keyword], keyword].astype(np.float64),
            recordings=number_of[self.find_recordings(keyword)],
            durations_s=durations_s,
        )

    def told_of(self, keyword: int) -> Negatives:
        """Take those false alarms that are told at the thresholds that all keywords have."""
        hits = [hit for hit in self.told if hit.keyword == keyword]
        number_of = np.cumsum(~self.said[:, keyword]) - 1
        at_s = self.track.ends_s[[hit.end for hit in hits]]
        return replace(
            self.of(keyword),
            scores=np.array([hit.confidence for hit in hits], np.float64),
            recordings=number_of[find_places(self.recordings, at_s)],
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
    """(places,) the best confidence at each."""
    told: NDArray[np.float64]
    """(places,) the confidence of the hit that is told at each, at the thresholds that all keywords have; 0 of none."""
    hits: HitOptions
    """When a confidence is a hit."""
    delay_s: float
    """From the beginning of a frame until it is known, seconds."""

    def of(self, keyword: int) -> "Heard":
        """Take those of one keyword."""
        mine = [number for number, place in enumerate(self.places) if place.keyword == keyword]
        places = [self.places[number] for number in mine]
        return self._replace(places=places, scores=self.scores[mine], told=self.told[mine])

    def latencies_s(self, threshold: float) -> NDArray[np.float64]:
        """Tell how long after the speech each would be told at a threshold, (places,) seconds; NaN if it is not."""
        latencies = np.full(len(self.places), np.nan)
        # Patience is in the track already.
        options, frame_s = replace(self.hits, patience=1), self.track.frame_s
        for number, place in enumerate(self.places):
            first, column = self.track.cut(place.keyword, place.stretch_s)
            picker = HitPicker([threshold], frame_s=frame_s, options=options)
            frames = np.arange(len(column))[:, None]
            hits = picker.feed(column[:, None].astype(np.float64), frames) + picker.finish()
            if hits:
                known_s = self.track.ends_s[0] + (first + hits[0].decided - 1) * frame_s + self.delay_s
                latencies[number] = known_s - place.speech_end_s
        return latencies

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


class Listener:
    """Runs the detector over recordings, noting those that cannot be used."""

    def __init__(
        self, model: ModelFile, keywords: Sequence[Keyword], options: SpotterOptions, on_audio: Progress
    ) -> None:
        """Prepare; errors as ``KeywordSpotter``."""
        floors = [FAINTEST] * len(keywords)
        self.tracker, self.keywords = ScoreTracker(model, keywords, options, floors=floors), keywords
        self.sample_rate, self.on_audio = model.info.sample_rate, on_audio
        self.hits: HitOptions = options.hits or default_hits(model)
        own = (find_threshold(model, keyword, options) for keyword in keywords)
        self.thresholds = [max(FAINTEST, threshold) for threshold in own]
        self.failures: dict[str, Failure] = {}
        self.speechless: dict[str, Utterance] = {}
        """Positives in which there is sound, but no speech found."""

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
        clock, found, hits = self.tracker.clock, [], []
        picker = HitPicker(self.thresholds, frame_s=clock.frame_s, options=self.hits)
        for scores in self.score(waveforms):
            heard = to_confidences(scores)
            hits += picker.feed(heard, scores.starts)
            found.append(heard.astype(np.float32))
        confidences = lasting(np.concatenate(found), self.hits.patience)
        ends = clock.first_s + np.arange(1, len(confidences) + 1, dtype=np.float64) * clock.frame_s
        return Track(confidences, ends, clock.frame_s, hits + picker.finish())

    def score(self, waveforms: Iterable[Waveform]) -> Iterator[Scores]:
        """Score one stream bit by bit."""
        for waveform in waveforms:
            yield self.tracker.feed(waveform)
            self.on_audio(len(waveform) / self.sample_rate)
        yield self.tracker.finish()

    def hear_negatives(self, utterances: Sequence[Utterance]) -> Background:
        """Find each keyword's false alarms.

        Raises:
            ConfigError: If none can be read, or less than a minute is heard in which some keyword is not said.
        """
        recordings: list[Recorded] = []

        def waveforms() -> Iterator[Waveform]:
            for utterance, waveform in self.load_some(utterances, "negatives"):
                start_s = recordings[-1].end_s if recordings else 0.0
                recordings.append(Recorded(utterance, start_s, len(waveform) / self.sample_rate))
                yield waveform

        track = self.track(waveforms())
        said = np.array([[says(r.utterance, keyword) for keyword in self.keywords] for r in recordings])
        said = said.reshape(len(recordings), len(self.keywords))
        durations_s = np.array([recording.duration_s for recording in recordings])
        for keyword, elsewhere in zip(self.keywords, ~said.T, strict=True):
            check_hours(float(durations_s[elsewhere].sum()), keyword.label)
        # A keyword at the end of a recording may be heard a little behind it.
        said_at = said[find_places(recordings, track.ends_s)]
        said_at |= said[find_places(recordings, track.ends_s - TOLERANCE_S)]
        told = [hit for hit in track.hits if not said_at[hit.end, hit.keyword]]
        return Background(track, recordings, self.find_peaks(track, said_at), told, said)

    def find_peaks(self, track: Track, said_at: NDArray[np.bool_]) -> list[NDArray[np.int64]]:
        """Find the frames where each keyword seems to be and is not, the surest first."""
        rest = max(1, round(self.hits.refractory_s / self.tracker.clock.frame_s))
        columns = np.where(said_at, 0.0, track.confidences.astype(np.float64)).T
        return [find_peaks(np.where(column >= FAINTEST, column, 0.0), rest=rest) for column in columns]

    def hear_positives(self, trial: KeywordTrial, owners: Sequence[int], snr_db: float | None) -> Heard:
        """Score each positive, embedded in the negatives; without ``snr_db`` no noise is mixed in."""
        places: list[Place] = []
        without = [u for u in trial.negatives if not any(says(u, keyword) for keyword in self.keywords)]
        gaps = self.pieces(without or trial.negatives)
        noise = self.pieces(trial.noise, "noise") if snr_db is not None else None

        def waveforms() -> Iterator[Waveform]:
            at = 0
            numbers = {
                utterance.id: number for utterance, number in zip(trial.positives, owners, strict=True)
            }
            for utterance, clip in self.load(trial.positives):
                spoken = find_speech(clip, sample_rate=self.sample_rate)
                if not spoken and np.abs(clip).max(initial=0.0) >= SILENT_PEAK:
                    # In noise, speech is not told from it, and to leave the clip out would hide a miss.
                    self.speechless[utterance.id] = utterance
                elif not spoken:
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
                speech_end_s = start_s + spoken[-1].end_s if spoken else clip_place.end_s
                places.append(Place(numbers[utterance.id], clip_place, speech_end_s))
                yield piece
            yield gaps(round(2 * GAP_S * self.sample_rate))

        track = self.track(waveforms())
        columns = [track.cut(place.keyword, place.stretch_s)[1] for place in places]
        scores = np.array([column.max(initial=0.0) for column in columns], np.float64)
        return Heard(track, places, scores, told_at(places, track), self.hits, self.tracker.latency_s)

    def warn_of_speechless(self) -> None:
        """Say in which positives nobody seems to speak; they count as they are heard."""
        if self.speechless:
            names = [str(utterance.audio) for utterance in self.speechless.values()]
            more = ", …" if len(names) > NAMED else ""
            logger.warning(
                "no speech is found in %d of the positives, which count all the same, likely as misses: %s%s",
                len(names),
                ", ".join(names[:NAMED]),
                more,
            )

    def pieces(self, utterances: Sequence[Utterance], kind: str = "negatives") -> Callable[[int], Waveform]:
        """Make what takes the next so many samples from recordings that follow each other for ever.

        Raises:
            ConfigError: When something is taken, if not one recording can be read; ``kind`` names them.
        """
        stream = itertools.chain.from_iterable(
            self.load_some(utterances, kind) for _ in itertools.repeat(None)
        )
        rest: list[Waveform] = [np.zeros(0, np.float32)]

        def take(num_samples: int) -> Waveform:
            while len(rest[0]) < num_samples:
                rest[0] = np.concatenate([rest[0], next(stream)[1]])
            taken, rest[0] = rest[0][:num_samples], rest[0][num_samples:]
            return taken

        return take

    def load_some(self, utterances: Sequence[Utterance], kind: str) -> Iterator[tuple[Utterance, Waveform]]:
        """Load recordings one by one; a ``ConfigError`` in the end, which names their ``kind``, if there was none."""
        num_samples = 0
        for utterance, waveform in self.load(utterances):
            num_samples += len(waveform)
            yield utterance, waveform
        if not num_samples:
            reasons = [self.failures[u.id].reason for u in utterances if u.id in self.failures]
            first = f"; the first: {reasons[0]}" if reasons else ""
            raise ConfigError(f"no recording of the {kind} could be read{first}")

    def check_noise(self, utterances: Sequence[Utterance]) -> None:
        """Make sure before the work that there is something to hear in the noise.

        Raises:
            ConfigError: If not one recording can be read, or all are silent: mixed, they would change nothing.
        """
        if not any(waveform.any() for _, waveform in self.load_some(utterances, "noise")):
            raise ConfigError(
                f"{utterances[0].audio}: silent, as is all of the noise; mixed with the positives it would change "
                "nothing"
            )


def find_places(recordings: Sequence[Recorded], times_s: NDArray[np.float64]) -> NDArray[np.int64]:
    """Find the recording of each time of the stream."""
    ends = [recording.end_s for recording in recordings]
    return np.minimum(np.searchsorted(ends, times_s), len(ends) - 1)


def told_at(places: Sequence[Place], track: Track) -> NDArray[np.float64]:
    """Find the confidence of what is told of its keyword at each place, (places,); 0 of nothing."""
    told, begins_s = np.zeros(len(places)), [place.clip.start_s for place in places]
    for hit in track.hits:
        at_s = track.ends_s[hit.end]
        number = bisect.bisect_left(begins_s, at_s) - 1  # places follow each other, with a gap between them
        if number >= 0 and places[number].keyword == hit.keyword and at_s <= places[number].stretch_s[1]:
            told[number] = max(told[number], hit.confidence)
    return told


def lasting(confidences: NDArray[np.float32], patience: int) -> NDArray[np.float32]:
    """Take the least of each frame and those before it that patience asks for: what a threshold must not pass."""
    if patience == 1 or not len(confidences):
        return confidences
    padded = np.concatenate([np.zeros_like(confidences[:1]).repeat(patience - 1, axis=0), confidences])
    windows = np.lib.stride_tricks.sliding_window_view(padded, patience, axis=0)
    least: NDArray[np.float32] = windows.min(axis=-1)
    return least


def mix(waveform: Waveform, noise: Waveform, *, level: float, snr_db: float) -> Waveform:
    """Add noise, scaled so that ``level`` is ``snr_db`` above its power."""
    own = power(noise)
    gain = np.sqrt(level / own / 10 ** (snr_db / 10)) if own > 0 else 0.0
    return np.clip(waveform + gain * noise, -1, 1).astype(np.float32)


def power(waveform: Waveform) -> float:
    """Compute the mean square."""
    return float(np.square(waveform, dtype=np.float64).mean())
