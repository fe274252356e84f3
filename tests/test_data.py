"""The recordings that come with the repository are what they are said to be."""

import csv
import tarfile
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from lhotse import CutSet
from recipe_modules import ROOT, fsdd, make_samples, pack_fsdd

from speechrnn.manifest import read_manifest
from speechrnn.training.fingerprint import fingerprint, read_samples

DATA = ROOT / "data"
SAMPLES = DATA / "samples"
# Over the seven clips of AN4, from the lossless copy of the release.
AN4_SAMPLES = "bad3828c8f9f20e893fa58e487e85ef7c2b390f76a8005b312b1f2f44ba24b8e"


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Unpack all clips."""
    shards = sorted(fsdd.PACKED.glob("recording.*.tar"))
    folder: Path = fsdd.unpack_clips(shards, tmp_path_factory.mktemp("recordings"), bool)
    return folder


def rows() -> list[dict[str, str]]:
    with open(SAMPLES / "transcripts.tsv", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def test_packed_digits_are_sample_by_sample_those_of_the_release(clips: Path) -> None:
    # The recipe's fingerprint was computed from the WAV files of the tag v1.0.10.
    assert len(list(clips.iterdir())) == 3000
    assert fingerprint(clips.iterdir()) == fsdd.FINGERPRINT


def test_packed_digits_are_small_and_few() -> None:
    files = list(fsdd.PACKED.iterdir())
    assert len(files) == 12
    assert sum(path.stat().st_size for path in files) < 20_000_000


# Lhotse leaves the tars to the garbage collector to close.
@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_packed_digits_open_as_lhotse_shar_and_agree_with_their_names(clips: Path) -> None:
    cuts = list(CutSet.from_shar(in_dir=fsdd.PACKED))
    assert len(cuts) == 3000
    for cut in cuts:
        digit, speaker, index = cut.id.split("_")
        assert cut.supervisions[0].text == fsdd.DIGITS[int(digit)]
        assert cut.supervisions[0].speaker == speaker
        assert cut.index == int(index)
    assert sum(cut.index in fsdd.TEST_INDICES for cut in cuts) == 300
    for cut in cuts[::300]:
        samples, sample_rate = read_samples(clips / f"{cut.id}.flac")
        assert cut.sampling_rate == sample_rate == 8000
        assert np.array_equal(cut.load_audio()[0] * 32768, samples[:, 0])


def test_packed_digits_carry_no_trace_of_a_machine_or_a_day() -> None:
    for path in fsdd.PACKED.glob("*.tar"):
        with tarfile.open(path) as archive:
            traces = {(m.mtime, m.uid, m.gid, m.uname, m.gname, m.mode) for m in archive}
        assert traces == {(0, 0, 0, "", "", 0o644)}
    for path in fsdd.PACKED.glob("*.gz"):
        header = path.read_bytes()[:10]
        assert header[3] == 0, "no file name"
        assert header[4:8] == bytes(4), "no time"


def test_packing_wav_or_flac_again_gives_the_same_bytes(clips: Path, tmp_path: Path) -> None:
    some = fsdd.read_clips(clips)[::200]
    copies = []
    for clip in some:
        samples, sample_rate = read_samples(clip.audio)
        sf.write(tmp_path / f"{clip.id}.wav", samples, sample_rate, "PCM_16")
        copies.append(pack_fsdd.Utterance(**{**vars(clip), "audio": tmp_path / f"{clip.id}.wav"}))
    pack_fsdd.pack(some, tmp_path / "flac")
    pack_fsdd.pack(copies, tmp_path / "wav")
    names = sorted(path.name for path in (tmp_path / "flac").iterdir())
    assert len(names) == 12
    for name in names:
        assert (tmp_path / "flac" / name).read_bytes() == (tmp_path / "wav" / name).read_bytes()


def test_packing_writes_the_manifest_that_is_shipped(clips: Path, tmp_path: Path) -> None:
    pack_fsdd.pack((c for c in fsdd.read_clips(clips) if c.speaker == "george"), tmp_path)
    made = CutSet.from_jsonl_lazy(tmp_path / "cuts.000000.jsonl.gz")
    shipped = CutSet.from_jsonl_lazy(fsdd.PACKED / "cuts.000000.jsonl.gz")
    assert list(made) == list(shipped)


def test_every_sample_clip_has_a_row_with_text_speaker_and_licence() -> None:
    assert sorted(row["audio"] for row in rows()) == sorted(p.name for p in SAMPLES.glob("*.wav"))
    for row in rows():
        corpus, *name = Path(row["audio"]).stem.split("_")
        assert row["speaker"] in name
        assert row["licence"] == {"an4": "CMU-AN4", "fsdd": "CC-BY-SA-4.0"}[corpus]
        assert row["text"] == row["text"].lower().strip() != ""


def test_sample_clips_are_read_as_a_manifest() -> None:
    utterances = read_manifest(SAMPLES / "transcripts.tsv")
    assert [(u.audio.name, u.text, u.speaker) for u in utterances] == [
        (row["audio"], row["text"], row["speaker"]) for row in rows()
    ]


def test_sample_clips_are_16_bit_wav_at_the_rate_of_their_corpus() -> None:
    for path in SAMPLES.glob("*.wav"):
        facts = sf.info(path)
        rate = 16_000 if path.name.startswith("an4") else 8000
        assert (facts.format, facts.subtype, facts.samplerate) == ("WAV", "PCM_16", rate)


def test_sample_digits_are_packed_clips_of_the_official_test_set(clips: Path) -> None:
    names = sorted(path.stem.removeprefix("fsdd_") for path in SAMPLES.glob("fsdd_*.wav"))
    assert names == sorted(make_samples.FSDD)
    for name in names:
        samples, _ = read_samples(SAMPLES / f"fsdd_{name}.wav")
        assert np.array_equal(samples, read_samples(clips / f"{name}.flac")[0])
        assert int(name.split("_")[2]) in fsdd.TEST_INDICES


def test_sample_clips_of_an4_are_sample_by_sample_those_of_the_release() -> None:
    clips = [SAMPLES / f"{make_samples.an4_name(name)}.wav" for name in make_samples.AN4]
    assert len({path.stem.split("_")[1] for path in clips}) == 7, "seven speakers"
    assert fingerprint(clips) == AN4_SAMPLES


def test_every_licence_lies_beside_its_recordings() -> None:
    notice = (SAMPLES / "LICENSE-an4.txt").read_text(encoding="utf-8")
    assert "Copyright (c) 1991-2005 Carnegie Mellon University" in notice
    for path in (SAMPLES / "LICENSE-fsdd.txt", DATA / "fsdd" / "LICENSE"):
        text = path.read_text(encoding="utf-8")
        assert "https://creativecommons.org/licenses/by-sa/4.0/" in text
        assert "https://github.com/Jakobovski/free-spoken-digit-dataset" in text


def test_the_readme_says_what_everything_is() -> None:
    text = (DATA / "README.md").read_text(encoding="utf-8")
    entries = [path.name for path in DATA.iterdir() if path.name != "__pycache__"]
    assert [name for name in entries if name not in text] == ["README.md"]
