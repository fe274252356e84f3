"""Byte strings that were audio or a model once, as many as wanted."""

import io
import os
from collections.abc import Iterator, Sequence

import numpy as np
import soundfile
from tiny_model import speak

NUM_DEFAULT = 300
VARIABLE = "SPEECHRNN_FUZZ"


def num_cases() -> int:
    """Say how many strings to try: $SPEECHRNN_FUZZ, or few enough for every test run."""
    return int(os.environ.get(VARIABLE, NUM_DEFAULT))


def audio_seeds() -> list[bytes]:
    """Make short files of each kind."""
    kinds = [("WAV", "PCM_16"), ("WAV", "PCM_24"), ("WAV", "FLOAT"), ("WAVEX", "PCM_16"), ("RF64", "PCM_16")]
    kinds += [
        ("WAV", "MS_ADPCM"),
        ("WAV", "IMA_ADPCM"),
        ("WAV", "GSM610"),
        ("WAV", "ULAW"),
        ("W64", "PCM_16"),
    ]
    kinds += [("FLAC", "PCM_16"), ("FLAC", "PCM_24"), ("OGG", "VORBIS"), ("OGG", "OPUS")]
    kinds += [
        ("MP3", "MPEG_LAYER_III"),
        ("AIFF", "PCM_16"),
        ("AU", "PCM_16"),
        ("CAF", "PCM_16"),
        ("CAF", "ALAC_16"),
    ]
    kinds += [
        ("NIST", "PCM_16"),
        ("VOC", "PCM_16"),
        ("SVX", "PCM_16"),
        ("IRCAM", "PCM_16"),
        ("XI", "DPCM_16"),
    ]
    seeds = [b"", b"RIFF", b"OggS", b"fLaC", b"ID3\x03\x00\x00\x00\x00\x0f\x76" + bytes(64)]
    seeds += [bytes(100), b"\xff\xfb\x90\x00" + bytes(500), b"\x00\x00\x00\x18ftypM4A " + bytes(100)]
    seeds += [b"\xff\xf1\x50\x80" + bytes(100)]
    for container, subtype in kinds:
        file = io.BytesIO()
        soundfile.write(file, speak("a", sample_rate=8000), 8000, format=container, subtype=subtype)
        seeds.append(file.getvalue())
    return seeds


def mutations(seeds: Sequence[bytes], count: int, *, seed: int = 0) -> Iterator[bytes]:
    """Damage strings in the ways that files are damaged: cut, overwritten, swapped, doubled, or noise.

    Args:
        seeds: The strings.
        count: How many to make.
        seed: Of the random numbers.
    """
    random = np.random.default_rng(seed)
    for number in range(count):
        damaged = bytearray(seeds[number % len(seeds)])
        for _ in range(int(random.integers(1, 4))):
            damage(damaged, random)
        yield bytes(damaged)


def damage(data: bytearray, random: np.random.Generator) -> None:
    """Damage a string in one place; headers, at the beginning, more often than the rest."""
    reach = len(data) if random.random() < 0.4 else min(len(data), 80)
    place = int(random.integers(0, reach + 1))
    size = int(random.integers(1, 9))
    match int(random.integers(0, 7)):
        case 0:
            del data[place:]
        case 1:
            data[place : place + size] = random.bytes(size)
        case 2:
            data[place : place + size] = bytes([int(random.choice([0x00, 0xFF, 0x7F, 0x80]))]) * size
        case 3 if place < len(data):
            data[place] ^= 1 << int(random.integers(0, 8))
        case 4:
            data[place:place] = random.bytes(size)
        case 5:
            del data[place : place + size]
        case _:
            other = int(random.integers(0, len(data) + 1))
            data[place : place + 64] = data[other : other + 64]
