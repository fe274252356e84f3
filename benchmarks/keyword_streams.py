"""Many live streams at once on one core, each with a network of a keyword's size."""

import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from an4_network import ROOT, load_samples
from timing import Comparison, Target, compare, time_in_turn

from speechrnn.nn.export import export_model
from speechrnn.nn.model import SpeechModel
from speechrnn.runtime import EmissionStream, ModelFile, WindowOptions
from speechrnn.training.recipe import config_from_recipe

REPEATS = 3
RECIPE = ROOT / "recipes" / "fsdd" / "gru.yaml"
NUM_STREAMS = 100
AUDIO_S = 3.0
CHUNK_S = 0.1


def measure(*, repeats: int = REPEATS) -> Iterator[Comparison]:
    """Compare the processor's time for all streams, on one thread, with the duration of the audio in each.

    Below 1, one core keeps up with all of them. The network is the digit recipe's in one direction; each stream
    is fed, and answers, ten times a second.
    """
    model = make_model()
    rate = model.info.sample_rate
    speech = np.resize(np.concatenate(load_samples(rate)), NUM_STREAMS * round(AUDIO_S * rate))
    recordings = np.split(speech, NUM_STREAMS)
    streams, real_time = f"{NUM_STREAMS} streams, 1 thread", "real time"
    works = {streams: lambda: listen(model, recordings)}
    seconds = time_in_turn(works, repeats=repeats, clock=time.process_time)  # whatever else runs
    seconds[real_time] = [AUDIO_S] * repeats
    title = f"{NUM_STREAMS} streams of {AUDIO_S:g} s"
    yield compare(title, streams, real_time, seconds, target=Target(at_most=1))


def make_model() -> ModelFile:
    """Export the recipe's network, unidirectional, with random weights."""
    config = config_from_recipe(RECIPE)
    torch.manual_seed(0)
    network = SpeechModel(replace(config, encoder=replace(config.encoder, bidirectional=False))).eval()
    with tempfile.TemporaryDirectory() as folder:
        return ModelFile(export_model(network, Path(folder) / "keywords.onnx"), threads=1, device="cpu")


def listen(model: ModelFile, recordings: list[np.ndarray]) -> None:
    """Feed all streams, a chunk each in turn, as a server would."""
    options = WindowOptions(chunk_s=CHUNK_S, context_s=1.0)
    streams = [EmissionStream(model, options) for _ in recordings]
    num_chunks = round(AUDIO_S / CHUNK_S)
    for chunks in zip(*(np.array_split(recording, num_chunks) for recording in recordings), strict=True):
        for stream, chunk in zip(streams, chunks, strict=True):
            stream.feed(chunk)
    for stream in streams:
        stream.finish()
