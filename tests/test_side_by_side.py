"""Two branches at once compute, and are differentiated, as one after the other."""

import os
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

from speechrnn.nn.config import EncoderConfig
from speechrnn.nn.recurrent import RecurrentStack
from speechrnn.nn.side_by_side import Branch, pays, run_side_by_side

LENGTHS = torch.tensor([9, 4, 1])


@pytest.fixture(autouse=True)
def two_threads() -> Iterator[None]:
    num_threads = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    assert torch.get_num_threads() == 2
    torch.set_num_threads(num_threads)


def branch(layer: nn.Module) -> Branch:
    return Branch(function=layer, parameters=tuple(layer.parameters()))


def linear_branches() -> tuple[nn.Linear, nn.Linear]:
    torch.manual_seed(0)
    return nn.Linear(3, 2), nn.Linear(3, 2)


def test_it_pays_on_a_cpu_with_several_threads() -> None:
    assert pays(torch.zeros(1))
    assert not pays(torch.zeros(1, device="meta"))
    torch.set_num_threads(1)
    assert not pays(torch.zeros(1))
    torch.set_num_threads(2)


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
@pytest.mark.parametrize("norm", ["none", "layer"])
def test_layers_compute_the_same_and_have_the_same_gradients(cell: str, norm: str) -> None:
    torch.manual_seed(0)
    stack = RecurrentStack(EncoderConfig(cell=cell, hidden_size=6, norm=norm, dropout=0.0), 5).double()  # type: ignore[arg-type]
    features = torch.randn(3, 9, 5, dtype=torch.float64, requires_grad=True)
    found: list[list[Tensor]] = []
    for num_threads in (2, 1):
        torch.set_num_threads(num_threads)
        output = stack(features, LENGTHS)[0]
        gradients = torch.autograd.grad(output.square().sum(), [features, *stack.parameters()])
        found.append([output.detach(), *gradients])
    torch.set_num_threads(2)
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs)


def test_the_features_gradient_is_the_sum_of_both_branches() -> None:
    first, second = linear_branches()
    features = torch.randn(4, 3, requires_grad=True)
    outputs = run_side_by_side(branch(first), branch(second), features)
    torch.autograd.backward(outputs, [torch.ones(4, 2)] * 2)
    # d(sum W x)/dx is the sum of the rows of W, for every x.
    expected = (first.weight.sum(0) + second.weight.sum(0)).expand(4, 3)
    torch.testing.assert_close(features.grad, expected)
    torch.testing.assert_close(second.weight.grad, features.detach().sum(0).expand(2, 3))


def test_what_is_frozen_gets_no_gradient() -> None:
    first, second = linear_branches()
    first.weight.requires_grad_(False)
    features = torch.randn(4, 3)
    a, b = run_side_by_side(branch(first), branch(second), features)
    (a.sum() + b.sum()).backward()
    assert features.grad is None
    assert first.weight.grad is None
    assert first.bias.grad is not None
    assert first.bias.grad.tolist() == [4.0, 4.0]
    assert second.weight.grad is not None


def test_it_can_be_differentiated_twice_over_the_same_graph() -> None:
    features = torch.randn(4, 3, requires_grad=True)
    first, second = linear_branches()
    loss = sum(x.square().sum() for x in run_side_by_side(branch(first), branch(second), features))
    assert isinstance(loss, Tensor)
    [once] = torch.autograd.grad(loss, features, retain_graph=True)
    [again] = torch.autograd.grad(loss, features)
    assert torch.equal(once, again)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_without_gradients_nothing_is_recorded(mode: type) -> None:
    first, second = linear_branches()
    with mode():
        outputs = run_side_by_side(branch(first), branch(second), torch.ones(1, 3))
        assert not any(x.requires_grad for x in outputs)
        assert all(x.is_inference() is (mode is torch.inference_mode) for x in outputs)


def test_both_threads_see_the_callers_autocast() -> None:
    with torch.autocast("cpu", dtype=torch.bfloat16):
        outputs = run_side_by_side(*map(branch, linear_branches()), torch.ones(1, 3))
    assert [x.dtype for x in outputs] == [torch.bfloat16] * 2


def test_an_error_in_the_other_thread_is_raised_here() -> None:
    def fail(features: Tensor) -> Tensor:
        raise ValueError("no")

    first, _ = linear_branches()
    with pytest.raises(ValueError, match="no"):
        run_side_by_side(branch(first), Branch(function=fail, parameters=()), torch.ones(1, 3))


def test_threads_are_started_anew_after_a_fork() -> None:
    features, branches = torch.ones(1, 3), tuple(map(branch, linear_branches()))
    run_side_by_side(*branches, features)
    child = os.fork()
    if not child:
        run_side_by_side(*branches, features)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_trained_layers_compute_the_same_without_gradients(cell: str, mode: type) -> None:
    torch.manual_seed(0)
    stack = RecurrentStack(EncoderConfig(cell=cell, hidden_size=4, num_layers=2), 5).eval()  # type: ignore[arg-type]
    features = torch.randn(3, 9, 5)
    expected, _ = stack(features, LENGTHS)
    with mode():
        found, _ = stack(features, LENGTHS)
    assert not found.requires_grad
    torch.testing.assert_close(found, expected.detach(), atol=1e-6, rtol=1e-6)
