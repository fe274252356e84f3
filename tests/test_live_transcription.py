"""Live streams: the text of the whole, however the samples came, and an utterance for each pause."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from networks import make_model, noise
from tiny_model import SAMPLE_RATE, speak, write_model

import speechrnn
from speechrnn.decoding import DecodingOptions
from speechrnn.errors import AudioError, ConfigError
from speechrnn.nn.export import export_model
from speechrnn.runtime import EndpointOptions, Transcriber, Transcription, WindowOptions, live_transcription

PAUSE = np.zeros(SAMPLE_RATE, np.float32)


@pytest.fixture(scope="module")
def tones(tmp_path_factory: pytest.TempPathFactory) -> Transcriber:
    return speechrnn.load(write_model(tmp_path_factory.mktemp("models") / "tones.onnx"), threads=1)


def pieces(samples: Any, seed: int, num_pieces: int = 30) -> list[Any]:
    """Cut at random places; some pieces are empty."""
    places = np.sort(np.random.default_rng(seed).integers(0, len(samples), num_pieces))
    return np.split(samples, places)


def listen(stream: Any, samples: Any, seed: int = 0) -> tuple[list[str], list[Transcription]]:
    """Feed samples in random pieces; returns the partial texts and all utterances, the last one included."""
    partials, finals = [], []
    for piece in pieces(samples, seed):
        update = stream.feed(piece)
        partials.append(update.partial)
        finals += update.finals
    return partials, [*finals, stream.final()]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("decoding", [DecodingOptions(), DecodingOptions(beam_size=8)])
def test_a_stream_ends_with_the_text_and_words_of_the_clip(
    tones: Transcriber, seed: int, decoding: DecodingOptions
) -> None:
    transcriber = Transcriber(tones.model.path, threads=1, decoding=decoding)
    samples = speak("abc cab b")
    whole = transcriber.transcribe(samples, SAMPLE_RATE)
    _, [final] = listen(transcriber.stream(), samples, seed)
    assert final.text == whole.text == "abc cab b"
    assert [(w.text, w.start_s, w.end_s) for w in final.words] == [
        (w.text, w.start_s, w.end_s) for w in whole.words
    ]


@pytest.mark.parametrize("seed", range(3))
def test_a_unidirectional_network_streams_the_answer_for_the_clip(tmp_path: Path, seed: int) -> None:
    model = make_model(encoder={"bidirectional": False}, features={"normalization": "global"})
    transcriber = Transcriber(export_model(model, tmp_path / "m.onnx"), threads=1)
    samples = noise(20_000, seed=seed).numpy()
    whole = transcriber.transcribe(samples, 8000)
    _, [final] = listen(transcriber.stream(), samples, seed)
    assert final.hypothesis.tokens == whole.hypothesis.tokens
    assert final.hypothesis.frames == whole.hypothesis.frames
    assert final.confidence == pytest.approx(whole.confidence, abs=1e-5)


ENCODERS: list[dict[str, Any]] = [{"bidirectional": True}, {"bidirectional": False}]


@pytest.mark.parametrize("encoder", ENCODERS, ids=["both directions", "one"])
@pytest.mark.parametrize("normalization", ["utterance", "global"])
def test_the_final_text_is_that_of_a_recording(
    tmp_path: Path, encoder: dict[str, Any], normalization: str
) -> None:
    model = make_model(encoder=encoder, features={"normalization": normalization})
    transcriber = Transcriber(export_model(model, tmp_path / "m.onnx"), threads=1)
    samples = noise(6 * 8000, seed=5).numpy()
    whole = transcriber.transcribe(samples, 8000)
    _, [final] = listen(transcriber.stream(), samples, seed=1)
    assert final.hypothesis.tokens == whole.hypothesis.tokens
    assert [(w.text, w.start_s) for w in final.words] == [(w.text, w.start_s) for w in whole.words]
    assert final.confidence == pytest.approx(whole.confidence, abs=1e-5)


def test_each_utterance_s_text_is_that_of_a_recording_of_it(tmp_path: Path) -> None:
    model = make_model(encoder={"bidirectional": True}, features={"normalization": "utterance"})
    transcriber = Transcriber(export_model(model, tmp_path / "m.onnx"), threads=1)
    samples = noise(7 * 8000, seed=6).numpy()
    stream = transcriber.stream(endpoint=EndpointOptions(silence_s=60.0, longest_s=2.0))
    _, finals = listen(stream, samples, seed=2)
    assert len(finals) == 4
    for number, final in enumerate(finals):
        clip = samples[number * 2 * 8000 : (number + 1) * 2 * 8000]
        assert final.text == transcriber.transcribe(clip, 8000).text
        assert all(number * 2 <= word.start_s <= number * 2 + 2 for word in final.words)


def test_an_utterance_that_is_too_long_to_be_heard_again_is_told_as_it_was_heard(
    tones: Transcriber, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_transcription, "LONG_S", 2.0)
    samples = np.concatenate([speak("abcabcabcabcabcabc"), PAUSE, speak("ab")])
    stream = tones.stream(endpoint=EndpointOptions(silence_s=0.5))
    _, finals = listen(stream, samples)
    assert [final.text for final in finals] == ["abcabcabcabcabcabc", "ab"]
    assert sum(map(len, stream.kept)) < (2 + 1 + 1.5) * SAMPLE_RATE


def test_partial_texts_only_grow_into_the_final_one(tones: Transcriber) -> None:
    partials, [final] = listen(tones.stream(), speak("abc cab b"))
    assert len(set(partials)) > 5
    for earlier, later in zip(partials, [*partials[1:], final.text], strict=True):
        assert later.startswith(earlier)


def test_each_pause_ends_an_utterance_and_times_count_from_the_start(tones: Transcriber) -> None:
    samples = np.concatenate([PAUSE, speak("ab"), PAUSE, speak("c ab"), PAUSE])
    stream = tones.stream(endpoint=EndpointOptions(silence_s=0.5))
    _, finals = listen(stream, samples)
    assert [found.text for found in finals] == ["ab", "c ab"]
    # 1 s of silence, then "ab" with 0.1 s of silence before each tone: 5 * 0.1 s; 1 s; 0.1 s; then c.
    assert finals[0].words[0].start_s == pytest.approx(1.1, abs=0.02)
    assert finals[1].words[0].start_s == pytest.approx(1.0 + 0.5 + 1.0 + 0.1, abs=0.02)


@pytest.mark.parametrize("seed", range(3))
def test_endpoints_do_not_depend_on_how_the_samples_came(tones: Transcriber, seed: int) -> None:
    samples = np.concatenate([speak("ab"), PAUSE, speak("c"), PAUSE, speak("cab")])
    streams = [tones.stream(endpoint=EndpointOptions(silence_s=0.3)) for _ in range(2)]
    found = [listen(stream, samples, seed)[1] for stream, seed in zip(streams, (seed, seed + 9), strict=True)]
    assert [final.text for final in found[0]] == ["ab", "c", "cab"]
    assert found[0] == found[1]


def test_an_utterance_ends_when_it_is_too_long_and_silence_is_none(tones: Transcriber) -> None:
    windows = WindowOptions(chunk_s=0.1, lookahead_s=0.1)
    stream = tones.stream(windows=windows, endpoint=EndpointOptions(silence_s=5.0, longest_s=1.0))
    update = stream.feed(np.zeros(4 * SAMPLE_RATE, np.float32))
    assert update.finals == ()
    update = stream.feed(speak("abcabcabcabc"))  # 2.5 s: two ends and half a second, less the lookahead
    assert len(update.finals) == 2
    assert "".join(final.text for final in [*update.finals, stream.final()]) == "abcabcabcabc"


@pytest.mark.parametrize(("rate", "dtype"), [(8000, np.float32), (48_000, np.int16), (44_100, np.float64)])
def test_other_rates_and_types_are_converted_as_they_come(tones: Transcriber, rate: int, dtype: Any) -> None:
    scale = np.iinfo(dtype).max if np.issubdtype(dtype, np.integer) else 1
    samples = (speak("abc", sample_rate=rate) * scale).astype(dtype)
    _, [final] = listen(tones.stream(rate), samples)
    assert final.text == "abc"


def test_stereo_is_mixed_or_one_channel_is_heard(tones: Transcriber) -> None:
    stereo = np.stack([speak("ab"), np.zeros_like(speak("ab"))], axis=1)
    stream = tones.stream(channel=0)
    stream.feed(stereo)
    assert stream.final().text == "ab"


def test_latency_is_chunk_and_lookahead(tones: Transcriber) -> None:
    short, long = (
        tones.stream(windows=WindowOptions(chunk_s=0.1, lookahead_s=lookahead_s)).latency_s
        for lookahead_s in (0.1, 0.6)
    )
    assert long - short == pytest.approx(0.5, abs=0.011)
    assert short == pytest.approx(0.2, abs=0.07)  # and what the front end hears beyond


def test_what_cannot_be_streamed_is_refused(tones: Transcriber, tmp_path: Path) -> None:
    keywords = Transcriber(write_model(tmp_path / "keywords.onnx", "classification"))
    with pytest.raises(ConfigError, match="keyword model has one answer for a clip"):
        keywords.stream()
    with pytest.raises(AudioError, match="sample rate must be > 0 Hz, got 0"):
        tones.stream(0)
    for name in ("silence_s", "longest_s"):
        with pytest.raises(ConfigError, match=f"{name} must be > 0"):
            EndpointOptions(**{name: 0.0})
    stream = tones.stream()
    with pytest.raises(AudioError, match="NaN"):
        stream.feed(np.array([np.nan], np.float32))
    with pytest.raises(AudioError, match="must be int16, int32 or float"):
        stream.feed(np.zeros(4, np.uint8))
    stream.final()
    with pytest.raises(AudioError, match="is finished"):
        stream.feed(np.zeros(4, np.float32))
    with pytest.raises(AudioError, match="is finished"):
        stream.final()


def test_a_stream_without_samples_is_empty(tones: Transcriber) -> None:
    stream = tones.stream()
    assert stream.feed(np.zeros(0, np.float32)).partial == ""
    assert stream.final().text == ""
