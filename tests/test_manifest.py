"""Manifests of every kind are read alike, and what is wrong with one is said by file and line."""

import gzip
import json
import logging
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from speechrnn.errors import ManifestError
from speechrnn.manifest import (
    Utterance,
    estimate_length,
    iter_manifest,
    read_manifest,
    scan_manifest,
)


def touch(*paths: Path) -> None:
    """Make files; reading a manifest looks whether audio is there, not what is in it."""
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")


def write_lines(path: Path, *records: object) -> Path:
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    return path


def make_cut(audio: str = "a.wav", **changes: Any) -> dict[str, Any]:
    """Write down a cut as Lhotse does, 1 s to 3 s of a file of 4 s."""
    supervision = {
        "id": "s",
        "recording_id": "r",
        "start": 0.0,
        "duration": 2.0,
        "channel": 0,
        "text": "hello",
        "speaker": "ann",
    }
    return {
        "id": "c",
        "start": 1.0,
        "duration": 2.0,
        "channel": 0,
        "supervisions": [supervision],
        "recording": make_recording(audio),
        "type": "MonoCut",
        **changes,
    }


def make_recording(audio: str = "a.wav", channels: tuple[int, ...] = (0,)) -> dict[str, Any]:
    source = {"type": "file", "channels": list(channels), "source": audio}
    return {
        "id": "r",
        "sources": [source],
        "sampling_rate": 16_000,
        "num_samples": 64_000,
        "duration": 4.0,
    }


def texts(utterances: list[Utterance]) -> dict[str, str]:
    return {utterance.id: utterance.text for utterance in utterances}


def errors_of(path: Path) -> list[str]:
    return [str(found) for found in scan_manifest(path) if isinstance(found, ManifestError)]


# ---- Folders ------------------------------------------------------------------------------------


def test_a_folder_takes_each_transcript_from_the_text_file_beside_the_audio(tmp_path: Path) -> None:
    touch(tmp_path / "b.wav", tmp_path / "sub" / "a.x.FLAC")
    (tmp_path / "b.txt").write_text("\ufefftwo\n  lines \n", encoding="utf-8")
    (tmp_path / "sub" / "a.x.txt").write_text("", encoding="utf-8")
    utterances = read_manifest(tmp_path)
    assert texts(utterances) == {"b": "two lines", "sub/a.x": ""}
    assert utterances[1].audio == tmp_path / "sub" / "a.x.FLAC"
    assert utterances[1].place == str(utterances[1].audio)


def test_audio_without_its_text_file_is_named(tmp_path: Path) -> None:
    touch(tmp_path / "a.wav", tmp_path / "b.wav")
    (tmp_path / "a.txt").write_text("a", encoding="utf-8")
    with pytest.raises(ManifestError, match=r"b\.wav: has no transcript; write b\.txt beside it"):
        read_manifest(tmp_path)


def test_a_text_file_that_is_not_utf8_is_named(tmp_path: Path) -> None:
    touch(tmp_path / "a.wav")
    (tmp_path / "a.txt").write_bytes("é".encode("latin-1"))
    with pytest.raises(ManifestError, match=r"a\.txt: cannot be read as UTF-8 text"):
        read_manifest(tmp_path)


def test_two_recordings_of_one_name_are_not_mixed_up(tmp_path: Path) -> None:
    touch(tmp_path / "a.flac", tmp_path / "a.wav")
    (tmp_path / "a.txt").write_text("a", encoding="utf-8")
    with pytest.raises(ManifestError, match=r"a\.wav: id 'a' was already used at .*a\.flac"):
        read_manifest(tmp_path)


def test_librispeech_lists_give_text_and_speaker(tmp_path: Path) -> None:
    chapter = tmp_path / "19" / "198"
    touch(chapter / "19-198-0000.flac", chapter / "19-198-0001.flac")
    (chapter / "19-198.trans.txt").write_text("19-198-0000 NORTH\n19-198-0001\n", encoding="utf-8")
    first, second = read_manifest(tmp_path)
    assert (first.id, first.text, first.speaker) == ("19-198-0000", "NORTH", "19")
    assert first.place == f"{chapter / '19-198.trans.txt'}:1"
    assert second.text == ""


def test_a_list_whose_names_are_not_librispeechs_tells_no_speaker(tmp_path: Path) -> None:
    touch(tmp_path / "take-1.wav")
    (tmp_path / "x.trans.txt").write_text("take-1 HELLO\n", encoding="utf-8")
    assert read_manifest(tmp_path)[0].speaker is None


def test_nothing_is_lost_between_a_list_and_its_audio(tmp_path: Path) -> None:
    touch(tmp_path / "a.wav", tmp_path / "b.wav", tmp_path / "b.flac")
    (tmp_path / "x.trans.txt").write_text("a A\na AGAIN\nc C\n", encoding="utf-8")
    twin, again, missing, unlisted = errors_of(tmp_path)
    assert twin.endswith("b.wav: has the same name as b.flac; keep one")
    assert "x.trans.txt:2: there is no audio file a.* beside it, or it came before" in again
    assert "x.trans.txt:3: there is no audio file c.*" in missing
    assert unlisted.endswith("b.flac: has no line in a *.trans.txt beside it")


def test_sub_folders_are_labels_and_speech_commands_names_tell_the_speaker(tmp_path: Path) -> None:
    touch(
        tmp_path / "yes" / "0c54_nohash_0.wav",
        tmp_path / "_unknown_" / "tree_7e2a_nohash_12.wav",
        tmp_path / "no" / "1.wav",
        tmp_path / "LICENSE",
    )
    found = {(u.id, u.text, u.speaker) for u in read_manifest(tmp_path)}
    assert found == {
        ("yes/0c54_nohash_0", "yes", "0c54"),
        ("_unknown_/tree_7e2a_nohash_12", "_unknown_", "7e2a"),
        ("no/1", "no", None),
    }


def test_background_noise_is_no_keyword_and_that_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    touch(tmp_path / "yes" / "1.wav", tmp_path / "no" / "1.wav")
    touch(tmp_path / "_background_noise_" / "tap.wav")
    with caplog.at_level(logging.WARNING, logger="speechrnn"):
        assert {u.text for u in read_manifest(tmp_path)} == {"yes", "no"}
    assert "_background_noise_ is left out" in caplog.text


def test_a_clip_outside_the_keyword_folders_is_named(tmp_path: Path) -> None:
    touch(tmp_path / "yes" / "1.wav", tmp_path / "no" / "1.wav", tmp_path / "stray.wav")
    assert "stray.wav: does not lie in a keyword's folder" in errors_of(tmp_path)[0]


def test_a_single_folder_of_audio_is_not_taken_for_a_keyword(tmp_path: Path) -> None:
    touch(tmp_path / "wavs" / "1.wav", tmp_path / "metadata.csv")
    with pytest.raises(ManifestError, match=r"1 audio files but no text.*manifests in it: metadata\.csv"):
        read_manifest(tmp_path)


def test_a_folder_without_audio_points_at_its_manifests(tmp_path: Path) -> None:
    touch(tmp_path / "train.jsonl.gz", tmp_path / "notes.md")
    with pytest.raises(ManifestError, match=r"holds no audio; give one of .*in it: train\.jsonl\.gz$"):
        read_manifest(tmp_path)


def test_hidden_files_are_left_out_and_links_are_followed_but_not_in_a_circle(
    tmp_path: Path,
) -> None:
    data = tmp_path / "data"
    touch(data / "yes" / "1.wav", data / "yes" / "._1.wav", data / ".git" / "2.wav")
    touch(tmp_path / "elsewhere" / "3.wav")
    os.symlink(tmp_path / "elsewhere", data / "no", target_is_directory=True)
    os.symlink(data, data / "round", target_is_directory=True)
    assert texts(read_manifest(data)) == {"yes/1": "yes", "no/3": "no"}


# ---- Tables -------------------------------------------------------------------------------------


def test_a_table_with_all_columns_is_read(tmp_path: Path) -> None:
    touch(tmp_path / "clips" / "a.wav")
    table = tmp_path / "train.csv"
    table.write_text(
        "\ufeffid,Audio,text,speaker,start,duration,channel\r\n"
        '\r\nu1,clips/a.wav,"hello, ""you""",ann,0,1.5,1\r\nu2,clips/a.wav,,,,,\r\n',
        encoding="utf-8",
    )
    first, second = read_manifest(table)
    assert first == Utterance(
        id="u1",
        audio=tmp_path / "clips" / "a.wav",
        text='hello, "you"',
        speaker="ann",
        start_s=0.0,
        duration_s=1.5,
        channel=1,
        place=f"{table}:3",
    )
    assert (second.text, second.speaker, second.duration_s, second.channel) == (
        "",
        None,
        None,
        None,
    )


@pytest.mark.parametrize(
    "header",
    ["wav_filename,transcript", "path,sentence", "file,class", "audio_filepath,label", "wav,txt"],
)
def test_the_names_that_others_use_are_understood(header: str, tmp_path: Path) -> None:
    touch(tmp_path / "a.wav")
    table = tmp_path / "x.csv"
    table.write_text(f"{header}\na.wav,zero\n", encoding="utf-8")
    assert texts(read_manifest(table)) == {"a": "zero"}


def test_quotation_marks_in_a_tsv_are_ordinary_characters(tmp_path: Path) -> None:
    touch(tmp_path / "a.wav", tmp_path / "b.wav")
    table = tmp_path / "x.tsv"
    table.write_text('path\tsentence\na.wav\t"open\nb.wav\tnext\n', encoding="utf-8")
    assert texts(read_manifest(table)) == {"a": '"open', "b": "next"}


def test_a_quotation_mark_too_few_in_a_csv_spoils_one_line_and_no_other(tmp_path: Path) -> None:
    touch(tmp_path / "a.wav", tmp_path / "b.wav")
    table = tmp_path / "x.csv"
    table.write_text('audio,text\na.wav,"open\nb.wav,next\n', encoding="utf-8")
    error, utterance = scan_manifest(table)
    assert "x.csv:2: unexpected end of data; is a quotation mark never closed?" in str(error)
    assert isinstance(utterance, Utterance)
    assert utterance.text == "next"


def test_a_row_with_a_comma_too_many_is_named(tmp_path: Path) -> None:
    table = tmp_path / "x.csv"
    table.write_text("audio,text\na.wav,hello, you\n", encoding="utf-8")
    with pytest.raises(ManifestError, match=r"x\.csv:2: has 3 cells, the header 2"):
        read_manifest(table)


@pytest.mark.parametrize("content", ["a.wav,hello\nb.wav,you\n", "audio;text\n", ""])
def test_a_table_without_a_header_is_refused(content: str, tmp_path: Path) -> None:
    table = tmp_path / "x.csv"
    table.write_text(content, encoding="utf-8")
    with pytest.raises(
        ManifestError, match=r"x\.csv:1: the header must name audio \(one of audio, .*text \(one of"
    ):
        read_manifest(table)


def test_a_table_with_nothing_below_its_header_holds_no_utterance(tmp_path: Path) -> None:
    table = tmp_path / "x.csv"
    table.write_text("audio,text\n", encoding="utf-8")
    with pytest.raises(ManifestError, match=r"x\.csv: holds no utterance"):
        read_manifest(table)


# ---- JSON lines ---------------------------------------------------------------------------------


def test_nemo_lines_are_read_and_an_offset_makes_a_stretch(tmp_path: Path) -> None:
    touch(tmp_path / "a.wav")
    path = write_lines(
        tmp_path / "train.json",
        {"audio_filepath": "a.wav", "duration": 4.0, "text": " hello "},
        {"audio_filepath": "a.wav", "duration": 1.5, "offset": 2, "text": "there"},
    )
    whole, part = read_manifest(path)
    assert (whole.id, whole.text, whole.start_s, whole.duration_s) == ("a", "hello", 0.0, 4.0)
    assert (part.id, part.start_s, part.duration_s) == ("a@2", 2.0, 1.5)
    assert (whole.file_duration_s, part.file_duration_s) == (4.0, None)
    assert part.place == f"{path}:2"


def test_a_stretch_that_begins_at_zero_is_not_the_whole_file(tmp_path: Path) -> None:
    touch(tmp_path / "a.wav")
    record = {"audio_filepath": "a.wav", "duration": 1.0, "offset": 0, "text": "x"}
    (utterance,) = read_manifest(write_lines(tmp_path / "x.jsonl", record))
    assert (utterance.duration_s, utterance.file_duration_s) == (1.0, None)


def test_labels_ids_and_speakers_that_are_numbers_are_kept_zero_included(tmp_path: Path) -> None:
    touch(tmp_path / "a.wav")
    record = {"audio": "a.wav", "label": 0, "id": 0, "speaker": 0}
    (utterance,) = read_manifest(write_lines(tmp_path / "x.jsonl", record))
    assert (utterance.id, utterance.text, utterance.speaker) == ("0", "0", "0")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", r"x\.jsonl:2: is not one JSON object \(Expecting property name"),
        ("hello", r"x\.jsonl:2: is not one JSON object \(Expecting value at column 1\): 'hello'"),
        ("[1]", r"x\.jsonl:2: must be one JSON object, got list"),
        ('{"text": "x"}', r"x\.jsonl:2: needs audio as text under one of audio, .*has only text"),
        ('{"audio": ""}', r"x\.jsonl:2: needs audio as text .*has ''"),
        ('{"audio": "a.wav"}', r"x\.jsonl:2: needs text as text .*has only audio"),
        ('{"audio": "a.wav", "text": null}', r"x\.jsonl:2: needs text as text .*has None"),
        ("{}", r"x\.jsonl:2: needs audio as text .*has only nothing"),
        ('{"audio": "a.wav", "text": "x", "duration": -0.2}', "must be > 0 s, got -0.2 .*'a'"),
        ('{"audio": "a.wav", "text": "x", "duration": 0}', "duration must be > 0 s, got 0 "),
        ('{"audio": "a.wav", "text": "x", "duration": NaN}', "duration must be > 0 s, got nan"),
        ('{"audio": "a.wav", "text": "x", "duration": "long"}', "must be > 0 s, got 'long'"),
        ('{"audio": "a.wav", "text": "x", "duration": true}', "must be > 0 s, got True"),
        ('{"audio": "a.wav", "text": "x", "duration": [1]}', r"must be > 0 s, got \[1\]"),
        ('{"audio": "a.wav", "text": "x", "offset": -1}', "start must be >= 0 s, got -1 "),
        ('{"audio": "a.wav", "text": "x", "channel": -1}', "channel must be 0 or more, got -1"),
        ('{"audio": "b.wav", "text": "x"}', r"x\.jsonl:2: audio file .*b\.wav does not exist"),
        ('{"audio": "a.wav", "text": "x"}', r"x\.jsonl:2: id 'a' was already used at .*jsonl:1"),
    ],
)
def test_a_line_that_cannot_be_used_is_named(line: str, message: str, tmp_path: Path) -> None:
    touch(tmp_path / "a.wav")
    path = tmp_path / "x.jsonl"
    path.write_text(f'{{"audio": "a.wav", "text": ""}}\n{line}\n', encoding="utf-8")
    with pytest.raises(ManifestError, match=message):
        read_manifest(path)


def test_scanning_goes_on_behind_a_bad_line(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    good = '{"audio": "nowhere.wav", "text": "x"}'
    path.write_text(f"{good}\nbad\n\n{good}\n", encoding="utf-8")
    found = list(scan_manifest(path))
    assert [type(each) for each in found] == [Utterance, ManifestError, Utterance]
    assert isinstance(found[2], Utterance)
    assert found[2].place == f"{path}:4"


def test_a_manifest_is_read_line_by_line(tmp_path: Path) -> None:
    touch(tmp_path / "a.wav")
    path = tmp_path / "x.jsonl"
    path.write_text('{"audio": "a.wav", "text": "x"}\nbad\n', encoding="utf-8")
    utterances = iter_manifest(path)
    assert next(utterances).text == "x"
    with pytest.raises(ManifestError, match=r"x\.jsonl:2"):
        next(utterances)


def test_a_manifest_that_is_not_utf8_is_refused_with_the_line(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes(b'{"audio": "a.wav", "text": "x"}\n' * 5000 + "é".encode("latin-1"))
    with pytest.raises(ManifestError, match=r"x\.jsonl:5001: is not UTF-8 text"):
        list(scan_manifest(path))


def test_a_compressed_manifest_that_is_cut_short_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl.gz"
    whole = gzip.compress(os.urandom(2000).hex().encode() + b"\n")
    path.write_bytes(whole[:-100])
    with pytest.raises(ManifestError, match=r"x\.jsonl\.gz: cannot be read beyond line 0"):
        list(scan_manifest(path))
    path.write_bytes(b"plain")
    with pytest.raises(ManifestError, match=r"cannot be read beyond line 0: Not a gzipped file"):
        list(scan_manifest(path))


def test_sources_that_are_missing_or_of_no_known_kind_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"x\.csv: no such file or folder"):
        read_manifest(tmp_path / "x.csv")
    touch(tmp_path / "x.txt")
    with pytest.raises(ManifestError, match=r"unknown kind of manifest '.txt'; known are .csv"):
        read_manifest(tmp_path / "x.txt")


def test_relative_paths_may_start_elsewhere(tmp_path: Path) -> None:
    touch(tmp_path / "clips" / "a.wav")
    path = write_lines(tmp_path / "x.jsonl", {"audio": "a.wav", "text": "x"})
    (utterance,) = read_manifest(path, relative_to=tmp_path / "clips")
    assert utterance.audio == tmp_path / "clips" / "a.wav"
    absolute = write_lines(tmp_path / "y.jsonl", {"audio": str(utterance.audio), "text": "x"})
    assert read_manifest(absolute)[0].audio == utterance.audio


# ---- Lhotse -------------------------------------------------------------------------------------


def test_a_lhotse_cut_is_read_without_lhotse(tmp_path: Path) -> None:
    touch(tmp_path / "a.wav")
    path = tmp_path / "train.jsonl.gz"
    path.write_bytes(gzip.compress(json.dumps(make_cut()).encode()))
    assert read_manifest(path) == [
        Utterance(
            id="c",
            audio=tmp_path / "a.wav",
            text="hello",
            speaker="ann",
            start_s=1.0,
            duration_s=2.0,
            file_duration_s=4.0,
            place=f"{path}:1",
        )
    ]


def test_each_of_several_supervisions_becomes_an_utterance(tmp_path: Path) -> None:
    touch(tmp_path / "a.wav")
    segment = {"recording_id": "r", "channel": 0}
    supervisions = [
        {"id": "s1", "start": 0.0, "duration": 0.5, "text": "one", **segment},
        {"id": "s2", "start": 0.5, "duration": 1.5, "text": None, **segment},
    ]
    first, second = read_manifest(write_lines(tmp_path / "x.jsonl", make_cut(supervisions=supervisions)))
    assert (first.id, first.start_s, first.duration_s, first.text) == ("s1", 1.0, 0.5, "one")
    assert (second.id, second.start_s, second.duration_s, second.text) == ("s2", 1.5, 1.5, "")


def test_a_cut_without_supervision_says_nothing(tmp_path: Path) -> None:
    touch(tmp_path / "a.wav")
    (utterance,) = read_manifest(write_lines(tmp_path / "x.jsonl", make_cut(supervisions=[])))
    assert (utterance.text, utterance.speaker) == ("", None)


# By hand: Lhotse's channel numbers are those of the recording; ours those of the file.
@pytest.mark.parametrize(
    ("sources", "channel", "audio", "heard"),
    [
        ([("a.wav", [0])], 0, "a.wav", None),
        ([("a.wav", [0, 1])], 1, "a.wav", 1),
        ([("a.wav", [0, 1])], [0, 1], "a.wav", None),
        ([("a.wav", [0, 1])], [1], "a.wav", 1),
        ([("a.wav", [0]), ("b.wav", [1])], 1, "b.wav", None),
        ([("a.wav", [2, 3])], 3, "a.wav", 1),
    ],
)
def test_a_cuts_channel_is_found_in_its_file(
    sources: list[tuple[str, list[int]]],
    channel: Any,
    audio: str,
    heard: int | None,
    tmp_path: Path,
) -> None:
    touch(tmp_path / "a.wav", tmp_path / "b.wav")
    listed = [{"type": "file", "channels": each, "source": name} for name, each in sources]
    recording = {**make_recording(), "sources": listed}
    cut = make_cut(channel=channel, recording=recording)
    (utterance,) = read_manifest(write_lines(tmp_path / "x.jsonl", cut))
    assert (utterance.audio, utterance.channel) == (tmp_path / audio, heard)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"type": "MixedCut"}, "only cuts of one recording can be read, got MixedCut 'c'"),
        ({"duration": -1.0}, "duration must be > 0 s, got -1.0"),
        ({"start": -1.0}, "start must be >= 0 s, got -1.0"),
        ({"id": None, "recording": {}}, "is not a Lhotse cut: KeyError: 'sources'"),
        ({"recording": 3}, "is not a Lhotse cut: TypeError"),
        ({"supervisions": [{"text": 3}]}, "is not a Lhotse cut: AttributeError"),
        ({"supervisions": [{}, {}]}, "is not a Lhotse cut: KeyError: 'id'"),
        ({"channel": 1}, "must be one audio file, unaltered, for channel 1"),
        (
            {"recording": {**make_recording(), "transforms": [{"name": "Speed"}]}},
            r"its transforms: \[\{'name': 'Speed'\}\]",
        ),
        (
            {"recording": make_recording(channels=(0, 1, 2)), "channel": [0, 1]},
            r"for channel \[0, 1\]",
        ),
        (
            {"recording": {**make_recording(), "sources": [{"type": "command", "channels": [0]}]}},
            "must be one audio file",
        ),
    ],
)
def test_a_cut_that_is_no_plain_stretch_of_a_file_is_refused(
    changes: Mapping[str, Any], message: str, tmp_path: Path
) -> None:
    touch(tmp_path / "a.wav")
    path = write_lines(tmp_path / "x.jsonl", make_cut(**changes))
    with pytest.raises(ManifestError, match=rf"x\.jsonl:1: .*{message}"):
        read_manifest(path)


def test_a_resampled_cut_is_still_the_file(tmp_path: Path) -> None:
    touch(tmp_path / "a.wav")
    recording = {**make_recording(), "transforms": [{"name": "Resample", "kwargs": {}}]}
    assert read_manifest(write_lines(tmp_path / "x.jsonl", make_cut(recording=recording)))


def test_relative_audio_of_lhotse_is_also_found_from_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    touch(tmp_path / "here" / "a.wav")
    (tmp_path / "manifests").mkdir()
    path = write_lines(tmp_path / "manifests" / "x.jsonl", make_cut())
    monkeypatch.chdir(tmp_path / "here")
    assert read_manifest(path)[0].audio.resolve() == tmp_path / "here" / "a.wav"


@pytest.mark.parametrize(
    "record", [make_recording(), {"id": "s", "recording_id": "r", "start": 0, "duration": 1}]
)
def test_halves_of_a_lhotse_manifest_point_at_prepare(record: dict[str, Any], tmp_path: Path) -> None:
    path = write_lines(tmp_path / "x.jsonl", record)
    with pytest.raises(ManifestError, match=r"x\.jsonl:1: .*give the folder of both to .speechrnn"):
        read_manifest(path)


# ---- All ----------------------------------------------------------------------------------------


def test_lengths_are_estimated_without_parsing(tmp_path: Path) -> None:
    touch(tmp_path / "d" / "a.wav", tmp_path / "d" / "b.mp3", tmp_path / "d" / "b.txt")
    (tmp_path / "x.csv").write_text("audio,text\n\na,b\nc,d\n", encoding="utf-8")
    (tmp_path / "x.jsonl").write_text("{}\n{}\n\n", encoding="utf-8")
    names = ("d", "x.csv", "x.jsonl")
    assert [estimate_length(tmp_path / name) for name in names] == [2, 2, 2]
    with pytest.raises(ManifestError, match="cannot be read"):
        estimate_length(tmp_path / "missing.csv")


def test_an_unreadable_folder_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(ManifestError, match="cannot be read: Permission denied"):
        read_manifest(tmp_path)


@given(
    st.lists(
        st.tuples(
            st.text(st.characters(exclude_categories=("Cs", "Cc", "Zl", "Zp"))),
            st.none() | st.floats(0.001, 1e6),
        ),
        min_size=1,
        max_size=5,
    )
)
def test_what_is_written_to_a_manifest_is_read_from_it(
    rows: list[tuple[str, float | None]],
) -> None:
    records = [
        {"audio": "a.wav", "text": text, "duration": duration, "id": str(index)}
        for index, (text, duration) in enumerate(rows)
    ]
    with tempfile.TemporaryDirectory() as folder:
        touch(Path(folder) / "a.wav")
        utterances = read_manifest(write_lines(Path(folder) / "x.jsonl", *records))
    assert [(u.text, u.duration_s) for u in utterances] == [(t.strip(), d) for t, d in rows]


def test_a_signal_to_noise_ratio_may_be_known(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(b"")
    (tmp_path / "m.tsv").write_text("id\taudio\ttext\tsnr_db\n1\ta.wav\tx\t-2.5\n2\ta.wav\tx\t\n")
    assert [utterance.snr_db for utterance in read_manifest(tmp_path / "m.tsv")] == [-2.5, None]
    (tmp_path / "m.tsv").write_text("audio\ttext\tsnr\na.wav\tx\tloud\n")
    with pytest.raises(ManifestError, match=r"m\.tsv:2: snr must be a number of dB, got 'loud'"):
        read_manifest(tmp_path / "m.tsv")
