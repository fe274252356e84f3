"""The features to be looked at are those that the network hears: torch's, in NumPy."""

from dataclasses import asdict
from typing import Any

import numpy as np
import pytest
import torch

from speechrnn.nn.config import FeatureConfig
from speechrnn.nn.features import Features
from speechrnn.runtime.log_mel import LogMel, hz_to_mel, mel_to_hz


def both(config: FeatureConfig, num_samples: int) -> tuple[Any, Any, LogMel]:
    """Compute torch's features and ours of the same noise."""
    waveform = 0.1 * np.random.default_rng(1).standard_normal(num_samples).astype(np.float32)
    ours = LogMel.from_config(asdict(config))
    log_mel = ours.compute(waveform)
    with torch.no_grad():
        theirs, lengths = Features(config).unnormalized(
            torch.from_numpy(waveform)[None], torch.tensor([num_samples])
        )
    return theirs[0, : int(lengths[0])].numpy(), log_mel, ours


@pytest.mark.parametrize(
    "config",
    [
        FeatureConfig(),
        FeatureConfig(mel_scale="slaney", n_mels=40, preemphasis=0.97),
        FeatureConfig(sample_rate=8000, n_fft=256, win_length=201, hop_length=80, n_mels=32, f_max=3800.0),
        FeatureConfig(mel_scale="slaney", f_min=0.0, floor=1e-10, n_fft=400),
    ],
)
def test_log_mel_is_what_torch_computes(config: FeatureConfig) -> None:
    theirs, ours, _ = both(config, 5000)
    assert ours.shape == theirs.shape
    np.testing.assert_allclose(ours, theirs, atol=2e-4)


def test_mfcc_is_what_torch_computes() -> None:
    theirs, log_mel, features = both(FeatureConfig(kind="mfcc", n_mfcc=20), 5000)
    np.testing.assert_allclose(features.mfcc(log_mel), theirs, atol=1e-3)


@pytest.mark.parametrize("num_samples", [0, 1, 511])
def test_less_than_a_window_has_no_frame(num_samples: int) -> None:
    features = LogMel.from_config(asdict(FeatureConfig(preemphasis=0.9)))
    assert features.compute(np.zeros(num_samples, np.float32)).shape == (0, 64)


def test_many_frames_are_computed_in_parts() -> None:
    features = LogMel(sample_rate=1000, n_fft=8, hop_length=1, win_length=8, n_mels=2)
    waveform = np.random.default_rng(0).standard_normal(5003).astype(np.float32)
    whole = features.compute(waveform)
    np.testing.assert_array_equal(whole[4090:4100], features.compute(waveform[4090 : 4099 + 8]))


def test_a_configuration_of_little_takes_the_defaults() -> None:
    features = LogMel.from_config({"sample_rate": 16000, "n_fft": 320, "hop_length": 160})
    assert (features.win_length, features.n_mels, features.n_mfcc) == (320, 64, None)


@pytest.mark.parametrize("scale", ["htk", "slaney"])
def test_mel_and_back_is_where_it_was(scale: str) -> None:
    hz = np.array([0.0, 440.0, 1000.0, 7600.0])
    np.testing.assert_allclose(mel_to_hz(hz_to_mel(hz, scale), scale), hz)


def test_a_frame_stands_for_the_hop_in_its_middle() -> None:
    features = LogMel(sample_rate=16000, n_fft=512, hop_length=160, win_length=400)
    # Samples 0 to 511 have their middle at 256, so the hop goes from 176 to 336.
    assert (features.first_s, features.frame_s) == (176 / 16000, 0.01)
