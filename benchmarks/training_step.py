"""A training step of the recurrent stack against torch's packed sequences: forward and backward, on the CPU."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Literal

import torch
from timing import Comparison, Target, compare, time_in_turn
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from speechrnn.nn.config import EncoderConfig
from speechrnn.nn.recurrent import RecurrentStack

Cell = Literal["lstm", "gru"]

REPEATS = 7
SIZE = 256  # of the input and of each direction's state
TOLERANCE = 1e-5
SHAPES = ((16, 500), (64, 42))  # batch, frames
SHORTEST = 0.6  # of the frames of the longest utterance
NUM_LAYERS = (1, 3)
TARGETS = {
    ("lstm", 500): Target(at_least=8),
    ("gru", 500): Target(at_least=6),
    ("lstm", 42): Target(at_least=1),
    ("gru", 42): Target(at_least=1),
}


@dataclass(frozen=True, kw_only=True)
class Batch:
    """A padded batch, and the gradient that comes back to the stack's output."""

    features: Tensor
    """(batch, time, n)."""
    input_lengths: Tensor
    """(batch,) int64 frames."""
    output_gradient: Tensor
    """(batch, time, 2 * n)."""


class PackedStack(nn.Module):
    """The same layers as torch's users write them."""

    def __init__(self, cell: Cell, size: int, num_layers: int) -> None:
        super().__init__()
        kind = nn.LSTM if cell == "lstm" else nn.GRU
        self.layers = kind(size, size, num_layers, batch_first=True, bidirectional=True)

    def forward(self, features: Tensor, input_lengths: Tensor) -> Tensor:
        """Map (batch, time, n) to (batch, time, 2 * n), zero beyond each length."""
        packed = pack_padded_sequence(features, input_lengths, batch_first=True, enforce_sorted=False)
        output, _ = self.layers(packed)
        padded, _ = pad_packed_sequence(output, batch_first=True, total_length=features.shape[1])
        return padded


def measure(*, repeats: int = REPEATS) -> Iterator[Comparison]:
    """Compare for each cell, depth and shape of batch.

    Raises:
        RuntimeError: If the two do not compute the same.
    """
    cells: tuple[Cell, ...] = ("lstm", "gru")
    for shape, cell, num_layers in product(SHAPES, cells, NUM_LAYERS):
        yield measure_one(cell, num_layers, make_batch(*shape), repeats=repeats)


def measure_one(cell: Cell, num_layers: int, batch: Batch, *, repeats: int) -> Comparison:
    """Compare one pair of networks; as ``measure``."""
    ours, packed = make_stacks(cell, SIZE, num_layers)
    check_agreement(ours, packed, batch)
    seconds = time_in_turn(
        {"torch, packed": lambda: packed_step(packed, batch), "speechrnn": lambda: step(ours, batch)},
        repeats=repeats,
    )
    num_clips, num_frames, _ = batch.features.shape
    layers = "1 layer" if num_layers == 1 else f"{num_layers} layers"
    title = f"Bi{cell.upper()} {SIZE}, {layers}, {num_clips} × {num_frames} frames"
    target = TARGETS.get((cell, num_frames))
    return compare(title, "torch, packed", "speechrnn", seconds, target=target)


def make_stacks(cell: Cell, size: int, num_layers: int) -> tuple[RecurrentStack, PackedStack]:
    """Make our stack and torch's with the same weights."""
    torch.manual_seed(0)
    config = EncoderConfig(
        cell=cell, hidden_size=size, num_layers=num_layers, norm="none", residual=False, dropout=0.0
    )
    ours, packed = RecurrentStack(config, size), PackedStack(cell, size, num_layers)
    copy_weights(ours, packed.layers)
    return ours, packed


def copy_weights(ours: RecurrentStack, packed: nn.RNNBase) -> None:
    """Give torch's bidirectional layers the weights of ours."""
    with torch.no_grad():
        for number, layer in enumerate(ours.layers):
            for direction, suffix in (("forward_cell", ""), ("backward_cell", "_reverse")):
                for name, weight in layer.get_submodule(direction).named_parameters():
                    mine = name.removesuffix("l0") + f"l{number}{suffix}"
                    packed.get_parameter(mine).copy_(weight)


def make_batch(num_clips: int, num_frames: int, size: int = SIZE) -> Batch:
    """Make a batch of noise, its lengths spread evenly from ``SHORTEST`` to full."""
    generator = torch.Generator().manual_seed(0)
    lengths = torch.linspace(SHORTEST * num_frames, num_frames, num_clips).long()
    order = torch.randperm(num_clips, generator=generator)
    return Batch(
        features=torch.randn(num_clips, num_frames, size, generator=generator).requires_grad_(),
        input_lengths=lengths[order],
        output_gradient=torch.randn(num_clips, num_frames, 2 * size, generator=generator),
    )


def step(stack: RecurrentStack, batch: Batch) -> Tensor:
    """Run our stack forward and backward; the output."""
    clear_gradients(stack, batch)
    output: Tensor = stack(batch.features, batch.input_lengths)[0]
    torch.autograd.backward(output, batch.output_gradient)
    return output.detach()


def packed_step(stack: PackedStack, batch: Batch) -> Tensor:
    """Run torch's layers forward and backward; the output."""
    clear_gradients(stack, batch)
    output: Tensor = stack(batch.features, batch.input_lengths)
    torch.autograd.backward(output, batch.output_gradient)
    return output.detach()


def clear_gradients(stack: nn.Module, batch: Batch) -> None:
    """Forget the gradients of the step before."""
    stack.zero_grad()
    batch.features.grad = None


def check_agreement(ours: RecurrentStack, packed: PackedStack, batch: Batch) -> None:
    """Check that both give the same output, and the same gradient at their input but for rounding.

    Raises:
        RuntimeError: If a number differs by more than ``TOLERANCE`` of the largest.
    """
    mine, my_gradient = step(ours, batch), batch.features.grad
    theirs, their_gradient = packed_step(packed, batch), batch.features.grad
    assert my_gradient is not None
    assert their_gradient is not None
    differences = {
        "output": largest_difference(mine, theirs),
        "gradient": largest_difference(my_gradient, their_gradient),
    }
    for name, difference in differences.items():
        if not difference <= TOLERANCE:
            raise RuntimeError(f"{name} differs from torch's by {difference:.1e}, more than {TOLERANCE:.0e}")


def largest_difference(ours: Tensor, theirs: Tensor) -> float:
    """Find the largest difference, as a share of the largest number where that is above 1."""
    return float((ours - theirs).abs().max() / theirs.abs().max().clamp(min=1))
