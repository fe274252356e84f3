"""A training step on a GPU against two others: a loop of deepspeech.pytorch's style (packed cuDNN layers, batch norm,
CTC), and SpeechBrain's where it is installed, whose layers are cuDNN's and hear the padding, too.

All see the same features, in bfloat16 where the device has it. Any device will do, so that the code is tested
where there is no GPU; figures are only made where there is one.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from speechbrain_loop import SpeechBrainStep, is_installed
from timing import Comparison, Target, compare, time_in_turn
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from speechrnn.nn.config import EncoderConfig
from speechrnn.nn.ctc_loss import ctc_loss
from speechrnn.nn.recurrent import RecurrentStack

REPEATS = 15
NUM_TOKENS = 29
FRAMES_PER_TOKEN = 10
TARGET = Target(at_least=1.5)


@dataclass(frozen=True, kw_only=True)
class Size:
    """A network and a batch for it."""

    title: str
    hidden_size: int
    num_layers: int
    num_clips: int
    num_frames: int
    num_features: int = 160


SIZES = (
    Size(title="AN4's, BiGRU 3 × 256", hidden_size=256, num_layers=3, num_clips=16, num_frames=200),
    Size(
        title="deepspeech.pytorch's, BiGRU 5 × 800",
        hidden_size=800,
        num_layers=5,
        num_clips=32,
        num_frames=800,
    ),
)


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Features and targets, and both lengths."""

    features: Tensor
    """(batch, time, n)."""
    input_lengths: Tensor
    """(batch,) int64 frames."""
    targets: Tensor
    """(batch, longest) int64."""
    target_lengths: Tensor
    """(batch,) int64."""


class Ours(nn.Module):
    """Our stack with an output layer and our loss."""

    def __init__(self, size: Size) -> None:
        super().__init__()
        config = EncoderConfig(
            cell="gru", hidden_size=size.hidden_size, num_layers=size.num_layers, norm="batch"
        )
        self.stack = RecurrentStack(config, size.num_features)
        self.output = nn.Linear(2 * size.hidden_size, NUM_TOKENS)

    def forward(self, batch: Batch) -> Tensor:
        """Compute the loss."""
        encoded, _ = self.stack(batch.features, batch.input_lengths)
        log_probs = self.output(encoded).float().log_softmax(-1)
        return ctc_loss(log_probs, batch.input_lengths, batch.targets, batch.target_lengths, blank=0).loss


class Packed(nn.Module):
    """What deepspeech.pytorch does: time first, batch norm over all frames, packed layers whose directions add up."""

    def __init__(self, size: Size) -> None:
        super().__init__()
        sizes = [size.num_features] + [size.hidden_size] * (size.num_layers - 1)
        self.layers = nn.ModuleList(nn.GRU(n, size.hidden_size, bidirectional=True) for n in sizes)
        self.norms = nn.ModuleList(nn.BatchNorm1d(n) for n in sizes)
        self.output = nn.Linear(size.hidden_size, NUM_TOKENS)

    def forward(self, batch: Batch) -> Tensor:
        """Compute the loss."""
        hidden = batch.features.transpose(0, 1)
        lengths = batch.input_lengths.cpu()
        for layer, norm in zip(self.layers, self.norms, strict=True):
            hidden = norm(hidden.flatten(0, 1)).view_as(hidden)
            packed = pack_padded_sequence(hidden, lengths, enforce_sorted=False)
            hidden, _ = pad_packed_sequence(layer(packed)[0], total_length=batch.features.shape[1])
            hidden = hidden.view(*hidden.shape[:2], 2, -1).sum(2)
        log_probs = self.output(hidden).float().log_softmax(-1)
        return nn.functional.ctc_loss(log_probs, batch.targets, batch.input_lengths, batch.target_lengths)


def measure(
    *, repeats: int = REPEATS, device: str = "cuda", sizes: tuple[Size, ...] = SIZES
) -> Iterator[Comparison]:
    """Compare for each size: forward, backward and the optimizer's step."""
    for size in sizes:
        batch = make_batch(size, device)
        works: dict[str, Callable[[], object]] = {
            "speechrnn": Step(Ours(size).to(device), batch, device),
            "packed loop": Step(Packed(size).to(device), batch, device),
        }
        if is_installed():
            works["SpeechBrain"] = SpeechBrainStep(size, batch, device, NUM_TOKENS)
        seconds = time_in_turn(works, repeats=repeats, warm_ups=3)
        title = f"{size.title}, {size.num_clips} × {size.num_frames} frames, {device_name(device)}"
        for other in list(works)[1:]:
            yield compare(title, other, "speechrnn", seconds, target=TARGET)


class Step:
    """One step of training of a network; called, it returns when the device is done."""

    def __init__(self, network: nn.Module, batch: Batch, device: str) -> None:
        self.network, self.batch, self.device = network, batch, device
        self.optimizer = torch.optim.AdamW(network.parameters(), lr=1e-4, fused=device == "cuda")

    def __call__(self) -> float:
        """Make the step; the loss."""
        self.optimizer.zero_grad()
        with torch.autocast(self.device, dtype=torch.bfloat16):
            loss: Tensor = self.network(self.batch)
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        return float(loss.detach())  # waits for the device


def make_batch(size: Size, device: str) -> Batch:
    """Make noise with targets, lengths from 60 % to full."""
    generator = torch.Generator().manual_seed(0)
    lengths = torch.linspace(0.6 * size.num_frames, size.num_frames, size.num_clips).long()
    lengths = lengths[torch.randperm(size.num_clips, generator=generator)]
    longest = size.num_frames // FRAMES_PER_TOKEN
    return Batch(
        features=torch.randn(size.num_clips, size.num_frames, size.num_features, generator=generator).to(
            device
        ),
        input_lengths=lengths.to(device),
        targets=torch.randint(1, NUM_TOKENS, (size.num_clips, longest), generator=generator).to(device),
        target_lengths=(lengths // FRAMES_PER_TOKEN).to(device),
    )


def device_name(device: str) -> str:
    """Name the device."""
    return torch.cuda.get_device_name() if device == "cuda" else device


def missing_gpu() -> list[str]:
    """Name the GPU, where there is none."""
    return [] if torch.cuda.is_available() else ["a CUDA GPU"]
