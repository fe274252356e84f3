"""The written formats, character by character, and read back by a parser that is not ours."""

import datetime
import json

import pytest
import srt

from speechrnn.audio import AudioFormat
from speechrnn.decoding.hypothesis import Hypothesis
from speechrnn.decoding.words import SpokenWord
from speechrnn.runtime.interpretation import Transcription
from speechrnn.runtime.segments import Segment
from speechrnn.runtime.writers import (
    WRITERS,
    Document,
    clock,
    decimal,
    milliseconds,
    to_dict,
    write_json,
    write_srt,
    write_tsv,
    write_txt,
    write_vtt,
)

WORDS = (
    SpokenWord("größer", 0.5, 0.9996, 0.91239),
    SpokenWord("<b>", 1.0, 1.25, 0.5),
)
SEGMENTS = (
    Segment(start_s=0.5, end_s=1.25, text="größer <b>", confidence=0.7, words=WORDS),
    Segment(start_s=3661.0014, end_s=3661.0014, text="3 & 4 --> 7", confidence=1.0),
)
BEST = Hypothesis(text="größer <b>", tokens=(1,), frames=(0,), log_prob=-1.0, confidence=0.7)


def document(**changes: object) -> Document:
    transcription = Transcription(
        text="größer <b> 3 & 4 --> 7",
        confidence=0.85,
        duration_s=3700.25,
        source="größe.wav",
        hypothesis=BEST,
        words=WORDS,
    )
    return Document(transcription=transcription, segments=SEGMENTS, **changes)  # type: ignore[arg-type]


def test_txt_has_a_line_for_each_segment() -> None:
    assert write_txt(document()) == "größer <b>\n3 & 4 --> 7\n"


def test_srt_has_numbers_commas_and_no_empty_subtitle() -> None:
    assert write_srt(document()) == (
        "1\n00:00:00,500 --> 00:00:01,250\ngrößer <b>\n\n2\n01:01:01,001 --> 01:01:01,002\n3 & 4 --> 7\n\n"
    )


def test_vtt_has_points_and_no_markup_by_accident() -> None:
    assert write_vtt(document()) == (
        "WEBVTT\n\n"
        "00:00:00.500 --> 00:00:01.250\ngrößer &lt;b&gt;\n\n"
        "01:01:01.001 --> 01:01:01.002\n3 &amp; 4 --&gt; 7\n\n"
    )


def test_tsv_has_whole_milliseconds_under_a_heading() -> None:
    assert write_tsv(document()) == (
        "start\tend\ttext\n500\t1250\tgrößer <b>\n3661001\t3661001\t3 & 4 --> 7\n"
    )


def test_subtitles_are_folded() -> None:
    assert "größer\n<b>\n\n" in write_srt(document(max_line_width=8))


def test_json_has_whispers_keys_and_more() -> None:
    written = write_json(
        document(
            audio=AudioFormat(44_100, 2),
            channel=1,
            model={"name": "tones", "sha256": "0f", "version": None, "language": "de"},
            decoder={"method": "greedy"},
        )
    )
    assert json.loads(written) == {
        "text": "größer <b> 3 & 4 --> 7",
        "language": "de",
        "confidence": 0.85,
        "segments": [
            {
                "id": 0,
                "start": 0.5,
                "end": 1.25,
                "text": "größer <b>",
                "confidence": 0.7,
                "words": [
                    {"word": "größer", "start": 0.5, "end": 1.0, "probability": 0.9124},
                    {"word": "<b>", "start": 1.0, "end": 1.25, "probability": 0.5},
                ],
            },
            {
                "id": 1,
                "start": 3661.001,
                "end": 3661.001,
                "text": "3 & 4 --> 7",
                "confidence": 1.0,
                "words": [],
            },
        ],
        "audio": {
            "path": "größe.wav",
            "duration": 3700.25,
            "sample_rate": 44_100,
            "channels": 2,
            "channel": 1,
        },
        "model": {"name": "tones", "sha256": "0f", "version": None},
        "decoder": {"method": "greedy"},
    }
    assert '"größer <b>"' in written  # readable, not \u00f6
    assert written.endswith("}\n")


def test_json_says_of_the_recording_what_is_known_and_has_no_language_by_guess() -> None:
    plain = json.loads(write_json(document(), indent=None))
    assert "language" not in plain
    assert plain["audio"]["sample_rate"] is None
    assert plain["audio"]["channel"] == "mean"
    assert "alternatives" not in plain


def test_a_line_of_json_is_one_line() -> None:
    assert write_json(document(), indent=None).count("\n") == 1


def test_by_word_every_word_is_a_segment() -> None:
    assert write_tsv(document().by_word()) == (
        "start\tend\ttext\n500\t1000\tgrößer\n1000\t1250\t<b>\n3661001\t3661001\t3 & 4 --> 7\n"
    )


def test_the_subtitle_of_a_word_stays_until_the_next_but_not_long() -> None:
    times = [(0.5, 0.525), (0.7, 0.725), (3.0, 3.025), (4.5, 4.525)]
    words = tuple(SpokenWord("abcd"[place], start, end, 1.0) for place, (start, end) in enumerate(times))
    segment = Segment(start_s=0.5, end_s=4.525, text="a b c d", confidence=1.0, words=words)
    spoken = Transcription(text="a b c d", confidence=1.0, duration_s=5.0, source="x", hypothesis=BEST)
    by_word = Document(transcription=spoken, segments=(segment,)).by_word()
    # Until b begins; a second, twice; until the recording ends.
    for write, point in ((write_srt, ","), (write_vtt, ".")):
        lines = [line for line in write(by_word).splitlines() if "-->" in line]
        assert [line.replace(point, ".") for line in lines] == [
            "00:00:00.500 --> 00:00:00.700",
            "00:00:00.700 --> 00:00:01.725",
            "00:00:03.000 --> 00:00:04.025",
            "00:00:04.500 --> 00:00:05.000",
        ]
    assert write_tsv(by_word).splitlines()[1] == "500\t525\ta"
    assert to_dict(by_word)["segments"][0]["end"] == 0.525


@pytest.mark.parametrize(("seconds", "text"), [(0.5785, "0.578"), (0.5795, "0.580"), (12.0, "12.000")])
def test_text_has_the_times_of_the_other_formats(seconds: float, text: str) -> None:
    # Half a millisecond goes to the even one, also where the number is a little more or less than it.
    assert decimal(seconds) == text
    assert clock(milliseconds(seconds), ".").endswith(text)


def test_nothing_heard_is_written_as_nothing() -> None:
    silence = Transcription(text="", confidence=1.0, duration_s=1.0, source="x", hypothesis=BEST)
    empty = Document(transcription=silence, segments=())
    written = {name: write(empty) for name, write in WRITERS.items() if name != "json"}
    assert written == {"txt": "", "srt": "", "vtt": "WEBVTT\n\n", "tsv": "start\tend\ttext\n"}
    assert json.loads(write_json(empty))["segments"] == []


def test_another_parser_reads_the_subtitles() -> None:
    subtitles = list(srt.parse(write_srt(document())))
    assert [s.index for s in subtitles] == [1, 2]
    assert [s.content for s in subtitles] == ["größer <b>", "3 & 4 --> 7"]
    assert subtitles[0].start == datetime.timedelta(seconds=0.5)
    assert subtitles[1].end == datetime.timedelta(seconds=3661, milliseconds=2)


@pytest.mark.parametrize("milliseconds", [0, 999, 59_999, 3_599_999, 3_600_000, 360_000_000])
def test_another_parser_reads_every_time(milliseconds: int) -> None:
    segment = Segment(start_s=milliseconds / 1000, end_s=milliseconds / 1000 + 1, text="x", confidence=1.0)
    silence = Transcription(text="x", confidence=1.0, duration_s=1.0, source="x", hypothesis=BEST)
    (subtitle,) = srt.parse(write_srt(Document(transcription=silence, segments=(segment,))))
    assert subtitle.start == datetime.timedelta(milliseconds=milliseconds)
    assert subtitle.end - subtitle.start == datetime.timedelta(seconds=1)
