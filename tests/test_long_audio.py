"""Long clips: read in blocks, heard in windows or with carried state, decoded as they come."""

import io
import logging
import os
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from networks import make_model, noise
from numpy.typing import NDArray
from tiny_model import SAMPLE_RATE, TOKEN_S, metadata, speak, write_model

from speechrnn import long_audio
from speechrnn.audio import load_audio
from speechrnn.decoding import DecodingOptions, greedy_decode
from speechrnn.errors import AudioError, ConfigError
from speechrnn.long_audio import LongAudio, load_or_open
from speechrnn.nn.export import export_model
from speechrnn.runtime import Transcriber, Transcription, WindowOptions, transcriber
from speechrnn.runtime.hearing_progress import part_of
from speechrnn.sound_file import sound


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sound, "BLOCK", 5000)


def write_sound(path: Path, samples: Any, rate: int = SAMPLE_RATE, **options: Any) -> Path:
    soundfile.write(path, samples, rate, **options)
    return path


# ---- Blocks ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rate", [8000, 16_000, 44_100, 48_000])
@pytest.mark.parametrize("channel", ["mean", 1])
@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "mp3"])
def test_blocks_joined_are_the_waveform(tmp_path: Path, rate: int, channel: Any, suffix: str) -> None:
    samples = 0.5 * np.sin(np.arange(3 * rate) * 0.05)[:, None] * [[1.0, 0.3]]
    path = write_sound(tmp_path / f"a.{suffix}", samples, rate)
    expected = load_audio(path, sample_rate=SAMPLE_RATE, channel=channel)
    for source in (path, path.read_bytes()):
        long = LongAudio(source=source, sample_rate=SAMPLE_RATE, channel=channel)
        for _ in range(2):  # it can be gone through again
            blocks = list(long.blocks())
            assert max(map(len, blocks)) <= 5000 * SAMPLE_RATE / min(rate, SAMPLE_RATE) + 1
            np.testing.assert_allclose(np.concatenate(blocks), expected, atol=1e-5)


def test_an_array_is_read_in_blocks_too() -> None:
    samples = (10_000 * np.sin(np.arange(40_000))).astype(np.int16)
    long = LongAudio(source=samples, sample_rate=SAMPLE_RATE, source_rate=8000)
    expected = load_audio(samples, sample_rate=SAMPLE_RATE, source_rate=8000)
    np.testing.assert_allclose(np.concatenate(list(long.blocks())), expected, atol=1e-5)


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "mp3"])
def test_long_audio_knows_its_duration_before_it_is_read(tmp_path: Path, suffix: str) -> None:
    path = write_sound(tmp_path / f"a.{suffix}", noise(24_000).numpy()[:24_000], 8000)
    assert LongAudio(source=path, sample_rate=SAMPLE_RATE).duration_s == pytest.approx(3.0, abs=0.2)
    array = LongAudio(source=np.zeros(4000, np.int16), sample_rate=SAMPLE_RATE, source_rate=8000)
    assert array.duration_s == 0.5


def test_the_duration_of_a_file_that_does_not_say_it_is_unknown(tmp_path: Path) -> None:
    path = write_sound(tmp_path / "a.flac", np.zeros(8000), 8000)
    data = bytearray(path.read_bytes())
    # STREAMINFO begins at byte 8; bits 108 to 143 of it count the samples.
    data[21] &= 0xF0
    data[22:26] = bytes(4)
    assert LongAudio(source=bytes(data), sample_rate=SAMPLE_RATE).duration_s is None


@pytest.mark.parametrize("kind", ["path", "bytes", "file", "array"])
def test_a_clip_is_loaded_whole_up_to_a_length_and_opened_beyond(tmp_path: Path, kind: str) -> None:
    samples = speak("ab")
    path = write_sound(tmp_path / "a.wav", samples)
    source: Any = {"path": path, "bytes": path.read_bytes(), "array": samples}.get(kind)

    def found(whole_s: float) -> NDArray[np.float32] | LongAudio:
        fresh = io.BytesIO(path.read_bytes()) if kind == "file" else source
        return load_or_open(fresh, sample_rate=SAMPLE_RATE, source_rate=SAMPLE_RATE, whole_s=whole_s)

    whole, opened = found(0.5), found(0.4)  # 5 parts of 0.1 s
    assert isinstance(opened, LongAudio)
    assert isinstance(whole, np.ndarray)
    np.testing.assert_allclose(np.concatenate(list(opened.blocks())), whole, atol=1e-6)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such pipes")
def test_a_long_clip_out_of_a_pipe_can_be_gone_through_again(tmp_path: Path) -> None:
    path, fifo = write_sound(tmp_path / "a.wav", speak("ab")), tmp_path / "fifo"
    os.mkfifo(fifo)
    threading.Thread(target=fifo.write_bytes, args=(path.read_bytes(),), daemon=True).start()
    found = load_or_open(fifo, sample_rate=SAMPLE_RATE, whole_s=0.4)
    assert isinstance(found, LongAudio)
    assert found.name == str(fifo)
    assert [len(np.concatenate(list(found.blocks()))) for _ in range(2)] == [len(speak("ab"))] * 2


def test_what_is_wrong_further_back_comes_when_it_is_read(tmp_path: Path) -> None:
    samples = np.zeros(40_000, np.float32)
    samples[30_000] = np.nan
    path = write_sound(tmp_path / "a.wav", samples, subtype="FLOAT")
    found = load_or_open(path, sample_rate=SAMPLE_RATE, whole_s=0.5)
    assert isinstance(found, LongAudio)
    with pytest.raises(AudioError, match=r"a\.wav, at 1\.9 s: 1 samples are NaN"):
        list(found.blocks())


def test_a_long_file_that_ends_too_early_is_truncated(tmp_path: Path) -> None:
    path = write_sound(tmp_path / "a.wav", np.zeros(40_000, np.int16))
    path.write_bytes(path.read_bytes()[:60_000])
    found = load_or_open(path, sample_rate=SAMPLE_RATE, whole_s=0.5)
    assert isinstance(found, LongAudio)
    with pytest.raises(AudioError, match=r"a\.wav: truncated"):
        list(found.blocks())


# ---- Transcription --------------------------------------------------------------------------------------


@pytest.fixture
def long_s(monkeypatch: pytest.MonkeyPatch) -> float:
    """Call long what is longer than a second, so that the tests are short."""
    monkeypatch.setattr(transcriber, "LONG_S", 1.0)
    return 1.0


WINDOWS = WindowOptions(chunk_s=0.5, context_s=0.5, lookahead_s=0.5)
TEXTS = ["a", "abc abc abc", "cab", "", "c" * 20, "b b"]


@pytest.mark.usefixtures("long_s")
@pytest.mark.parametrize("batch_s", [0.1, 2.0, 120.0])
@pytest.mark.parametrize("decoding", [DecodingOptions(), DecodingOptions(beam_size=8)])
def test_long_clips_among_short_ones_have_their_texts_words_and_times(
    tmp_path: Path, batch_s: float, decoding: DecodingOptions
) -> None:
    model = write_model(tmp_path / "tones.onnx")
    tones = Transcriber(model, threads=1, windows=WINDOWS, batch_s=batch_s, decoding=decoding)
    results = tones.transcribe([speak(text) for text in TEXTS], SAMPLE_RATE)
    assert [result.text for result in results] == TEXTS
    assert results[4].duration_s == pytest.approx(41 * TOKEN_S)
    # "abc abc abc": the second word's first tone is the fifth of the text, so it begins at (1 + 2 * 4) * 0.1 s.
    assert [word.text for word in results[1].words] == ["abc"] * 3
    assert results[1].words[1].start_s == pytest.approx(0.9, abs=0.02)


@pytest.mark.usefixtures("long_s")
def test_a_long_file_gives_the_emission_and_the_text_of_the_whole(tmp_path: Path) -> None:
    path = write_sound(tmp_path / "a.flac", speak("abc cab abc"))
    tones = Transcriber(write_model(tmp_path / "tones.onnx"), windows=WINDOWS)
    [emission] = tones.compute_each([path])
    waveform = load_audio(path, sample_rate=SAMPLE_RATE)
    whole, _ = tones.model.run(waveform[None], [len(waveform)])
    assert not isinstance(emission, Exception)
    np.testing.assert_allclose(emission.log_probs, whole[0], atol=1e-4)
    assert tones.transcribe(path).text == "abc cab abc"


@pytest.mark.usefixtures("long_s")
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("normalization", ["utterance", "global"])
def test_a_long_clip_of_any_network_is_heard_as_a_whole(
    tmp_path: Path, bidirectional: bool, normalization: str
) -> None:
    model = make_model(encoder={"bidirectional": bidirectional}, features={"normalization": normalization})
    windows = WindowOptions(chunk_s=1.0, context_s=2.4, lookahead_s=2.4)
    network = Transcriber(export_model(model, tmp_path / "m.onnx"), windows=windows)
    waveform = noise(44_000, seed=1).numpy()  # 5.5 s
    [emission] = network.compute_each([waveform], 8000)
    assert not isinstance(emission, Exception)
    whole, _ = network.model.run(waveform[None], [len(waveform)])
    np.testing.assert_allclose(emission.log_probs, whole[0], atol=1e-5)
    assert network.transcribe(waveform, 8000).hypothesis.tokens


@pytest.mark.usefixtures("long_s")
@pytest.mark.parametrize(("normalization", "begin"), [("utterance", 0.1), ("global", 0.0)])
def test_the_first_pass_over_a_long_clip_is_told_as_its_share(
    tmp_path: Path, normalization: str, begin: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(long_audio, "BLOCK", 11_000)
    model = make_model(encoder={"bidirectional": False}, features={"normalization": normalization})
    network = Transcriber(export_model(model, tmp_path / "m.onnx"), windows=WINDOWS)
    told: list[tuple[float, float | None]] = []
    waveform = noise(44_000).numpy()  # 5.5 s: four blocks
    [answer] = network.transcribe_each([waveform], 8000, on_heard=lambda *pair: told.append(pair))
    assert isinstance(answer, Transcription)
    shares = list(
        dict.fromkeys(done_s / whole_s for done_s, whole_s in told if whole_s)
    )  # the end comes twice
    first = [begin * quarter for quarter in (0.25, 0.5, 0.75, 1.0)] if begin else []
    second = [begin + (1 - begin) * quarter for quarter in (0.25, 0.5, 0.75, 1.0)]
    assert shares == pytest.approx([*first, *second])


def test_of_a_clip_of_unknown_length_only_the_last_pass_is_told() -> None:
    told: list[tuple[float, float | None]] = []
    for begin, end in ((0, 0.1), (0.1, 1)):
        part_of(lambda *pair: told.append(pair), begin, end)(3.0, None)
    assert told == [(3.0, None)]


@pytest.mark.usefixtures("long_s")
@pytest.mark.parametrize(("normalization", "heard_s"), [("utterance", 0.15), ("global", 1.5)])
def test_a_long_clip_is_given_up_where_whoever_is_told_of_it_raises_an_error(
    tmp_path: Path, normalization: str, heard_s: float
) -> None:
    model = make_model(features={"normalization": normalization})
    network = Transcriber(export_model(model, tmp_path / "m.onnx"), windows=WINDOWS)
    told: list[float] = []

    def stop_the_first(heard_s: float, duration_s: float | None) -> None:
        told.append(heard_s)
        if len(told) == 1:
            raise AudioError("enough")

    waveform = noise(12_000, seed=1).numpy()  # 1.5 s, one block
    first, second = network.transcribe_each([waveform, waveform], 8000, on_heard=stop_the_first)
    assert isinstance(first, AudioError)
    assert isinstance(second, Transcription)
    assert told[0] == pytest.approx(heard_s)  # counting statistics is a tenth of the work


SAMPLES = Path(__file__).parents[1] / "data" / "samples"


@pytest.fixture(scope="module")
def five_minutes() -> NDArray[np.float32]:
    clips = [load_audio(path, sample_rate=16_000) for path in sorted(SAMPLES.glob("an4_*.wav"))]
    order = np.random.default_rng(0).choice(len(clips), 200)
    return np.concatenate([clips[index] for index in order])[: 300 * 16_000]


def posteriors(windows: WindowOptions, waveform: NDArray[np.float32]) -> NDArray[np.float32]:
    [emission] = Transcriber(windows=windows).compute_each([waveform], 16_000)
    assert not isinstance(emission, Exception)
    return np.exp(emission.log_probs)


def test_the_seams_of_five_minutes_of_speech_do_not_show(five_minutes: NDArray[np.float32]) -> None:
    an4 = Transcriber()
    assert (len(five_minutes), an4.info.sample_rate) == (300 * 16_000, 16_000)
    [whole], _ = an4.model.run(five_minutes[None], [len(five_minutes)])
    text = greedy_decode(whole[None], [len(whole)], an4.info.vocabulary)[0].text
    assert len(text.split()) > 300
    usual = posteriors(transcriber.LONG_WINDOWS, five_minutes)
    # This LSTM remembers more than the ten seconds that windows overlap by, but too little to change the text.
    np.testing.assert_array_equal(usual.argmax(axis=1), whole.argmax(axis=1))
    assert np.quantile(np.abs(usual - np.exp(whole)).max(axis=1), 0.999) < 0.01
    wide = WindowOptions(chunk_s=120.0, context_s=30.0, lookahead_s=30.0)
    np.testing.assert_allclose(posteriors(wide, five_minutes), np.exp(whole), atol=0.01)


@pytest.mark.usefixtures("long_s")
def test_a_damaged_long_file_costs_only_itself(tmp_path: Path) -> None:
    path = write_sound(tmp_path / "a.wav", speak("abc abc"), subtype="PCM_16")
    damaged = tmp_path / "b.wav"
    damaged.write_bytes(path.read_bytes()[:40_000])
    tones = Transcriber(write_model(tmp_path / "tones.onnx"), windows=WINDOWS)
    first, second, third = tones.transcribe_each([path, damaged, path])
    assert isinstance(first, Transcription)
    assert isinstance(third, Transcription)
    assert first.text == third.text == "abc abc"
    assert isinstance(second, AudioError)
    assert "b.wav: truncated" in str(second)
    assert isinstance(next(iter(tones.compute_each([damaged]))), AudioError)


def test_a_keyword_model_refuses_a_clip_that_no_label_can_sum_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transcriber, "LONGEST_LABELLED_S", 1.0)
    keywords = Transcriber(write_model(tmp_path / "keywords.onnx", "classification"))
    with pytest.raises(AudioError, match=r"longer than 1 s; a keyword model picks one label .* so cut it"):
        keywords.transcribe(speak("abcabc"), SAMPLE_RATE)
    with pytest.raises(ConfigError, match="keyword model has one answer for a clip"):
        keywords.interpreter.stream("x")


@pytest.mark.usefixtures("long_s")
def test_a_file_of_format_1_that_hears_whole_clips_only_still_does(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    config = metadata()["speechrnn.config"].replace(
        '{"sample_rate"', '{"normalization": "utterance", "sample_rate"'
    )
    properties = {**metadata(), "speechrnn.config": config}
    tones = Transcriber(write_model(tmp_path / "tones.onnx", properties=properties))
    with caplog.at_level(logging.WARNING, "speechrnn"):
        assert tones.transcribe(speak("abc abc"), SAMPLE_RATE).text == "abc abc"


def test_as_many_windows_go_together_as_the_batch_holds(tmp_path: Path) -> None:
    model = write_model(tmp_path / "tones.onnx")
    windows = WindowOptions(chunk_s=40, context_s=10, lookahead_s=10)
    batches = [Transcriber(model, windows=windows, batch_s=s).windows.batch for s in (1, 60, 120, 185)]
    assert batches == [1, 1, 2, 3]
