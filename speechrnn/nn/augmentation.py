"""Augmentation of training batches, on their own device: speed, rooms, noise, level, band and SpecAugment."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torchaudio.functional as AF
from torch import Tensor, nn

from speechrnn.audio import load_audio
from speechrnn.errors import ManifestError
from speechrnn.manifest import read_manifest
from speechrnn.nn.config import require

DIRECT_SOUND_MS = 2.5  # what of a room response counts as the direct sound; reflections come later
QUIETEST = 1e-8  # mean power, -80 dB, below which a recording has no level that others could be set to


@dataclass(frozen=True, kw_only=True)
class AugmentationConfig:
    """What happens to a batch in training, and only there."""

    speeds: tuple[float, ...] = ()
    """Speeds, one drawn for each batch: 0.9, 1.0, 1.1 (Ko et al., 2015); to two decimals; none switches it off."""
    narrowband: float = 0.0
    """Share of batches limited to half their bandwidth, as a telephone does."""
    frequency_warp: float = 0.0
    """Largest stretch of a clip's frequency axis either way, 0.1 say: other vocal tracts (Jaitly and Hinton, 2013)."""
    noise_db: float | None = None
    """Highest level of white noise in dB below the clip's own; each clip draws from 30 dB less; none: off."""
    noise: str | None = None
    """Manifest of recordings to mix in, as `speechrnn prepare` writes it; none switches it off."""
    noise_share: float = 0.5
    """Share of clips that get such noise."""
    noise_snr_db: tuple[float, float] = (0.0, 30.0)
    """Range from which each clip draws how far the noise lies below it, dB."""
    rooms: float = 0.0
    """Share of clips heard through a simulated room."""
    room_rt60_s: tuple[float, float] = (0.1, 0.8)
    """Range from which each room draws its reverberation time, seconds."""
    room_drr_db: tuple[float, float] = (0.0, 15.0)
    """Range of the direct sound's power over that of the reverberation, dB: 0 is far from the microphone."""
    gain_db: float = 0.0
    """Largest change of a clip's level either way, dB."""
    shift_s: float = 0.0
    """Largest shift of a clip in time either way, seconds; what is shifted out is lost."""
    neighbours: str | None = None
    """Manifest of running speech that fills what shifts leave empty, as in a stream; silence does if not given."""
    neighbour_share: float = 0.5
    """Share of clips that get such neighbours."""
    time_masks: int = 0
    """SpecAugment time masks in an utterance (Park et al., 2019, arXiv:1904.08779)."""
    time_mask_frames: int = 25
    """Longest time mask in feature frames; never more than a fifth of the utterance."""
    frequency_masks: int = 0
    """SpecAugment frequency masks in an utterance."""
    frequency_mask_size: int = 12
    """Widest frequency mask in features."""

    def __post_init__(self) -> None:
        """Check every range.

        Raises:
            ConfigError: Naming the option, its value and its range.
        """
        require(
            all(0.5 <= speed <= 2 for speed in self.speeds), "augmentation.speeds", self.speeds, "in [0.5, 2]"
        )
        require(0 <= self.narrowband <= 1, "augmentation.narrowband", self.narrowband, "in [0, 1]")
        require(
            0 <= self.frequency_warp < 0.5, "augmentation.frequency_warp", self.frequency_warp, "in [0, 0.5)"
        )
        for name in ("noise_share", "rooms", "neighbour_share"):
            require(0 <= getattr(self, name) <= 1, f"augmentation.{name}", getattr(self, name), "in [0, 1]")
        for name in ("noise_snr_db", "room_rt60_s", "room_drr_db"):
            low, high = getattr(self, name)
            require(low <= high, f"augmentation.{name}", [low, high], "a range from low to high")
        require(self.room_rt60_s[0] > 0, "augmentation.room_rt60_s", self.room_rt60_s, "> 0")
        for name in ("gain_db", "shift_s"):
            require(getattr(self, name) >= 0, f"augmentation.{name}", getattr(self, name), ">= 0")
        require(
            self.neighbours is None or self.shift_s > 0,
            "augmentation.shift_s",
            self.shift_s,
            "> 0 with augmentation.neighbours, which fill what shifts leave empty",
        )
        for name in ("time_masks", "time_mask_frames", "frequency_masks", "frequency_mask_size"):
            require(getattr(self, name) >= 0, f"augmentation.{name}", getattr(self, name), ">= 0")


class WaveformAugmentation(nn.Module):
    """Change a batch of waveforms, each clip in its own way; the identity in evaluation.

    In the order of nature: the voice, the room, the noise in it, the level, the line.

    Attributes:
        changed: How many clips each change has befallen, and under ``clips`` how many came by.
    """

    def __init__(self, config: AugmentationConfig, sample_rate: int) -> None:
        super().__init__()
        self.config = config
        self.sample_rate = sample_rate
        self.recordings: dict[str, Tensor] = {}
        self.changed: Counter[str] = Counter()

    def forward(self, waveform: Tensor, waveform_lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Augment (batch, samples) waveforms; lengths (batch,) int64 follow the speed.

        Waveforms stay in single precision under autocast, whose bfloat16 has 8 bits: noise at -54 dB in every clip.
        """
        if not self.training:
            return waveform, waveform_lengths
        with torch.autocast(waveform.device.type, enabled=False):
            return self.change(waveform, waveform_lengths)

    def change(self, waveform: Tensor, waveform_lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Augment, as ``forward``, in the precision of the waveforms."""
        config, rate = self.config, self.sample_rate
        self.changed["clips"] += len(waveform)
        if config.speeds:
            speed = config.speeds[int(torch.randint(len(config.speeds), ()))]
            waveform, waveform_lengths = change_speed(waveform, waveform_lengths, speed)
            self.changed["speed"] += len(waveform) * (speed != 1)
        if config.shift_s:
            waveform, inside = shift(waveform, round(config.shift_s * rate))
            self.changed["shift"] += len(waveform)
            if config.neighbours is not None:
                chosen = self.choose("neighbours", config.neighbour_share, waveform)
                others = self.draw(config.neighbours, len(chosen), waveform)
                waveform = waveform.index_add(0, chosen, others.masked_fill(inside[chosen], 0.0))
        if config.rooms:
            chosen = self.choose("room", config.rooms, waveform)
            responses = draw_rooms(config, len(chosen), rate, waveform.device)
            waveform = waveform.index_copy(0, chosen, reverberate(waveform[chosen], responses))
        if config.noise is not None:
            chosen = self.choose("noise", config.noise_share, waveform)
            noise = self.draw(config.noise, len(chosen), waveform)
            mixed = mix(waveform[chosen], waveform_lengths[chosen], noise, config.noise_snr_db)
            waveform = waveform.index_copy(0, chosen, mixed)
        if config.noise_db is not None:
            waveform = add_noise(waveform, waveform_lengths, config.noise_db)
            self.changed["white_noise"] += len(waveform)
        if config.gain_db:
            waveform = change_level(waveform, config.gain_db)
            self.changed["gain"] += len(waveform)
        if torch.rand(()) < config.narrowband:
            halved = AF.resample(waveform, 2, 1)
            waveform = AF.resample(halved, 1, 2)[:, : waveform.shape[1]]
            self.changed["narrowband"] += len(waveform)
        return waveform, waveform_lengths

    def choose(self, name: str, share: float, waveform: Tensor) -> Tensor:
        """Draw the clips of a batch that a change befalls, (chosen,) int64 rows, and count them."""
        chosen = (torch.rand(len(waveform), device=waveform.device) < share).nonzero().flatten()
        self.changed[name] += len(chosen)
        return chosen

    def draw(self, manifest: str, number: int, waveform: Tensor) -> Tensor:
        """Draw stretches as long as (batch, samples) waveforms, (number, samples); errors as ``read_recordings``."""
        if manifest not in self.recordings:
            self.recordings[manifest] = read_recordings(Path(manifest), self.sample_rate)
        return draw_stretches(self.recordings[manifest], number, waveform.shape[1]).to(waveform.device)

    def take_shares(self) -> dict[str, float]:
        """Give the share of clips that each change befell since the last time."""
        num_clips = self.changed.pop("clips", 0)
        shares = {name: number / max(num_clips, 1) for name, number in self.changed.items()}
        self.changed.clear()
        return shares


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


def draw_rooms(config: AugmentationConfig, number: int, sample_rate: int, device: torch.device) -> Tensor:
    """Draw room responses (number, taps): the direct sound, then noise that decays as Polack's model has it (1988).

    The power falls by 60 dB in the reverberation time; the direct sound is at tap 0, so nothing is delayed.
    """
    rt60_s = uniform(config.room_rt60_s, number, device).unsqueeze(1)
    drr_db = uniform(config.room_drr_db, number, device)
    time_s = torch.arange(round(config.room_rt60_s[1] * sample_rate), device=device) / sample_rate
    tail = torch.randn(number, len(time_s), device=device) * 10 ** (-3 * time_s / rt60_s)
    tail = tail * (time_s > DIRECT_SOUND_MS / 1000)
    power = tail.square().sum(1).clamp(min=QUIETEST)
    response = tail * (10 ** (-drr_db / 10) / power).sqrt().unsqueeze(1)
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


def change_level(waveform: Tensor, gain_db: float) -> Tensor:
    """Make each clip louder or softer by up to ``gain_db``; what is too loud is clipped, as a converter would."""
    gains_db = uniform((-gain_db, gain_db), len(waveform), waveform.device)
    return (waveform * 10 ** (gains_db / 20).unsqueeze(1)).clamp(-1, 1)


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


def uniform(limits: tuple[float, float], number: int, device: torch.device) -> Tensor:
    """Draw ``number`` values from a range."""
    low, high = limits
    return low + (high - low) * torch.rand(number, device=device)


def change_speed(waveform: Tensor, waveform_lengths: Tensor, speed: float) -> tuple[Tensor, Tensor]:
    """Play (batch, samples) faster, pitch included; lengths are rounded up as the resampler does."""
    percent = round(100 * speed)
    if percent == 100:
        return waveform, waveform_lengths
    changed = AF.resample(waveform, percent, 100)
    lengths = (waveform_lengths * 100 + percent - 1).div(percent, rounding_mode="floor")
    return changed, lengths.clamp(max=changed.shape[1])


def add_noise(waveform: Tensor, waveform_lengths: Tensor, highest_db: float) -> Tensor:
    """Add white noise to each clip at a level drawn from [highest_db - 30, highest_db] dB of its power."""
    power = waveform.square().sum(1, keepdim=True) / waveform_lengths.clamp(min=1).unsqueeze(1)
    level_db = highest_db - 30 * torch.rand_like(power)
    return waveform + torch.randn_like(waveform) * (power * 10 ** (level_db / 10)).sqrt()


def draw_warps(config: AugmentationConfig, batch_size: int, device: torch.device) -> Tensor | None:
    """Draw a factor of the frequency axis for each clip of a batch, (batch,); none when switched off."""
    if not config.frequency_warp:
        return None
    draws = 2 * torch.rand(batch_size, device=device) - 1
    return 1 + config.frequency_warp * draws


class SpecAugment(nn.Module):
    """Mask stripes of time and frequency with the utterance's mean; the identity in evaluation.

    The mean is zero, because it follows the features' normalisation.
    """

    def __init__(self, config: AugmentationConfig) -> None:
        super().__init__()
        self.config = config

    def forward(self, features: Tensor, input_lengths: Tensor) -> Tensor:
        """Mask (batch, time, n_features) features."""
        if not self.training:
            return features
        config = self.config
        _, num_frames, n_features = features.shape
        longest = (input_lengths // 5).clamp(max=config.time_mask_frames)
        widest = torch.full_like(input_lengths, min(config.frequency_mask_size, n_features))
        for _ in range(config.time_masks):
            stripe = random_stripe(input_lengths, longest, num_frames)
            features = features.masked_fill(stripe.unsqueeze(2), 0.0)
        for _ in range(config.frequency_masks):
            stripe = random_stripe(torch.full_like(input_lengths, n_features), widest, n_features)
            features = features.masked_fill(stripe.unsqueeze(1), 0.0)
        return features


def random_stripe(extent: Tensor, longest: Tensor, size: int) -> Tensor:
    """Draw one stripe a row: (batch, size) bool, of 0..longest positions within the row's first ``extent``."""
    length = (torch.rand(extent.shape, device=extent.device) * (longest + 1)).floor()
    start = (torch.rand(extent.shape, device=extent.device) * (extent - length + 1)).floor()
    position = torch.arange(size, device=extent.device)
    return (position >= start.unsqueeze(1)) & (position < (start + length).unsqueeze(1))
