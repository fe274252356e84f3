"""Augmentation: what it changes, that lengths follow, and that evaluation never sees it."""

from pathlib import Path
from typing import Any

import pytest
import soundfile as sf
import torch
from networks import noise

from speechrnn.errors import ConfigError, ManifestError
from speechrnn.nn.augmentation import (
    AugmentationConfig,
    SpecAugment,
    WaveformAugmentation,
    add_noise,
    change_level,
    change_speed,
    draw_rooms,
    draw_warps,
    mix,
    reverberate,
    shift,
)

EVERYTHING = AugmentationConfig(
    speeds=(0.9, 1.1),
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


def tone(hz: float, sample_rate: int = 8000, num_samples: int = 8000) -> torch.Tensor:
    return torch.sin(2 * torch.pi * hz * torch.arange(num_samples) / sample_rate).unsqueeze(0)


def pitch(waveform: torch.Tensor, sample_rate: int = 8000) -> float:
    spectrum = torch.fft.rfft(waveform[0]).abs()
    return float(spectrum.argmax()) * sample_rate / waveform.shape[1]


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


@pytest.mark.parametrize(("speed", "num_samples"), [(0.9, 8889), (1.1, 7273), (1.0, 8000)])
def test_speed_changes_length_and_pitch(speed: float, num_samples: int) -> None:
    # ceil(8000 / 0.9) = 8889, ceil(8000 / 1.1) = 7273
    changed, lengths = change_speed(tone(500), torch.tensor([8000]), speed)
    assert changed.shape[1] == int(lengths) == num_samples
    assert pitch(changed) == pytest.approx(500 * speed, abs=2)


def test_lengths_in_a_batch_follow_the_speed_and_stay_inside() -> None:
    changed, lengths = change_speed(noise(3, 1000), torch.tensor([1000, 333, 1]), 0.9)
    assert lengths.tolist() == [1112, 370, 2]
    assert int(lengths.max()) <= changed.shape[1]


def test_narrowband_removes_the_upper_half_of_the_spectrum() -> None:
    augment = WaveformAugmentation(AugmentationConfig(narrowband=1.0), 8000).train()
    high, _ = augment(tone(3000), torch.tensor([8000]))
    low, _ = augment(tone(1000), torch.tensor([8000]))
    assert high.square().mean() < 1e-3 * low.square().mean()
    assert high.shape == (1, 8000)


def test_noise_has_the_level_asked_for() -> None:
    torch.manual_seed(0)
    waveform = tone(500, num_samples=200_000)
    levels = torch.stack(
        [(add_noise(waveform, torch.tensor([200_000]), -10.0) - waveform).square().mean() for _ in range(40)]
    )
    level_db = 10 * (levels / waveform.square().mean()).log10()
    assert level_db.max() <= -9.9
    assert level_db.min() >= -40.1
    assert level_db.max() - level_db.min() > 10


def test_noise_is_mixed_at_the_ratio_asked_for() -> None:
    # the clip's power is 1/2 over its length, the padding behind it not counted: 20 dB below is 0.005
    clip = torch.nn.functional.pad(tone(500), (0, 8000))
    added = mix(clip, torch.tensor([8000]), noise(1, 16000), (20.0, 20.0)) - clip
    assert float(added.square().mean()) == pytest.approx(0.005, rel=1e-3)


def test_silent_noise_leaves_a_clip_as_it_was() -> None:
    assert torch.equal(mix(tone(500), torch.tensor([8000]), torch.zeros(1, 8000), (0.0, 0.0)), tone(500))


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


def test_a_room_keeps_the_direct_sound_and_dies_away_by_60_db_in_its_reverberation_time() -> None:
    torch.manual_seed(0)
    config = AugmentationConfig(rooms=1.0, room_rt60_s=(0.5, 0.5), room_drr_db=(10.0, 10.0))
    rooms = draw_rooms(config, 200, 8000, torch.device("cpu"))
    assert rooms[:, 0].tolist() == [1.0] * 200
    assert rooms[:, 1:20].abs().max() == 0  # 2.5 ms are 20 samples
    assert torch.allclose(rooms[:, 1:].square().sum(1), torch.tensor(0.1))  # 10 dB below the direct sound
    # from 100 ms to 350 ms it is half of the 500 ms, so 30 dB
    early, late = (rooms[:, at : at + 80].square().mean() for at in (800, 2800))
    assert float(10 * (early / late).log10()) == pytest.approx(30, abs=1)


def test_a_room_answers_a_click_with_its_response() -> None:
    click = torch.zeros(1, 100)
    click[0, 10] = 0.5
    response = torch.tensor([[1.0, 0.0, 0.25]])
    heard = reverberate(click, response)
    assert heard.shape == (1, 100)
    assert torch.allclose(heard[0, 9:14], torch.tensor([0.0, 0.5, 0.0, 0.125, 0.0]), atol=1e-6)


def test_a_batch_of_which_no_clip_is_in_a_room_is_left_alone() -> None:
    assert reverberate(torch.zeros(0, 100), torch.zeros(0, 10)).shape == (0, 100)


def test_gain_stays_within_its_range_and_clips_what_is_too_loud() -> None:
    torch.manual_seed(0)
    peaks = change_level(torch.full((1000, 1), 0.1), 6.0)
    assert float(peaks.min()) == pytest.approx(0.1 / 1.995, rel=0.02)
    assert float(peaks.max()) == pytest.approx(0.1 * 1.995, rel=0.02)
    assert float(change_level(torch.full((1000, 1), 0.9), 20.0).max()) == 1.0


def test_a_shift_moves_a_clip_and_fills_with_silence() -> None:
    torch.manual_seed(0)
    moved, inside = shift(torch.arange(1.0, 6.0).repeat(100, 1), 1)
    assert set(map(tuple, moved.tolist())) == {(2, 3, 4, 5, 0), (1, 2, 3, 4, 5), (0, 1, 2, 3, 4)}
    assert torch.equal(inside, moved > 0)


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
        rooms=1.0,
        noise=str(manifest),
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
        speeds=(0.9,), rooms=1.0, gain_db=6.0, shift_s=0.1, noise_db=0.0, narrowband=1.0
    )
    augment = WaveformAugmentation(config, 8000).train()
    augment(noise(3, 800), torch.full((3,), 800))
    names = ("speed", "room", "gain", "shift", "white_noise", "narrowband")
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
        ({"noise_share": 2.0}, "augmentation.noise_share must be in"),
        ({"rooms": -0.1}, "augmentation.rooms must be in"),
        ({"noise_snr_db": (9.0, 3.0)}, "augmentation.noise_snr_db must be a range from low to high, got"),
        ({"room_rt60_s": (0.0, 1.0)}, "augmentation.room_rt60_s must be > 0"),
        ({"gain_db": -1.0}, "augmentation.gain_db must be >= 0, got -1.0"),
        ({"shift_s": -0.1}, "augmentation.shift_s must be >= 0, got -0.1"),
        ({"neighbours": "speech.csv"}, "augmentation.shift_s must be > 0 with augmentation.neighbours"),
        ({"neighbour_share": 1.1}, "augmentation.neighbour_share must be in"),
        ({"time_masks": -1}, "augmentation.time_masks must be >= 0, got -1"),
    ],
)
def test_a_wrong_setting_is_named(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        AugmentationConfig(**options)
