"""Augmentation: what it changes, that lengths follow, and that evaluation never sees it."""

from pathlib import Path
from typing import Any

import pytest
import soundfile as sf
import torch
from networks import noise
from pure_tones import pitch, tone

from speechrnn.errors import ConfigError, ManifestError
from speechrnn.nn.augmentation import AugmentationConfig, SpecAugment, WaveformAugmentation, draw_warps

EVERYTHING = AugmentationConfig(
    speeds=(0.9, 1.1),
    trims=1.0,
    microphone_db=6.0,
    narrowband=1.0,
    noise_db=0.0,
    noise="never read in evaluation",
    rooms=1.0,
    gain_db=6.0,
    shift_s=0.1,
    neighbours="never read in evaluation",
    time_masks=2,
    frequency_masks=2,
)


def test_evaluation_is_left_alone() -> None:
    waveform, lengths = noise(2, 800), torch.tensor([800, 500])
    augmented, new_lengths = WaveformAugmentation(EVERYTHING, 8000).eval()(waveform, lengths)
    assert augmented is waveform
    assert new_lengths is lengths
    features = torch.ones(2, 20, 8)
    assert SpecAugment(EVERYTHING).eval()(features, torch.tensor([20, 10])) is features


def test_nothing_happens_unless_it_is_switched_on() -> None:
    waveform, lengths = noise(2, 800), torch.tensor([800, 500])
    assert torch.equal(
        WaveformAugmentation(AugmentationConfig(), 8000).train()(waveform, lengths)[0], waveform
    )
    features = torch.ones(2, 20, 8)
    assert torch.equal(SpecAugment(AugmentationConfig()).train()(features, torch.tensor([20, 10])), features)


def test_narrowband_removes_the_upper_half_of_the_spectrum() -> None:
    augment = WaveformAugmentation(AugmentationConfig(narrowband=1.0), 8000).train()
    high, _ = augment(tone(3000), torch.tensor([8000]))
    low, _ = augment(tone(1000), torch.tensor([8000]))
    assert high.square().mean() < 1e-3 * low.square().mean()
    assert high.shape == (1, 8000)


def write_noise(folder: Path) -> Path:
    sf.write(folder / "hum.wav", 0.5 * tone(50)[0].numpy(), 8000)
    manifest = folder / "noise.csv"
    manifest.write_text("audio,text\nhum.wav,\n")
    return manifest


def test_recordings_of_a_manifest_are_mixed_into_their_share_of_clips(tmp_path: Path) -> None:
    torch.manual_seed(0)
    config = AugmentationConfig(noise=str(write_noise(tmp_path)), noise_share=0.25, noise_snr_db=(0.0, 0.0))
    augment = WaveformAugmentation(config, 8000).train()
    clips = tone(1000).repeat(400, 1)
    mixed, _ = augment(clips, torch.full((400,), 8000))
    changed = (mixed != clips).any(1)
    assert 70 <= int(changed.sum()) <= 130
    assert pitch((mixed - clips)[changed][:1]) == pytest.approx(50, abs=1)
    assert augment.take_shares() == {"noise": int(changed.sum()) / 400}
    assert augment.take_shares() == {}


def test_a_manifest_without_noise_is_named(tmp_path: Path) -> None:
    augment = WaveformAugmentation(AugmentationConfig(noise=str(tmp_path / "none.csv")), 8000).train()
    with pytest.raises(ManifestError, match=r"none\.csv"):
        augment(tone(500), torch.tensor([8000]))


def test_the_share_of_clips_asked_for_loses_its_faint_ends_and_the_lengths_follow() -> None:
    torch.manual_seed(0)
    augment = WaveformAugmentation(AugmentationConfig(trims=0.5, trim_db=(20.0, 20.0)), 8000).train()
    clips = tone(500, num_samples=1000).repeat(100, 1)
    clips[:, 720:] *= 0.01  # 40 dB below; 720 samples are 90 ms, which is long enough
    trimmed, lengths = augment(clips, torch.full((100,), 1000))
    assert set(lengths.tolist()) == {720, 1000}
    assert augment.take_shares()["trim"] == (lengths == 720).float().mean()
    assert torch.equal(trimmed[lengths == 1000], clips[lengths == 1000])
    assert torch.equal(trimmed[lengths == 720, :720], clips[lengths == 720, :720])
    assert not trimmed[lengths == 720, 720:].any()


def test_neighbours_fill_what_a_shift_leaves_empty_and_nothing_else(tmp_path: Path) -> None:
    sf.write(tmp_path / "speech.wav", [0.25] * 400, 8000)
    (tmp_path / "speech.csv").write_text("audio,text\nspeech.wav,who cares\n", encoding="utf-8")
    config = AugmentationConfig(shift_s=0.01, neighbours=str(tmp_path / "speech.csv"), neighbour_share=0.5)
    torch.manual_seed(0)
    augment = WaveformAugmentation(config, 8000).train()
    augmented, _ = augment(torch.full((200, 100), 0.75), torch.full((200,), 100))
    filled = ((augmented - 0.25).abs() < 1e-3).sum(1)
    silent = (augmented == 0).sum(1)
    assert ((augmented == 0.75).sum(1) + filled + silent == 100).all()
    assert not (filled * silent).any()  # one or the other, for a whole clip
    share = augment.take_shares()["neighbours"]
    assert share == pytest.approx(0.5, abs=0.15)  # 200 draws: 4 sigma
    # of those that are moved at all, by up to 80 samples either way
    assert float((filled > 0).float().mean()) == pytest.approx(share * 160 / 161, abs=0.02)
    assert int(filled.max()) <= 80


def test_waveforms_stay_in_single_precision_under_autocast(tmp_path: Path) -> None:
    manifest = write_noise(tmp_path)
    config = AugmentationConfig(
        speeds=(0.9,),
        shift_s=0.01,
        neighbours=str(manifest),
        trims=1.0,
        rooms=1.0,
        noise=str(manifest),
        microphone_db=6.0,
        narrowband=1.0,
        gain_db=6,
    )
    waveform, lengths = noise(3, 4000), torch.tensor([4000, 4000, 3000])
    answers = []
    for is_autocast in (False, True):
        torch.manual_seed(0)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=is_autocast):
            answers.append(WaveformAugmentation(config, 16_000).train()(waveform, lengths)[0])
    assert answers[1].dtype == torch.float32
    assert torch.equal(*answers)


def test_each_change_of_the_waveform_is_counted() -> None:
    config = AugmentationConfig(
        speeds=(0.9,),
        trims=1.0,
        rooms=1.0,
        gain_db=6.0,
        shift_s=0.1,
        noise_db=0.0,
        microphone_db=6.0,
        narrowband=1.0,
    )
    augment = WaveformAugmentation(config, 8000).train()
    augment(noise(3, 800), torch.full((3,), 800))
    names = ("speed", "trim", "room", "gain", "shift", "white_noise", "microphone", "narrowband")
    assert augment.take_shares() == dict.fromkeys(names, 1.0)


def test_each_clip_of_a_batch_draws_its_own_warp_within_the_range() -> None:
    torch.manual_seed(0)
    warps = draw_warps(AugmentationConfig(frequency_warp=0.1), 1000, torch.device("cpu"))
    assert warps is not None
    assert 0.9 <= float(warps.min()) < 0.91
    assert 1.09 < float(warps.max()) <= 1.1
    assert draw_warps(AugmentationConfig(), 2, torch.device("cpu")) is None


def test_masks_stay_within_the_utterance_and_its_fifth() -> None:
    torch.manual_seed(0)
    augment = SpecAugment(AugmentationConfig(time_masks=1, time_mask_frames=100)).train()
    widest = 0
    for _ in range(200):
        masked = augment(torch.ones(1, 60, 4), torch.tensor([40]))
        gone = (masked[0].sum(1) == 0).nonzero().flatten()
        widest = max(widest, len(gone))
        assert not len(gone) or int(gone.max()) < 40
    assert widest == 8  # a fifth of 40 frames


def test_frequency_masks_are_stripes_over_all_time() -> None:
    torch.manual_seed(0)
    augment = SpecAugment(AugmentationConfig(frequency_masks=1, frequency_mask_size=3)).train()
    masked = torch.cat([augment(torch.ones(1, 5, 8), torch.tensor([5])) for _ in range(50)])
    gone = (masked == 0).sum(2)
    assert int(gone.max()) == 3
    assert torch.equal(gone, gone[:, :1].expand_as(gone))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"speeds": (3.0,)}, r"augmentation.speeds must be in \[0.5, 2\]"),
        ({"frequency_warp": 0.5}, r"augmentation.frequency_warp must be in \[0, 0.5\), got 0.5"),
        ({"narrowband": 1.5}, "augmentation.narrowband must be in"),
        ({"trims": 1.1}, r"augmentation.trims must be in \[0, 1\]"),
        ({"trim_db": (-1.0, 3.0)}, r"augmentation.trim_db must be >= 0, got \[-1.0, 3.0\]"),
        ({"trim_db": (9.0, 3.0)}, "augmentation.trim_db must be a range from low to high, got"),
        ({"microphone_db": -1.0}, "augmentation.microphone_db must be >= 0, and finite, got -1.0"),
        ({"microphone_db": float("inf")}, "augmentation.microphone_db must be >= 0, and finite, got inf"),
        ({"noise_share": 2.0}, "augmentation.noise_share must be in"),
        ({"rooms": -0.1}, "augmentation.rooms must be in"),
        ({"noise_snr_db": (9.0, 3.0)}, "augmentation.noise_snr_db must be a range from low to high, got"),
        ({"room_rt60_s": (0.0, 1.0)}, "augmentation.room_rt60_s must be > 0"),
        ({"gain_db": -1.0}, "augmentation.gain_db must be >= 0, and finite, got -1.0"),
        ({"shift_s": -0.1}, "augmentation.shift_s must be >= 0, and finite, got -0.1"),
        ({"neighbours": "speech.csv"}, "augmentation.shift_s must be > 0 with augmentation.neighbours"),
        ({"neighbour_share": 1.1}, "augmentation.neighbour_share must be in"),
        ({"time_masks": -1}, "augmentation.time_masks must be >= 0, got -1"),
    ],
)
def test_a_wrong_setting_is_named(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        AugmentationConfig(**options)
