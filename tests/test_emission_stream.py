"""Streams: in pieces a model answers what it answers for the whole clip, however the pieces were cut."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from networks import make_model, noise
from tiny_model import SAMPLE_RATE, metadata, speak, write_model

from speechrnn.errors import AudioError, ConfigError, ModelFileError
from speechrnn.nn.export import export_model
from speechrnn.runtime import ModelFile
from speechrnn.runtime.emission_stream import (
    EmissionStream,
    WindowOptions,
    stream_emissions,
)
from speechrnn.runtime.feature_statistics import Statistics, count_statistics

RATE = 8000
NUM_SAMPLES = 20_011  # 2.5 s, no whole number of frames
EXACT = 1e-5


def sound(num_samples: int = NUM_SAMPLES) -> Any:
    """Make noise that grows, so that mean and variance depend on how much was heard."""
    loudness = np.linspace(0.05, 1, num_samples, dtype=np.float32)
    return noise(1, num_samples, seed=3).numpy()[0] * loudness


def pieces(samples: Any, seed: int) -> list[Any]:
    """Cut at random places; some pieces are empty."""
    places = np.sort(np.random.default_rng(seed).integers(0, len(samples), 25))
    return np.split(samples, [*places, places[-1]])


def make_file(folder: Path, task: str = "ctc", **options: Any) -> ModelFile:
    return ModelFile(export_model(make_model(task, **options), folder / "m.onnx"), threads=1)


def whole(model: ModelFile, samples: Any) -> Any:
    log_probs, _ = model.run(samples[None], [len(samples)])
    return log_probs[0]


def streamed(
    model: ModelFile, samples: Any, statistics: Statistics | None = None, seed: int = 0, **options: Any
) -> Any:
    found = stream_emissions(model, pieces(samples, seed), WindowOptions(**options), statistics=statistics)
    return np.concatenate(list(found))


# ---- Unidirectional: carried state -----------------------------------------------------------------------


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
@pytest.mark.parametrize("subsampling", [1, 2, 4])
@pytest.mark.parametrize("deltas", [0, 2])
def test_a_unidirectional_model_streams_what_it_answers_for_the_whole(
    tmp_path: Path, cell: str, subsampling: int, deltas: int
) -> None:
    encoder = {"cell": cell, "subsampling": subsampling, "bidirectional": False}
    features = {"deltas": deltas, "normalization": "global", "preemphasis": 0.97}
    model, samples = make_file(tmp_path, encoder=encoder, features=features), sound()
    answer = streamed(model, samples, chunk_s=0.1)
    assert answer.shape == whole(model, samples).shape
    np.testing.assert_allclose(answer, whole(model, samples), atol=EXACT)


@pytest.mark.parametrize(
    "encoder", [{"norm": "none"}, {"norm": "batch"}, {"projection_size": 5}, {"residual": False}]
)
@pytest.mark.parametrize("chunk_s", [0.02, 0.3, 9.0])
def test_every_encoder_streams_at_every_chunk_size(
    tmp_path: Path, encoder: dict[str, Any], chunk_s: float
) -> None:
    features = {"kind": "mfcc", "normalization": "none"}
    model = make_file(tmp_path, encoder={"bidirectional": False, **encoder}, features=features)
    samples = sound()
    np.testing.assert_allclose(streamed(model, samples, chunk_s=chunk_s), whole(model, samples), atol=EXACT)


@pytest.mark.parametrize("num_samples", [0, 100, 255, 256, 300, 700, 1800])
def test_a_short_clip_streams_too(tmp_path: Path, num_samples: int) -> None:
    model = make_file(tmp_path, encoder={"bidirectional": False}, features={"normalization": "none"})
    samples = sound()[:num_samples]
    stream = EmissionStream(model)
    answer = np.concatenate([stream.feed(samples), stream.finish()])
    expected = whole(model, samples) if num_samples >= 256 else np.zeros((0, 5))
    np.testing.assert_allclose(answer, expected, atol=EXACT)


# ---- Bidirectional: overlapping windows ------------------------------------------------------------------


@pytest.mark.parametrize("deltas", [0, 1])
def test_with_enough_overlap_the_seams_of_a_bidirectional_model_do_not_show(
    tmp_path: Path, deltas: int
) -> None:
    model, samples = make_file(tmp_path, features={"deltas": deltas}), sound()
    answer = whole(model, samples)
    statistics = count_statistics(model, pieces(samples, 1))
    errors = []
    for overlap_s in (0.1, 0.5, 2.4):
        windows = {"chunk_s": 0.3, "context_s": overlap_s, "lookahead_s": overlap_s}
        errors.append(np.abs(streamed(model, samples, statistics, **windows) - answer).max())
    assert errors[0] > errors[1] > errors[2]
    assert errors[2] < EXACT


def test_windows_that_go_through_the_network_together_answer_what_they_answer_alone(tmp_path: Path) -> None:
    model, samples = make_file(tmp_path), sound()
    statistics = count_statistics(model, [samples])
    windows = {"chunk_s": 0.2, "context_s": 0.3, "lookahead_s": 0.2}
    alone = streamed(model, samples, statistics, **windows)
    for batch in (3, 100):
        together = streamed(model, samples, statistics, batch=batch, **windows)
        np.testing.assert_allclose(together, alone, atol=EXACT)


def test_a_window_of_a_bidirectional_model_is_heard_as_a_clip_of_its_own_is(tmp_path: Path) -> None:
    # One output frame is 2 * 80 samples. Context and lookahead of 0.2 s are 10 frames, and a chunk of 0.1 s is
    # 5; the frames within ``margin`` of a cut hear zeros where there was sound, and 3 of them are left out.
    model = make_file(tmp_path, features={"normalization": "none"})
    samples = sound()
    stream = EmissionStream(model, WindowOptions(chunk_s=0.1, context_s=0.2, lookahead_s=0.2))
    assert (stream.chunk, stream.context, stream.lookahead, stream.margin) == (5, 10, 10, 3)
    answer = np.concatenate([stream.feed(samples), stream.finish()])
    first, start = 40, 40 - 10 - 3
    # Output 27 of the window is centred on feature frame 54, and the convolutions see 6 frames further.
    num_samples = 60 * 80 + 256
    clip = samples[start * 160 : start * 160 + num_samples]
    inputs = {"skip": np.array([3]), "hold": np.array([model_outputs(num_samples) - 28])}
    expected = model.run_window(clip[None], inputs)["log_probs"][0]
    np.testing.assert_allclose(answer[first : first + 5], expected[10:15], atol=EXACT)


def model_outputs(num_samples: int) -> int:
    """Count the output frames of the small network: windows of 256 every 80 samples, every other one."""
    return (1 + (num_samples - 256) // 80 + 1) // 2


# ---- How it was cut does not matter ----------------------------------------------------------------------


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("normalization", ["none", "utterance"])
def test_answers_do_not_depend_on_how_the_samples_were_cut(
    tmp_path: Path, bidirectional: bool, normalization: str
) -> None:
    features = {"normalization": normalization, "deltas": 1}
    model = make_file(tmp_path, encoder={"bidirectional": bidirectional}, features=features)
    samples = sound()
    first, second = (streamed(model, samples, seed=seed, warm_up_s=0.5) for seed in (1, 2))
    np.testing.assert_array_equal(first, second)
    at_once = EmissionStream(model, WindowOptions(warm_up_s=0.5))
    np.testing.assert_array_equal(np.concatenate([at_once.feed(samples), at_once.finish()]), first)


def test_a_stream_keeps_no_more_than_a_window_of_samples(tmp_path: Path) -> None:
    model = make_file(tmp_path, features={"normalization": "none"})
    options = WindowOptions(chunk_s=0.1, context_s=0.2, lookahead_s=0.1)
    stream = EmissionStream(model, options)
    kept = []
    for piece in np.array_split(sound(40_000), 50):
        stream.feed(piece)
        kept.append(len(stream.waveform))
    assert max(kept) < 0.7 * RATE


@pytest.mark.parametrize("bidirectional", [False, True])
def test_an_answer_comes_no_later_than_the_latency(tmp_path: Path, bidirectional: bool) -> None:
    model = make_file(tmp_path, encoder={"bidirectional": bidirectional}, features={"normalization": "none"})
    options = WindowOptions(chunk_s=0.1, context_s=0.2, lookahead_s=0.3)
    stream = EmissionStream(model, options)
    samples, known = sound(), 0
    for heard in range(40, 20_001, 40):
        known += len(stream.feed(samples[heard - 40 : heard]))
        assert heard / RATE - known * stream.frame_s < stream.latency_s + 40 / RATE
    # The chunk, the lookahead of a bidirectional model, and what the front end looks ahead: 6 feature frames
    # less the one that begins with the output frame, and the rest of the last one's 256 samples.
    lookahead_s = 0.3 if bidirectional else 0.0
    assert stream.latency_s == pytest.approx(0.1 + lookahead_s + (5 * 80 - 80 + 256) / RATE, abs=0.011)


# ---- Normalisation of utterances -------------------------------------------------------------------------


@pytest.mark.parametrize("deltas", [0, 2])
@pytest.mark.parametrize("block_s", [0.1, 30.0])
def test_statistics_of_a_clip_in_pieces_are_those_of_the_whole(
    tmp_path: Path, deltas: int, block_s: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    from speechrnn.runtime import feature_statistics

    network = make_model(features={"deltas": deltas})
    model = ModelFile(export_model(network, tmp_path / "m.onnx"), threads=1)
    monkeypatch.setattr(feature_statistics, "BLOCK_S", block_s)
    samples = sound()
    features, _ = network.features.unnormalized(torch.from_numpy(samples[None]), torch.tensor([len(samples)]))
    statistics = count_statistics(model, pieces(samples, 4))
    assert statistics is not None
    assert statistics.num_frames == features.shape[1]
    np.testing.assert_allclose(statistics.mean[0, 0], features[0].mean(0), atol=1e-4)
    np.testing.assert_allclose(statistics.variance[0, 0], features[0].var(0, correction=0), rtol=1e-3)


def test_models_that_do_not_normalise_utterances_need_no_statistics(tmp_path: Path) -> None:
    model = make_file(tmp_path, features={"normalization": "global"})
    assert count_statistics(model, [sound()]) is None


def test_with_the_statistics_of_the_whole_a_stream_is_exact(tmp_path: Path) -> None:
    model, samples = make_file(tmp_path, encoder={"bidirectional": False}), sound()
    answer = streamed(model, samples, count_statistics(model, [samples]))
    np.testing.assert_allclose(answer, whole(model, samples), atol=EXACT)


def test_a_live_stream_waits_for_its_warm_up_and_normalises_by_what_it_heard(tmp_path: Path) -> None:
    model, samples = make_file(tmp_path, encoder={"bidirectional": False}), sound()
    stream = EmissionStream(model, WindowOptions(chunk_s=0.1, warm_up_s=1.0))
    assert len(stream.feed(samples[:7900])) == 0
    first = stream.feed(samples[7900:8176])  # 100 feature frames end at sample 99 * 80 + 256
    statistics = count_statistics(model, [samples[:8176]])
    assert statistics is not None
    assert statistics.num_frames == 100
    expected = streamed(model, samples, statistics, chunk_s=0.1)
    np.testing.assert_allclose(first, expected[: len(first)], atol=EXACT)


def test_a_live_stream_shorter_than_its_warm_up_is_normalised_as_a_whole(tmp_path: Path) -> None:
    model, samples = make_file(tmp_path), sound()
    answer = streamed(model, samples, warm_up_s=10.0, context_s=5.0, lookahead_s=5.0)
    np.testing.assert_allclose(answer, whole(model, samples), atol=EXACT)


# ---- Classifiers -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("pooling", ["last", "mean", "max", "attention"])
def test_a_classifier_that_pools_all_it_heard_ends_with_the_answer_for_the_whole(
    tmp_path: Path, pooling: str
) -> None:
    features, encoder = {"normalization": "global"}, {"bidirectional": False}
    model = make_file(tmp_path, "classification", features=features, encoder=encoder, pooling=pooling)
    samples = sound()
    answers = streamed(model, samples, chunk_s=0.1, context_s=10.0)
    # 2.5 s are 248 feature and 124 output frames, 20 ms each: 25 chunks.
    assert answers.shape == (25, 3)
    np.testing.assert_allclose(answers[-1], whole(model, samples), atol=EXACT)


def test_a_classifier_forgets_what_lies_before_its_context(tmp_path: Path) -> None:
    features, encoder = {"normalization": "global"}, {"bidirectional": False}
    model = make_file(tmp_path, "classification", features=features, encoder=encoder, pooling="mean")
    stream = EmissionStream(model, WindowOptions(chunk_s=0.1, context_s=0.4))
    stream.feed(sound())
    assert stream.past is not None
    assert stream.past.shape == (1, 20, 8)  # 20 output frames of 20 ms


def test_a_bidirectional_classifier_hears_overlapping_clips(tmp_path: Path) -> None:
    model = make_file(tmp_path, "classification", features={"normalization": "none"})
    samples = sound()
    answers = streamed(model, samples, chunk_s=0.1, context_s=0.4, lookahead_s=0.0)
    # The 12th chunk ends with output frame 60, its context begins with frame 55 - 20: feature frames 70 to 119.
    clip = samples[70 * 80 : 119 * 80 + 256]
    np.testing.assert_allclose(answers[11], whole(model, clip), atol=EXACT)


# ---- Files of format 1, and what is refused --------------------------------------------------------------


def test_a_file_of_format_1_without_memory_streams_by_windows(tmp_path: Path) -> None:
    model, samples = ModelFile(write_model(tmp_path / "tones.onnx")), speak("ab c abc")
    np.testing.assert_allclose(streamed(model, samples), whole(model, samples), atol=1e-4)


def test_a_file_of_format_1_that_hears_whole_clips_only_says_so(tmp_path: Path) -> None:
    config = metadata()["speechrnn.config"]
    config = config.replace('"hop_length"', '"normalization": "utterance", "hop_length"')
    properties = {**metadata(), "speechrnn.config": config}
    model = ModelFile(write_model(tmp_path / "tones.onnx", properties=properties))
    with pytest.raises(ModelFileError, match=r"hears whole clips only: it is of format 1.*export"):
        EmissionStream(model)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"chunk_s": 0}, "chunk_s must be > 0"),
        ({"chunk_s": float("nan")}, "chunk_s must be > 0"),
        ({"context_s": -1}, "context_s must be >= 0"),
        ({"lookahead_s": float("inf")}, "lookahead_s must be >= 0 and finite"),
        ({"warm_up_s": -0.1}, "warm_up_s must be >= 0"),
        ({"batch": 0}, "batch must be >= 1"),
    ],
)
def test_windows_that_cannot_be_are_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        WindowOptions(**options)


def test_samples_that_are_none_and_streams_that_have_ended_are_refused(tmp_path: Path) -> None:
    stream = EmissionStream(ModelFile(write_model(tmp_path / "tones.onnx")))
    with pytest.raises(AudioError, match=r"one channel, .* got shape \(2, 2\)"):
        stream.feed(np.zeros((2, 2), np.float32))
    with pytest.raises(AudioError, match="must be finite"):
        stream.feed(np.array([0, np.nan], np.float32))
    stream.finish()
    with pytest.raises(AudioError, match="is finished"):
        stream.feed(np.zeros(SAMPLE_RATE, np.float32))
    with pytest.raises(AudioError, match="is finished"):
        stream.finish()
