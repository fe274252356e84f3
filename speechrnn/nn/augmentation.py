"""Augmentation of training batches, on their own device: what happens to waveforms, warps and SpecAugment."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import torch
import torchaudio.functional as AF
from torch import Tensor, nn

from speechrnn.nn.config import require
from speechrnn.nn.waveform_changes import (
    add_noise,
    change_level,
    change_speed,
    cut_out,
    draw_rooms,
    draw_stretches,
    filter_at_random,
    find_loud_part,
    mix,
    read_recordings,
    reverberate,
    shift,
    uniform,
)


@dataclass(frozen=True, kw_only=True)
class AugmentationConfig:
    """What happens to a batch in training, and only there."""

    speeds: tuple[float, ...] = ()
    """Speeds, one drawn for each batch: 0.9, 1.0, 1.1 (Ko et al., 2015); to two decimals; none switches it off."""
    trims: float = 0.0
    """Share of clips whose faint ends are cut off, as recorders do that a voice sets off: an s may go with them."""
    trim_db: tuple[float, float] = (10.0, 40.0)
    """Range from which each clip draws how far below its loudest 10 ms an end is faint, dB."""
    microphone_db: float = 0.0
    """Largest gain or loss of a clip at any frequency, dB: other microphones (Nam et al., 2022, arXiv:2107.03649)."""
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
        for name in ("trims", "noise_share", "rooms", "neighbour_share"):
            require(0 <= getattr(self, name) <= 1, f"augmentation.{name}", getattr(self, name), "in [0, 1]")
        for name in ("trim_db", "noise_snr_db", "room_rt60_s", "room_drr_db"):
            low, high = getattr(self, name)
            require(low <= high, f"augmentation.{name}", [low, high], "a range from low to high")
        require(self.room_rt60_s[0] > 0, "augmentation.room_rt60_s", self.room_rt60_s, "> 0")
        require(self.trim_db[0] >= 0, "augmentation.trim_db", list(self.trim_db), ">= 0")
        for name in ("microphone_db", "gain_db", "shift_s"):
            value = getattr(self, name)
            require(0 <= value < float("inf"), f"augmentation.{name}", value, ">= 0, and finite")
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

    In the order of nature: the voice, the room, the noise in it, the microphone, the level, the line; but ends are
    cut off by the level of the voice alone, since behind noise none would be faint.

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
        """Augment (batch, samples) waveforms; lengths (batch,) int64 follow the speed and the ends cut off.

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
        if config.trims:  # after shifts, which would push a word out of a clip cut to its length
            chosen = self.choose("trim", config.trims, waveform)
            waveform, waveform_lengths = self.trim(waveform, waveform_lengths, chosen)
        if config.rooms:
            chosen = self.choose("room", config.rooms, waveform)
            responses = draw_rooms(
                len(chosen), rate, waveform.device, rt60_s=config.room_rt60_s, drr_db=config.room_drr_db
            )
            waveform = waveform.index_copy(0, chosen, reverberate(waveform[chosen], responses))
        if config.noise is not None:
            chosen = self.choose("noise", config.noise_share, waveform)
            noise = self.draw(config.noise, len(chosen), waveform)
            mixed = mix(waveform[chosen], waveform_lengths[chosen], noise, config.noise_snr_db)
            waveform = waveform.index_copy(0, chosen, mixed)
        if config.noise_db is not None:
            waveform = add_noise(waveform, waveform_lengths, config.noise_db)
            self.changed["white_noise"] += len(waveform)
        if config.microphone_db:
            waveform = filter_at_random(waveform, rate, config.microphone_db)
            self.changed["microphone"] += len(waveform)
        if config.gain_db:
            waveform = change_level(waveform, config.gain_db)
            self.changed["gain"] += len(waveform)
        if torch.rand(()) < config.narrowband:
            halved = AF.resample(waveform, 2, 1)
            waveform = AF.resample(halved, 1, 2)[:, : waveform.shape[1]]
            self.changed["narrowband"] += len(waveform)
        return waveform, waveform_lengths

    def trim(self, waveform: Tensor, waveform_lengths: Tensor, chosen: Tensor) -> tuple[Tensor, Tensor]:
        """Cut the faint ends off the chosen rows."""
        starts, lengths = torch.zeros_like(waveform_lengths), waveform_lengths.clone()
        faint_db = uniform(self.config.trim_db, len(chosen), waveform.device)
        starts[chosen], lengths[chosen] = find_loud_part(
            waveform[chosen], waveform_lengths[chosen], faint_db, self.sample_rate
        )
        return cut_out(waveform, starts, lengths), lengths

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
