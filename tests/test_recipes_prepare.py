"""The recipes' prepare.py: official splits, held-out speakers, and corpora that are not whole."""

import shutil
import tarfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf
from lhotse import CutSet
from recipe_modules import ROOT, an4, fsdd
from releases import write_noise

from speechrnn.errors import AudioError, ManifestError
from speechrnn.manifest import Utterance, read_manifest
from speechrnn.training import download
from speechrnn.training.download import DownloadError
from speechrnn.training.fingerprint import fingerprint, read_samples

SAMPLES = ROOT / "data" / "samples"
SPLITS = ("train", "dev", "test")


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make every attempt to reach the network fail."""

    def refuse(*_: Any, **__: Any) -> None:
        pytest.fail("the network was asked")

    monkeypatch.setattr("urllib.request.urlopen", refuse)


def read_splits(out: Path) -> dict[str, list[Utterance]]:
    return {split: read_manifest(out / f"{split}.jsonl.gz") for split in SPLITS}


# ---- AN4 ----------------------------------------------------------------------------------------

# Real clips, of which some play the parts of training speakers: utterance, clip, transcript's line.
TREE = {
    "train": [
        ("an4_clstk/fash/an251-fash-b", "an4_mjwl_an392.wav", "<s> REPEAT </s> (an251-fash-b)"),
        ("an4_clstk/fclc/cen2-fclc-b", "an4_fjlp_cen2.wav", "<s> J A N E T  </s> (cen2-fclc-b)"),
        ("an4_clstk/mtos/cen8-mtos-b", "an4_marh_cen8.wav", "<s> MAY SECOND </s> (cen8-mtos-b)"),
    ],
    "test": [("an4test_clstk/menk/an425-menk-b", "an4_menk_an425.wav", "ENTER (an425-menk-b)")],
}


def write_an4(root: Path, suffix: str = ".wav") -> Path:
    """Write a small tree of the official form."""
    (root / "etc").mkdir(parents=True)
    for split, entries in TREE.items():
        for name, clip, _ in entries:
            audio = root / "wav" / f"{name}{suffix}"
            audio.parent.mkdir(parents=True, exist_ok=True)
            samples, rate = read_samples(SAMPLES / clip)
            kind = "NIST" if suffix == ".sph" else suffix[1:].upper()
            sf.write(audio, samples, rate, "PCM_16", format=kind)
        lists = {"fileids": [e[0] for e in entries], "transcription": [e[2] for e in entries]}
        for kind, lines in lists.items():
            path = root / "etc" / f"an4_{split}.{kind}"
            path.write_text("".join(f"{line}\n" for line in lines))
    return root


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write the small tree, and let it pass for the whole of AN4."""
    root = write_an4(tmp_path / "an4")
    monkeypatch.setattr(an4, "FINGERPRINT", fingerprint((root / "wav").rglob("*.wav")))
    return root


def test_an4_splits_by_the_official_lists_and_the_held_out_speakers(
    tree: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    made = an4.prepare_an4(tree, tmp_path / "out")
    splits = read_splits(tmp_path / "out")
    assert [(p.path.name, p.num_utterances) for p in made] == [
        ("train.jsonl.gz", 2),
        ("dev.jsonl.gz", 1),
        ("test.jsonl.gz", 1),
    ]
    assert {name: [u.id for u in split] for name, split in splits.items()} == {
        "train": ["an251-fash-b", "cen8-mtos-b"],
        "dev": ["cen2-fclc-b"],
        "test": ["an425-menk-b"],
    }
    assert caplog.messages == []


def test_an4_final_trains_on_the_held_out_speakers_too(tree: Path, tmp_path: Path) -> None:
    an4.prepare_an4(tree, tmp_path / "out", final=True)
    assert {name: [u.id for u in split] for name, split in read_splits(tmp_path / "out").items()} == {
        "train": ["an251-fash-b", "cen2-fclc-b", "cen8-mtos-b"],
        "dev": ["cen2-fclc-b"],
        "test": ["an425-menk-b"],
    }


def test_an4_transcripts_lose_marks_and_name_and_become_lower_case(tree: Path, tmp_path: Path) -> None:
    an4.prepare_an4(tree, tmp_path / "out")
    splits = read_splits(tmp_path / "out")
    texts = {u.id: (u.text, u.speaker) for split in splits.values() for u in split}
    assert texts == {
        "an251-fash-b": ("repeat", "fash"),
        "cen8-mtos-b": ("may second", "mtos"),
        "cen2-fclc-b": ("j a n e t", "fclc"),
        "an425-menk-b": ("enter", "menk"),
    }


def test_an4_holds_out_four_women_and_four_men_of_the_training_speakers() -> None:
    assert len(set(an4.DEV_SPEAKERS)) == 8
    assert Counter(speaker[0] for speaker in an4.DEV_SPEAKERS) == {"f": 4, "m": 4}
    test_speakers = {
        "fcaw",
        "fjlp",
        "fvap",
        "marh",
        "mdms2",
        "menk",
        "miry",
        "mjgm",
        "mjwl",
        "mmxg",
    }
    assert test_speakers.isdisjoint(an4.DEV_SPEAKERS)


@pytest.mark.parametrize("suffix", [".wav", ".flac"])
def test_an4_leaves_wav_and_flac_where_they_are(tmp_path: Path, suffix: str) -> None:
    root = write_an4(tmp_path / "an4", suffix)
    an4.prepare_an4(root, tmp_path / "out")
    test = read_splits(tmp_path / "out")["test"]
    assert [u.audio for u in test] == [root / "wav" / f"{TREE['test'][0][0]}{suffix}"]


def test_an4_rewrites_sphere_as_flac_that_lhotse_reads_sample_by_sample(tmp_path: Path) -> None:
    root = write_an4(tmp_path / "an4", ".sph")
    an4.prepare_an4(root, tmp_path / "out")
    audio = tmp_path / "out" / "recordings" / "an425-menk-b.flac"
    assert [u.audio for u in read_splits(tmp_path / "out")["test"]] == [audio]
    expected, _ = read_samples(SAMPLES / "an4_menk_an425.wav")
    cut = CutSet.from_file(tmp_path / "out" / "test.jsonl.gz")[0]
    assert np.array_equal(cut.load_audio()[0] * 32768, expected[:, 0])


def test_an4_is_found_in_the_folder_above_too(tree: Path, tmp_path: Path) -> None:
    assert an4.find_release(tree) == an4.find_release(tree.parent) == tree


def test_an4_without_its_lists_is_an_error_that_names_the_cure(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"is not AN4, .* leave --source out to download it"):
        an4.prepare_an4(tmp_path, tmp_path / "out")


def test_an4_recordings_that_are_missing_are_all_named(tree: Path, tmp_path: Path) -> None:
    for name, *_ in (TREE["train"][1], TREE["test"][0]):
        (tree / "wav" / f"{name}.wav").unlink()
    with pytest.raises(ManifestError) as caught:
        an4.prepare_an4(tree, tmp_path / "out")
    assert "2 utterances of the official lists have no recording" in str(caught.value)
    assert str(caught.value).endswith(": cen2-fclc-b, an425-menk-b")
    assert not (tmp_path / "out").exists()


def test_an4_names_ten_of_many_missing_recordings(tmp_path: Path) -> None:
    root = write_an4(tmp_path / "an4")
    names = [f"an4_clstk/fash/an{number}-fash-b" for number in range(12)]
    (root / "etc" / "an4_train.fileids").write_text("\n".join(names))
    lines = [f"YES ({name.split('/')[-1]})" for name in names]
    (root / "etc" / "an4_train.transcription").write_text("\n".join(lines))
    with pytest.raises(ManifestError, match=r"12 utterances .*an9-fash-b, \.\.\.$"):
        an4.prepare_an4(root, tmp_path / "out")


def test_an4_file_without_transcript_is_an_error_with_its_line(tree: Path, tmp_path: Path) -> None:
    path = tree / "etc" / "an4_train.transcription"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))
    with pytest.raises(ManifestError, match=r"an4_train.fileids:3: 'cen8-mtos-b' has no line in"):
        an4.prepare_an4(tree, tmp_path / "out")


def test_an4_transcript_without_file_is_an_error(tree: Path, tmp_path: Path) -> None:
    with open(tree / "etc" / "an4_test.transcription", "a") as file:
        file.write("YES (an426-menk-b)\n")
    with pytest.raises(ManifestError, match=r"an4_test.fileids: lacks an426-menk-b"):
        an4.prepare_an4(tree, tmp_path / "out")


@pytest.mark.parametrize("line", ["YES", "ENTER (an425-menk-b)"], ids=["no id", "id again"])
def test_an4_transcript_line_of_another_form_is_an_error(tree: Path, tmp_path: Path, line: str) -> None:
    with open(tree / "etc" / "an4_test.transcription", "a") as file:
        file.write(f"{line}\n")
    with pytest.raises(ManifestError, match=r"an4_test.transcription:2: must be 'TEXT \(utterance"):
        an4.prepare_an4(tree, tmp_path / "out")


def test_an4_with_other_samples_is_prepared_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    root = write_an4(tmp_path / "an4")
    assert len(an4.prepare_an4(root, tmp_path / "out")) == 3
    assert [message for message in caplog.messages if "are not those of the official AN4" in message]


def test_an4_recording_that_is_no_audio_is_an_error(tree: Path, tmp_path: Path) -> None:
    audio = tree / "wav" / f"{TREE['test'][0][0]}.wav"
    audio.write_bytes(b"no audio")
    with pytest.raises(AudioError, match=str(audio)):
        an4.prepare_an4(tree, tmp_path / "out")


def test_an4_manifests_are_not_overwritten_unasked(tree: Path, tmp_path: Path) -> None:
    an4.prepare_an4(tree, tmp_path / "out")
    with pytest.raises(ManifestError, match="exists already"):
        an4.prepare_an4(tree, tmp_path / "out")
    an4.prepare_an4(tree, tmp_path / "out", overwrite=True)


def test_an4_sphere_that_cannot_be_rewritten_is_an_error(tmp_path: Path) -> None:
    root = write_an4(tmp_path / "an4", ".sph")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "recordings").write_bytes(b"in the way")
    with pytest.raises(ManifestError, match=r"recordings/.*\.flac: cannot be written"):
        an4.prepare_an4(root, tmp_path / "out")


def pretend_download(monkeypatch: pytest.MonkeyPatch, release: Path) -> list[Path]:
    """Replace the download by a copy; returns the archives that were asked for."""
    asked: list[Path] = []

    def copy(urls: tuple[str, ...], archive: Path, **_: Any) -> None:
        assert all(url.startswith(("https://", "http://")) for url in urls)
        asked.append(archive)
        shutil.copytree(release, archive.parent / release.name, dirs_exist_ok=True)

    monkeypatch.setattr(download, "download_release", copy)
    return asked


def test_an4_is_downloaded_once(tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = pretend_download(monkeypatch, tree)
    target = tmp_path / "target"
    assert an4.download_an4(target) == target / "an4"
    assert an4.download_an4(target) == target / "an4"
    assert asked == [target / "an4_sphere.tar.gz"]


def test_an4_download_with_other_samples_is_an_error(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    audio = tree / "wav" / f"{TREE['test'][0][0]}.wav"
    samples, rate = read_samples(audio)
    samples[1000] ^= 1  # one bit
    sf.write(audio, samples, rate)
    pretend_download(monkeypatch, tree)
    with pytest.raises(DownloadError, match="is not AN4, sample by sample"):
        an4.download_an4(tmp_path / "target")


def test_an4_is_downloaded_anew_over_what_is_broken(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = pretend_download(monkeypatch, tree)
    target = tmp_path / "target"
    audio = an4.download_an4(target) / "wav" / f"{TREE['test'][0][0]}.wav"
    audio.write_bytes(b"broken")
    assert an4.download_an4(target) == target / "an4"
    assert len(asked) == 2
    assert sf.info(audio).frames > 0


def test_an4_command_line_downloads_when_no_source_is_given(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pretend_download(monkeypatch, tree)
    assert an4.main(["--out", str(tmp_path / "out")]) == 0
    assert (tmp_path / "out" / "release" / "an4").is_dir()
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[1].split(",")[0] for line in lines] == [
        " 2 utterances",
        " 1 utterances",
        " 1 utterances",
    ]


# ---- FSDD ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Prepare the packed clips by the official split."""
    out = tmp_path_factory.mktemp("fsdd")
    fsdd.prepare_fsdd(fsdd.PACKED, out)
    return out


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the dataset small: two digits, two speakers, eleven takes."""
    monkeypatch.setattr(fsdd, "DIGITS", ("zero", "one"))
    monkeypatch.setattr(fsdd, "SPEAKERS", ("george", "theo"))
    monkeypatch.setattr(fsdd, "INDICES", range(11))


def write_fsdd(folder: Path, digits: Path) -> Path:
    """Write a release of the few clips, as WAV; returns its ``recordings``."""
    recordings = folder / "recordings"
    recordings.mkdir(parents=True)
    for digit in range(2):
        for speaker in ("george", "theo"):
            for index in range(11):
                name = f"{digit}_{speaker}_{index}"
                samples, rate = read_samples(digits / "recordings" / f"{name}.flac")
                sf.write(recordings / f"{name}.wav", samples, rate, "PCM_16")
    return recordings


def index_of(clip: Utterance) -> int:
    return int(clip.id.split("_")[2])


def test_fsdd_official_split_has_the_official_counts(digits: Path) -> None:
    splits = read_splits(digits)
    assert {name: len(split) for name, split in splits.items()} == {
        "train": 2400,
        "dev": 300,
        "test": 300,
    }
    assert {index_of(clip) for clip in splits["test"]} == set(range(5))
    assert {index_of(clip) for clip in splits["dev"]} == set(range(5, 10))
    assert {index_of(clip) for clip in splits["train"]} == set(range(10, 50))
    for split in splits.values():
        cells = Counter((clip.text, clip.speaker) for clip in split)
        assert len(cells) == 60
        assert len(set(cells.values())) == 1, "as many of each digit by each speaker"


def test_fsdd_labels_are_the_digits_as_words(digits: Path) -> None:
    for clip in read_splits(digits)["test"]:
        digit, speaker, _ = clip.id.split("_")
        assert clip.text == fsdd.DIGITS[int(digit)]
        assert clip.speaker == speaker
        assert clip.audio == digits / "recordings" / f"{clip.id}.flac"


def test_fsdd_fold_keeps_its_speaker_out_of_train_and_dev(digits: Path, tmp_path: Path) -> None:
    fsdd.prepare_fsdd(digits, tmp_path, fold="theo")
    splits = read_splits(tmp_path)
    assert {name: len(split) for name, split in splits.items()} == {
        "train": 2250,
        "dev": 250,
        "test": 500,
    }
    assert {clip.speaker for clip in splits["test"]} == {"theo"}
    assert {index_of(clip) for clip in splits["dev"]} == set(range(5, 10))
    for name in ("train", "dev"):
        assert {clip.speaker for clip in splits[name]} == set(fsdd.SPEAKERS) - {"theo"}


@pytest.mark.parametrize("fold", [None, *fsdd.SPEAKERS])
def test_every_clip_is_in_one_split_of_every_fold(fold: str | None) -> None:
    names = [f"{d}_{s}_{i}" for d in range(10) for s in fsdd.SPEAKERS for i in range(50)]
    clips = [Utterance(id=name, audio=Path(name), text="", speaker=name.split("_")[1]) for name in names]
    counts = Counter(fsdd.split_of(clip, fold) for clip in clips)
    expected = (2400, 300, 300) if fold is None else (2250, 250, 500)
    assert tuple(counts[split] for split in SPLITS) == expected


def test_digits_from_elsewhere_are_trained_on_and_no_more(digits: Path, tmp_path: Path) -> None:
    clips = [("one", "ann"), ("oh", "ann"), ("nine", "bob")]
    lines = ["audio,text,speaker", *(f"{speaker}_{word}.wav,{word},{speaker}" for word, speaker in clips)]
    for word, speaker in clips:
        write_noise(tmp_path / f"{speaker}_{word}.wav", 0.5)
    (tmp_path / "more.csv").write_text("\n".join(lines) + "\n")
    fsdd.prepare_fsdd(digits, tmp_path / "out", fold="theo", more=[tmp_path / "more.csv"])
    split = {name: read_manifest(tmp_path / "out" / f"{name}.jsonl.gz") for name in ("train", "dev", "test")}
    assert {name: len(clips) for name, clips in split.items()} == {"train": 2252, "dev": 250, "test": 500}
    assert [(u.text, u.speaker) for u in split["train"][-2:]] == [("one", "ann"), ("nine", "bob")]
    (tmp_path / "more.csv").write_text("audio,text\nann_oh.wav,oh\n")
    with pytest.raises(ManifestError, match="--more holds no clip of zero, one, two"):
        fsdd.prepare_fsdd(digits, tmp_path / "out", more=[tmp_path / "more.csv"], overwrite=True)


def test_fsdd_fold_of_an_unknown_speaker_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"--fold must be one of george, .*yweweler, got 'bob'"):
        fsdd.prepare_fsdd(fsdd.PACKED, tmp_path, fold="bob")


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize("above", ["", "recordings", "release"])
def test_fsdd_release_is_found_and_left_where_it_is(digits: Path, tmp_path: Path, above: str) -> None:
    folder = tmp_path / "source" / fsdd.RELEASE
    recordings = write_fsdd(folder, digits)
    source = {"": folder, "recordings": recordings, "release": folder.parent}[above]
    fsdd.prepare_fsdd(source, tmp_path / "out")
    splits = read_splits(tmp_path / "out")
    assert {name: len(split) for name, split in splits.items()} == {
        "train": 4,
        "dev": 20,
        "test": 20,
    }
    assert all(clip.audio.parent == recordings for clip in splits["test"])


@pytest.mark.usefixtures("few")
def test_fsdd_clips_that_are_missing_are_named(digits: Path, tmp_path: Path) -> None:
    recordings = write_fsdd(tmp_path, digits)
    for name in ("1_theo_3", "0_george_10"):
        (recordings / f"{name}.wav").unlink()
    with pytest.raises(
        ManifestError, match=r"recordings: lacks 2 of 44 clips: 0_george_10\.wav, 1_theo_3\.wav$"
    ):
        fsdd.prepare_fsdd(tmp_path, tmp_path / "out")


def test_fsdd_names_ten_of_many_missing_clips(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"lacks 3,000 of 3,000 clips: .*0_george_9\.wav, \.\.\.$"):
        fsdd.prepare_fsdd(tmp_path, tmp_path / "out")


@pytest.mark.usefixtures("few")
def test_fsdd_with_other_samples_is_prepared_with_a_warning(
    digits: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_fsdd(tmp_path, digits)
    fsdd.prepare_fsdd(tmp_path, tmp_path / "out")
    assert "the samples are not those of the official release" in caplog.text


def test_fsdd_packed_clips_that_are_damaged_are_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fsdd, "FINGERPRINT", "another")
    with pytest.raises(ManifestError, match="the packed clips are damaged; restore the files"):
        fsdd.prepare_fsdd(fsdd.PACKED, tmp_path)
    assert not (tmp_path / "test.jsonl.gz").exists()


def test_fsdd_packed_clips_that_are_no_tar_are_an_error(tmp_path: Path) -> None:
    (tmp_path / "recording.000000.tar").write_bytes(b"version https://git-lfs.github.com/spec/v1")
    with pytest.raises(ManifestError, match=r"recording\.000000\.tar: cannot be unpacked in"):
        fsdd.prepare_fsdd(tmp_path, tmp_path / "out")


def test_fsdd_unpacks_clips_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"")
    shard = tmp_path / "recording.000000.tar"
    with tarfile.open(shard, "w") as archive:
        for name in ("0_theo_1.flac", "0_theo_1.json", "../0_theo_2.flac", "in/0_theo_3.flac"):
            archive.add(tmp_path / "a.txt", arcname=name)
    folder = fsdd.unpack_clips([shard], tmp_path / "out" / "in", bool)
    assert [path.name for path in (tmp_path / "out").rglob("*.flac")] == ["0_theo_1.flac"]
    assert folder == tmp_path / "out" / "in"


def test_fsdd_unpacking_again_leaves_the_files_alone(tmp_path: Path) -> None:
    shards = [fsdd.PACKED / "recording.000003.tar"]
    folder = fsdd.unpack_clips(shards, tmp_path, bool)
    clip = folder / "0_nicolas_0.flac"
    broken = folder / "1_nicolas_0.flac"
    before, content = clip.stat().st_mtime_ns, broken.read_bytes()
    broken.write_bytes(content[:100])
    fsdd.unpack_clips(shards, tmp_path, bool)
    assert clip.stat().st_mtime_ns == before
    assert broken.read_bytes() == content


@pytest.mark.usefixtures("few")
def test_fsdd_download_is_checked_sample_by_sample(
    digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    release = write_fsdd(tmp_path / fsdd.RELEASE, digits).parent
    asked = pretend_download(monkeypatch, release)
    target = tmp_path / "target"
    with pytest.raises(DownloadError, match="is not FSDD, sample by sample"):
        fsdd.download_fsdd(target)
    monkeypatch.setattr(fsdd, "FINGERPRINT", fingerprint((release / "recordings").iterdir()))
    assert fsdd.download_fsdd(target) == target / fsdd.RELEASE
    assert asked == [target / f"{fsdd.RELEASE}.zip"], "what lies there is not fetched again"


@pytest.mark.usefixtures("few")
def test_fsdd_command_line_downloads_when_told_to(
    digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    release = write_fsdd(tmp_path / fsdd.RELEASE, digits).parent
    monkeypatch.setattr(fsdd, "FINGERPRINT", fingerprint((release / "recordings").iterdir()))
    pretend_download(monkeypatch, release)
    out = tmp_path / "out"
    assert fsdd.main(["--download", "--out", str(out), "--fold", "george"]) == 0
    splits = read_splits(out)
    assert {clip.speaker for clip in splits["test"]} == {"george"}
    assert splits["test"][0].audio.is_relative_to(out / "release")


def test_fsdd_command_line_takes_the_packed_clips_and_names_the_folder_after_the_fold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def note(source: Path, out: Path, **options: Any) -> list[Any]:
        asked.append((source, out, options["fold"]))
        return []

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(fsdd, "prepare_fsdd", note)
    assert fsdd.main([]) == 0
    assert fsdd.main(["--fold", "lucas"]) == 0
    assert fsdd.main(["--fold", "lucas", "--out", "here"]) == 0
    assert asked == [
        (fsdd.PACKED, Path("exp/fsdd/data"), None),
        (fsdd.PACKED, Path("exp/fsdd/fold_lucas/data"), "lucas"),
        (fsdd.PACKED, Path("here"), "lucas"),
    ]
