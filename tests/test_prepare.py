"""Every source becomes the same Lhotse cuts, written whole or not at all."""

import gzip
import json
import logging
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import lhotse.recipes
import numpy as np
import pytest
import soundfile as sf
from hypothesis import given
from hypothesis import strategies as st
from lhotse import CutSet, MonoCut, MultiCut, Recording, RecordingSet, SupervisionSegment
from lhotse import SupervisionSet as Supervisions
from lhotse.audio import AudioSource
from lhotse.cut import Cut

from speechrnn.cli import prepare as command
from speechrnn.cli.main import main
from speechrnn.errors import AudioError, ManifestError
from speechrnn.manifest import Utterance, read_manifest
from speechrnn.training.cuts import write_manifest
from speechrnn.training.lhotse_sources import fewer_warnings, find_recipe
from speechrnn.training.prepare import prepare, prepare_corpus, prepare_utterances
from speechrnn.training.speaker_split import parse_shares, split_speakers


def write_audio(path: Path, seconds: float = 1.0, *, sample_rate: int = 8000, num_channels: int = 1) -> Path:
    """Write noise: never silent, another for each file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    shape = (round(seconds * sample_rate), num_channels)
    seed = sum(path.name.encode())
    noise = np.random.default_rng(seed).uniform(-0.5, 0.5, shape)
    sf.write(path, noise, sample_rate)
    return path


def write_keywords(folder: Path, num_speakers: int = 4) -> Path:
    """Write one second from each speaker for two keywords, with Speech Commands' names."""
    for label in ("no", "yes"):
        for speaker in range(num_speakers):
            write_audio(folder / label / f"s{speaker}_nohash_0.wav")
    return folder


def read_cuts(path: Path) -> list[Cut]:
    return list(CutSet.from_jsonl_lazy(path))


def make_recording(path: Path, seconds: float = 2.0, channels: tuple[int, ...] = (0,)) -> Recording:
    return Recording(
        id="r",
        sources=[AudioSource(type="file", channels=list(channels), source=str(path))],
        sampling_rate=8000,
        num_samples=round(seconds * 8000),
        duration=seconds,
    )


def make_supervision(name: str, start: float, duration: float, **changes: Any) -> SupervisionSegment:
    given = {"recording_id": "r", "text": name.upper(), "speaker": "ann", **changes}
    return SupervisionSegment(id=name, start=start, duration=duration, **given)


def write_lhotse_pair(folder: Path, supervisions: list[SupervisionSegment]) -> Path:
    """Write recordings and supervisions; the audio's path is relative, as some tools leave it."""
    write_audio(folder / "a.wav", 2.0)  # a folder with audio in it is still one of manifests
    recordings = RecordingSet.from_recordings([make_recording(Path("a.wav"))])
    recordings.to_file(folder / "words_recordings_train.jsonl.gz")
    Supervisions.from_segments(supervisions).to_file(folder / "words_supervisions_train.jsonl.gz")
    return folder


# ---- Utterances ---------------------------------------------------------------------------------


def test_a_table_becomes_cuts_that_lhotse_reads_and_loads(tmp_path: Path) -> None:
    write_audio(tmp_path / "a.wav", 1.5)
    (tmp_path / "x.csv").write_text("audio,text,speaker\na.wav,hello,ann\n", encoding="utf-8")
    (made,) = prepare(tmp_path / "x.csv", tmp_path / "out" / "train.jsonl.gz")
    (cut,) = read_cuts(made.path)
    assert isinstance(cut, MonoCut)
    assert (cut.id, cut.duration, cut.sampling_rate, cut.num_samples) == ("a", 1.5, 8000, 12_000)
    assert (cut.supervisions[0].text, cut.supervisions[0].speaker) == ("hello", "ann")
    assert cut.supervisions[0].duration == 1.5
    np.testing.assert_allclose(cut.load_audio()[0], sf.read(tmp_path / "a.wav")[0], atol=1e-6)


def test_what_is_prepared_is_read_back_as_the_same_utterances(tmp_path: Path) -> None:
    write_audio(tmp_path / "a.wav", 2.0, num_channels=2)
    (tmp_path / "x.csv").write_text(
        "id,audio,text,speaker,start,duration,channel\nu,a.wav,hi,ann,0.5,1.25,1\nv,a.wav,,,,,\n",
        encoding="utf-8",
    )
    (made,) = prepare(tmp_path / "x.csv", tmp_path / "x.jsonl.gz")
    first, second = read_manifest(made.path)
    assert (first.id, first.text, first.speaker) == ("u", "hi", "ann")
    assert (first.start_s, first.duration_s, first.channel) == (0.5, 1.25, 1)
    assert (second.id, second.text, second.speaker) == ("v", "", None)
    assert (second.start_s, second.duration_s, second.channel) == (0.0, 2.0, None)


def test_the_mean_of_several_channels_is_a_multi_cut_and_one_of_them_a_mono_cut(
    tmp_path: Path,
) -> None:
    audio = write_audio(tmp_path / "a.wav", num_channels=2)
    utterances = [
        Utterance(id="both", audio=audio, text="x"),
        Utterance(id="right", audio=audio, text="x", channel=1),
    ]
    made = prepare_utterances(utterances, tmp_path / "x.jsonl.gz")
    both, right = read_cuts(made.path)
    assert isinstance(both, MultiCut)
    assert both.channel == [0, 1]
    assert both.load_audio().shape == (2, 8000)
    assert isinstance(right, MonoCut)
    np.testing.assert_allclose(right.load_audio()[0], sf.read(audio)[0][:, 1], atol=1e-6)


def test_audio_is_named_by_its_absolute_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_audio(tmp_path / "here" / "a.wav")
    (tmp_path / "here" / "a.txt").write_text("hello", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    (made,) = prepare("here", "x.jsonl.gz")
    source = read_cuts(made.path)[0].recording.sources[0].source
    assert source == str(tmp_path / "here" / "a.wav")


def test_a_stated_duration_that_is_wrong_is_said_and_the_audio_counts(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_audio(tmp_path / "a.wav", 1.0)
    write_audio(tmp_path / "b.wav", 1.0)
    (tmp_path / "x.csv").write_text("audio,text,duration\na.wav,x,1.05\nb.wav,x,1.2\n", encoding="utf-8")
    with caplog.at_level(logging.WARNING, logger="speechrnn"):
        (made,) = prepare(tmp_path / "x.csv", tmp_path / "x.jsonl.gz")
    assert made.duration_s == 2.0
    assert "1 stated durations are not those of the audio" in caplog.text
    assert f"{tmp_path / 'x.csv'}:3: 1.2 s for 1 s" in caplog.text


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"start_s": 0.5, "duration_s": 1.0}, r"x:7: ends at 1.5 s, but .*a\.wav lasts 1 s \(utt"),
        ({"start_s": 1.0}, r"x:7: ends at 1 s, but .*a\.wav lasts 1 s"),
        ({"channel": 1}, r"x:7: channel must be below 1, the channels of .*a\.wav, got 1"),
    ],
)
def test_an_utterance_outside_its_audio_is_refused(
    changes: Mapping[str, Any], message: str, tmp_path: Path
) -> None:
    audio = write_audio(tmp_path / "a.wav", 1.0)
    utterance = Utterance(id="u", audio=audio, text="x", place="x:7", **changes)
    with pytest.raises(ManifestError, match=message):
        prepare_utterances([utterance], tmp_path / "x.jsonl.gz")
    assert not list(tmp_path.glob("*.gz*"))


def test_a_stretch_a_rounding_error_too_long_is_cut_to_the_audio(tmp_path: Path) -> None:
    audio = write_audio(tmp_path / "a.wav", 1.0)
    utterance = Utterance(id="u", audio=audio, text="x", start_s=0.5, duration_s=0.51)
    assert prepare_utterances([utterance], tmp_path / "x.jsonl.gz").duration_s == 0.5


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, r"x:7: audio file .*a\.wav does not exist \(utterance 'u'\)"),
        (b"", r"x:7: audio file .*a\.wav is empty \(0 bytes\)"),
        (b"no audio" * 20, r"x:7: audio file .*a\.wav cannot be read: "),
    ],
)
def test_audio_that_is_none_is_refused(content: bytes | None, message: str, tmp_path: Path) -> None:
    audio = tmp_path / "a.wav"
    if content is not None:
        audio.write_bytes(content)
    utterance = Utterance(id="u", audio=audio, text="x", place="x:7")
    with pytest.raises(AudioError, match=message):
        prepare_utterances([utterance], tmp_path / "x.jsonl.gz")


# ---- Lhotse -------------------------------------------------------------------------------------


def test_recordings_and_supervisions_become_a_cut_for_each_supervision(tmp_path: Path) -> None:
    segments = [make_supervision("one", 0.25, 0.5), make_supervision("two", 1.0, 1.0, text="")]
    folder = write_lhotse_pair(tmp_path / "in", segments)
    (made,) = prepare(folder, tmp_path / "x.jsonl.gz")
    one, two = read_cuts(made.path)
    assert (one.id, one.start, one.duration) == ("one", 0.25, 0.5)
    assert (two.id, two.start, two.duration) == ("two", 1.0, 1.0)
    assert (one.supervisions[0].text, one.supervisions[0].start) == ("ONE", 0.0)
    expected = sf.read(folder / "a.wav")[0][2000:6000]
    np.testing.assert_allclose(one.load_audio()[0], expected, atol=1e-6)
    assert made.num_empty_texts == 1


def test_recordings_without_supervision_are_left_out_and_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = write_lhotse_pair(tmp_path / "in", [make_supervision("one", 0.0, 1.0)])
    recordings = [make_recording(folder / "a.wav"), make_recording(folder / "a.wav")]
    recordings[1].id = "unheard"
    RecordingSet.from_recordings(recordings).to_file(folder / "words_recordings_train.jsonl.gz")
    with caplog.at_level(logging.WARNING, logger="speechrnn"):
        (made,) = prepare(folder, tmp_path / "x.jsonl.gz")
    assert made.num_utterances == 1
    assert "1 recordings have no supervision and are left out" in caplog.text


@pytest.mark.parametrize(
    ("supervision", "message"),
    [
        (make_supervision("s", 1.5, 1.0), r":1: supervision 's' is of 1.5 s to 2.5 s, its MonoCut"),
        (make_supervision("s", -0.5, 1.0), r"supervision 's' is of -0.5 s to 0.5 s"),
        (make_supervision("s", 2.0, 0.05), r"supervision 's' is of 2 s to 2.05 s"),
        (
            make_supervision("s", 0.0, 1.0, channel=1),
            r"'s' is of channel 1, its recording has \[0\]",
        ),
        (make_supervision("s", 0.0, 1.0, recording_id="q"), r"there is no recording 'q'"),
    ],
)
def test_a_supervision_outside_its_recording_is_refused(
    supervision: SupervisionSegment, message: str, tmp_path: Path
) -> None:
    folder = write_lhotse_pair(tmp_path / "in", [supervision])
    with pytest.raises(ManifestError, match=message):
        prepare(folder, tmp_path / "x.jsonl.gz")


def test_several_pairs_of_lhotse_files_become_several_manifests(tmp_path: Path) -> None:
    folder = write_lhotse_pair(tmp_path / "in", [make_supervision("one", 0.0, 1.0)])
    for kind in ("recordings", "supervisions"):
        content = (folder / f"words_{kind}_train.jsonl.gz").read_bytes()
        (folder / f"words_{kind}_dev.jsonl.gz").write_bytes(content)
    made = prepare(folder, tmp_path / "out")
    assert [each.path.name for each in made] == ["words_dev.jsonl.gz", "words_train.jsonl.gz"]
    with pytest.raises(ManifestError, match=r"must be a folder.*\(words_dev, words_train\)"):
        prepare(folder, tmp_path / "x.jsonl.gz")
    with pytest.raises(ManifestError, match="cannot split what comes in splits: words_dev"):
        prepare(folder, tmp_path / "split", split_by_speaker="dev=1")


def test_recordings_without_their_supervisions_are_refused(tmp_path: Path) -> None:
    folder = write_lhotse_pair(tmp_path / "in", [make_supervision("one", 0.0, 1.0)])
    (folder / "words_supervisions_train.jsonl.gz").unlink()
    with pytest.raises(ManifestError, match="lacks its supervisions, words_supervisions_train"):
        prepare(folder, tmp_path / "x.jsonl.gz")


def test_cuts_with_one_supervision_stay_as_they_are_and_others_are_taken_apart(
    tmp_path: Path,
) -> None:
    audio = write_audio(tmp_path / "a.wav", 2.0)
    whole = make_recording(Path(audio.name)).to_cut().with_id("whole")
    whole.supervisions = [make_supervision("inner", 0.5, 1.0)]
    whole.custom = {"note": "kept"}
    many = make_recording(audio).to_cut().with_id("many")
    many.supervisions = [make_supervision("one", 0.0, 1.0), make_supervision("two", 1.0, 1.0)]
    CutSet.from_cuts([whole, many]).to_file(tmp_path / "in.jsonl.gz")
    (made,) = prepare(tmp_path / "in.jsonl.gz", tmp_path / "out.jsonl.gz")
    kept, one, two = read_cuts(made.path)
    assert (kept.id, kept.duration, kept.supervisions[0].start) == ("whole", 2.0, 0.5)
    assert kept.custom == {"note": "kept"}
    assert kept.recording.sources[0].source == str(audio)
    assert (one.id, two.id, two.start) == ("one", "two", 1.0)


def test_lhotse_files_that_are_damaged_are_named_by_line(tmp_path: Path) -> None:
    audio = write_audio(tmp_path / "a.wav", 2.0)
    cut = make_recording(audio).to_cut()
    cut.supervisions = [make_supervision("one", 0.0, 1.0)]
    good = json.dumps(cut.to_dict())
    path = tmp_path / "in.jsonl"
    path.write_text(f'{good}\n{{"type": "MonoCut"}}\n', encoding="utf-8")
    with pytest.raises(ManifestError, match=r"in\.jsonl:2: is not of Lhotse: TypeError"):
        prepare(path, tmp_path / "x.jsonl.gz")
    supervision = json.dumps(cut.supervisions[0].to_dict())
    path.write_text(f"{good}\n{supervision}\n", encoding="utf-8")
    with pytest.raises(ManifestError, match=r"in\.jsonl:2: does not belong here, being a Super"):
        prepare(path, tmp_path / "x.jsonl.gz")
    audio.unlink()
    with pytest.raises(ManifestError, match=r"in\.jsonl:1: audio file .*a\.wav does not exist"):
        prepare(path, tmp_path / "x.jsonl.gz")


# ---- Corpora ------------------------------------------------------------------------------------


def write_librispeech(folder: Path) -> Path:
    for part in ("dev-clean-2", "train-clean-5"):
        chapter = folder / part / "19" / "198"
        write_audio(chapter / "19-198-0000.flac", sample_rate=16_000)
        (chapter / "19-198.trans.txt").write_text("19-198-0000 NORTH\n", encoding="utf-8")
    return folder


def test_a_corpus_is_prepared_by_lhotses_recipe(tmp_path: Path) -> None:
    source = write_librispeech(tmp_path / "LibriSpeech")
    dev, train = prepare_corpus("LibriSpeech", source, tmp_path / "out")
    assert dev.path == tmp_path / "out" / "dev-clean-2.jsonl.gz"
    assert train.path.name == "train-clean-5.jsonl.gz"
    (cut,) = read_cuts(train.path)
    assert (cut.supervisions[0].text, cut.supervisions[0].speaker) == ("NORTH", "19")
    with pytest.raises(ManifestError, match=r"dev-clean-2\.jsonl\.gz: exists already"):
        prepare_corpus("librispeech", source, tmp_path / "out")


def test_options_reach_lhotses_recipe(tmp_path: Path) -> None:
    source = write_librispeech(tmp_path / "LibriSpeech")
    options = {"dataset_parts": "train-clean-5", "normalize_text": "lower", "num_jobs": "2"}
    (train,) = prepare_corpus("librispeech", source, tmp_path / "out", options=options)
    assert read_cuts(train.path)[0].supervisions[0].text == "north"


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("libraspeech", {}, r"Lhotse has no corpus 'libraspeech'; the nearest are librispeech, "),
        ("mini-librispeech", {}, "the nearest are librispeech, "),
        ("librispeech", {"num_job": "1"}, "no option 'num_job'; the nearest is 'num_jobs'"),
        ("librispeech", {"num_jobs": "few"}, "num_jobs must be like its default, 1, got 'few'"),
        ("librispeech", {"num_jobs": "true"}, "num_jobs must be like its default, 1, got 'true'"),
        ("speechcommands", {}, "needs --corpus-option speechcommands_version="),
        ("librispeech", {}, "Lhotse's recipe for librispeech failed: ValueError: Could not find"),
    ],
)
def test_a_corpus_that_cannot_be_prepared_is_said_why(
    name: str, options: dict[str, str], message: str, tmp_path: Path
) -> None:
    with pytest.raises(ManifestError, match=message):
        prepare_corpus(name, tmp_path, tmp_path / "out", options=options)


def test_a_corpus_folder_must_exist(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="nowhere: no such folder"):
        prepare_corpus("librispeech", tmp_path / "nowhere", tmp_path / "out")


def use_recipe(monkeypatch: pytest.MonkeyPatch, found: object) -> list[dict[str, Any]]:
    """Put a recipe in the place of one of Lhotse's; returns what it is called with."""
    calls: list[dict[str, Any]] = []

    def prepare_toy(audio_dir: Path, output_dir: Path, *, fast: bool = False) -> object:
        calls.append({"audio_dir": audio_dir, "output_dir": output_dir, "fast": fast})
        return found

    monkeypatch.setattr(lhotse.recipes, "prepare_toy", prepare_toy, raising=False)
    return calls


def test_a_recipe_without_splits_and_one_with_nested_ones_are_understood(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    audio = write_audio(tmp_path / "a.wav", 2.0)
    sets = {
        "recordings": RecordingSet.from_recordings([make_recording(audio)]),
        "supervisions": Supervisions.from_segments([make_supervision("one", 0.0, 1.0)]),
    }
    calls = use_recipe(monkeypatch, sets)
    (made,) = prepare_corpus("toy", tmp_path, tmp_path / "flat", options={"fast": "True"})
    assert made.path.name == "all.jsonl.gz"
    expected = {"audio_dir": tmp_path, "output_dir": tmp_path / "flat" / "lhotse", "fast": True}
    assert calls == [expected]
    use_recipe(monkeypatch, {"ihm": {"train": sets, "empty": None}})
    (made,) = prepare_corpus("toy", tmp_path, tmp_path / "nested")
    assert made.path.name == "ihm-train.jsonl.gz"
    use_recipe(monkeypatch, {"recordings": sets["recordings"]})
    with pytest.raises(ManifestError, match="found no recordings with texts"):
        prepare_corpus("toy", tmp_path, tmp_path / "none")


@pytest.mark.parametrize(
    ("name", "lhotses"),
    [("LibriSpeech", "librispeech"), ("aishell-4", "aishell4"), ("cmu-arctic", "cmu_arctic")],
)
def test_names_of_corpora_may_be_spelled_as_people_spell_them(name: str, lhotses: str) -> None:
    assert find_recipe(name) is getattr(lhotse.recipes, f"prepare_{lhotses}")


def test_of_many_warnings_of_a_recipe_the_first_are_said(caplog: pytest.LogCaptureFixture) -> None:
    with fewer_warnings("toy"):
        for index in range(9):
            logging.warning("no file %d", index)
    messages = [record.getMessage() for record in caplog.records if record.name == "speechrnn"]
    assert messages[0] == "Lhotse's recipe for toy: no file 0"
    assert messages[5:] == ["… and 4 warnings more"]


# ---- Splits -------------------------------------------------------------------------------------


def speakers_of(path: Path) -> set[str]:
    return {cut.supervisions[0].speaker for cut in read_cuts(path)}


def test_a_split_by_speaker_puts_nobody_into_two_splits_and_loses_no_utterance(
    tmp_path: Path,
) -> None:
    source = write_keywords(tmp_path / "words", num_speakers=5)
    made = prepare(source, tmp_path / "out", split_by_speaker="dev=1,test=0.4")
    assert [each.path.name for each in made] == [f"{s}.jsonl.gz" for s in ("train", "dev", "test")]
    train, dev, test = (speakers_of(each.path) for each in made)
    assert (len(train), len(dev), len(test)) == (2, 1, 2)
    assert len(train | dev | test) == 5
    assert sum(each.num_utterances for each in made) == 10


def test_the_same_seed_makes_the_same_bytes_and_another_seed_another_split(tmp_path: Path) -> None:
    source = write_keywords(tmp_path / "words", num_speakers=8)
    contents = [
        [
            each.path.read_bytes()
            for each in prepare(source, tmp_path / name, split_by_speaker="dev=3", seed=seed)
        ]
        for name, seed in (("a", 0), ("b", 0), ("c", 1))
    ]
    assert contents[0] == contents[1]
    assert contents[0] != contents[2]


# By hand: of 10 speakers with 1 s each, a share of 0.24 is 2.4 s, nearer to 2 speakers than to 3.
@pytest.mark.parametrize(
    ("shares", "sizes"),
    [
        ({"dev": 0.1}, {"train": 9, "dev": 1}),
        ({"dev": 0.01}, {"train": 9, "dev": 1}),
        ({"dev": 0.24}, {"train": 8, "dev": 2}),
        ({"dev": 0.26}, {"train": 7, "dev": 3}),
        ({"dev": 2, "test": 0.3}, {"train": 5, "dev": 2, "test": 3}),
        ({"dev": 9}, {"train": 1, "dev": 9}),
    ],
)
def test_shares_are_of_the_speech_and_numbers_of_the_speakers(
    shares: dict[str, float], sizes: dict[str, int]
) -> None:
    splits = split_speakers({f"s{index}": 1.0 for index in range(10)}, shares)
    assert {name: list(splits.values()).count(name) for name in ("train", *shares)} == sizes


def test_a_split_never_changes() -> None:
    # printf 0:a | sha256sum, and so on to 0:e, sorts them d, a, c, b, e.
    splits = split_speakers(dict.fromkeys("abcde", 1.0), {"dev": 1, "test": 1})
    assert splits == {"d": "dev", "a": "test", "c": "train", "b": "train", "e": "train"}


@given(
    st.dictionaries(st.text(min_size=1), st.floats(0.1, 1000), min_size=3, max_size=20),
    st.integers(0, 3),
)
def test_every_speaker_gets_one_split_whatever_the_order(seconds: dict[str, float], seed: int) -> None:
    shares = {"dev": 0.1, "test": 1}
    splits = split_speakers(seconds, shares, seed=seed)
    backwards = dict(reversed(seconds.items()))
    assert splits == split_speakers(backwards, shares, seed=seed)
    assert set(splits) == set(seconds)
    assert set(splits.values()) == {"train", "dev", "test"}


@pytest.mark.parametrize("shares", [{"dev": 3}, {"dev": 4}, {"dev": 2, "test": 2}, {"a": 0.9, "b": 2}])
def test_too_few_speakers_are_refused(shares: dict[str, float]) -> None:
    with pytest.raises(ManifestError, match="3 speakers are too few for train and "):
        split_speakers(dict.fromkeys("abc", 1.0), shares)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "dev",
        "dev=",
        "dev=x",
        "dev=0",
        "dev=-1",
        "dev=nan",
        "dev=inf",
        "=1",
        "train=1",
        "a=1,a=1",
    ],
)
def test_shares_that_make_no_sense_are_refused(text: str) -> None:
    with pytest.raises(ManifestError, match=r"--split-by-speaker must be like dev=0.1,test=8"):
        parse_shares(text)


def test_shares_must_leave_something_and_speakers_be_whole() -> None:
    assert parse_shares("dev=0.1, test=8") == {"dev": 0.1, "test": 8.0}
    with pytest.raises(ManifestError, match="leave nothing for train"):
        parse_shares("dev=0.5,test=0.5")
    with pytest.raises(ManifestError, match="a number of speakers must be whole"):
        parse_shares("dev=1.5")


def test_speakers_are_taken_from_file_names(tmp_path: Path) -> None:
    for name in ("7_yes.wav", "8_yes.wav"):
        write_audio(tmp_path / "words" / "yes" / name)
    write_audio(tmp_path / "words" / "no" / "silence-9.wav")
    pattern = r"/(\d)_[^/]*$|silence-(\d)"
    (made,) = prepare(tmp_path / "words", tmp_path / "x.jsonl.gz", speaker_pattern=pattern)
    assert speakers_of(made.path) == {"7", "8", "9"}
    assert made.num_speakers == 3


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("(", "is no regular expression"),
        ("s[0-9]", r"needs a group \( \) around the speaker"),
        ("(x+)", r"finds no speaker in .*s0_nohash_0\.wav"),
        ("(z?)", "finds no speaker"),
    ],
)
def test_a_speaker_pattern_that_does_not_work_is_refused(pattern: str, message: str, tmp_path: Path) -> None:
    source = write_keywords(tmp_path / "words", num_speakers=1)
    with pytest.raises(ManifestError, match=message):
        prepare(source, tmp_path / "x.jsonl.gz", speaker_pattern=pattern)


def test_utterances_of_unknown_speakers_cannot_be_split(tmp_path: Path) -> None:
    write_audio(tmp_path / "words" / "yes" / "1.wav")
    write_audio(tmp_path / "words" / "no" / "1.wav")
    with pytest.raises(ManifestError, match=r"'no/1' has no speaker.*--speaker-pattern"):
        prepare(tmp_path / "words", tmp_path / "out", split_by_speaker="dev=1")


# ---- Writing ------------------------------------------------------------------------------------


def test_a_manifest_is_not_overwritten_unless_asked(tmp_path: Path) -> None:
    source, path = write_keywords(tmp_path / "words"), tmp_path / "x.jsonl.gz"
    prepare(source, path)
    before = path.read_bytes()
    with pytest.raises(ManifestError, match=r"x\.jsonl\.gz: exists already; --overwrite replaces it"):
        prepare(source, path)
    (made,) = prepare(source, path, overwrite=True)
    assert made.num_utterances == 8
    assert path.read_bytes() == before


def test_a_split_that_would_overwrite_anything_writes_nothing(tmp_path: Path) -> None:
    source, out = write_keywords(tmp_path / "words"), tmp_path / "out"
    out.mkdir()
    (out / "dev.jsonl.gz").write_bytes(b"precious")
    with pytest.raises(ManifestError, match=r"dev\.jsonl\.gz: exists already"):
        prepare(source, out, split_by_speaker="dev=1")
    assert [path.name for path in out.iterdir()] == ["dev.jsonl.gz"]


def failing_cuts(path: Path) -> Iterator[Cut]:
    cut = make_recording(path).to_cut()
    cut.supervisions = [make_supervision("s", 0.0, 2.0)]
    yield cut
    raise KeyboardInterrupt


def test_an_interrupted_manifest_leaves_the_old_one_and_no_rest(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl.gz"
    path.write_bytes(b"old")
    with pytest.raises(KeyboardInterrupt):
        write_manifest(failing_cuts(tmp_path / "a.wav"), path, overwrite=True)
    assert [each.name for each in tmp_path.iterdir()] == ["x.jsonl.gz"]
    assert path.read_bytes() == b"old"


def test_a_manifest_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    source = write_keywords(tmp_path / "words")
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ManifestError, match=r"x\.jsonl\.gz: cannot be written: "):
        prepare(source, tmp_path / "file" / "x.jsonl.gz")


def test_a_manifest_must_have_the_suffix_that_training_reads(tmp_path: Path) -> None:
    source = write_keywords(tmp_path / "words")
    with pytest.raises(ManifestError, match=r"out: the manifest's name must end in \.jsonl\.gz"):
        prepare(source, tmp_path / "out")
    with pytest.raises(ManifestError, match=r"must be a folder.*\(split by speaker\)"):
        prepare(source, tmp_path / "x.jsonl.gz", split_by_speaker="dev=1")


def utterances(audio: Path, names: Iterable[str]) -> list[Utterance]:
    return [Utterance(id=name, audio=audio, text="x") for name in names]


def test_an_id_that_comes_twice_and_a_manifest_of_nothing_are_refused(tmp_path: Path) -> None:
    audio = write_audio(tmp_path / "a.wav")
    with pytest.raises(ManifestError, match="id 'u' comes twice"):
        prepare_utterances(utterances(audio, "uu"), tmp_path / "x.jsonl.gz")
    with pytest.raises(ManifestError, match="there are no utterances to write"):
        prepare_utterances([], tmp_path / "x.jsonl.gz")


def test_the_bytes_of_a_manifest_hold_no_time_and_no_name(tmp_path: Path) -> None:
    audio = write_audio(tmp_path / "a.wav")
    paths = [tmp_path / "x.jsonl.gz", tmp_path / "y.jsonl.gz"]
    for path in paths:
        prepare_utterances(utterances(audio, "uv"), path)
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert gzip.decompress(paths[0].read_bytes()).count(b"\n") == 2


# ---- Command ------------------------------------------------------------------------------------


def test_the_command_sums_up_what_it_wrote(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_audio(tmp_path / "a.wav", 3.6)
    write_audio(tmp_path / "b.wav", 3.6)
    (tmp_path / "x.csv").write_text("audio,text,speaker\na.wav,,ann\nb.wav,x,\n", encoding="utf-8")
    out = tmp_path / "x.jsonl.gz"
    assert main(["prepare", str(tmp_path / "x.csv"), str(out)]) == 0
    counts = "2 utterances, 7.2 s, speakers: 1, utterances of unknown speakers: 1, empty texts: 1"
    assert capsys.readouterr().out == f"{out}: {counts}\n"


def test_the_command_splits_and_prepares_corpora(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = write_keywords(tmp_path / "words")
    split = ["--split_by_speaker", "dev=0.25", "--seed", "3", "--speaker-pattern", r"/(\w+)_nohash"]
    assert main(["prepare", str(source), str(tmp_path / "out"), *split]) == 0
    assert capsys.readouterr().out.count("\n") == 2
    corpus = write_librispeech(tmp_path / "LibriSpeech")
    options = ["--corpus", "librispeech", "--corpus-option", "normalize_text=lower"]
    assert main(["prepare", str(corpus), str(tmp_path / "libri"), *options]) == 0
    assert len(list((tmp_path / "libri").iterdir())) == 2


def test_the_command_fails_with_a_message_and_without_a_traceback(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["prepare", str(tmp_path / "nix"), str(tmp_path / "x.jsonl.gz")]) == 1
    assert capsys.readouterr().err == f"speechrnn: error: {tmp_path / 'nix'}: no such file or folder\n"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--corpus-option", "a=b"], "--corpus-option goes with --corpus"),
        (["--corpus", "an4", "--relative-to", "x"], "--relative-to cannot go with --corpus"),
        (["--corpus-option", "ab"], "must be KEY=VALUE, got 'ab'"),
    ],
)
def test_options_that_do_not_go_together_are_usage_errors(
    options: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["prepare", "a", "b", *options]) == 2
    assert message in capsys.readouterr().err


def test_the_progress_bar_knows_about_how_much_there_is_to_do(tmp_path: Path) -> None:
    assert command.estimate(write_keywords(tmp_path / "words")) == 8
    segments = [make_supervision("one", 0.0, 1.0), make_supervision("two", 1.0, 1.0)]
    assert command.estimate(write_lhotse_pair(tmp_path / "in", segments)) == 2
    assert command.estimate(tmp_path / "nowhere") == 0
