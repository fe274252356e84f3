"""Features against librosa and torchaudio, and the promise that padding never changes them."""

import librosa
import numpy as np
import pytest
import torch
import torchaudio

from speechrnn.errors import ConfigError
from speechrnn.nn.config import FeatureConfig
from speechrnn.nn.features import Features, mel_bands, warp_bands

KINDS = [
    {"kind": "log_mel"},
    {"kind": "mfcc", "deltas": 2},
    {"kind": "log_mel", "deltas": 1, "normalization": "none"},
    {"kind": "mfcc", "normalization": "global", "preemphasis": 0.97},
]


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return 0.1 * torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def raw_features(config: FeatureConfig, waveform: torch.Tensor) -> torch.Tensor:
    lengths = torch.full((len(waveform),), waveform.shape[1])
    return Features(config).eval().unnormalized(waveform, lengths)[0]


@pytest.mark.parametrize("mel_scale", ["htk", "slaney"])
def test_log_mel_equals_librosa(mel_scale: str) -> None:
    config = FeatureConfig(mel_scale=mel_scale, normalization="none", n_mels=40)
    waveform = noise(1, 8000)
    mel = librosa.feature.melspectrogram(
        y=waveform[0].numpy(),
        sr=config.sample_rate,
        n_fft=config.n_fft,
        win_length=config.win_length,
        hop_length=config.hop_length,
        center=False,
        n_mels=config.n_mels,
        fmin=config.f_min,
        fmax=config.sample_rate / 2,
        htk=mel_scale == "htk",
        norm="slaney" if mel_scale == "slaney" else None,
    )
    ours = raw_features(config, waveform)[0].numpy().T
    np.testing.assert_allclose(ours, np.log(mel + config.floor), atol=2e-4)


def test_mfcc_equals_torchaudio() -> None:
    config = FeatureConfig(kind="mfcc", n_mfcc=13, n_mels=40, normalization="none")
    theirs = torchaudio.transforms.MFCC(
        sample_rate=config.sample_rate,
        n_mfcc=13,
        log_mels=True,  # torchaudio adds 1e-6 before the log, as our default floor does
        melkwargs={
            "n_fft": 512,
            "win_length": 400,
            "hop_length": 160,
            "n_mels": 40,
            "f_min": 20.0,
            "center": False,
        },
    )
    waveform = noise(2, 8000)
    torch.testing.assert_close(
        raw_features(config, waveform), theirs(waveform).transpose(1, 2), atol=1e-4, rtol=1e-4
    )


def test_mfcc_equals_librosa_dct_of_the_log_mel() -> None:
    waveform = noise(1, 4000)
    log_mel = raw_features(FeatureConfig(normalization="none"), waveform)[0].numpy().T
    expected = librosa.feature.mfcc(S=log_mel, n_mfcc=13, dct_type=2, norm="ortho")
    ours = raw_features(FeatureConfig(kind="mfcc", normalization="none"), waveform)[0].numpy().T
    np.testing.assert_allclose(ours, expected, atol=1e-4)


def test_deltas_equal_torchaudio() -> None:
    static = FeatureConfig(normalization="none", n_mels=8)
    both = FeatureConfig(normalization="none", n_mels=8, deltas=2)
    waveform = noise(1, 6000)
    base = raw_features(static, waveform).transpose(1, 2)
    first = torchaudio.functional.compute_deltas(base, win_length=5, mode="replicate")
    second = torchaudio.functional.compute_deltas(first, win_length=5, mode="replicate")
    expected = torch.cat([base, first, second], dim=1).transpose(1, 2)
    torch.testing.assert_close(raw_features(both, waveform), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("options", KINDS)
def test_a_clip_alone_has_the_same_frames_as_in_a_batch(options: dict[str, object]) -> None:
    features = Features(FeatureConfig(**options)).eval()  # type: ignore[arg-type]
    lengths = torch.tensor([9000, 4321, 512])
    waveform = noise(3, 9000)
    together, frames = features(waveform, lengths)
    for index, length in enumerate(lengths):
        alone, [count] = features(waveform[index : index + 1, :length], lengths[index : index + 1])
        assert frames[index] == count == alone.shape[1]
        torch.testing.assert_close(together[index, :count], alone[0], atol=1e-5, rtol=0)
        assert not together[index, count:].any()


def test_padding_may_hold_anything() -> None:
    features = Features(FeatureConfig(deltas=1)).eval()
    clean = noise(2, 4000)
    dirty = clean.clone()
    clean[1, 2000:] = 0
    dirty[1, 2000:] = torch.nan
    lengths = torch.tensor([4000, 2000])
    torch.testing.assert_close(features(dirty, lengths)[0], features(clean, lengths)[0])


@pytest.mark.parametrize(("num_samples", "num_frames"), [(511, 0), (512, 1), (671, 1), (672, 2), (16000, 97)])
def test_frames_are_counted_without_centring(num_samples: int, num_frames: int) -> None:
    # 1 + (n - 512) // 160, by hand: 672 = 512 + 160 has a second frame, 671 has not;
    # 16000: (16000 - 512) / 160 = 96.8, so 97 frames.
    config = FeatureConfig()
    features, [count] = Features(config)(torch.zeros(1, num_samples), torch.tensor([num_samples]))
    assert count == num_frames == config.num_frames(num_samples)
    assert features.shape == (1, max(num_frames, 1), 64)


def test_digital_silence_is_finite() -> None:
    features, _ = Features(FeatureConfig(deltas=2))(torch.zeros(1, 4000), torch.tensor([4000]))
    assert features.isfinite().all()


def test_utterance_normalization_divides_by_variance_and_floor_over_real_frames() -> None:
    waveform, lengths = noise(2, 9000), torch.tensor([9000, 5000])
    features, [_, count] = Features(FeatureConfig())(waveform, lengths)
    raw, _ = Features(FeatureConfig(normalization="none"))(waveform, lengths)
    real, variance = features[1, :count], raw[1, :count].var(0, correction=0)
    torch.testing.assert_close(real.mean(0), torch.zeros(64), atol=1e-5, rtol=0)
    # Dividing by sqrt(v + 0.01) leaves the variance v / (v + 0.01): 0.99 for v = 1, 0.5 for v = 0.01.
    torch.testing.assert_close(real.var(0, correction=0), variance / (variance + 0.01), atol=1e-5, rtol=1e-5)


def test_global_normalization_uses_the_saved_statistics() -> None:
    features = Features(FeatureConfig(normalization="global"))
    features.set_statistics(torch.full((64,), 2.0), torch.full((64,), 3.99))  # and the floor: 4
    restored = Features(FeatureConfig(normalization="global"))
    restored.load_state_dict(features.state_dict())
    waveform, lengths = noise(1, 4000), torch.tensor([4000])
    raw, _ = features.unnormalized(waveform, lengths)
    torch.testing.assert_close(restored(waveform, lengths)[0], (raw - 2) / 2, atol=1e-4, rtol=0)
    assert restored.has_statistics


def test_preemphasis_subtracts_the_previous_sample() -> None:
    waveform = noise(1, 2000)
    emphasised = waveform.clone()
    emphasised[:, 1:] -= 0.9 * waveform[:, :-1]
    torch.testing.assert_close(
        raw_features(FeatureConfig(preemphasis=0.9), waveform), raw_features(FeatureConfig(), emphasised)
    )


def test_dither_is_for_training_only() -> None:
    features = Features(FeatureConfig(dither=0.01))
    waveform, lengths = noise(1, 2000), torch.tensor([2000])
    assert not torch.equal(features(waveform, lengths)[0], features(waveform, lengths)[0])
    features.eval()
    assert torch.equal(features(waveform, lengths)[0], features(waveform, lengths)[0])


@pytest.mark.parametrize("warp", [0.9, 1.0, 1.1])
@pytest.mark.parametrize("hz", [500, 2000, 4000])
def test_a_warp_hears_a_tone_where_another_vocal_tract_would_put_it(warp: float, hz: int) -> None:
    features = Features(FeatureConfig(n_mels=80, normalization="none"))
    lengths = torch.tensor([4000])
    time = torch.arange(4000) / 16000

    def peak(frequency: float, warps: torch.Tensor | None) -> float:
        log_mel, _ = features(torch.sin(2 * torch.pi * frequency * time).unsqueeze(0), lengths, warps)
        return float(log_mel[0].mean(0).argmax())

    # The band of warp * f hears f.
    assert abs(peak(hz, torch.tensor([warp])) - peak(hz * warp, None)) <= 1


def test_a_warp_of_one_changes_nothing_and_none_leaves_a_band_without_input() -> None:
    bands = mel_bands(FeatureConfig())
    warped = warp_bands(bands, torch.tensor([0.8, 1.0, 1.2]))
    torch.testing.assert_close(warped[1], bands)
    assert (warped.sum(1) > 0).all()


def test_half_precision_training_computes_features_in_single() -> None:
    features = Features(FeatureConfig())
    waveform, lengths = noise(1, 2000), torch.tensor([2000])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        under_autocast = features(waveform, lengths)[0]
    torch.testing.assert_close(under_autocast, features(waveform, lengths)[0])


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"win_length": 600}, r"features.win_length must be <= n_fft \(512\), got 600"),
        ({"kind": "mfcc", "n_mfcc": 65}, r"features.n_mfcc must be <= n_mels \(64\), got 65"),
        ({"hop_length": 0}, "features.hop_length must be > 0, got 0"),
        ({"f_max": 9000.0}, r"features.f_max must be <= sample_rate / 2 \(8000\), got 9000.0"),
        ({"f_min": 8000.0}, "features.f_min"),
        ({"kind": "plp"}, "features.kind must be log_mel or mfcc, got 'plp'"),
        ({"deltas": 3}, "features.deltas"),
        ({"normalization": "batch"}, "features.normalization"),
        ({"mel_scale": "bark"}, "features.mel_scale"),
        ({"preemphasis": 1.0}, "features.preemphasis"),
        ({"dither": -0.1}, "features.dither"),
        ({"floor": 0.0}, "features.floor must be > 0, got 0.0"),
    ],
)
def test_a_wrong_setting_is_named(options: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        FeatureConfig(**options)  # type: ignore[arg-type]
