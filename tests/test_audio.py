"""Every kind of audio becomes the same waveform, and what cannot be used says why."""

import contextlib
import errno
import io
import logging
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from programs import AAC, M4A, fake_ffmpeg

from speechrnn import audio
from speechrnn.audio import load_audio, read_format
from speechrnn.errors import AudioError, LongAudioError
from speechrnn.sound_file import ffmpeg, sound
from speechrnn.sound_file.keeping import keep_sound
from speechrnn.sound_file.opening import Memory

RATE = 16_000
LOSSLESS = [
    ("WAV", "PCM_16", 2**-15),
    ("WAV", "PCM_24", 2**-23),
    ("WAV", "PCM_32", 1e-7),
    ("WAV", "FLOAT", 1e-7),
    ("WAV", "DOUBLE", 1e-7),
    ("FLAC", "PCM_16", 2**-15),
    ("FLAC", "PCM_24", 2**-23),
]
LOSSY = [("OGG", "VORBIS", 0.005), ("OGG", "OPUS", 0.02), ("MP3", "MPEG_LAYER_III", 0.005)]
KINDS = LOSSLESS + LOSSY


@pytest.fixture(autouse=True)
def fresh_notices() -> Iterator[None]:
    for say in (audio.say_resampling, audio.say_downmixing):
        say.cache_clear()
    yield
    for say in (audio.say_resampling, audio.say_downmixing):
        say.cache_clear()


def make_tone(rate: int = RATE, duration_s: float = 0.5, channels: int = 1) -> NDArray[Any]:
    """Two sines far below 4 kHz, faded in and out: (samples, channels), all channels alike."""
    time = np.arange(round(duration_s * rate)) / rate
    fade = np.sin(np.pi * time / duration_s) ** 2
    tone = fade * (0.3 * np.sin(2 * np.pi * 300 * time) + 0.2 * np.sin(2 * np.pi * 1100 * time))
    return np.tile(tone[:, None], (1, channels))


def encode(samples: NDArray[Any], rate: int = RATE, kind: str = "WAV", subtype: str = "PCM_16") -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format=kind, subtype=subtype)
    return file.getvalue()


def load(source: Any, **options: Any) -> NDArray[np.float32]:
    return load_audio(source, **{"sample_rate": RATE, **options})


def root_mean_square(samples: NDArray[Any]) -> float:
    return float(np.sqrt(np.mean(samples**2)))


def notices(caplog: pytest.LogCaptureFixture) -> list[str]:
    assert all(record.name == "speechrnn" for record in caplog.records)
    return [record.getMessage() for record in caplog.records]


# ---- Every kind gives the same waveform -------------------------------------------------------


@pytest.mark.parametrize(("kind", "subtype", "tolerance"), KINDS)
def test_path_bytes_and_file_object_give_one_and_the_same_waveform(
    tmp_path: Path, kind: str, subtype: str, tolerance: float
) -> None:
    data = encode(make_tone(), kind=kind, subtype=subtype)
    path = tmp_path / f"clip.{kind.lower()}"
    path.write_bytes(data)
    waveform = load(data)
    assert waveform.dtype == np.float32
    assert waveform.flags.c_contiguous
    assert root_mean_square(waveform - make_tone()[:, 0]) <= tolerance  # of the tone: 0.156
    with path.open("rb") as file:
        buffers = (bytearray(data), memoryview(data))
        for other in (load(path), load(str(path)), load(file), load(io.BytesIO(data)), *map(load, buffers)):
            np.testing.assert_array_equal(other, waveform)


@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100, 48_000])
@pytest.mark.parametrize("channels", [1, 2, 6, 8])
def test_every_rate_and_number_of_channels_gives_the_same_waveform(rate: int, channels: int) -> None:
    waveform = load(encode(make_tone(rate, channels=channels), rate))
    assert waveform.shape == (RATE // 2,)
    np.testing.assert_allclose(waveform, make_tone()[:, 0], atol=1e-3)


@pytest.mark.parametrize(("kind", "subtype", "tolerance"), LOSSY)
@pytest.mark.parametrize("rate", [8_000, 48_000])
@pytest.mark.parametrize("channels", [1, 2])
def test_lossy_kinds_resample_and_mix_down_alike(
    kind: str, subtype: str, tolerance: float, rate: int, channels: int
) -> None:
    waveform = load(encode(make_tone(rate, channels=channels), rate, kind, subtype))
    assert waveform.shape == (RATE // 2,)
    assert root_mean_square(waveform - make_tone()[:, 0]) <= tolerance


def test_eight_bits_and_telephone_codings_are_read() -> None:
    for subtype, tolerance in [("PCM_U8", 2**-7), ("ULAW", 0.02), ("ALAW", 0.02)]:
        np.testing.assert_allclose(
            load(encode(make_tone(), subtype=subtype)), make_tone()[:, 0], atol=tolerance
        )


def test_arrays_of_every_type_give_the_same_waveform() -> None:
    tone = make_tone()[:, 0]
    # Full scale of int16 is 2^15, of int32 2^31.
    arrays = [(tone * 2**15).astype(np.int16), (tone * 2**31).astype(np.int32)]
    arrays += [tone.astype(kind) for kind in (np.float16, np.float32, np.float64)]
    for array in arrays:
        waveform = load(array, source_rate=RATE)
        assert waveform.dtype == np.float32
        np.testing.assert_allclose(waveform, tone, atol=5e-4)


def test_integers_are_divided_by_full_scale() -> None:
    # -32768 / 32768 = -1, 16384 / 32768 = 0.5
    waveform = load(np.array([-32768, 0, 16384], dtype=np.int16), source_rate=RATE)
    assert waveform.tolist() == [-1.0, 0.0, 0.5]


def test_an_array_is_resampled_from_its_own_rate() -> None:
    waveform = load(make_tone(48_000), source_rate=48_000)
    np.testing.assert_allclose(waveform, make_tone()[:, 0], atol=1e-3)


def test_the_source_array_is_left_as_it_was() -> None:
    array = np.array([0.5, 2.0], dtype=np.float32)
    load(array, source_rate=RATE)[:] = 0
    assert array.tolist() == [0.5, 2.0]


def test_channels_are_averaged_and_never_read_as_interleaved() -> None:
    # By hand: (0.5 + 0.25) / 2 = 0.375, (-0.5 + 0.25) / 2 = -0.125
    stereo = np.array([[0.5, 0.25], [-0.5, 0.25]])
    assert load(stereo, source_rate=RATE).tolist() == [0.375, -0.125]
    assert load(encode(stereo)).tolist() == [0.375, -0.125]


@pytest.mark.parametrize("channel", [0, 1])
def test_one_channel_can_be_picked_also_at_another_rate(channel: int) -> None:
    stereo = np.stack([make_tone(8_000)[:, 0], np.zeros(4_000)], axis=1)
    waveform = load(encode(stereo, 8_000), channel=channel)
    expected = make_tone()[:, 0] if channel == 0 else np.zeros(RATE // 2)
    np.testing.assert_allclose(waveform, expected, atol=1e-3)


def test_overshoot_beyond_full_scale_is_clipped() -> None:
    assert load(np.array([0.5, 1.2, -1.1]), source_rate=RATE).tolist() == [0.5, 1.0, -1.0]
    square = np.sign(make_tone(8_000))
    assert np.abs(load(square, source_rate=8_000)).max() <= 1


@given(st.integers(1, 400), st.sampled_from([8_000, 11_025, 22_050, 44_100, 48_000]), st.integers(1, 8))
def test_resampling_keeps_the_duration(num_samples: int, rate: int, channels: int) -> None:
    try:
        waveform = load(np.full((num_samples, channels), 0.25), source_rate=rate)
    except AudioError:  # less than one sample
        assert num_samples * RATE / rate < 1
    else:
        assert abs(len(waveform) - num_samples * RATE / rate) <= 1


def test_clips_longer_than_a_block_are_read_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    data = {kind: encode(make_tone(), kind=kind, subtype=subtype) for kind, subtype, _ in KINDS}
    whole = {kind: load(data[kind]) for kind in data}
    monkeypatch.setattr(sound, "BLOCK", 1_000)  # 8,000 samples are 8 full blocks and none left
    for kind in data:
        np.testing.assert_allclose(load(data[kind]), whole[kind], atol=1e-6)


# ---- Names ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["two words.wav", 'it\'s "so".wav', "голос ☂.wav", "-i.wav", "$(id);&.wav", "a%d.wav"]
)
def test_a_file_may_have_any_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    (tmp_path / name).write_bytes(encode(make_tone()))
    monkeypatch.chdir(tmp_path)
    assert len(load(name)) == RATE // 2
    assert len(load(tmp_path / name)) == RATE // 2


# ---- Notices ----------------------------------------------------------------------------------


def test_a_clip_of_the_models_kind_says_nothing(caplog: pytest.LogCaptureFixture) -> None:
    load(encode(make_tone()))
    assert notices(caplog) == []


def test_resampling_and_mixing_down_are_said_once_for_each_kind(caplog: pytest.LogCaptureFixture) -> None:
    for rate in (44_100, 48_000, 44_100, 48_000):
        for channels in (2, 6, 2, 1):
            load(encode(make_tone(rate, 0.01, channels), rate))
    assert notices(caplog) == [
        "audio of 2 channels is mixed down to their mean",
        "audio at 44100 Hz is resampled to the model's 16000 Hz",
        "audio of 6 channels is mixed down to their mean",
        "audio at 48000 Hz is resampled to the model's 16000 Hz",
    ]


def test_picking_a_channel_is_no_mixing_and_says_nothing(caplog: pytest.LogCaptureFixture) -> None:
    load(encode(make_tone(channels=2)), channel=1)
    assert notices(caplog) == []


def test_8_khz_material_in_a_16_khz_model_has_a_warning_of_its_own(caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(2):
        load(encode(make_tone(8_000), 8_000))
    [message] = notices(caplog)
    # Nyquist: 8,000 / 2 = 4,000 Hz
    assert "8000 Hz" in message
    assert "holds nothing above 4000 Hz" in message
    assert "worse accuracy" in message
    assert caplog.records[0].levelno == logging.WARNING


# ---- m4a and aac ------------------------------------------------------------------------------


@pytest.mark.parametrize("data", [M4A, AAC])
def test_m4a_and_aac_are_read_through_ffmpeg(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    # As ffmpeg to a pipe: 32-bit floats, both sizes unknown.
    wav = bytearray(encode(make_tone(), subtype="FLOAT"))
    place = wav.index(b"data") + 4
    wav[4:8] = wav[place : place + 4] = b"\xff" * 4
    (tmp_path / "converted").write_bytes(wav)
    body = f"sys.stdout.buffer.write(open({str(tmp_path / 'converted')!r}, 'rb').read())"
    noted = fake_ffmpeg(tmp_path, monkeypatch, body)
    clip = tmp_path / "-y clip's.m4a"
    clip.write_bytes(data)
    np.testing.assert_allclose(load(clip), make_tone()[:, 0], atol=1e-7)
    arguments = noted.read_text()
    assert "-nostdin" in arguments  # or it would eat the terminal's input
    assert "clip's" not in arguments  # it gets a copy under a plain name
    assert notices(caplog) == []


def test_what_ffmpeg_says_of_a_file_that_it_reads_is_passed_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "converted").write_bytes(encode(make_tone()))
    body = f"sys.stdout.buffer.write(open({str(tmp_path / 'converted')!r}, 'rb').read())"
    fake_ffmpeg(tmp_path, monkeypatch, f"{body}\nsys.stderr.write('partial file')")
    assert len(load(M4A)) == RATE // 2
    assert notices(caplog) == ["audio of 128 bytes: ffmpeg reads it, but says: partial file"]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (
            "sys.stderr.write('[mov @ 0x5f] [x] moov atom not found\\nError\\n'); sys.exit(1)",
            "moov atom not found$",
        ),
        ("sys.exit(1)", "no reason given"),
        ("pass", "no reason given"),
    ],
)
def test_what_ffmpeg_cannot_read_is_an_error_with_its_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str, reason: str
) -> None:
    fake_ffmpeg(tmp_path, monkeypatch, body)
    clip = tmp_path / "a.m4a"
    clip.write_bytes(M4A)
    with pytest.raises(AudioError, match=rf"a\.m4a: ffmpeg cannot read it: {reason}"):
        load(clip)


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not installed")
@pytest.mark.parametrize("suffix", ["webm", "mkv", "wma", "mp4", "mov", "avi", "flv", "aac"])
def test_what_libsndfile_does_not_know_ffmpeg_reads(tmp_path: Path, suffix: str) -> None:
    wav, clip = tmp_path / "a.wav", tmp_path / f"a.{suffix}"
    wav.write_bytes(encode(make_tone(44_100), 44_100))
    picture = ["-f", "lavfi", "-i", "color=size=16x16:duration=0.5"] if suffix in ("mkv", "avi") else []
    subprocess.run(["ffmpeg", "-v", "error", "-i", wav, *picture, clip], check=True)
    for source in (clip, clip.read_bytes()):
        assert len(load(source)) == pytest.approx(RATE // 2, abs=2048)
    assert read_format(clip).num_channels == 1


@pytest.mark.parametrize(
    "data",
    [b"\x1a\x45\xdf\xa3", b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", b"#!AMR\n", b"RIFF\0\0\0\0AVI ", b"FLV\x01"],
)
def test_without_ffmpeg_what_it_would_read_names_it(data: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ffmpeg.shutil, "which", lambda _: None)
    with pytest.raises(AudioError, match=r"mkv, wma, .* are read with ffmpeg, which is not there"):
        load(data + bytes(100))


def test_a_full_temporary_folder_is_named_with_its_cure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*files: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    clip = tmp_path / "a.m4a"
    clip.write_bytes(M4A)
    message = rf"a\.m4a: the temporary folder {tempfile.gettempdir()} is full; set TMPDIR to a folder with more room"
    said = "'av_interleaved_write_frame(): No space left on device'"
    fake_ffmpeg(tmp_path, monkeypatch, f"sys.stderr.write({said}); sys.exit(1)")
    for _ in ("ffmpeg finds no room", "its copy of the file has none"):
        with pytest.raises(AudioError, match=message):
            load(clip)
        with pytest.raises(AudioError, match=message):
            keep_sound(clip, str(clip))
        monkeypatch.setattr(ffmpeg.shutil, "copyfileobj", refuse)


def test_of_what_ffmpeg_reads_only_the_beginning_is_converted_to_know_its_format(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "converted").write_bytes(encode(make_tone(channels=2)))
    body = f"sys.stdout.buffer.write(open({str(tmp_path / 'converted')!r}, 'rb').read())"
    noted = fake_ffmpeg(tmp_path, monkeypatch, body)
    assert read_format(M4A) == (RATE, 2)
    assert "'-t', '1.000'" in noted.read_text()


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not installed")
def test_a_real_m4a_is_read_and_a_truncated_one_refused_or_warned_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    wav, m4a = tmp_path / "a.wav", tmp_path / "a.m4a"
    wav.write_bytes(encode(make_tone()))
    subprocess.run(["ffmpeg", "-v", "error", "-i", wav, "-movflags", "faststart", m4a], check=True)
    waveform = load(m4a)
    assert RATE // 2 <= len(waveform) <= RATE // 2 + 1024  # AAC frames are 1024 samples
    assert root_mean_square(waveform[: RATE // 2] - make_tone()[:, 0]) <= 0.01
    assert notices(caplog) == []
    m4a.write_bytes(m4a.read_bytes()[:-2000])
    with contextlib.suppress(AudioError):
        load(m4a)
        assert "but says" in notices(caplog)[-1]


def test_without_ffmpeg_m4a_is_an_error_that_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ffmpeg.shutil, "which", lambda _: None)
    clip = tmp_path / "a.m4a"
    clip.write_bytes(M4A)
    with pytest.raises(AudioError, match=r"a\.m4a: m4a, mp4, .* are read with ffmpeg, .* apt install ffmpeg"):
        load(clip)


def test_wav_needs_no_ffmpeg_and_no_torch() -> None:
    code = (
        "import sys; from speechrnn.audio import load_audio; import shutil\n"
        "shutil.which = None\n"
        "load_audio(sys.stdin.buffer, sample_rate=16000)\n"
        "assert not {'torch', 'torchaudio', 'torchcodec', 'lightning', 'lhotse'} & set(sys.modules)\n"
    )
    root = str(Path(audio.__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-c", code],
        input=encode(make_tone()),
        capture_output=True,
        env={**os.environ, "PYTHONPATH": root},
    )
    assert done.returncode == 0, done.stderr.decode()


# ---- Sizes that are unknown, and sizes that are wrong -----------------------------------------


def with_sizes(riff: int, data: int) -> bytes:
    """A WAV file with these sizes in its header, which is 44 bytes with the data's size at 40."""
    wav = bytearray(encode(make_tone()))
    wav[4:8], wav[40:44] = riff.to_bytes(4, "little"), data.to_bytes(4, "little")
    return bytes(wav)


@pytest.mark.parametrize("riff", [0, 8, 36, 0x7FFF_FFFF, 0xFFFF_FFFF])
@pytest.mark.parametrize("data", [0, 0x7FFF_F000, 0x7FFF_FFFF, 0xFFFF_FFFF - 36, 0xFFFF_FFFF])
def test_a_wav_written_to_a_pipe_is_read_to_its_end(riff: int, data: int) -> None:
    # As arecord, sox and ffmpeg write them; 36 and 0: Python's wave, killed before it filled in the sizes.
    np.testing.assert_allclose(load(with_sizes(riff, data)), make_tone()[:, 0], atol=2**-15)


def test_what_follows_a_wavs_samples_is_not_taken_for_samples() -> None:
    wav = encode(make_tone()) + b"LIST\4\0\0\0INFO"
    assert len(load(wav)) == RATE // 2
    empty = bytearray(encode(make_tone()[:0]) + b"LIST\4\0\0\0INFO")
    empty[4:8] = (len(empty) - 8).to_bytes(4, "little")
    with pytest.raises(AudioError, match="holds no samples"):
        load(bytes(empty))


def test_a_flac_stream_of_unknown_length_is_read_to_its_end() -> None:
    flac = bytearray(encode(make_tone(), kind="FLAC"))
    # STREAMINFO begins at 8; its number of samples is the low half of byte 13 and the four after it.
    flac[21] &= 0xF0
    flac[22:26] = bytes(4)
    np.testing.assert_allclose(load(bytes(flac)), make_tone()[:, 0], atol=2**-15)


def make_mp3(mode: str) -> tuple[bytes, bytes]:
    """An MP3 that begins loud and ends in silence, and the same without the frame that counts the others."""
    samples = np.concatenate([np.random.default_rng(0).uniform(-0.5, 0.5, 2 * RATE), np.zeros(2 * RATE)])
    file = io.BytesIO()
    options: Any = {"bitrate_mode": mode, "compression_level": 0.5}
    soundfile.write(file, samples, RATE, format="MP3", subtype="MPEG_LAYER_III", **options)
    whole = file.getvalue()
    return whole, whole[whole.index(whole[:2], 64) :]


@pytest.mark.parametrize("mode", ["CONSTANT", "VARIABLE"])
@pytest.mark.parametrize("tag", [b"", b"ID3\3\0\0\0\0\1\0" + bytes(128)])
def test_an_mp3_cut_from_a_stream_loses_nothing(mode: str, tag: bytes) -> None:
    whole, headless = make_mp3(mode)
    assert len(load(tag + whole)) == 4 * RATE
    # Without the header the encoder's delay and padding stay: at most 3 frames of 576 samples.
    assert 4 * RATE <= len(load(tag + headless)) <= 4 * RATE + 3 * 576


@pytest.mark.parametrize(("kind", "subtype", "tolerance"), KINDS)
@pytest.mark.parametrize("share", [0.01, 0.1, 0.5, 0.9, 0.999])
def test_a_truncated_file_is_an_error(
    tmp_path: Path, kind: str, subtype: str, tolerance: float, share: float
) -> None:
    data = encode(make_tone(), kind=kind, subtype=subtype)
    path = tmp_path / "half.audio"
    path.write_bytes(data[: int(share * len(data))])
    with pytest.raises(AudioError, match=r"half\.audio: .*truncated"):
        load(path)


@pytest.mark.parametrize("kind", ["RF64", "W64", "AIFF", "AU"])
def test_other_containers_are_read_and_refused_when_truncated(kind: str) -> None:
    data = encode(make_tone(), kind=kind)
    np.testing.assert_allclose(load(data), make_tone()[:, 0], atol=2**-15)
    with pytest.raises(AudioError, match=r"truncated: \d+ bytes are there of \d+"):
        load(data[: len(data) // 2])


def test_truncation_says_what_is_there_and_what_should_be() -> None:
    # 8,000 samples of 2 bytes after a header of 44; 1,044 bytes hold 1,000 of the 16,000.
    with pytest.raises(AudioError, match=r"^audio of 1044 bytes: truncated: 1000 bytes are there of 16000$"):
        load(encode(make_tone())[:1044])


@pytest.mark.parametrize("subtype", ["VORBIS", "OPUS"])
def test_an_ogg_stream_cut_between_pages_is_read_with_a_warning(
    subtype: str, caplog: pytest.LogCaptureFixture
) -> None:
    noise = np.random.default_rng(0).uniform(-0.3, 0.3, 4 * RATE)
    whole = encode(noise, kind="OGG", subtype=subtype)
    cut = whole[: whole.rindex(b"OggS")]
    assert 2 * RATE < len(load(cut)) < 4 * RATE
    assert notices(caplog) == [
        f"audio of {len(cut)} bytes: has no end-of-stream mark; the file may be truncated"
    ]


# ---- What cannot be used ----------------------------------------------------------------------


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match=r"gone\.wav: no such file$"):
        load(tmp_path / "gone.wav")


def test_a_folder_is_named_as_one(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match=rf"^{tmp_path}: is a folder"):
        load(tmp_path)


def test_an_empty_name_still_shows_in_the_message() -> None:
    with pytest.raises(AudioError, match=r"^'': is a folder"):
        load("")


def test_a_path_below_a_file_says_why(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(b"")
    with pytest.raises(AudioError, match=r"b\.wav: cannot be read: Not a directory"):
        load(tmp_path / "a.wav" / "b.wav")


def test_a_path_with_a_null_byte_is_an_error_of_ours() -> None:
    with pytest.raises(AudioError, match="cannot be read: embedded null byte"):
        load("a\0.wav")


def test_a_file_without_permission_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path, mode: str) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "open", refuse)  # root may read everything, so no chmod here
    with pytest.raises(AudioError, match=r"a\.wav: cannot be read: Permission denied$"):
        load(tmp_path / "a.wav")


@pytest.mark.parametrize("source", [b"", io.BytesIO()])
def test_an_empty_file_is_an_error(source: Any) -> None:
    with pytest.raises(AudioError, match=r"is empty \(0 bytes\)"):
        load(source)


def test_a_closed_file_is_an_error_of_ours() -> None:
    file = io.BytesIO(encode(make_tone()))
    file.close()
    with pytest.raises(AudioError, match="audio stream: cannot be read: I/O operation on closed file"):
        load(file)


def test_a_file_opened_as_text_is_an_error_of_ours(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("hello")
    with (
        path.open() as file,
        pytest.raises(AudioError, match=r"a\.txt: must be opened in binary mode; reading it gave str"),
    ):
        load(file)


@pytest.mark.parametrize("source", [None, 7, [0.1, 0.2], {"path": "a.wav"}])
def test_something_else_than_audio_is_an_error_of_ours(source: Any) -> None:
    with pytest.raises(AudioError, match=f"must be a path, bytes, .* got {type(source).__name__}"):
        load(source)


@pytest.mark.parametrize(
    "data",
    [
        b"a",
        b"RIFF",
        b"hello there\n" * 100,
        bytes(5_000),
        b'{"audio": "x.wav"}',
        b"\x89PNG\r\n\x1a\n" + bytes(99),
    ],
)
def test_a_file_that_is_no_audio_is_named(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "notes.wav"
    path.write_bytes(data)
    with pytest.raises(AudioError, match=r"notes\.wav: not audio that can be read"):
        load(path)


@given(
    st.binary(max_size=300),
    st.sampled_from([b"", b"RIFF\0\0\0\0WAVE", b"OggS", b"fLaC", b"ID3", b"\xff\xfb"]),
)
def test_no_bytes_at_all_lead_to_anything_but_a_clip_or_our_error(data: bytes, beginning: bytes) -> None:
    try:
        waveform = load(beginning + data)
    except AudioError:
        pass
    else:
        assert len(waveform) > 0
        assert np.abs(waveform).max() <= 1


@pytest.mark.parametrize(("kind", "subtype"), [("WAV", "PCM_16"), ("OGG", "VORBIS")])
def test_a_clip_of_no_samples_is_an_error(kind: str, subtype: str) -> None:
    with pytest.raises(AudioError, match=r"holds no samples \(0 s\)"):
        load(encode(make_tone()[:0], kind=kind, subtype=subtype))


@pytest.mark.parametrize("shape", [(0,), (0, 2)])
def test_an_array_of_no_samples_is_an_error(shape: tuple[int, ...]) -> None:
    with pytest.raises(AudioError, match=r"holds no samples \(0 s\)"):
        load(np.zeros(shape), source_rate=RATE)


def test_a_clip_shorter_than_one_sample_of_the_model_is_an_error() -> None:
    with pytest.raises(AudioError, match="1 samples at 48000 Hz are less than one at 8000 Hz"):
        load(np.zeros(1), source_rate=48_000, sample_rate=8_000)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_samples_that_are_no_numbers_are_counted_and_the_first_is_named(tmp_path: Path, value: float) -> None:
    samples = make_tone(channels=2)
    samples[70, 1] = samples[90, 0] = samples[90, 1] = value
    path = tmp_path / "broken.wav"
    path.write_bytes(encode(samples, subtype="FLOAT"))
    with pytest.raises(
        AudioError, match=r"broken\.wav: 3 samples are NaN or infinite, the first at sample 70"
    ):
        load(path)
    with pytest.raises(AudioError, match=r"array of shape \(8000, 2\): 3 samples are NaN"):
        load(samples, source_rate=RATE)


def test_samples_too_large_for_float32_are_infinite() -> None:
    with pytest.raises(AudioError, match="1 samples are NaN or infinite"):
        load(np.array([0.0, 1e300]), source_rate=RATE)


def test_floats_that_were_never_divided_are_an_error() -> None:
    with pytest.raises(AudioError, match=r"samples go up to 12000; floats must be in \[-1, 1\]"):
        load(np.array([0.0, -12_000.0]), source_rate=RATE)


def test_nine_channels_are_refused() -> None:
    with pytest.raises(AudioError, match="has 9 channels; at most 8"):
        load(encode(make_tone(channels=9)))


@pytest.mark.parametrize("shape", [(2, 16_000), (16_000, 0)])
def test_an_array_with_its_axes_exchanged_is_refused(shape: tuple[int, int]) -> None:
    with pytest.raises(AudioError, match=f"has {shape[1]} channels; at most 8"):
        load(np.zeros(shape), source_rate=RATE)


@pytest.mark.parametrize("channel", [2, -1, "left"])
def test_a_channel_that_is_not_there_is_an_error(channel: Any) -> None:
    with pytest.raises(AudioError, match=f"has no channel {channel!r}; it has 2, counted from 0"):
        load(encode(make_tone(channels=2)), channel=channel)


def test_an_array_without_a_rate_is_an_error() -> None:
    with pytest.raises(AudioError, match=r"array of shape \(8000, 1\): an array needs its sample rate"):
        load(make_tone())


@pytest.mark.parametrize("rate", [0, -16_000])
def test_a_rate_below_one_is_an_error(rate: int) -> None:
    with pytest.raises(AudioError, match=f"sample rate must be > 0 Hz, got {rate}"):
        load(make_tone(), source_rate=rate)


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.int64, np.bool_, np.complex64, np.object_, np.str_])
def test_an_array_of_another_type_is_an_error(dtype: Any) -> None:
    with pytest.raises(AudioError, match="samples must be int16, int32 or float, got"):
        load(np.zeros(10, dtype=dtype), source_rate=RATE)


@pytest.mark.parametrize("shape", [(), (1, 2, 3)])
def test_an_array_of_other_dimensions_is_an_error(shape: tuple[int, ...]) -> None:
    with pytest.raises(AudioError, match=r"must be \(samples,\) or \(samples, channels\)"):
        load(np.zeros(shape), source_rate=RATE)


# ---- How a file was recorded ----------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "mp3"])
def test_the_format_of_a_file_is_read_without_its_samples(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"x.{suffix}"
    soundfile.write(path, np.zeros((4410, 2)), 44_100)
    assert read_format(path) == (44_100, 2)
    assert read_format(str(path)) == (44_100, 2)
    assert read_format(path.read_bytes()) == (44_100, 2)
    with path.open("rb") as file:
        assert read_format(file) == (44_100, 2)


def test_the_format_of_what_is_no_audio_is_an_error_like_the_loaders(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match="gone.wav: no such file"):
        read_format(tmp_path / "gone.wav")
    with pytest.raises(AudioError, match="not audio that can be read"):
        read_format(b"no audio at all")


# ---- Ctrl-C ---------------------------------------------------------------------------------------------


class Interrupting(io.BytesIO):
    """A file in which Ctrl-C is pressed while libsndfile reads it."""

    def readinto(self, buffer: Any) -> int:
        if self.tell() > 0:
            signal.raise_signal(signal.SIGINT)
        return super().readinto(buffer)


def test_ctrl_c_in_the_middle_of_a_file_is_no_truncated_file(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    written = io.BytesIO()
    soundfile.write(written, np.zeros(160_000), 16_000, format="OGG", subtype="VORBIS")
    monkeypatch.setattr(sound, "native", lambda file: Interrupting(file.getvalue()))
    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        load_audio(written.getvalue(), sample_rate=16_000)
    assert signal.getsignal(signal.SIGINT) is handler
    assert capfd.readouterr().err == ""


# ---- Headers that lie -----------------------------------------------------------------------------------


def wav_bytes(samples: NDArray[Any]) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, 16_000, format="WAV", subtype="PCM_16")
    return file.getvalue()


def test_a_rate_that_would_make_hours_of_a_second_is_refused() -> None:
    data = bytearray(wav_bytes(np.zeros(100)))
    data[24:28] = (7).to_bytes(4, "little")  # the sample rate
    message = "audio of 244 bytes: says it was recorded at 7 Hz; below 1000 Hz there is no speech"
    with pytest.raises(AudioError, match=message):
        load_audio(bytes(data), sample_rate=16_000)
    with pytest.raises(AudioError, match="recorded at 7 Hz"):
        read_format(bytes(data))


def test_a_place_before_the_beginning_is_no_place() -> None:
    file = Memory(b"abc")
    assert file.seek(2) == 2
    assert file.seek(-1) == 2
    assert file.seek(-1, os.SEEK_CUR) == 1
    assert file.read() == b"bc"


def test_a_file_longer_than_wanted_is_refused_and_not_read_on() -> None:
    second = wav_bytes(np.zeros(16_000))
    assert len(load_audio(second, sample_rate=16_000, max_s=1.0)) == 16_000
    with pytest.raises(LongAudioError, match="audio of 32044 bytes: longer than 0.5 s"):
        load_audio(second, sample_rate=16_000, max_s=0.5)
