"""Raw PCM and microphones: the same waveform as from a file, in blocks, as it comes."""

import io
import logging
import struct
import sys
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from tiny_model import speak

from speechrnn import live_audio
from speechrnn.audio import load_audio
from speechrnn.errors import AudioError, ConfigError
from speechrnn.live_audio import BlockConverter, Microphone, PcmFormat, read_pcm

HALF = {
    "s16le": struct.pack("<h", 2**14),
    "s24le": b"\x00\x00\x40",
    "s32le": struct.pack("<i", 2**30),
    "f32le": struct.pack("<f", 0.5),
}
LOWEST = {
    "s16le": struct.pack("<h", -(2**15)),
    "s24le": b"\x00\x00\x80",
    "s32le": struct.pack("<i", -(2**31)),
    "f32le": struct.pack("<f", -1.0),
}


class Trickle(io.BytesIO):
    """A stream that has only a few bytes at a time."""

    def __init__(self, data: bytes, size: int) -> None:
        super().__init__(data)
        self.size = size

    def read1(self, size: int | None = -1, /) -> bytes:
        return super().read1(self.size)


def joined(blocks: Iterator[np.ndarray]) -> np.ndarray:
    return np.concatenate([np.zeros(0, dtype=np.float32), *blocks])


@pytest.mark.parametrize("encoding", HALF)
def test_every_encoding_gives_the_same_numbers(encoding: Any) -> None:
    pcm = PcmFormat(sample_rate=16_000, encoding=encoding)
    decoded = pcm.decode(HALF[encoding] + LOWEST[encoding])
    assert decoded.dtype == np.float32
    assert decoded.tolist() == [[0.5], [-1.0]]


def test_channels_are_interleaved_and_mixed_or_picked() -> None:
    data = struct.pack("<4h", 2**14, 0, -(2**14), 2**14)  # (0.5, 0), (-0.5, 0.5)
    pcm = PcmFormat(sample_rate=16_000, num_channels=2)
    assert joined(read_pcm(io.BytesIO(data), pcm, sample_rate=16_000)).tolist() == [0.25, 0.0]
    assert joined(read_pcm(io.BytesIO(data), pcm, sample_rate=16_000, channel=1)).tolist() == [0.0, 0.5]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 4096])
def test_samples_cut_by_the_stream_are_put_together_again(size: int) -> None:
    samples = np.arange(-50, 50, dtype="<i2")
    pcm = PcmFormat(sample_rate=16_000)
    blocks = read_pcm(Trickle(samples.tobytes(), size), pcm, sample_rate=16_000)
    assert (joined(blocks) * 2**15).tolist() == samples.tolist()


def test_blocks_come_as_soon_as_their_bytes_do_and_are_short() -> None:
    pcm = PcmFormat(sample_rate=16_000)
    blocks = list(read_pcm(Trickle(bytes(64), 8), pcm, sample_rate=16_000))
    assert [len(block) for block in blocks] == [4] * 8
    blocks = list(read_pcm(io.BytesIO(bytes(2 * 4000)), pcm, sample_rate=16_000))
    assert [len(block) for block in blocks] == [1600, 1600, 800]


@pytest.mark.parametrize("rate", [8_000, 44_100, 48_000])
@pytest.mark.parametrize("size", [999, 100_000])
def test_a_resampled_stream_is_the_resampled_file(rate: int, size: int) -> None:
    waveform = speak("ab c", sample_rate=rate)
    pcm = PcmFormat(sample_rate=rate, encoding="f32le")
    streamed = joined(read_pcm(Trickle(waveform.tobytes(), size), pcm, sample_rate=16_000))
    whole = load_audio(waveform, sample_rate=16_000, source_rate=rate)
    assert len(streamed) == len(whole)
    np.testing.assert_allclose(streamed, whole, atol=1e-5)


def test_an_empty_stream_gives_no_block() -> None:
    assert list(read_pcm(io.BytesIO(), PcmFormat(sample_rate=8_000), sample_rate=16_000)) == []


def test_a_stream_that_ends_within_a_sample_is_told_of(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "speechrnn")
    blocks = read_pcm(io.BytesIO(bytes(5)), PcmFormat(sample_rate=16_000), sample_rate=16_000)
    assert len(joined(blocks)) == 2
    assert caplog.messages == ["standard input: ends within a sample; 1 bytes are left over"]


def test_numbers_that_no_sound_has_are_refused_with_their_time() -> None:
    samples = np.zeros(3200, dtype="<f4")
    samples[2000] = np.nan
    blocks = read_pcm(
        io.BytesIO(samples.tobytes()), PcmFormat(sample_rate=16_000, encoding="f32le"), sample_rate=16_000
    )
    with pytest.raises(AudioError, match=r"standard input, at 0.1 s: 1 samples are NaN"):
        list(blocks)


def test_a_channel_that_is_not_there_is_refused() -> None:
    blocks = read_pcm(io.BytesIO(bytes(8)), PcmFormat(sample_rate=16_000), sample_rate=16_000, channel=1)
    with pytest.raises(AudioError, match="has no channel 1"):
        list(blocks)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sample_rate": 0}, "must be 1000 to 384000 Hz, got 0"),
        ({"sample_rate": 999}, "must be 1000 to 384000 Hz, got 999"),
        ({"sample_rate": 384_001}, "must be 1000 to 384000 Hz, got 384001"),
        ({"sample_rate": 8_000, "encoding": "s16be"}, "one of s16le, s24le, s32le, f32le, got 's16be'"),
        ({"sample_rate": 8_000, "num_channels": 0}, "1 to 8 channels, got 0"),
        ({"sample_rate": 8_000, "num_channels": 9}, "1 to 8 channels, got 9"),
    ],
)
def test_a_format_that_cannot_be_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        PcmFormat(**options)


# ---- The microphone, with a device that is none ---------------------------------------------------------


class FakeStream:
    """A device that hears what it is given as soon as it is started."""

    blocks: tuple[np.ndarray, ...] = ()
    status: object = None

    def __init__(self, *, callback: Callable[..., None], **options: Any) -> None:
        self.callback, self.options, self.is_closed = callback, options, False

    def start(self) -> None:
        for block in self.blocks:
            self.callback(block, len(block), None, self.status)

    def stop(self) -> None:
        self.is_stopped = True

    def close(self) -> None:
        self.is_closed = True


class FakeError(Exception):
    """Stands for PortAudioError."""


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    fake = SimpleNamespace(
        InputStream=type("Stream", (FakeStream,), {}),
        PortAudioError=FakeError,
        query_devices=lambda device, kind: {"default_samplerate": 44_100.0},
    )
    monkeypatch.setitem(sys.modules, "sounddevice", fake)
    return fake


def test_a_microphone_is_opened_at_its_own_rate_and_resampled(device: SimpleNamespace) -> None:
    said = speak("ab", sample_rate=44_100)
    device.InputStream.blocks = tuple(np.array_split(said[:, np.newaxis], 7))
    microphone = Microphone(sample_rate=16_000)
    with microphone as blocks:
        microphone.close()
        heard = joined(blocks)
    assert microphone._stream.options["samplerate"] == 44_100
    assert microphone._stream.is_closed
    np.testing.assert_allclose(heard, load_audio(said, sample_rate=16_000, source_rate=44_100), atol=1e-5)


def test_what_a_microphone_has_heard_is_not_lost_when_it_is_stopped(device: SimpleNamespace) -> None:
    device.InputStream.blocks = tuple(np.array_split(speak("a", sample_rate=44_100)[:, np.newaxis], 4))
    microphone = Microphone(sample_rate=44_100)
    with microphone as blocks:
        heard = [next(blocks)]
        heard += microphone.drain()
        assert microphone._stream.is_stopped
    assert np.concatenate(heard).tolist() == speak("a", sample_rate=44_100).tolist()


def test_a_microphone_that_nobody_listens_to_loses_audio_and_says_so(
    device: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(live_audio, "MOST_WAITING_S", 0.2)  # two blocks
    device.InputStream.blocks = (np.zeros((4410, 1), dtype=np.float32),) * 3
    with Microphone(sample_rate=44_100) as blocks:
        assert len(next(blocks)) == 4410
    assert "microphone: audio was lost" in caplog.text


def test_a_block_knows_how_much_was_lost_before_it(device: SimpleNamespace) -> None:
    microphone = Microphone(sample_rate=44_100)
    lost_s = []
    for status in (None, "input overflow", None):
        microphone._keep(np.zeros((4410, 1), dtype=np.float32), 4410, None, status)
    with microphone as blocks:
        microphone.close()
        for block in blocks:
            if len(block):
                lost_s.append(microphone.lost_s)
    assert lost_s == [0.0, 0.1, 0.1]


def test_audio_that_the_device_lost_is_told_of(
    device: SimpleNamespace, caplog: pytest.LogCaptureFixture
) -> None:
    device.InputStream.blocks = (np.zeros((4410, 1), dtype=np.float32),)
    device.InputStream.status = "input overflow"
    with Microphone(sample_rate=44_100) as blocks:
        next(blocks)
    assert "microphone: audio was lost" in caplog.text


def test_a_microphone_that_is_not_there_is_named(device: SimpleNamespace) -> None:
    def query(device: object, kind: str) -> None:
        raise ValueError("No input device matching 'headset'")

    device.query_devices = query
    with pytest.raises(AudioError, match="microphone headset: cannot be used: No input device matching"):
        Microphone(sample_rate=16_000, device="headset")


def test_a_microphone_that_cannot_be_opened_is_named(device: SimpleNamespace) -> None:
    def refuse(**options: Any) -> None:
        raise FakeError("Device unavailable")

    device.InputStream = refuse
    with pytest.raises(AudioError, match="microphone: cannot be opened at 44100 Hz: Device unavailable"):
        Microphone(sample_rate=16_000)


def test_without_the_extra_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    with pytest.raises(ConfigError, match=r'pip install "speechrnn\[mic\]"'):
        Microphone(sample_rate=16_000)


def test_without_portaudio_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(name: str) -> None:
        raise OSError("PortAudio library not found")

    monkeypatch.setattr(live_audio.importlib, "import_module", refuse)
    with pytest.raises(ConfigError, match="apt install libportaudio2"):
        Microphone(sample_rate=16_000)


def test_a_converter_says_nothing_of_an_empty_block() -> None:
    converter = BlockConverter("x", 16_000, sample_rate=16_000)
    assert len(converter.convert(np.zeros((0, 1), dtype=np.float32))) == 0
