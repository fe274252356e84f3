"""One step of each recurrent cell, written by hand from the papers' equations."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def weights(cell: Any) -> tuple[Array, Array, Array, Array]:
    names = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
    return tuple(getattr(cell, name).detach().double().numpy() for name in names)  # type: ignore[return-value]


def elman_step(cell: Any, x: Array, state: tuple[Array, ...], activation: Any = np.tanh) -> tuple[Array, ...]:
    """h_t = σ(W_hh h_{t-1} + W_xh x_t + b_h)."""
    w_xh, w_hh, b_x, b_h = weights(cell)
    return (activation(w_hh @ state[0] + w_xh @ x + (b_x + b_h)),)


def gru_step(cell: Any, x: Array, state: tuple[Array, ...]) -> tuple[Array, ...]:
    """Cho et al. (2014), the reset gate behind the recurrent product; gates r, z, n."""
    w_xh, w_hh, b_x, b_h = weights(cell)
    [h] = state
    from_x = np.split(w_xh @ x + b_x, 3)
    from_h = np.split(w_hh @ h + b_h, 3)
    reset, update = sigmoid(from_x[0] + from_h[0]), sigmoid(from_x[1] + from_h[1])
    new = np.tanh(from_x[2] + reset * from_h[2])
    return ((1 - update) * new + update * h,)


def lstm_step(cell: Any, x: Array, state: tuple[Array, ...]) -> tuple[Array, ...]:
    """Hochreiter and Schmidhuber (1997) with forget gate; gates i, f, g, o."""
    w_xh, w_hh, b_x, b_h = weights(cell)
    h, c = state
    i, f, g, o = np.split(w_xh @ x + b_x + w_hh @ h + b_h, 4)
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    return sigmoid(o) * np.tanh(c), c


STEPS = {"rnn": elman_step, "gru": gru_step, "lstm": lstm_step}
