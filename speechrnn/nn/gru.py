"""The GRU on a CPU, forwards and backwards by hand: torch's spends most of its time between the steps.

Everything that does not wait for the step before is done for all steps at once, the weights' gradients among
it. What is left for each step is one matrix product and a few operations on contiguous memory, for which
time comes first and the batch last.
"""

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


def multiply(rows: Tensor, weight: Tensor) -> Tensor:
    """Compute ``rows @ weight.T`` of large matrices, in oneDNN where it is there: up to twice as fast as BLAS."""
    has_onednn = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    if rows.dtype == torch.float32 and has_onednn:
        product: Tensor = F.linear(rows.to_mkldnn(), weight.contiguous()).to_dense()
        return product
    return rows @ weight.t()


class GRUFunction(torch.autograd.Function):
    """Shapes in here: (time, gates or hidden_size, batch); the gates are r, z and n."""

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
        projected = multiply(flatten(features), weight_ih).add_(bias_ih)
        gates = projected.view(time, batch, 3 * size).transpose(1, 2).contiguous()
        hidden = gates.new_empty(time + 1, size, batch)  # the state before each step, and after the last
        hidden[0] = state.t()
        candidates = gates.new_empty(time, size, batch)  # U_n h_{t-1} + c_n
        recurrent = gates.new_empty(3 * size, batch)
        bias = bias_hh.unsqueeze(1).expand(3 * size, batch).contiguous()
        reset_update, reset = gates[:, : 2 * size].unbind(), gates[:, :size].unbind()
        update, new = gates[:, size : 2 * size].unbind(), gates[:, 2 * size :].unbind()
        states = hidden.unbind()
        for t, candidate in enumerate(candidates.unbind()):
            torch.addmm(bias, weight_hh, states[t], out=recurrent)
            reset_update[t].add_(recurrent[: 2 * size]).sigmoid_()
            candidate.copy_(recurrent[2 * size :])
            new[t].addcmul_(reset[t], candidate).tanh_()
            torch.lerp(new[t], states[t], update[t], out=states[t + 1])
        ctx.save_for_backward(features, weight_ih, weight_hh, gates, hidden, candidates)
        return hidden[1:].permute(2, 0, 1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grad: Tensor) -> tuple[Tensor, ...]:
        """Run back through all steps; gradients of the arguments in their order."""
        features, weight_ih, weight_hh, gates, hidden, candidates = ctx.saved_tensors
        size = hidden.shape[1]
        reset, update, new = gates.split(size, dim=1)
        # dL/d(n's argument) = slope · dL/dh_t, and so on: factors that wait for nothing.
        slope = (1 - update).mul_(1 - new.square())
        factors = torch.empty_like(gates)
        torch.mul(slope, candidates, out=factors[:, :size]).mul_(reset).mul_(1 - reset)
        torch.sub(hidden[:-1], new, out=factors[:, size : 2 * size]).mul_(update).mul_(1 - update)
        torch.mul(slope, reset, out=factors[:, 2 * size :])
        totals = grad[0].permute(1, 2, 0).contiguous()  # becomes dL/dh_t, of all that comes after
        before = run_back(totals, factors, update, weight_hh)
        recurrent = flatten_steps(factors)  # by now dL/d(U h_{t-1} + c)
        to_weight_hh = multiply(recurrent.t(), flatten_steps(hidden[:-1]).t())
        to_bias_hh = recurrent.sum(0)
        factors[:, 2 * size :] = totals.mul_(slope)
        projected = flatten_steps(factors)  # dL/d(W x_t + b)
        to_features = multiply(projected, weight_ih.t()).view(*features.shape[1::-1], -1).transpose(0, 1)
        to_weight_ih = multiply(projected.t(), flatten(features).t())
        return to_features, before, to_weight_ih, to_weight_hh, projected.sum(0), to_bias_hh


def run_back(totals: Tensor, factors: Tensor, update: Tensor, weight_hh: Tensor) -> Tensor:
    """Go back step by step; ``totals`` and ``factors`` become gradients in place.

    Returns:
        Gradient of the state before the first step, (batch, hidden_size).
    """
    time, size, batch = totals.shape
    weight = weight_hh.t().contiguous()
    carried = totals.new_zeros(size, batch)
    gates, matrices = factors.view(time, 3, size, batch).unbind(), factors.unbind()
    updates, states = update.unbind(), totals.unbind()
    for t in range(time - 1, -1, -1):
        total = states[t].add_(carried)
        gates[t].mul_(total)
        torch.mul(total, updates[t], out=carried).addmm_(weight, matrices[t])
    return carried.t()


def flatten(features: Tensor) -> Tensor:
    """Turn (batch, time, n) into (time * batch, n)."""
    return features.transpose(0, 1).reshape(-1, features.shape[2])


def flatten_steps(steps: Tensor) -> Tensor:
    """Turn (time, n, batch) into (time * batch, n)."""
    return steps.transpose(1, 2).reshape(-1, steps.shape[1])
