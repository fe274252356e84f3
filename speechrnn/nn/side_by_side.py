"""Two functions at once on a CPU, a thread for each, forwards and backwards.

A recurrent step is too small a piece of work for two cores to share: they would wait for each other a thousand
times. The two directions of a layer never wait for each other, so each gets its own half of the cores.
"""

import functools
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

Given = TypeVar("Given")
Result = TypeVar("Result")


@dataclass(frozen=True, kw_only=True)
class Branch:
    """A function of features, and the parameters in it."""

    function: Callable[[Tensor], Tensor]
    """Takes features, returns a tensor."""
    parameters: tuple[Tensor, ...]
    """What else it can be differentiated by."""


def pays(features: Tensor) -> bool:
    """Tell whether threads help: on a CPU with several, outside of a compiler, which sees no threads."""
    is_eager = not torch.compiler.is_compiling()
    return features.device.type == "cpu" and torch.get_num_threads() > 1 and is_eager


def run_side_by_side(first: Branch, second: Branch, features: Tensor) -> tuple[Tensor, Tensor]:
    """Compute ``first.function(features), second.function(features)`` at once.

    Gradients reach the features and the branches' parameters as if nothing were special; they cannot be
    differentiated again.
    """
    if not torch.is_grad_enabled():  # as in inference mode, whose tensors cannot be part of a graph
        one, other = in_threads(lambda branch: branch.function(features), (first, second))
        return one, other
    parameters = (*first.parameters, *second.parameters)
    outputs: tuple[Tensor, Tensor] = SideBySide.apply((first, second), features, *parameters)  # type: ignore[no-untyped-call]
    return outputs


class SideBySide(torch.autograd.Function):
    """Each branch records a graph of its own, which is differentiated in a thread of its own."""

    @staticmethod
    def forward(
        ctx: Any, branches: tuple[Branch, Branch], features: Tensor, *_: Tensor
    ) -> tuple[Tensor, ...]:
        """Run the branches."""
        with_gradient = any(ctx.needs_input_grad)
        ctx.branches = branches

        def run(branch: Branch) -> tuple[Tensor, Tensor]:
            with torch.set_grad_enabled(with_gradient):
                leaf = features.detach().requires_grad_(with_gradient and ctx.needs_input_grad[1])
                return leaf, branch.function(leaf)

        ctx.runs = in_threads(run, branches)
        return tuple(output.detach() for _, output in ctx.runs)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        """Run back through both; the features' gradients add up."""

        def run(index: int) -> tuple[Tensor | None, ...]:
            leaf, output = ctx.runs[index]
            inputs = (leaf, *ctx.branches[index].parameters)
            wanted = [x for x in inputs if x.requires_grad]
            # Whether the caller will come back is not known here; the graph goes with this node.
            found = iter(torch.autograd.grad(output, wanted, grads[index], retain_graph=True))
            return tuple(next(found) if x.requires_grad else None for x in inputs)

        (first, *of_first), (second, *of_second) = in_threads(run, range(2))
        to_features = None if first is None or second is None else first + second
        return None, to_features, *of_first, *of_second


def in_threads(function: Callable[[Given], Result], items: Sequence[Given]) -> list[Result]:
    """Call a function for two items at once, each with half of torch's threads.

    They see the caller's modes: of gradients, inference and autocast.
    """
    num_threads = torch.get_num_threads()
    with_modes = carry_modes(function)
    try:
        return list(companions(os.getpid(), num_threads // 2).map(with_modes, items))
    finally:
        torch.set_num_threads(num_threads)  # for threads to come; each has a number of its own


def carry_modes(function: Callable[[Given], Result]) -> Callable[[Given], Result]:
    """Let a function see the caller's modes, in whichever thread it is called."""
    is_inference, is_grad = torch.is_inference_mode_enabled(), torch.is_grad_enabled()
    is_autocast, dtype = torch.is_autocast_enabled("cpu"), torch.get_autocast_dtype("cpu")

    def call(item: Given) -> Result:
        with (
            torch.inference_mode(is_inference),
            torch.set_grad_enabled(is_grad),
            torch.autocast("cpu", dtype=dtype, enabled=is_autocast),
        ):
            return function(item)

    return call


@functools.cache
def companions(process: int, num_threads: int) -> ThreadPoolExecutor:
    """Start two threads with ``num_threads`` of torch's each, once in a process: no thread survives a fork."""
    return ThreadPoolExecutor(
        2, thread_name_prefix="direction", initializer=torch.set_num_threads, initargs=(num_threads,)
    )
