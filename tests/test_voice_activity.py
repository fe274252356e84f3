"""Where somebody speaks: sounds whose times are known, in silence and in noise."""

import itertools
from typing import Any

import numpy as np
import pytest

from speechrnn.errors import ConfigError
from speechrnn.voice_activity import (
    UNITS_PER_DB,
    Interval,
    VoiceActivityOptions,
    find_speech,
    measure_levels,
)

RATE = 16_000
UNPADDED = VoiceActivityOptions(padding_s=0)


def silence(duration_s: float) -> np.ndarray:
    return np.zeros(round(duration_s * RATE), dtype=np.float32)


def tone(duration_s: float, pitch: float = 500.0, amplitude: float = 0.5) -> np.ndarray:
    time = np.arange(round(duration_s * RATE)) / RATE
    return (amplitude * np.sin(2 * np.pi * pitch * time)).astype(np.float32)


def noise(duration_s: float, rms: float) -> np.ndarray:
    samples = np.random.default_rng(0).standard_normal(round(duration_s * RATE))
    return (rms * samples).astype(np.float32)


def flat(intervals: tuple[Interval, ...]) -> list[float]:
    return [second for interval in intervals for second in interval]


def near(*seconds: float) -> Any:
    return pytest.approx(seconds, abs=0.051)  # half a smoothed frame and half a window


def test_a_sound_in_silence_is_found_with_padding_on_both_sides() -> None:
    waveform = np.concatenate([silence(1), tone(1), silence(1)])
    assert flat(find_speech(waveform, sample_rate=RATE)) == near(0.8, 2.2)
    assert flat(find_speech(waveform, sample_rate=RATE, options=UNPADDED)) == near(1.0, 2.0)


def test_padding_ends_where_the_recording_does() -> None:
    assert flat(find_speech(np.concatenate([tone(1), silence(1), tone(0.5)]), sample_rate=RATE)) == near(
        0, 1.2, 1.8, 2.5
    )


@pytest.mark.parametrize("waveform", [silence(0), silence(0.001), silence(3)])
def test_silence_holds_no_speech(waveform: np.ndarray) -> None:
    assert find_speech(waveform, sample_rate=RATE) == ()


@pytest.mark.parametrize("rms", [1e-4, 0.01, 0.2])
def test_steady_noise_holds_no_speech_however_loud(rms: float) -> None:
    assert find_speech(noise(5, rms), sample_rate=RATE) == ()


@pytest.mark.parametrize("snr_db", [40, 20, 5])
def test_a_sound_is_found_in_noise(snr_db: float) -> None:
    clean = np.concatenate([silence(2), tone(1), silence(2), tone(1, 1500), silence(2)])
    noisy = clean + noise(8, 0.5 / 2**0.5 * 10 ** (-snr_db / 20))
    found = find_speech(noisy.astype(np.float32), sample_rate=RATE, options=UNPADDED)
    assert flat(found) == near(2, 3, 5, 6)


def test_a_soft_recording_is_no_silence() -> None:
    waveform = np.concatenate([silence(1), tone(1, amplitude=0.003), silence(1)])
    assert len(find_speech(waveform, sample_rate=RATE)) == 1


def test_what_is_background_may_change() -> None:
    waveform = np.concatenate([noise(30, 1e-3), noise(30, 0.05)])
    waveform[10 * RATE : 11 * RATE] += tone(1, amplitude=0.02)  # softer than the later background
    waveform[50 * RATE : 51 * RATE] += tone(1, amplitude=0.5)
    found = find_speech(waveform, sample_rate=RATE, options=UNPADDED)
    assert any(i.start_s < 10.1 and 10.9 < i.end_s < 12 for i in found)
    assert any(49 < i.start_s < 50.1 and 50.9 < i.end_s < 52 for i in found)


def test_short_silences_join_and_short_sounds_are_left_out() -> None:
    options = VoiceActivityOptions(padding_s=0, min_silence_s=0.4, min_speech_s=0.2)
    waveform = np.concatenate(
        [silence(1), tone(0.5), silence(0.25), tone(0.5), silence(1), tone(0.03), silence(1)]
    )
    assert flat(find_speech(waveform, sample_rate=RATE, options=options)) == near(1.0, 2.25)


def test_a_long_stretch_is_cut_where_it_is_softest() -> None:
    # Softer from 3.0 to 3.2 s, which is in the latter half of the first 4 s.
    waveform = np.concatenate([silence(1), tone(2), tone(0.2, amplitude=0.05), tone(2.8), silence(1)])
    options = VoiceActivityOptions(padding_s=0, max_speech_s=4)
    first, second = find_speech(waveform, sample_rate=RATE, options=options)
    assert first.start_s == pytest.approx(1, abs=0.051)
    assert 3.0 <= first.end_s <= 3.2
    assert second.start_s == first.end_s
    assert second.end_s == pytest.approx(6, abs=0.051)


def test_no_part_is_longer_than_allowed_and_nothing_is_lost_between() -> None:
    syllables = [np.concatenate([tone(0.2), silence(0.2)])] * 50  # 20 s
    waveform = np.concatenate([silence(1), *syllables, silence(20)])
    options = VoiceActivityOptions(max_speech_s=1.5)
    found = find_speech(waveform, sample_rate=RATE, options=options)
    assert max(interval.duration_s for interval in found) <= 1.5 + 1e-6
    assert all(a.end_s == b.start_s for a, b in itertools.pairwise(found))
    assert [found[0].start_s, found[-1].end_s] == near(0.8, 21.0)


@pytest.mark.parametrize("size", [1, 100, 161, 5000])
def test_levels_do_not_depend_on_how_the_recording_comes(size: int) -> None:
    waveform = np.concatenate([noise(0.2, 0.1), tone(0.1)])
    parts = np.split(waveform, range(size, len(waveform), size))
    whole = measure_levels([waveform], sample_rate=RATE)
    np.testing.assert_allclose(measure_levels(parts, sample_rate=RATE), whole, atol=1)  # one unit of 1/256 dB


@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100, 48_000])
def test_a_tone_has_its_level_in_its_band_at_any_rate(rate: int) -> None:
    time = np.arange(rate) / rate
    levels = measure_levels([(0.1 * np.sin(2 * np.pi * 700 * time)).astype(np.float32)], sample_rate=rate)
    # A sine of amplitude 0.1 has the power 0.1**2 / 2 = 0.005: -23 dB. 700 Hz is in the band from 500 Hz.
    assert levels.shape == (99, 5 if rate == 8_000 else 6)
    levels = levels / UNITS_PER_DB
    assert np.median(levels, axis=0)[2] == pytest.approx(-23.0, abs=0.3)
    assert np.delete(np.median(levels, axis=0), 2).max() < -38


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"min_speech_s": -0.1}, "min_speech_s must be >= 0 and finite, got -0.1"),
        ({"min_silence_s": float("nan")}, "min_silence_s must be >= 0 and finite, got nan"),
        ({"padding_s": float("inf")}, "padding_s must be >= 0 and finite, got inf"),
        ({"max_speech_s": 0.0}, "max_speech_s must be > 0, got 0.0"),
    ],
)
def test_options_out_of_range_are_refused(options: dict[str, float], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        VoiceActivityOptions(**options)
