"""What a measurement found: all that a report tells, and nothing that it would have to work out."""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from speechrnn.errors import ManifestError, SpeechRNNError
from speechrnn.evaluation.calibration import Calibration
from speechrnn.evaluation.close_up import CloseUp
from speechrnn.metrics import ClassificationCounts, ErrorCounts, Interval, Operation, Pair
from speechrnn.new_file import new_file

LEVEL = 0.95
RESULTS_FORMAT = 1


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
    alignment: tuple[Pair, ...] = ()
    """Words of reference and hypothesis side by side; of a label, the label."""
    snr_db: float | None = None
    """Signal-to-noise ratio; None if it is neither known nor can be estimated."""
    is_snr_estimated: bool = False
    """Whether it was estimated from the audio and not said by the manifest."""


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
    """A ratio of counts over a set of utterances, with its bootstrap interval."""

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
class Group:
    """Utterances that have something in common."""

    name: str
    num_utterances: int
    duration_s: float
    measures: tuple[Measure, ...]


@dataclass(frozen=True, kw_only=True)
class Breakdown:
    """The measures for each of several groups of utterances."""

    by: str
    """``speaker``, ``length`` or ``SNR``."""
    groups: tuple[Group, ...]
    """Speakers with the worst first; lengths and ratios in rising order."""
    num_estimated: int = 0
    """Utterances whose ratio was estimated from the audio."""


@dataclass(frozen=True, kw_only=True)
class FrequentError:
    """One word, or label, taken for another, left out or put in; however often."""

    operation: Operation
    reference: str | None
    hypothesis: str | None
    count: int
    utterances: tuple[str, ...]
    """Ids of those that have it, each once, in the manifest's order."""


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
    breakdowns: tuple[Breakdown, ...] = ()
    """By speaker, by length and by signal-to-noise ratio, where that is known."""
    frequent_errors: tuple[FrequentError, ...] = ()
    """The most frequent first."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Plain data: the model, how its answers were read, how text was normalised, how long it took."""
    close_ups: tuple[CloseUp, ...] = field(default=(), compare=False, repr=False)
    """What the model heard in the worst utterances; not part of the plain data."""

    @property
    def duration_s(self) -> float:
        """Seconds of audio that were evaluated."""
        return math.fsum(result.duration_s for result in self.utterances)

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON, all but the close-ups."""
        return {
            "format_version": RESULTS_FORMAT,
            "model": {"name": self.model, "sha256": self.model_sha256, "task": self.task},
            "settings": dict(self.settings),
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
            "breakdowns": [plain(breakdown) for breakdown in self.breakdowns],
            "frequent_errors": [plain(error) for error in self.frequent_errors],
            "utterances": [plain(result) for result in self.utterances],
            "failures": [asdict(failure) for failure in self.failures],
        }


def plain(result: Any) -> dict[str, Any]:
    """Return a dataclass as JSON will have it, with lists for tuples."""
    return asdict(result, dict_factory=lambda items: {key: with_lists(value) for key, value in items})


def with_lists(value: Any) -> Any:
    """Turn tuples, however deep, into lists."""
    return [with_lists(item) for item in value] if isinstance(value, tuple | list) else value


def table_to_dict(table: ClassificationCounts) -> dict[str, Any]:
    """Return a per-class table as plain data: rows, and the confusion matrix with references in rows."""
    rows = [{**asdict(row), "precision": row.precision, "recall": row.recall} for row in table.classes]
    return {"rows": rows, "labels": list(table.labels), "confusion": table.confusion.tolist()}


def write_json(values: Mapping[str, Any], path: Path, *, overwrite: bool = False) -> None:
    """Write JSON; the file appears only when it is whole.

    Raises:
        SpeechRNNError: If there is such a file and it must not be replaced, or it cannot be written.
    """
    with new_file(path, overwrite=overwrite, error=SpeechRNNError) as partial:
        partial.write_text(json.dumps(values, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")


@dataclass(frozen=True, kw_only=True)
class Results:
    """What a file of results says of each utterance, and of the model."""

    model: str
    model_sha256: str
    task: str
    utterances: tuple[UtteranceResult, ...]


def read_results(path: Path) -> Results:
    """Read back what ``write_json`` wrote of an evaluation.

    Raises:
        ManifestError: If the file cannot be read, or is not one of speechrnn's results.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        version = values["format_version"]
        if version != RESULTS_FORMAT:
            raise ManifestError(f"{path}: results of format {version}, this speechrnn reads {RESULTS_FORMAT}")
        model = values["model"]
        utterances = tuple(parse_utterance(utterance) for utterance in values["utterances"])
        return Results(
            model=model["name"], model_sha256=model["sha256"], task=model["task"], utterances=utterances
        )
    except OSError as error:
        raise ManifestError(f"{path}: cannot be read: {error.strerror}") from error
    except (KeyError, TypeError, ValueError) as error:
        raise ManifestError(
            f"{path}: not the results of `speechrnn evaluate --output`: {type(error).__name__}: {error}"
        ) from error


def parse_utterance(values: Mapping[str, Any]) -> UtteranceResult:
    """Read one utterance of a file of results; whatever is wrong comes out as the exception it causes."""
    return UtteranceResult(
        **{
            **values,
            "words": ErrorCounts(**values["words"]),
            "characters": ErrorCounts(**values["characters"]),
            "spoken": tuple(JudgedWord(**word) for word in values["spoken"]),
            "alignment": tuple((a, b, c) for a, b, c in values["alignment"]),
        }
    )
