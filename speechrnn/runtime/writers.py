"""Transcriptions as files: txt, srt, vtt, tsv and json, as whisper's users know them."""

import itertools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from speechrnn.audio import AudioFormat
from speechrnn.decoding.hypothesis import Hypothesis
from speechrnn.decoding.words import SpokenWord
from speechrnn.runtime.interpretation import Transcription
from speechrnn.runtime.segments import Segment, SegmentOptions, fold

CONFIDENCE_DIGITS = 4
LINGER_S = 1.0  # a word alone takes as little as a frame, which nobody can read


@dataclass(frozen=True, kw_only=True)
class Document:
    """All that is told of a recording."""

    transcription: Transcription
    segments: tuple[Segment, ...]
    """What ``split_segments`` made of it."""
    audio: AudioFormat | None = None
    """How the recording was made, if that is known."""
    channel: int | None = None
    """The one channel that was heard, counted from 0; their mean when not given."""
    model: Mapping[str, Any] = field(default_factory=dict)
    """Plain data: name, sha256, version, and ``language`` if it is known."""
    decoder: Mapping[str, Any] = field(default_factory=dict)
    """Plain data: how it was decoded."""
    max_line_width: int = SegmentOptions.max_line_width
    """Characters in a line of subtitles."""
    linger_s: float = 0.0
    """How long a subtitle stays after its end, unless the next one or the end of the recording comes first."""

    def by_word(self) -> "Document":
        """Make every word a segment of its own, and let its subtitle linger."""
        return replace(self, segments=tuple(split_words(self.segments)), linger_s=LINGER_S)


def split_words(segments: Sequence[Segment]) -> Iterator[Segment]:
    """Make a segment of each word; one without words stays as it is."""
    for segment in segments:
        if not segment.words:
            yield segment
        for word in segment.words:
            yield Segment(
                start_s=word.start_s,
                end_s=word.end_s,
                text=word.text,
                confidence=word.confidence,
                words=(word,),
            )


def write_txt(document: Document) -> str:
    """Write a line for each segment."""
    return "".join(f"{segment.text}\n" for segment in document.segments)


def write_srt(document: Document) -> str:
    """Write SubRip subtitles."""
    return "".join(
        f"{number}\n{clock(start, ',')} --> {clock(end, ',')}\n{text}\n\n"
        for number, (start, end, text) in enumerate(make_cues(document), start=1)
    )


def write_vtt(document: Document) -> str:
    """Write WebVTT subtitles."""
    cues = [
        f"{clock(start, '.')} --> {clock(end, '.')}\n{escape(text)}\n\n"
        for start, end, text in make_cues(document)
    ]
    return "WEBVTT\n\n" + "".join(cues)


def write_tsv(document: Document) -> str:
    """Write start and end in whole milliseconds, and text, under a heading."""
    rows = [
        f"{milliseconds(segment.start_s)}\t{milliseconds(segment.end_s)}\t{' '.join(segment.text.split())}\n"
        for segment in document.segments
    ]
    return "start\tend\ttext\n" + "".join(rows)


def write_json(document: Document, *, indent: int | None = 2) -> str:
    """Write everything: whisper's keys, and what else is known."""
    return json.dumps(to_dict(document), ensure_ascii=False, indent=indent) + "\n"


WRITERS: dict[str, Callable[[Document], str]] = {
    "txt": write_txt,
    "srt": write_srt,
    "vtt": write_vtt,
    "tsv": write_tsv,
    "json": write_json,
}


def to_dict(document: Document) -> dict[str, Any]:
    """Return plain data: times in seconds, confidences in [0, 1]."""
    transcription, model = document.transcription, dict(document.model)
    language = model.pop("language", None)
    described: dict[str, Any] = {
        "text": transcription.text,
        "language": language,
        "confidence": round(transcription.confidence, CONFIDENCE_DIGITS),
        "segments": [segment_to_dict(*pair) for pair in enumerate(document.segments)],
        "alternatives": [hypothesis_to_dict(other) for other in transcription.alternatives],
        "audio": audio_to_dict(document),
        "model": model,
        "decoder": dict(document.decoder),
    }
    left_out = {"language"} if language is None else set()
    left_out |= set() if transcription.alternatives else {"alternatives"}
    return {key: value for key, value in described.items() if key not in left_out}


def segment_to_dict(number: int, segment: Segment) -> dict[str, Any]:
    """Describe a segment."""
    return {
        "id": number,
        "start": milliseconds(segment.start_s) / 1000,
        "end": milliseconds(segment.end_s) / 1000,
        "text": segment.text,
        "confidence": round(segment.confidence, CONFIDENCE_DIGITS),
        "words": [word_to_dict(word) for word in segment.words],
    }


def word_to_dict(word: SpokenWord) -> dict[str, Any]:
    """Describe a word."""
    return {
        "word": word.text,
        "start": milliseconds(word.start_s) / 1000,
        "end": milliseconds(word.end_s) / 1000,
        "probability": round(word.confidence, CONFIDENCE_DIGITS),
    }


def hypothesis_to_dict(hypothesis: Hypothesis) -> dict[str, Any]:
    """Describe one of the next best hypotheses."""
    return {"text": hypothesis.text, "score": round(hypothesis.score, CONFIDENCE_DIGITS)}


def audio_to_dict(document: Document) -> dict[str, Any]:
    """Describe the recording."""
    audio, transcription = document.audio, document.transcription
    return {
        "path": readable(transcription.source),
        "duration": milliseconds(transcription.duration_s) / 1000,
        "sample_rate": audio.sample_rate if audio else None,
        "channels": audio.num_channels if audio else None,
        "channel": "mean" if document.channel is None else document.channel,
    }


def readable(text: str) -> str:
    """Write what may hold a path as text; what of it is none becomes U+FFFD."""
    return text.encode(errors="surrogateescape").decode(errors="replace")


def make_cues(document: Document) -> Iterator[tuple[int, int, str]]:
    """Lay out subtitles: start and end in milliseconds, none of them empty, and folded text."""
    for segment, following in itertools.zip_longest(document.segments, document.segments[1:]):
        limit_s = document.transcription.duration_s if following is None else following.start_s
        end_s = max(segment.end_s, min(segment.end_s + document.linger_s, limit_s))
        start = milliseconds(segment.start_s)
        lines = fold(segment.text.split(), document.max_line_width)
        yield start, max(start + 1, milliseconds(end_s)), "\n".join(lines)


def decimal(seconds: float) -> str:
    """Write seconds with three digits, rounded as everywhere else."""
    return f"{milliseconds(seconds) / 1000:.3f}"


def milliseconds(seconds: float) -> int:
    """Round to whole milliseconds."""
    return round(1000 * seconds)


def clock(time_ms: int, point: str) -> str:
    """Write a time as HH:MM:SS and milliseconds behind ``point``."""
    seconds, ms = divmod(time_ms, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{seconds:02}{point}{ms:03}"


def escape(text: str) -> str:
    """Write what WebVTT would take for markup as text."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
