"""What the benchmarks of recognition run: the AN4 recipe's network with random weights, and real clips."""

import tarfile
from itertools import cycle
from pathlib import Path

import numpy as np
import torch

from speechrnn.audio import Waveform, load_audio
from speechrnn.nn.export import export_model, round_to_half
from speechrnn.nn.model import SpeechModel
from speechrnn.training.recipe import config_from_recipe

ROOT = Path(__file__).resolve().parents[1]
RECIPE = ROOT / "recipes" / "an4" / "bilstm_ctc.yaml"
SAMPLES = ROOT / "data" / "samples"
DIGITS = ROOT / "data" / "fsdd" / "shar"
DIGITS_SHARE = 0.25  # of the seconds; most clips are sentences


def make_network() -> SpeechModel:
    """Build the recipe's network in half-precision weights, ready for inference."""
    torch.manual_seed(0)
    network = SpeechModel(config_from_recipe(RECIPE)).eval()
    round_to_half(network)
    return network


def write_model_file(network: SpeechModel, folder: Path) -> Path:
    """Export the network as users' model files are."""
    return export_model(network, folder / "benchmark.onnx", precision="half")


def load_samples(sample_rate: int) -> list[Waveform]:
    """Load the sample clips in the order of their names."""
    return [load_audio(path, sample_rate=sample_rate) for path in sorted(SAMPLES.glob("*.wav"))]


def load_digits(sample_rate: int, total_s: float) -> list[Waveform]:
    """Load spoken digits up to ``total_s`` seconds."""
    clips: list[Waveform] = []
    missing = total_s * sample_rate
    with tarfile.open(DIGITS / "recording.000000.tar") as shard:
        for member in shard:
            file = shard.extractfile(member)
            if file is None or not member.name.endswith(".flac"):
                continue
            clips.append(load_audio(file.read(), sample_rate=sample_rate))
            missing -= len(clips[-1])
            if missing <= 0:
                break
    return clips


def load_clips(sample_rate: int, total_s: float) -> list[Waveform]:
    """Load about ``total_s`` seconds: digits, and the samples over and over, in mixed order."""
    clips = load_digits(sample_rate, DIGITS_SHARE * total_s)
    missing = total_s * sample_rate - sum(map(len, clips))
    for clip in cycle(load_samples(sample_rate)):
        if missing <= 0:
            break
        clips.append(clip)
        missing -= len(clip)
    order = np.random.default_rng(0).permutation(len(clips))
    return [clips[index] for index in order]


def load_speech(sample_rate: int, duration_s: float) -> Waveform:
    """Join samples to one clip of ``duration_s`` seconds."""
    return np.concatenate(load_samples(sample_rate))[: round(duration_s * sample_rate)]
