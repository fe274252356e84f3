"""The GRU by hand against torch's, forwards and backwards."""

import pytest
import torch
from torch import Tensor, nn

from speechrnn.nn.gru import multiply, run_gru, suits

SHAPES = [(1, 1, 1, 1), (3, 7, 5, 4), (16, 30, 24, 32), (2, 1, 3, 3)]


def gradients(output: Tensor, last: Tensor, leaves: list[Tensor], seed: int = 1) -> list[Tensor]:
    """Gradients of a random weighting of the output and of the last state."""
    generator = torch.Generator().manual_seed(seed)
    weights = [torch.randn(x.shape, generator=generator, dtype=x.dtype) for x in (output, last)]
    loss = (output * weights[0]).sum() + (last * weights[1]).sum()
    return list(torch.autograd.grad(loss, leaves))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("batch", "time", "inputs", "size"), SHAPES)
@pytest.mark.parametrize("with_state", [True, False])
def test_output_state_and_every_gradient_are_torchs(
    batch: int, time: int, inputs: int, size: int, with_state: bool, dtype: torch.dtype
) -> None:
    torch.manual_seed(0)
    cell = nn.GRU(inputs, size, batch_first=True).to(dtype)
    features = torch.randn(batch, time, inputs, dtype=dtype, requires_grad=True)
    state = torch.randn(batch, size, dtype=dtype, requires_grad=True) if with_state else None
    leaves = [features, *cell.parameters(), *([] if state is None else [state])]
    output, last = run_gru(cell, features, state)
    expected, expected_last = cell(features, None if state is None else state.unsqueeze(0))
    tolerance = {"rtol": 1e-4, "atol": 1e-5} if dtype == torch.float32 else {"rtol": 1e-9, "atol": 1e-10}
    torch.testing.assert_close(output, expected, **tolerance)
    torch.testing.assert_close(last, expected_last[0], **tolerance)
    ours = gradients(output, last, leaves)
    theirs = gradients(expected, expected_last[0], leaves)
    for mine, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, other, **tolerance)


def test_the_gradients_are_those_of_finite_differences() -> None:
    torch.manual_seed(0)
    cell = nn.GRU(3, 2, batch_first=True).double()
    features = torch.randn(2, 4, 3, dtype=torch.float64, requires_grad=True)
    state = torch.randn(2, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda *inputs: run_gru(cell, *inputs), (features, state))


def test_without_gradients_it_runs_as_well() -> None:
    cell = nn.GRU(3, 2, batch_first=True)
    with torch.inference_mode():
        features = torch.randn(2, 4, 3)
        torch.testing.assert_close(run_gru(cell, features, None)[0], cell(features)[0])


def test_a_long_sequence_whose_end_alone_matters_has_finite_gradients() -> None:
    torch.manual_seed(0)
    cell = nn.GRU(4, 8, batch_first=True)
    features = (100 * torch.randn(2, 500, 4)).requires_grad_()
    run_gru(cell, features, None)[1].sum().backward()
    assert features.grad is not None
    assert all(torch.isfinite(x).all() for x in (features.grad, *(p.grad for p in cell.parameters())))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_matrices_are_multiplied_whatever_their_strides(dtype: torch.dtype) -> None:
    rows, weight = torch.randn(5, 7, dtype=dtype), torch.randn(3, 7, dtype=dtype)
    torch.testing.assert_close(multiply(rows, weight), rows @ weight.t())
    strided = torch.randn(7, 5, dtype=dtype).t(), torch.randn(7, 3, dtype=dtype).t()
    torch.testing.assert_close(multiply(*strided), strided[0] @ strided[1].t())


def test_it_leaves_alone_what_others_do_better() -> None:
    assert suits(torch.zeros(1, 1, 1))
    assert not suits(torch.zeros(1, 0, 1))
    assert not suits(torch.zeros(1, 1, 1, device="meta"))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert not suits(torch.zeros(1, 1, 1))
