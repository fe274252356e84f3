"""Fingerprints of samples."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from speechrnn.errors import AudioError
from speechrnn.training.fingerprint import fingerprint, read_samples


def write(path: Path, samples: list[int], rate: int = 8000) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    sf.write(path, np.array(samples, dtype=np.int16), rate, subtype="PCM_16")
    return path


def test_fingerprint_by_hand(tmp_path: Path) -> None:
    later = write(tmp_path / "b.wav", [1, -2])
    sooner = write(tmp_path / "z" / "a.wav", [256], rate=16_000)
    # Names in order; little-endian: 256 = 00 01, 1 = 01 00, -2 = fe ff.
    expected = hashlib.sha256(b"a 16000 1 1\n\x00\x01b 8000 2 1\n\x01\x00\xfe\xff").hexdigest()
    assert fingerprint([later, sooner]) == expected


def test_fingerprint_is_that_of_the_samples_and_not_of_the_format(tmp_path: Path) -> None:
    samples = np.random.default_rng(0).integers(-32768, 32767, 1000).tolist()
    found = {
        suffix: fingerprint([write(tmp_path / suffix / f"a.{suffix}", samples)]) for suffix in ("wav", "flac")
    }
    sf.write(tmp_path / "a.sph", np.array(samples, np.int16), 8000, "PCM_16", format="NIST")
    assert set(found.values()) == {fingerprint([tmp_path / "a.sph"])}


@pytest.mark.parametrize(
    "other",
    [[1, 2, 4], [1, 2], [1, 2, 3, 0]],
)
def test_fingerprint_changes_with_any_sample(tmp_path: Path, other: list[int]) -> None:
    one = write(tmp_path / "1" / "a.wav", [1, 2, 3])
    assert fingerprint([one]) != fingerprint([write(tmp_path / "2" / "a.wav", other)])


def test_fingerprint_changes_with_name_and_rate(tmp_path: Path) -> None:
    one = write(tmp_path / "1" / "a.wav", [1, 2, 3])
    renamed = write(tmp_path / "2" / "b.wav", [1, 2, 3])
    faster = write(tmp_path / "3" / "a.wav", [1, 2, 3], rate=16_000)
    assert len({fingerprint([path]) for path in (one, renamed, faster)}) == 3


def test_fingerprint_counts_files(tmp_path: Path) -> None:
    files = [write(tmp_path / f"{name}.wav", [1]) for name in "abc"]
    counted: list[int] = []
    fingerprint(files, on_file=lambda: counted.append(1))
    assert len(counted) == 3


def test_read_samples_names_a_file_that_is_no_audio(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(b"no audio")
    with pytest.raises(AudioError, match=r"a\.wav cannot be read"):
        read_samples(tmp_path / "a.wav")
    with pytest.raises(AudioError, match=r"b\.wav cannot be read"):
        fingerprint([tmp_path / "b.wav"])
