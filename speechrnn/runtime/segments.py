"""From a transcription to the segments of subtitles: where people pause, and no longer than can be read."""

import bisect
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from speechrnn.decoding.words import SpokenWord
from speechrnn.errors import ConfigError
from speechrnn.runtime.interpretation import Transcription
from speechrnn.voice_activity import Interval

LEAST_SHARE = 0.25  # of a segment's text that each part keeps, where that is possible


@dataclass(frozen=True, kw_only=True)
class Segment:
    """A part of a transcription."""

    start_s: float
    """Seconds from the start of the recording."""
    end_s: float
    text: str
    confidence: float
    """How sure the model is, in [0, 1]: mean over words, or the probability of the label."""
    words: tuple[SpokenWord, ...] = field(default=(), repr=False)


@dataclass(frozen=True, kw_only=True)
class SegmentOptions:
    """How long a segment may be; the defaults are what subtitles usually keep to."""

    max_line_width: int = 42
    """Characters in a line of subtitles, >= 1; a longer word has a line of its own."""
    max_line_count: int = 2
    """Lines of a subtitle, >= 1."""
    max_duration_s: float = 7.0
    """Of a segment, seconds, > 0; a longer word is a segment of its own."""
    max_pause_s: float = 0.7
    """A longer pause between words ends a segment, seconds, >= 0."""

    def __post_init__(self) -> None:
        """Check every range.

        Raises:
            ConfigError: Naming the option, its value and its range.
        """
        for name in ("max_line_width", "max_line_count"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} must be >= 1, got {getattr(self, name)}")
        if not self.max_duration_s > 0:
            raise ConfigError(f"max_duration_s must be > 0, got {self.max_duration_s}")
        if not self.max_pause_s >= 0:
            raise ConfigError(f"max_pause_s must be >= 0, got {self.max_pause_s}")


def split_segments(
    transcription: Transcription,
    *,
    speech: Sequence[Interval] = (),
    options: SegmentOptions = SegmentOptions(),
) -> tuple[Segment, ...]:
    """Split a transcription into segments.

    A CTC model tells well where a word is, but not how long it is drawn out. With ``speech``, a segment
    begins and ends where the sound does.

    Args:
        transcription: Of a whole recording.
        speech: Where ``find_speech`` found somebody speaking in it.
        options: How long a segment may be.

    Returns:
        Segments in their order, not overlapping. Their texts, joined by spaces, are the transcription's
        words. A label, or a text without words, is one segment from beginning to end; an empty text none.
    """
    if not transcription.words:
        return (whole_segment(transcription),) if transcription.text else ()
    groups = [
        group
        for run in split_at_pauses(transcription.words, options.max_pause_s)
        for group in split_long(run, options)
    ]
    return stretch([make_segment(group) for group in groups], speech)


def whole_segment(transcription: Transcription) -> Segment:
    """Make one segment of a transcription; without words it is as long as the clip."""
    words = transcription.words
    return Segment(
        start_s=words[0].start_s if words else 0.0,
        end_s=words[-1].end_s if words else transcription.duration_s,
        text=transcription.text,
        confidence=transcription.confidence,
        words=words,
    )


def split_at_pauses(words: Sequence[SpokenWord], max_pause_s: float) -> list[Sequence[SpokenWord]]:
    """Split words where the pause between two is longer than ``max_pause_s``."""
    ends = [i for i in range(1, len(words)) if words[i].start_s - words[i - 1].end_s > max_pause_s]
    return [words[a:b] for a, b in zip([0, *ends], [*ends, len(words)], strict=True)]


def split_long(words: Sequence[SpokenWord], options: SegmentOptions) -> list[Sequence[SpokenWord]]:
    """Split words at their longest pause, and again, until every part fits."""
    if len(words) == 1 or fits(words, options):
        return [words]
    place = best_place(words)
    return [*split_long(words[:place], options), *split_long(words[place:], options)]


def fits(words: Sequence[SpokenWord], options: SegmentOptions) -> bool:
    """Tell whether words can be one subtitle."""
    if words[-1].end_s - words[0].start_s > options.max_duration_s:
        return False
    return len(fill([word.text for word in words], options.max_line_width)) <= options.max_line_count


def best_place(words: Sequence[SpokenWord]) -> int:
    """Find the index of the word before which the pause is longest; of equals the one nearest the middle.

    Places that leave less than ``LEAST_SHARE`` of the words on one side are the last choice.
    """
    middle, margin = len(words) / 2, LEAST_SHARE * len(words)
    inner = [i for i in range(1, len(words)) if margin <= i <= len(words) - margin]
    return max(
        inner or range(1, len(words)),
        key=lambda i: (round(words[i].start_s - words[i - 1].end_s, 3), -abs(i - middle)),
    )


def make_segment(words: Sequence[SpokenWord]) -> Segment:
    """Make one segment of words."""
    return Segment(
        start_s=words[0].start_s,
        end_s=words[-1].end_s,
        text=" ".join(word.text for word in words),
        confidence=math.fsum(word.confidence for word in words) / len(words),
        words=tuple(words),
    )


def stretch(segments: Sequence[Segment], speech: Sequence[Interval]) -> tuple[Segment, ...]:
    """Let segments begin and end where speech does, unless another segment is there."""
    stretched: list[Segment] = []
    for number, segment in enumerate(segments):
        earliest = stretched[-1].end_s if stretched else 0.0
        latest = segments[number + 1].start_s if number + 1 < len(segments) else math.inf
        start_s = min(segment.start_s, max(earliest, around(speech, segment.start_s).start_s))
        end_s = max(segment.end_s, min(latest, around(speech, segment.end_s).end_s))
        stretched.append(replace(segment, start_s=start_s, end_s=end_s))
    return tuple(stretched)


def around(speech: Sequence[Interval], time_s: float) -> Interval:
    """Find the stretch of speech that a moment is in; the moment itself where nobody speaks."""
    place = bisect.bisect_right(speech, time_s, key=lambda interval: interval.start_s) - 1
    is_inside = place >= 0 and time_s <= speech[place].end_s
    return speech[place] if is_inside else Interval(time_s, time_s)


def fold(words: Sequence[str], width: int) -> list[str]:
    """Fold words into as few lines of ``width`` characters as they need, of about the same length.

    Returns:
        The lines; a word longer than ``width`` has one of its own.
    """
    lines = fill(words, width)
    if len(lines) == 1:
        return lines
    narrow = max(len(max(words, key=len)), math.ceil(len(" ".join(words)) / len(lines)))
    while len(fill(words, narrow)) > len(lines):
        narrow += 1
    return fill(words, narrow)


def fill(words: Sequence[str], width: int) -> list[str]:
    """Fill lines one after the other."""
    lines = [words[0]]
    for word in words[1:]:
        if len(lines[-1]) + 1 + len(word) <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines
