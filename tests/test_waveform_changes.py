"""What may befall a batch of waveforms, each change by itself."""

import pytest
import torch
from networks import noise
from pure_tones import pitch, tone

from speechrnn.nn.waveform_changes import (
    add_noise,
    change_level,
    change_speed,
    cut_out,
    draw_rooms,
    filter_at_random,
    find_loud_part,
    mix,
    reverberate,
    shift,
)


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


def quiet_ends() -> torch.Tensor:
    """50 ms of a tone, 100 ms of it 20 dB louder, 70 ms 30 dB fainter than that; 30 ms of silence: 8 kHz."""
    levels = torch.tensor([0.05] * 400 + [0.5] * 800 + [0.0158] * 560 + [0.0] * 240)
    return levels * tone(500, num_samples=2000)


def test_faint_ends_are_those_so_far_below_the_loudest_part() -> None:
    clips, lengths = quiet_ends().repeat(3, 1), torch.tensor([2000, 2000, 1700])
    starts, kept = find_loud_part(clips, lengths, torch.tensor([10.0, 25.0, 40.0]), 8000)
    assert starts.tolist() == [400, 0, 0]
    # 10 dB: the loud part alone; 25 dB: with what comes before; 40 dB: all that sounds, to the clip's end at most
    assert kept.tolist() == [800, 1200, 1700]


def test_a_clip_is_left_whole_that_has_no_loud_part_of_80_ms() -> None:
    click = torch.zeros(1, 2000)
    click[0, 1000] = 1.0
    starts, kept = find_loud_part(
        torch.cat([click, 0 * click]), torch.tensor([2000, 900]), torch.full((2,), 20.0), 8000
    )
    assert (starts.tolist(), kept.tolist()) == ([0, 0], [2000, 900])


def test_no_clip_of_a_batch_has_no_loud_part() -> None:
    starts, kept = find_loud_part(torch.zeros(0, 800), torch.zeros(0).long(), torch.zeros(0), 8000)
    assert (len(starts), len(kept)) == (0, 0)


def test_what_is_cut_out_of_each_clip_is_padded_with_zeros() -> None:
    clips = torch.tensor([[1.0, 2, 3, 4], [5.0, 6, 7, 8]])
    assert cut_out(clips, torch.tensor([1, 3]), torch.tensor([3, 1])).tolist() == [[2, 3, 4], [8, 0, 0]]


def test_a_shift_moves_a_clip_and_fills_with_silence() -> None:
    torch.manual_seed(0)
    moved, inside = shift(torch.arange(1.0, 6.0).repeat(100, 1), 1)
    assert set(map(tuple, moved.tolist())) == {(2, 3, 4, 5, 0), (1, 2, 3, 4, 5), (0, 1, 2, 3, 4)}
    assert torch.equal(inside, moved > 0)


def test_a_room_keeps_the_direct_sound_and_dies_away_by_60_db_in_its_reverberation_time() -> None:
    torch.manual_seed(0)
    rooms = draw_rooms(200, 8000, torch.device("cpu"), rt60_s=(0.5, 0.5), drr_db=(10.0, 10.0))
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


def test_noise_is_mixed_at_the_ratio_asked_for() -> None:
    # the clip's power is 1/2 over its length, the padding behind it not counted: 20 dB below is 0.005
    clip = torch.nn.functional.pad(tone(500), (0, 8000))
    added = mix(clip, torch.tensor([8000]), noise(1, 16000), (20.0, 20.0)) - clip
    assert float(added.square().mean()) == pytest.approx(0.005, rel=1e-3)


def test_silent_noise_leaves_a_clip_as_it_was() -> None:
    assert torch.equal(mix(tone(500), torch.tensor([8000]), torch.zeros(1, 8000), (0.0, 0.0)), tone(500))


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


def gain_db(filtered: torch.Tensor, hz: float) -> torch.Tensor:
    """Gains of tones that went through filters, the edges left out."""
    before, after = tone(hz)[:, 1000:7000], filtered[:, 1000:7000]
    return 10 * (after.square().mean(1) / before.square().mean(1)).log10()


def test_a_microphone_changes_a_tone_by_no_more_than_it_may() -> None:
    torch.manual_seed(0)
    gains = gain_db(filter_at_random(tone(1000).repeat(300, 1), 8000, 6.0), 1000)
    assert float(gains.abs().max()) <= 6.05
    assert float(gains.max()) > 4
    assert float(gains.min()) < -4


def test_a_microphone_s_response_is_straight_between_its_points() -> None:
    # 8 points from 100 to 4000 Hz lie log2(40) / 7 = 0.76 octaves apart: the first at 100, the second at 169.4 Hz;
    # their middle on the log scale is 130.2 Hz
    torch.manual_seed(0)
    state = torch.get_rng_state()
    gains = []
    for hz in (100.0, 130.2, 169.4):
        torch.set_rng_state(state)
        gains.append(float(gain_db(filter_at_random(tone(hz), 8000, 6.0), hz)))
    assert abs(gains[0] - gains[2]) > 1
    assert gains[1] == pytest.approx((gains[0] + gains[2]) / 2, abs=0.1)


def test_each_clip_has_a_microphone_of_its_own() -> None:
    torch.manual_seed(0)
    heard = filter_at_random(noise(1, 4000).repeat(3, 1), 8000, 10.0)
    assert heard.shape == (3, 4000)
    assert not torch.allclose(heard[0], heard[1], rtol=0.1)


def test_gain_stays_within_its_range_and_clips_what_is_too_loud() -> None:
    torch.manual_seed(0)
    peaks = change_level(torch.full((1000, 1), 0.1), 6.0)
    assert float(peaks.min()) == pytest.approx(0.1 / 1.995, rel=0.02)
    assert float(peaks.max()) == pytest.approx(0.1 * 1.995, rel=0.02)
    assert float(change_level(torch.full((1000, 1), 0.9), 20.0).max()) == 1.0


def test_a_clip_s_beginning_does_not_come_back_at_its_end() -> None:
    # 8,191 samples leave one sample of padding up to the next power of two
    torch.manual_seed(0)
    clips = torch.cat([noise(50, 2000), torch.zeros(50, 6191)], dim=1)
    heard = filter_at_random(clips, 8000, 10.0)
    ratio = heard[:, -80:].square().mean(1) / clips[:, :2000].square().mean(1)
    assert float(10 * ratio.max().log10()) < -30
