"""The recurrent stack: Elman, GRU and LSTM layers over padded batches, without packing.

Packed sequences are slow on a CPU and cannot be exported, so each direction runs over the padded batch.
The forward direction meets padding only after an utterance's last frame, where nothing reads its output any
more; the backward direction reads each utterance reversed within its own length, so that its padding comes
last too. Both are exact.
"""

from typing import Any

import torch
from torch import Tensor, nn

from speechrnn.errors import ConfigError
from speechrnn.nn import gru, side_by_side
from speechrnn.nn.config import EncoderConfig
from speechrnn.nn.masking import frame_mask, joint_mean_and_variance
from speechrnn.nn.side_by_side import Branch, run_side_by_side

State = tuple[Tensor, ...]
"""(h,) of Elman and GRU cells or (h, c) of LSTM cells, each (batch, hidden_size)."""


class RecurrentStack(nn.Module):
    """Layers of one or two directions, each followed by projection, normalisation and residual as configured."""

    def __init__(self, config: EncoderConfig, input_size: int) -> None:
        super().__init__()
        self.config = config
        sizes = [input_size] + [config.output_size] * config.num_layers
        self.layers = nn.ModuleList(RecurrentLayer(config, size) for size in sizes[:-1])

    def forward(
        self, features: Tensor, input_lengths: Tensor, states: list[State] | None = None
    ) -> tuple[Tensor, list[State]]:
        """Encode a padded batch.

        Args:
            features: (batch, time, input_size).
            input_lengths: (batch,) int64 frames.
            states: One state a layer from an earlier call, to go on where it ended; unidirectional only.

        Returns:
            Encoded frames (batch, time, output_size), zero beyond each length, and the states after the last
            frame of the batch (after each utterance's own last frame when no utterance is padded); no states
            when bidirectional.

        Raises:
            ConfigError: If states are given to a bidirectional stack.
        """
        if states is not None and self.config.bidirectional:
            raise ConfigError(
                "a bidirectional encoder cannot carry its state on: its backward direction starts at the end"
            )
        steps = self.config.tbptt_steps
        if steps is None or not self.training:
            return self.run(features, input_lengths, states)
        encoded = []
        for start in range(0, features.shape[1], steps):
            chunk = features[:, start : start + steps]
            lengths = (input_lengths - start).clamp(0, chunk.shape[1])
            output, states = self.run(chunk, lengths, states)
            states = [tuple(part.detach() for part in state) for state in states]
            encoded.append(output)
        return torch.cat(encoded, dim=1), states or []

    def run(
        self, features: Tensor, input_lengths: Tensor, states: list[State] | None
    ) -> tuple[Tensor, list[State]]:
        """Run all layers over the whole time axis; as ``forward``."""
        mask = frame_mask(input_lengths, features.shape[1])
        order = reversal(input_lengths, features.shape[1]) if self.config.bidirectional else None
        new_states = []
        for index, layer in enumerate(self.layers):
            features, state = layer(features, mask, order, None if states is None else states[index])
            new_states.append(state)
        return features.masked_fill(~mask, 0.0), [] if self.config.bidirectional else new_states


class RecurrentLayer(nn.Module):
    """One level of the stack: dropout, the cell in one or two directions, projection, norm, residual."""

    def __init__(self, config: EncoderConfig, input_size: int) -> None:
        super().__init__()
        self.dropout = make_dropout(config)
        self.forward_cell = make_cell(config, input_size)
        self.backward_cell = make_cell(config, input_size) if config.bidirectional else None
        cell_size = config.hidden_size * (2 if config.bidirectional else 1)
        self.projection = nn.Linear(cell_size, config.projection_size) if config.projection_size else None
        self.norm = make_norm(config.norm, config.output_size)
        self.residual = config.residual and input_size == config.output_size

    def forward(
        self, features: Tensor, mask: Tensor, order: Tensor | None, state: State | None
    ) -> tuple[Tensor, State]:
        """Map (batch, time, input_size) to (batch, time, output_size) and the new state, if there is one."""
        dropped = self.dropout(features)
        new_state: State = ()
        if self.backward_cell is not None and order is not None:
            output = run_both(self.forward_cell, self.backward_cell, dropped, order)
        else:
            output, new_state = run_cell(self.forward_cell, dropped, state)
        if self.projection is not None:
            output = self.projection(output)
        output = self.norm(output, mask)
        return (output + features if self.residual else output), new_state


def make_cell(config: EncoderConfig, input_size: int) -> nn.RNNBase:
    """Make one direction of one layer.

    Elman (1990): h_t = σ(W_hh h_{t-1} + W_xh x_t + b_h); GRU: Cho et al. (2014); LSTM: Hochreiter and
    Schmidhuber (1997) with Gers' forget gate, its bias begun at 1 so that the state lasts at first
    (Jozefowicz et al., 2015).
    """
    if config.cell == "rnn":
        return nn.RNN(input_size, config.hidden_size, nonlinearity=config.nonlinearity, batch_first=True)
    if config.cell == "gru":
        return nn.GRU(input_size, config.hidden_size, batch_first=True)
    cell = nn.LSTM(input_size, config.hidden_size, batch_first=True)
    with torch.no_grad():
        forget = slice(config.hidden_size, 2 * config.hidden_size)
        cell.get_parameter("bias_ih_l0")[forget].fill_(1.0)
        cell.get_parameter("bias_hh_l0")[forget].fill_(0.0)
    return cell


def run_cell(cell: nn.RNNBase, features: Tensor, state: State | None) -> tuple[Tensor, State]:
    """Run one cell over (batch, time, input_size) from ``state``, or from zeros."""
    if isinstance(cell, nn.GRU) and gru.suits(features):
        output, last = gru.run_gru(cell, features, None if state is None else state[0])
        return output, (last,)
    given: Any = None
    if state is not None:
        with_direction = tuple(part.unsqueeze(0) for part in state)
        given = with_direction if len(with_direction) == 2 else with_direction[0]
    output, last = cell(features, given)
    parts = last if isinstance(last, tuple) else (last,)
    return output, tuple(part.squeeze(0) for part in parts)


def run_both(forward: nn.RNNBase, backward: nn.RNNBase, features: Tensor, order: Tensor) -> Tensor:
    """Run two cells in both directions, at once where that pays; (batch, time, 2 * hidden_size)."""

    def run_forward(features: Tensor) -> Tensor:
        return run_cell(forward, features, None)[0]

    def run_backward(features: Tensor) -> Tensor:
        return reorder(run_cell(backward, reorder(features, order), None)[0], order)

    if not side_by_side.pays(features):
        return torch.cat([run_forward(features), run_backward(features)], dim=-1)
    first = Branch(function=run_forward, parameters=tuple(forward.parameters()))
    second = Branch(function=run_backward, parameters=tuple(backward.parameters()))
    return torch.cat(run_side_by_side(first, second, features), dim=-1)


def reversal(input_lengths: Tensor, num_frames: int) -> Tensor:
    """Index that reverses each utterance within its length and leaves its padding in place.

    Returns:
        (batch * num_frames,) int64 rows of a (batch * num_frames, n) matrix. It is its own inverse.
    """
    time = torch.arange(num_frames, device=input_lengths.device)
    lengths = input_lengths.unsqueeze(1)
    within = torch.where(time < lengths, lengths - 1 - time, time)
    first = torch.arange(len(input_lengths), device=input_lengths.device).unsqueeze(1) * num_frames
    return (first + within).flatten()


class Reorder(torch.autograd.Function):
    """Permute rows by an index that is its own inverse.

    The gradient is then the same permutation; autograd, which cannot know that, would add up row by row.
    """

    @staticmethod
    def forward(ctx: Any, rows: Tensor, order: Tensor) -> Tensor:
        """Return ``rows[order]``."""
        ctx.save_for_backward(order)
        return rows.index_select(0, order)

    @staticmethod
    def backward(ctx: Any, *grad: Tensor) -> tuple[Tensor, None]:
        """Permute the gradient back."""
        (order,) = ctx.saved_tensors
        return grad[0].index_select(0, order), None


def reorder(features: Tensor, order: Tensor) -> Tensor:
    """Apply ``reversal``'s index to (batch, time, n) features."""
    rows: Tensor = Reorder.apply(features.reshape(-1, features.shape[-1]), order)  # type: ignore[no-untyped-call]
    return rows.view_as(features)


def make_dropout(config: EncoderConfig) -> nn.Module:
    """Make the dropout of (batch, time, n) features."""
    return LockedDropout(config.dropout) if config.lock_dropout else nn.Dropout(config.dropout)


class LockedDropout(nn.Dropout):
    """Variational dropout (Gal and Ghahramani, 2016, arXiv:1512.05287): one mask for all frames of an utterance.

    There is little to draw, too: with a mask for each frame a CPU spends a fifth of its training on them.
    """

    def forward(self, features: Tensor) -> Tensor:
        """Drop from (batch, time, n) features, in training."""
        if not self.training or self.p == 0:
            return features
        return features * super().forward(features.new_ones(features.shape[0], 1, features.shape[2]))


def make_norm(kind: str, size: int) -> nn.Module:
    """Make the normalisation that follows a layer; each takes (features, mask)."""
    if kind == "layer":
        return FrameLayerNorm(size)
    return MaskedBatchNorm(size) if kind == "batch" else NoNorm()


class NoNorm(nn.Module):
    """Leave the features as they are."""

    def forward(self, features: Tensor, mask: Tensor) -> Tensor:
        """Return ``features``."""
        return features


class FrameLayerNorm(nn.LayerNorm):
    """Layer norm (Ba et al., 2016, arXiv:1607.06450) of each frame by itself; padding cannot matter."""

    def forward(self, features: Tensor, mask: Tensor) -> Tensor:  # type: ignore[override]
        """Normalise (batch, time, size) over its last dimension."""
        return super().forward(features)


class MaskedBatchNorm(nn.Module):
    """Batch norm over real frames (Ioffe and Szegedy, 2015, arXiv:1502.03167).

    With padding among its statistics a model's answers depend on the batch size; here they do not. Processes
    that train together share the statistics of their joint batch.
    """

    running_mean: Tensor
    running_variance: Tensor

    def __init__(self, size: int, *, momentum: float = 0.1, epsilon: float = 1e-5) -> None:
        super().__init__()
        self.momentum = momentum
        self.epsilon = epsilon
        self.weight = nn.Parameter(torch.ones(size))
        self.bias = nn.Parameter(torch.zeros(size))
        self.register_buffer("running_mean", torch.zeros(size))
        self.register_buffer("running_variance", torch.ones(size))

    def forward(self, features: Tensor, mask: Tensor) -> Tensor:
        """Normalise (batch, time, size) with the batch's statistics in training, the running ones otherwise."""
        mean, variance = self.running_mean, self.running_variance
        if self.training:
            mean, variance, count = joint_mean_and_variance(features.float(), mask)
            with torch.no_grad():
                # A batch of nothing, or of what is no number, is not trained on and must not be remembered.
                is_sound = (count > 0).all() & variance.isfinite().all()
                momentum = self.momentum * is_sound
                self.running_mean.lerp_(mean.flatten().nan_to_num(), momentum)
                self.running_variance.lerp_(variance.flatten().nan_to_num(), momentum)
        scale = (variance + self.epsilon).rsqrt() * self.weight
        return (features - mean) * scale + self.bias
