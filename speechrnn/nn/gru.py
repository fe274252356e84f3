"""The GRU on a CPU, forwards and backwards by hand: torch's spends most of its time between the steps.

Everything that does not wait for the step before is done for all steps at once, the weights' gradients among
it. What is left for each step is one matrix product, whose weight is packed beforehand, and a few operations
on memory that is not allocated anew.
"""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable


def suits(features: Tensor) -> bool:
    """Tell whether ``run_gru`` is for these features: on a CPU, in their own precision, a frame at least."""
    return features.device.type == "cpu" and not torch.is_autocast_enabled("cpu") and features.shape[1] > 0


def run_gru(cell: nn.GRU, features: Tensor, state: Tensor | None) -> tuple[Tensor, Tensor]:
    """Compute what one direction of ``torch.nn.GRU`` does.

    With r and z the reset and update gates (Cho et al., 2014, in the form of cuDNN),
    n_t = tanh(W_n x_t + b_n + r_t (U_n h_{t-1} + c_n)) and h_t = (1 - z_t) n_t + z_t h_{t-1}.

    Args:
        cell: One layer, one direction, batch first, with biases.
        features: (batch, time, input_size), time >= 1.
        state: (batch, hidden_size) before the first frame; zeros when not given.

    Returns:
        Output (batch, time, hidden_size) and the state after the last frame (batch, hidden_size).
    """
    if state is None:
        state = features.new_zeros(features.shape[0], cell.hidden_size)
    weights = (cell.weight_ih_l0, cell.weight_hh_l0, cell.bias_ih_l0, cell.bias_hh_l0)
    output: Tensor = GRUFunction.apply(features, state, *weights)  # type: ignore[no-untyped-call]
    return output, output[:, -1]


def has_onednn(rows: Tensor) -> bool:
    """Tell whether oneDNN multiplies these rows: up to twice as fast as BLAS."""
    return rows.dtype == torch.float32 and torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]


def multiply(rows: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Compute ``rows @ weight.T + bias`` of large matrices of any strides."""
    if has_onednn(rows):
        product: Tensor = torch.ops.mkldnn._linear_pointwise(rows, weight, bias, "none", [], "")
        return product
    return F.linear(rows, weight, bias)


def multiplier(weight: Tensor, bias: Tensor | None, like: Tensor) -> Callable[[Tensor], Tensor]:
    """Make ``rows -> rows @ weight.T + bias`` for rows of one shape, ``like``'s, the weight packed once."""
    if has_onednn(like):
        weight = torch.ops.mkldnn._reorder_linear_weight(weight.contiguous(), len(like))
        return lambda rows: torch.ops.mkldnn._linear_pointwise(rows, weight, bias, "none", [], "")
    return lambda rows: F.linear(rows, weight, bias)


class GRUFunction(torch.autograd.Function):
    """Shapes in here: (time, batch, gates or hidden_size); the gates are r, z and n."""

    @staticmethod
    def forward(
        ctx: Any,
        features: Tensor,
        state: Tensor,
        weight_ih: Tensor,
        weight_hh: Tensor,
        bias_ih: Tensor,
        bias_hh: Tensor,
    ) -> Tensor:
        """Run through all steps; (batch, time, hidden_size)."""
        batch, time, _ = features.shape
        size = state.shape[1]
        rows = features.transpose(0, 1).reshape(time * batch, -1)
        gates = multiply(rows, weight_ih, bias_ih).view(time, batch, 3 * size)
        hidden = gates.new_empty(time + 1, batch, size)  # the state before each step, and after the last
        hidden[0] = state
        candidates = gates.new_empty(time, batch, size)  # U_n h_{t-1} + c_n
        run_forth(gates, hidden, candidates, multiplier(weight_hh, bias_hh, state))
        ctx.save_for_backward(rows, weight_ih, weight_hh, gates, hidden, candidates)
        return hidden[1:].transpose(0, 1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grad: Tensor) -> tuple[Tensor, ...]:
        """Run back through all steps; gradients of the arguments in their order."""
        rows, weight_ih, weight_hh, gates, hidden, candidates = ctx.saved_tensors
        time, batch, size = candidates.shape
        reset, update, new = gates.split(size, dim=2)
        # dL/d(n's argument) = slope · dL/dh_t, and so on: factors that wait for nothing.
        slope = (1 - update).mul_(1 - new.square())
        factors = torch.empty_like(gates)
        torch.mul(slope, candidates, out=factors[..., :size]).mul_(reset).mul_(1 - reset)
        torch.sub(hidden[:-1], new, out=factors[..., size : 2 * size]).mul_(update).mul_(1 - update)
        torch.mul(slope, reset, out=factors[..., 2 * size :])
        totals = grad[0].transpose(0, 1).clone(memory_format=torch.contiguous_format)
        before = run_back(totals, factors, update, multiplier(weight_hh.t(), None, gates[0]))
        recurrent = factors.view(time * batch, 3 * size)  # by now dL/d(U h_{t-1} + c)
        to_weight_hh = multiply(recurrent.t(), hidden[:-1].view(time * batch, size).t())
        to_bias_hh = recurrent.sum(0)
        torch.mul(totals, slope, out=factors[..., 2 * size :])
        projected = recurrent  # from here on dL/d(W x_t + b)
        to_features = multiply(projected, weight_ih.t()).view(time, batch, -1).transpose(0, 1)
        to_weight_ih = multiply(projected.t(), rows.t())
        return to_features, before, to_weight_ih, to_weight_hh, projected.sum(0), to_bias_hh


def run_forth(gates: Tensor, hidden: Tensor, candidates: Tensor, recur: Callable[[Tensor], Tensor]) -> None:
    """Go step by step; ``gates``, which begin as W x_t + b, are completed in place, as the others are."""
    size = candidates.shape[2]
    reset_update, reset = gates[..., : 2 * size].unbind(), gates[..., :size].unbind()
    update, new = gates[..., size : 2 * size].unbind(), gates[..., 2 * size :].unbind()
    states = hidden.unbind()
    for t, candidate in enumerate(candidates.unbind()):
        recurrent = recur(states[t])
        reset_update[t].add_(recurrent[:, : 2 * size]).sigmoid_()
        candidate.copy_(recurrent[:, 2 * size :])
        new[t].addcmul_(reset[t], candidate).tanh_()
        torch.lerp(new[t], states[t], update[t], out=states[t + 1])


def run_back(totals: Tensor, factors: Tensor, update: Tensor, recur: Callable[[Tensor], Tensor]) -> Tensor:
    """Go back step by step; ``totals`` and ``factors`` become gradients in place.

    Returns:
        Gradient of the state before the first step, (batch, hidden_size).
    """
    time, batch, size = totals.shape
    carried = torch.zeros_like(totals[0])
    gates, matrices = factors.view(time, batch, 3, size).unbind(), factors.unbind()
    updates, states = update.unbind(), totals.unbind()
    for t in range(time - 1, -1, -1):
        total = states[t].add_(carried)
        gates[t].mul_(total.unsqueeze(1))
        carried = recur(matrices[t]).addcmul_(total, updates[t])
    return carried
