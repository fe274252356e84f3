"""What may befall a batch of waveforms: speed, cut ends, shifts, rooms, noise, microphones and level."""

from pathlib import Path

import numpy as np
import torch
import torchaudio.functional as AF
from torch import Tensor, nn

from speechrnn.audio import load_audio
from speechrnn.errors import ManifestError
from speechrnn.manifest import read_manifest

DIRECT_SOUND_MS = 2.5  # what of a room response counts as the direct sound; reflections come later
SHORTEST_CLIP_MS = 80  # below which faint ends are left on: two outputs of a network that subsamples by four
RESPONSE_POINTS = 8  # of a microphone's response, at equal steps of pitch; straight between them
QUIETEST = 1e-8  # mean power, -80 dB, below which a recording has no level that others could be set to


def change_speed(waveform: Tensor, waveform_lengths: Tensor, speed: float) -> tuple[Tensor, Tensor]:
    """Play (batch, samples) faster, pitch included; lengths are rounded up as the resampler does."""
    percent = round(100 * speed)
    if percent == 100:
        return waveform, waveform_lengths
    changed = AF.resample(waveform, percent, 100)
    lengths = (waveform_lengths * 100 + percent - 1).div(percent, rounding_mode="floor")
    return changed, lengths.clamp(max=changed.shape[1])


def find_loud_part(
    waveform: Tensor, waveform_lengths: Tensor, faint_db: Tensor, sample_rate: int
) -> tuple[Tensor, Tensor]:
    """Find where each clip of (batch, samples) begins and ends once its faint ends are cut off.

    Args:
        waveform: The clips.
        waveform_lengths: Their samples, (batch,) int64.
        faint_db: How far below the loudest 10 ms an end is faint, (batch,).
        sample_rate: In Hz.

    Returns:
        The first sample and the number of samples, (batch,) int64 each; all of a clip that would be shorter than
        ``SHORTEST_CLIP_MS``.
    """
    block = sample_rate // 100
    padded = nn.functional.pad(waveform, (0, -waveform.shape[1] % block))
    power = padded.reshape(len(padded), padded.shape[1] // block, block).square().mean(2)
    loud = power >= power.amax(1, keepdim=True) * 10 ** (-faint_db / 10).unsqueeze(1)
    starts = loud.int().argmax(1) * block
    ends = torch.minimum(padded.shape[1] - loud.flip(1).int().argmax(1) * block, waveform_lengths)
    whole = ends - starts < SHORTEST_CLIP_MS * sample_rate // 1000
    return starts.masked_fill(whole, 0), torch.where(whole, waveform_lengths, ends - starts)


def cut_out(waveform: Tensor, starts: Tensor, lengths: Tensor) -> Tensor:
    """Cut a stretch out of each row of (batch, samples): (batch, longest), padded with zeros."""
    position = torch.arange(int(lengths.max()), device=waveform.device)
    source = (starts.unsqueeze(1) + position).clamp(max=waveform.shape[1] - 1)
    return waveform.gather(1, source) * (position < lengths.unsqueeze(1))


def shift(waveform: Tensor, longest: int) -> tuple[Tensor, Tensor]:
    """Move each clip of (batch, samples) by up to ``longest`` samples either way; silence fills the gap.

    Returns:
        The clips, and where they are not the gap, (batch, samples) bool.
    """
    num_samples = waveform.shape[1]
    offsets = torch.randint(-longest, longest + 1, (len(waveform), 1), device=waveform.device)
    source = torch.arange(num_samples, device=waveform.device) - offsets
    inside = (source >= 0) & (source < num_samples)
    return waveform.gather(1, source.clamp(0, num_samples - 1)) * inside, inside


def draw_rooms(
    number: int,
    sample_rate: int,
    device: torch.device,
    *,
    rt60_s: tuple[float, float],
    drr_db: tuple[float, float],
) -> Tensor:
    """Draw room responses (number, taps): the direct sound, then noise that decays as Polack's model has it (1988).

    The power falls by 60 dB in the reverberation time; the direct sound is at tap 0, so nothing is delayed.

    Args:
        number: How many rooms.
        sample_rate: In Hz.
        device: Where to draw them.
        rt60_s: Range of the reverberation time, seconds.
        drr_db: Range of the direct sound's power over that of the reverberation, dB.
    """
    decay_s = uniform(rt60_s, number, device).unsqueeze(1)
    ratio_db = uniform(drr_db, number, device)
    time_s = torch.arange(round(rt60_s[1] * sample_rate), device=device) / sample_rate
    tail = torch.randn(number, len(time_s), device=device) * 10 ** (-3 * time_s / decay_s)
    tail = tail * (time_s > DIRECT_SOUND_MS / 1000)
    power = tail.square().sum(1).clamp(min=QUIETEST)
    response = tail * (10 ** (-ratio_db / 10) / power).sqrt().unsqueeze(1)
    response[:, 0] = 1.0
    return response


def reverberate(waveform: Tensor, responses: Tensor) -> Tensor:
    """Convolve (batch, samples) clips with (batch, taps) responses; the tail behind the end is cut off."""
    if not len(waveform):
        return waveform  # MKL's Fourier transform refuses an empty batch
    size = 1 << (waveform.shape[1] + responses.shape[1]).bit_length()  # a power of two: primes are slow
    spectrum = torch.fft.rfft(waveform, size) * torch.fft.rfft(responses, size)
    heard: Tensor = torch.fft.irfft(spectrum, size)
    return heard[:, : waveform.shape[1]]


def read_recordings(manifest: Path, sample_rate: int) -> Tensor:
    """Read all recordings of a manifest end to end: (samples,) int16, which halves the memory.

    Raises:
        ManifestError: If the manifest cannot be read, or holds nothing.
        AudioError: If a recording cannot be read.
    """
    recordings = [load_audio(u.audio, sample_rate=sample_rate) for u in read_manifest(manifest)]
    if not recordings:
        raise ManifestError(f"{manifest}: holds no recording to augment with")
    samples = np.concatenate(recordings)
    return torch.from_numpy((samples * 32767).clip(-32768, 32767).astype(np.int16))


def draw_stretches(recordings: Tensor, number: int, num_samples: int) -> Tensor:
    """Cut stretches out of (samples,) int16 from random places, round the end: (number, num_samples)."""
    starts = torch.randint(len(recordings), (number, 1))
    return recordings[(starts + torch.arange(num_samples)) % len(recordings)].float() / 32768


def mix(waveform: Tensor, waveform_lengths: Tensor, noise: Tensor, snr_db: tuple[float, float]) -> Tensor:
    """Add (batch, samples) noise to each clip, at a ratio of their powers drawn from a range in dB.

    Noise that is silent stays so.
    """
    power = waveform.square().sum(1) / waveform_lengths.clamp(min=1)
    ratio_db = uniform(snr_db, len(waveform), waveform.device)
    wanted = power * 10 ** (-ratio_db / 10)
    scale = (wanted / noise.square().mean(1).clamp(min=QUIETEST)).sqrt()
    return waveform + scale.unsqueeze(1) * noise


def add_noise(waveform: Tensor, waveform_lengths: Tensor, highest_db: float) -> Tensor:
    """Add white noise to each clip at a level drawn from [highest_db - 30, highest_db] dB of its power."""
    power = waveform.square().sum(1, keepdim=True) / waveform_lengths.clamp(min=1).unsqueeze(1)
    level_db = highest_db - 30 * torch.rand_like(power)
    return waveform + torch.randn_like(waveform) * (power * 10 ** (level_db / 10)).sqrt()


def filter_at_random(waveform: Tensor, sample_rate: int, largest_db: float) -> Tensor:
    """Play each clip of (batch, samples) through a response of its own, straight between points of a log scale."""
    size = (
        1 << (waveform.shape[1] + sample_rate // 10).bit_length()
    )  # the response rings; no clip's start in its end
    hertz = torch.fft.rfftfreq(size, 1 / sample_rate, device=waveform.device)
    place = (hertz.clamp(min=100) / 100).log2() / np.log2(sample_rate / 200) * (RESPONSE_POINTS - 1)
    below = place.long().clamp(max=RESPONSE_POINTS - 2)
    points_db = uniform((-largest_db, largest_db), len(waveform) * RESPONSE_POINTS, waveform.device)
    points_db = points_db.view(len(waveform), RESPONSE_POINTS)
    gains_db = points_db[:, below].lerp(points_db[:, below + 1], place - below)
    filtered: Tensor = torch.fft.irfft(torch.fft.rfft(waveform, size) * 10 ** (gains_db / 20), size)
    return filtered[:, : waveform.shape[1]]


def change_level(waveform: Tensor, gain_db: float) -> Tensor:
    """Make each clip louder or softer by up to ``gain_db``; what is too loud is clipped, as a converter would."""
    gains_db = uniform((-gain_db, gain_db), len(waveform), waveform.device)
    return (waveform * 10 ** (gains_db / 20).unsqueeze(1)).clamp(-1, 1)


def uniform(limits: tuple[float, float], number: int, device: torch.device) -> Tensor:
    """Draw ``number`` values from a range."""
    low, high = limits
    return low + (high - low) * torch.rand(number, device=device)
