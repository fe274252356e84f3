"""One long recording: the transcriber's windows against torch with packed sequences, int8 against single precision."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from an4_network import load_samples, make_network, write_model_file
from timing import Comparison, Target, compare, time_in_turn
from transcription import Batch, PackedNetwork, transcribe_packed

from speechrnn.nn.export import export_model
from speechrnn.runtime import Transcriber
from speechrnn.runtime.feature_statistics import count_statistics

REPEATS = 3
MINUTES = 10  # torch holds it at once
TORCH, OURS, INT8, FRONT_END = "torch, packed, whole", "Transcriber", "Transcriber, int8", "its first pass"


def measure(*, repeats: int = REPEATS) -> Iterator[Comparison]:
    """Compare on one recording in memory.

    torch hears it whole. The transcriber hears windows that overlap, after a first pass for mean and variance, in
    which only the front end runs: it bounds the front end's share of the time from above.
    """
    network = make_network()
    threads = torch.get_num_threads()
    with tempfile.TemporaryDirectory() as folder:
        ours = Transcriber(write_model_file(network, Path(folder)), threads=threads, device="cpu")
        path = export_model(network, Path(folder) / "int8.onnx", precision="int8")
        int8 = Transcriber(path, threads=threads, device="cpu")
    packed = PackedNetwork(network).eval()
    rate = ours.info.sample_rate
    speech = np.resize(np.concatenate(load_samples(rate)), 60 * MINUTES * rate)
    whole = [Batch(speech[None], np.array([len(speech)]))]
    seconds = time_in_turn(
        {
            TORCH: lambda: transcribe_packed(packed, whole),
            OURS: lambda: ours.transcribe(speech, rate),
            INT8: lambda: int8.transcribe(speech, rate),
            FRONT_END: lambda: count_statistics(ours.model, [speech]),
        },
        repeats=repeats,
    )
    title, audio_s = f"a recording of {MINUTES} minutes", 60.0 * MINUTES
    yield compare(title, TORCH, OURS, seconds, audio_s=audio_s, target=Target(at_least=4))
    yield compare(title, OURS, INT8, seconds, audio_s=audio_s, target=Target(at_least=1.5))
    yield compare(title, FRONT_END, OURS, seconds, audio_s=audio_s)
