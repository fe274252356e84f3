"""Transcribing ten minutes of clips: the transcriber against the same network in torch with packed sequences."""

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from an4_network import load_clips, make_network, write_model_file
from numpy.typing import NDArray
from timing import Comparison, Target, Work, compare, time_in_turn
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from speechrnn.audio import Waveform
from speechrnn.decoding import Hypothesis, greedy_decode
from speechrnn.nn.export import export_model
from speechrnn.nn.model import SpeechModel
from speechrnn.nn.recurrent import RecurrentLayer
from speechrnn.runtime import Transcriber
from speechrnn.runtime.clip_batches import Clip, pad, split_batches, split_windows
from speechrnn.runtime.transcriber import MAX_BATCH_S, WINDOW_S

REPEATS = 5
TOTAL_S = 600.0
TORCH, OURS, INT8, BARE = "torch, packed", "Transcriber", "Transcriber, int8", "ONNX Runtime alone"
AT_ONCE, ONE_BY_ONE = ", all at once", ", one by one"
TOLERANCE = 1e-3  # of log probabilities


class Batch(NamedTuple):
    """A padded batch of clips."""

    waveform: NDArray[np.float32]
    """(batch, samples)."""
    waveform_lengths: NDArray[np.int64]
    """(batch,) samples."""


class PackedNetwork(nn.Module):
    """A network with its weights in torch's own bidirectional layers, over packed sequences.

    Sequences are packed once, and norms and residuals work on what is packed, so nothing is spent on padding.
    """

    def __init__(self, network: SpeechModel) -> None:
        super().__init__()
        self.network = network
        self.cells = nn.ModuleList(join_directions(layer) for layer in self.recurrent_layers())

    def recurrent_layers(self) -> list[RecurrentLayer]:
        """Return the layers that this network stands for."""
        return [x for x in self.network.encoder.recurrent.layers if isinstance(x, RecurrentLayer)]

    def forward(self, waveform: Tensor, waveform_lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Compute log probabilities as ``SpeechModel`` does."""
        features, lengths = self.network.features(waveform, waveform_lengths)
        subsampled, lengths = self.network.encoder.subsampling(features, lengths)
        packed = pack_padded_sequence(subsampled, lengths, batch_first=True, enforce_sorted=False)
        for cell, layer in zip(self.cells, self.recurrent_layers(), strict=True):
            packed = run_layer(cell, layer, packed)
        encoded, _ = pad_packed_sequence(packed, batch_first=True, total_length=subsampled.shape[1])
        return self.network.head(encoded, lengths), lengths


def run_layer(cell: nn.Module, layer: RecurrentLayer, packed: PackedSequence) -> PackedSequence:
    """Run one layer with its norm and residual."""
    output: PackedSequence = cell(packed)[0]
    normalised = layer.norm(output.data, None)
    data = normalised + packed.data if layer.residual else normalised
    return output._replace(data=data)


def join_directions(layer: RecurrentLayer) -> nn.LSTM:
    """Put both directions of a layer into one of torch's."""
    forward, backward = layer.forward_cell, layer.backward_cell
    assert isinstance(forward, nn.LSTM)
    assert backward is not None
    cell = nn.LSTM(forward.input_size, forward.hidden_size, batch_first=True, bidirectional=True)
    weights = forward.state_dict() | {f"{k}_reverse": v for k, v in backward.state_dict().items()}
    cell.load_state_dict(weights)
    return cell


def measure(*, repeats: int = REPEATS) -> Iterator[Comparison]:
    """Compare the transcriber with torch, and with ONNX Runtime alone: on all clips at once, and one by one.

    Reading files is left out, torch is given its batches ready made, and all have the same threads. The last
    comparison is of what each does with a folder of files: a loop around torch takes them one by one.

    Raises:
        RuntimeError: If torch and the model file do not compute the same.
    """
    network = make_network()
    with tempfile.TemporaryDirectory() as folder:
        path = write_model_file(network, Path(folder))
        transcriber = Transcriber(path, threads=torch.get_num_threads(), device="cpu")
        int8_path = export_model(network, Path(folder) / "int8.onnx", precision="int8")
        int8 = Transcriber(int8_path, threads=torch.get_num_threads(), device="cpu")
    packed = PackedNetwork(network).eval()
    sample_rate = transcriber.info.sample_rate
    clips = load_clips(sample_rate, TOTAL_S)
    check_agreement(packed, transcriber, make_batches(clips, sample_rate))
    works: dict[str, Work] = {}
    for how, groups in ((AT_ONCE, [clips]), (ONE_BY_ONE, [[clip] for clip in clips])):
        works |= works_on(groups, how, packed, transcriber, int8)
    seconds = time_in_turn(works, repeats=repeats)
    audio_s = sum(map(len, clips)) / sample_rate
    title = f"{len(clips)} clips, {audio_s / 60:.0f} minutes"
    for numerator, denominator, target in comparisons():
        yield compare(title, numerator, denominator, seconds, audio_s=audio_s, target=target)


def comparisons() -> Iterator[tuple[str, str, Target]]:
    """List what is compared, and what the ratio is to be."""
    for how in (AT_ONCE, ONE_BY_ONE):
        yield TORCH + how, OURS + how, Target(at_least=4)
        yield OURS + how, BARE + how, Target(at_most=1.25)
        yield OURS + how, INT8 + how, Target(at_least=1.5)
    yield TORCH + ONE_BY_ONE, OURS + AT_ONCE, Target(at_least=4)


def works_on(
    groups: Sequence[Sequence[Waveform]],
    how: str,
    packed: PackedNetwork,
    transcriber: Transcriber,
    int8: Transcriber,
) -> dict[str, Work]:
    """Name what is timed on groups of clips, each of them one call of the transcriber."""
    sample_rate = transcriber.info.sample_rate
    batches = [batch for group in groups for batch in make_batches(group, sample_rate)]
    return {
        TORCH + how: lambda: transcribe_packed(packed, batches),
        OURS + how: lambda: [transcriber.transcribe(group, sample_rate) for group in groups],
        INT8 + how: lambda: [int8.transcribe(group, sample_rate) for group in groups],
        BARE + how: lambda: [transcriber.model.run(*batch) for batch in batches],
    }


def make_batches(clips: Sequence[Waveform], sample_rate: int) -> list[Batch]:
    """Make the batches that the transcriber makes."""
    batches = []
    for window in split_windows((Clip("", clip) for clip in clips), WINDOW_S * sample_rate):
        waveforms = [clip.waveform for clip in window if isinstance(clip, Clip)]
        lengths = {index: len(waveform) for index, waveform in enumerate(waveforms)}
        for indices in split_batches(lengths, MAX_BATCH_S * sample_rate):
            batches.append(Batch(*pad([waveforms[index] for index in indices])))
    return batches


def run_packed(network: PackedNetwork, batch: Batch) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Run torch on one batch."""
    with torch.inference_mode():
        log_probs, lengths = network(*map(torch.from_numpy, batch))
    return log_probs.numpy(), lengths.numpy()


def transcribe_packed(network: PackedNetwork, batches: Sequence[Batch]) -> list[Hypothesis]:
    """Transcribe with torch."""
    vocabulary = network.network.config.vocabulary
    return [
        hypothesis
        for batch in batches
        for hypothesis in greedy_decode(*run_packed(network, batch), vocabulary)
    ]


def check_agreement(network: PackedNetwork, transcriber: Transcriber, batches: Sequence[Batch]) -> None:
    """Check that torch and the model file give the same log probabilities.

    Raises:
        RuntimeError: If a real frame differs by more than ``TOLERANCE``.
    """
    for batch in batches:
        theirs, lengths = run_packed(network, batch)
        ours, _ = transcriber.model.run(*batch)
        real = np.arange(theirs.shape[1]) < lengths[:, None]
        difference = float(np.abs(ours - theirs)[real].max())
        if not difference <= TOLERANCE:
            raise RuntimeError(
                f"log_probs differ from torch's by {difference:.1e}, more than {TOLERANCE:.0e}"
            )
