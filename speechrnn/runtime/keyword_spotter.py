"""The keyword spotter: audio of any length in, hits out, with a keyword classifier or any CTC model."""

import logging
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from speechrnn.audio import Source, Waveform
from speechrnn.decoding.keyword_hits import Candidate, HitOptions, HitPicker
from speechrnn.decoding.keyword_search import Scores, SearchOptions, spell
from speechrnn.decoding.keywords import Keyword, check_labels
from speechrnn.decoding.rivalled_search import RivalledSearch
from speechrnn.decoding.words import FrameClock
from speechrnn.errors import AudioError, ConfigError, ModelFileError
from speechrnn.long_audio import LongAudio, load_or_open
from speechrnn.runtime.emission_stream import EmissionStream, WindowOptions
from speechrnn.runtime.label_scores import LabelScores, find_labels
from speechrnn.runtime.model_file import ModelFile
from speechrnn.runtime.pronounced import find_rivals, pronounce

logger = logging.getLogger("speechrnn")

SPELLED_THRESHOLD = 0.5
# With phones-en on the first half of KEYWORDS.md, 0 to 2 and 0 to 1 false alarms in 0.91 h.
SPELLED_AND_RECORDED_THRESHOLD = 0.58
RECORDED_THRESHOLD = 0.6
CLASSIFIER_THRESHOLD = 0.9
SHORT = 4  # tokens: keywords of fewer are found in other words all the time
FASTEST = 12  # tokens a second, about as fast as people speak
JUMP_S = 0.1  # by which a stream's clock may be off before it has jumped
WHOLE_S = 60.0  # of a clip that is held at once
DEFAULT_SEARCH = SearchOptions()


@dataclass(frozen=True, kw_only=True)
class SpotterOptions:
    """How a stream is listened to."""

    threshold: float | None = None
    """Least confidence of hits of keywords that have none of their own, in [0, 1]; when not given, what the model was
    calibrated to for the keyword, or for any of its length, or else 0.5 for spelled keywords, 0.6 for recorded ones,
    0.58 for those that are both, and 0.9 for a classifier's labels."""
    search: SearchOptions = DEFAULT_SEARCH
    """With a CTC model."""
    hits: HitOptions | None = None
    """When a rising confidence is a hit; when not given, a classifier must be sure twice in a row."""
    chunk_s: float = 0.2
    """How often the network runs, seconds of audio, > 0; less is earlier, more is cheaper."""
    window_s: float = 1.0
    """What a classifier pools at a time, seconds, >= chunk_s: as long as the clips that it was trained on."""
    smoothing: int = 2
    """Answers of a classifier whose probabilities are averaged, >= 1."""

    def __post_init__(self) -> None:
        """Check every range; a ``ConfigError`` names the option."""
        if self.threshold is not None and not 0 <= self.threshold <= 1:
            raise ConfigError(f"threshold must be in [0, 1], got {self.threshold!r}")
        if self.smoothing < 1:
            raise ConfigError(f"smoothing must be >= 1, got {self.smoothing!r}")
        for name in ("chunk_s", "window_s"):
            if not 0 < getattr(self, name) < math.inf:
                raise ConfigError(f"{name} must be > 0 and finite, got {getattr(self, name)!r}")


@dataclass(frozen=True, kw_only=True)
class KeywordHit:
    """A keyword that was heard."""

    label: str
    start_s: float
    """Where it begins, seconds from the start of the stream; of a classifier, where what it pools begins."""
    end_s: float
    """Where its last token is heard, or what a classifier pools ends, seconds."""
    confidence: float
    """In [0, 1]."""
    decided_s: float
    """How much of the stream must have been heard before it was certain, seconds, at most."""


class KeywordSpotter:
    """One stream of audio, searched for keywords.

    Attributes:
        confidences: The highest of each keyword in what was heard last, (keywords,), for a level meter; below its
            threshold a keyword's is told without regard to its rivals.

    Example:
        >>> spotter = KeywordSpotter(ModelFile("model.onnx"), [keyword])  # doctest: +SKIP
        >>> for samples in microphone:  # doctest: +SKIP
        ...     for hit in spotter.feed(samples):
        ...         print(hit.label, hit.start_s, hit.confidence)
    """

    def __init__(
        self, model: ModelFile, keywords: Sequence[Keyword], options: SpotterOptions = SpotterOptions()
    ) -> None:
        """Begin a stream.

        Args:
            model: A CTC model, or a classifier whose labels the keywords' spellings are.
            keywords: What to look for.
            options: How.

        Raises:
            ConfigError: If there is no keyword, two have the same label, or a classifier has no such label.
            TextError: If a keyword has a character that a CTC model lacks, or a word that is not in the dictionary of a
                model of phones.
            ModelFileError: If the model cannot be streamed, or hears phones and has no dictionary.
        """
        check_labels(keywords)
        self.model, self.keywords, self.options = model, tuple(keywords), options
        self.thresholds = tuple(find_threshold(model, keyword, options) for keyword in keywords)
        self.tracker = ScoreTracker(model, keywords, options, floors=self.thresholds)
        self.confidences = np.zeros(len(keywords))
        self.restart()

    def restart(self, at_s: float = 0.0) -> None:
        """Begin again, with nothing heard, at a time of the stream's clock."""
        self.origin_s = at_s
        self.tracker.restart()
        hits = self.options.hits or default_hits(self.model)
        self.picker = HitPicker(self.thresholds, frame_s=self.tracker.clock.frame_s, options=hits)

    @property
    def now_s(self) -> float:
        """How much of the stream was heard, seconds on its clock."""
        return self.origin_s + self.tracker.num_samples / self.model.info.sample_rate

    def feed(self, samples: Waveform, at_s: float | None = None) -> list[KeywordHit]:
        """Hear more.

        Args:
            samples: (samples,) float32 in [-1, 1] at the model's rate.
            at_s: When the first of them was, on the stream's clock; directly behind the last when not given.
                Where the clock has jumped, either way, what was heard is finished, and the search begins anew:
                no keyword is put together from two sides of a gap.

        Raises:
            AudioError: If samples are not finite, or whole numbers, whose range is not told.
            ConfigError: If ``at_s`` is no number.
            ModelFileError: If ONNX Runtime cannot compute it, or the network answers NaN.
        """
        hits: list[KeywordHit] = []
        if np.issubdtype(np.asarray(samples).dtype, np.integer):
            raise AudioError(
                "samples must be floating-point numbers in [-1, 1], got whole ones; divide them by their range"
            )
        if at_s is not None and not math.isfinite(at_s):
            raise ConfigError(f"at_s must be finite, got {at_s!r}")
        if at_s is not None and abs(at_s - self.now_s) > JUMP_S:
            if self.tracker.num_samples:
                logger.warning("the clock jumped from %.2f s to %.2f s; searching anew", self.now_s, at_s)
                hits = self.finish()
            self.restart(at_s)
        return hits + self._pick(self.tracker.feed(samples))

    def finish(self) -> list[KeywordHit]:
        """End the stream and return the hits that are left; feeding begins another one behind it."""
        hits = self._pick(self.tracker.finish()) + [self._hit(found) for found in self.picker.finish()]
        end_s = self.now_s
        self.restart(end_s)
        return [replace(hit, decided_s=min(hit.decided_s, end_s)) for hit in hits]

    def _pick(self, scores: Scores) -> list[KeywordHit]:
        """Find hits among new scores."""
        confidences = to_confidences(scores)
        if len(confidences):
            self.confidences = confidences.max(axis=0)
        return [self._hit(found) for found in self.picker.feed(confidences, scores.starts)]

    def _hit(self, found: Candidate) -> KeywordHit:
        """Tell a candidate in the user's terms."""
        clock = self.tracker.clock
        told_s = self.origin_s + clock.start_s(found.decided) + self.tracker.latency_s
        return KeywordHit(
            label=self.keywords[found.keyword].label,
            start_s=self.origin_s + max(0.0, clock.start_s(found.start)),
            end_s=self.origin_s + clock.end_s(found.end),
            confidence=found.confidence,
            decided_s=told_s,
        )


class ScoreTracker:
    """The network and the search behind it: how well each keyword ends at each frame of a stream."""

    def __init__(
        self,
        model: ModelFile,
        keywords: Sequence[Keyword],
        options: SpotterOptions = SpotterOptions(),
        *,
        floors: Sequence[float],
    ) -> None:
        """Begin a stream; arguments and errors as of ``KeywordSpotter``, ``floors`` as of ``RivalledSearch``."""
        self.floors = floors
        self.model, self.keywords, self.options = model, tuple(keywords), options
        self.is_classifier = model.info.task == "classification"
        if self.is_classifier:
            context_s = options.window_s - options.chunk_s
            if context_s < 0:
                raise ConfigError(
                    f"window_s must be >= chunk_s, got {options.window_s!r} and {options.chunk_s!r}"
                )
            self.windows = WindowOptions(chunk_s=options.chunk_s, context_s=context_s, lookahead_s=0.0)
            find_labels(model, keywords)
        else:
            self.windows = WindowOptions(chunk_s=options.chunk_s)
            self.spelled = pronounce(model.info, keywords)
            self.rivals = find_rivals(model.info, self.spelled)
            warn_of_length(model, self.keywords, self.spelled, options)
        self.emissions = EmissionStream(model, self.windows)
        self.search = self._make_search()
        self.num_samples = 0
        self.clock = (
            FrameClock(self.emissions.chunk * self.emissions.frame_s)
            if self.is_classifier
            else model.info.clock
        )

    def restart(self) -> None:
        """Forget all that was heard."""
        self.emissions = EmissionStream(self.model, self.windows)
        self.search.restart()
        self.num_samples = 0

    @property
    def latency_s(self) -> float:
        """From a sound to its score, seconds, at most."""
        return self.emissions.latency_s + self.search.wait * self.clock.frame_s

    def _make_search(self) -> "RivalledSearch | LabelScores":
        """Make what turns log probabilities into scores."""
        if self.is_classifier:
            window = round(self.emissions.context / self.emissions.chunk)
            labels = find_labels(self.model, self.keywords)
            boosts = [keyword.boost for keyword in self.keywords]
            return LabelScores(labels, boosts, smoothing=self.options.smoothing, window=window)
        info = self.model.info
        return RivalledSearch(
            info.vocabulary,
            self.spelled,
            self.rivals,
            frame_s=info.clock.frame_s,
            floors=self.floors,
            options=self.options.search,
        )

    def feed(self, samples: Waveform) -> Scores:
        """Hear more; errors as ``KeywordSpotter.feed``."""
        self.num_samples += len(samples)
        return self._score(self.emissions.feed(samples))

    def finish(self) -> Scores:
        """End the stream and score what is left."""
        return self._score(self.emissions.finish()).then(self.search.finish())

    def _score(self, log_probs: NDArray[np.float32]) -> Scores:
        """Score new log probabilities."""
        if np.isnan(log_probs).any():
            raise ModelFileError(f"{self.model.path}: the model answered NaN")
        return self.search.feed(log_probs)


def to_confidences(scores: Scores) -> NDArray[np.float64]:
    """Turn scores into confidences in [0, 1]."""
    return np.asarray(np.exp(np.minimum(scores.log_scores, 0.0)))


def find_threshold(model: ModelFile, keyword: Keyword, options: SpotterOptions) -> float:
    """Choose the threshold of a keyword: its own, that of all, what the model was calibrated to, or a usual one."""
    for threshold in (keyword.threshold, options.threshold, calibrated_threshold(model, keyword)):
        if threshold is not None:
            return threshold
    return usual_threshold(model, keyword)


def calibrated_threshold(model: ModelFile, keyword: Keyword) -> float | None:
    """Look up what the model was calibrated to for what is looked for; recordings and boosts have other scores."""
    if keyword.templates or keyword.boost:
        return None
    thresholds = model.info.decoding.keyword_thresholds
    return next((thresholds[spelling] for spelling in keyword.spellings if spelling in thresholds), None)


def usual_threshold(model: ModelFile, keyword: Keyword) -> float:
    """Choose the threshold of a keyword that nobody has set one for."""
    if model.info.task == "classification":
        return CLASSIFIER_THRESHOLD
    if keyword.templates:
        return SPELLED_AND_RECORDED_THRESHOLD if keyword.spellings else RECORDED_THRESHOLD
    by_length = model.info.decoding.usual_thresholds
    if not by_length or model.info.vocabulary.unit != "phone":
        return SPELLED_THRESHOLD
    [spoken] = pronounce(model.info, [keyword])
    shortest = min(len(way.split()) for way in spoken.spellings)
    return by_length[min(shortest, len(by_length)) - 1]


def default_hits(model: ModelFile) -> HitOptions:
    """Say when a hit is one, if nobody else does."""
    if model.info.task != "classification":
        return HitOptions()
    # Its answers are of whole windows, which overlap for any two keywords; only the label tells them apart.
    return HitOptions(patience=2, hold_s=0.0)


def warn_of_length(
    model: ModelFile, keywords: Iterable[Keyword], spoken: Iterable[Keyword], options: SpotterOptions
) -> None:
    """Say which typed keywords will be heard in other words, and which take longer to say than is looked for."""
    vocabulary = model.info.vocabulary
    if vocabulary.unit not in ("character", "phone"):
        return
    for keyword, said in zip(keywords, spoken, strict=True):
        sizes = [len(spell(vocabulary, spelling)) for spelling in said.spellings]
        if not sizes or keyword.templates:
            continue
        if min(sizes) < SHORT:
            threshold = find_threshold(model, keyword, options)
            lost = (
                "; even its threshold of 1 does not keep these out, and may miss it" if threshold == 1 else ""
            )
            logger.warning(
                "keyword %r is very short: it is heard in other words%s; calibrate it, or give it a threshold "
                "of its own (%s #0.5)",
                keyword.label,
                lost,
                keyword.label,
            )
        if min(sizes) > FASTEST * options.search.longest_s:
            logger.warning(
                "keyword %r is very long: what takes longer than %g s to say is never found; shorten it",
                keyword.label,
                options.search.longest_s,
            )


def spot(
    model: ModelFile,
    audio: Source,
    keywords: Sequence[Keyword],
    options: SpotterOptions = SpotterOptions(),
    *,
    sample_rate: int | None = None,
) -> list[KeywordHit]:
    """Find keywords in a clip of any length; ``sample_rate`` is that of an array, Hz.

    Raises:
        AudioError: If the clip cannot be read; other errors as of ``KeywordSpotter``.

    Example:
        >>> keywords = [Keyword(label="jarvis", spellings=("jarvis",))]
        >>> spot(ModelFile("model.onnx"), "talk.wav", keywords)  # doctest: +SKIP
    """
    spotter = KeywordSpotter(model, keywords, options)
    hits = [hit for block in read_blocks(audio, model, sample_rate) for hit in spotter.feed(block)]
    return hits + spotter.finish()


def read_blocks(audio: Source, model: ModelFile, sample_rate: int | None = None) -> Iterator[Waveform]:
    """Read a clip for a model, block by block if it is long; arguments and errors as ``spot``."""
    rate = model.info.sample_rate
    found = load_or_open(audio, sample_rate=rate, whole_s=WHOLE_S, source_rate=sample_rate)
    if isinstance(found, LongAudio):
        yield from found.blocks()
    else:
        yield found
