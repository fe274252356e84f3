"""The recurrent stack: each cell by hand, gradients by differences, and padding that changes nothing."""

import itertools
from typing import Any

import numpy as np
import pytest
import torch
from numpy_cells import STEPS, elman_step

from speechrnn.errors import ConfigError
from speechrnn.nn.config import EncoderConfig
from speechrnn.nn.recurrent import RecurrentStack, make_dropout, reorder, reversal, run_cell

CELLS = ["rnn", "gru", "lstm"]
EVERY_STACK = list(itertools.product(CELLS, [False, True], ["none", "layer", "batch"]))
INPUT_SIZE = 5


def make_stack(**options: Any) -> RecurrentStack:
    torch.manual_seed(0)
    defaults: dict[str, Any] = {"hidden_size": 6, "num_layers": 2, "dropout": 0.0}
    return RecurrentStack(EncoderConfig(**(defaults | options)), INPUT_SIZE)


def batch(lengths: list[int], seed: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(len(lengths), max(lengths), INPUT_SIZE, generator=generator), torch.tensor(lengths)


@pytest.mark.parametrize("kind", CELLS)
def test_a_cell_equals_its_equations(kind: str) -> None:
    stack = make_stack(cell=kind, bidirectional=False, num_layers=1)
    cell = stack.layers[0].forward_cell
    features, _ = batch([7])
    output, last = run_cell(cell, features, None)
    state: tuple[np.ndarray[Any, Any], ...] = (np.zeros(6),) * (2 if kind == "lstm" else 1)
    for time, x in enumerate(features[0].double().numpy()):
        state = STEPS[kind](cell, x, state)
        np.testing.assert_allclose(output[0, time].detach().numpy(), state[0], atol=1e-6)
    for ours, by_hand in zip(last, state, strict=True):
        np.testing.assert_allclose(ours[0].detach().numpy(), by_hand, atol=1e-6)


def test_the_elman_cell_can_be_rectified() -> None:
    cell = make_stack(cell="rnn", nonlinearity="relu", bidirectional=False).layers[0].forward_cell
    features, _ = batch([1])
    [by_hand] = elman_step(cell, features[0, 0].double().numpy(), (np.zeros(6),), lambda x: np.maximum(x, 0))
    np.testing.assert_allclose(run_cell(cell, features, None)[0][0, 0].detach().numpy(), by_hand, atol=1e-6)


@pytest.mark.parametrize(("kind", "bidirectional"), list(itertools.product(CELLS, [False, True])))
def test_gradients_through_time_equal_finite_differences(kind: str, bidirectional: bool) -> None:
    stack = make_stack(cell=kind, bidirectional=bidirectional, hidden_size=3).double()
    features, lengths = batch([5, 3])
    features = features.double().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: stack(x, lengths)[0], (features,))
    weight = stack.layers[0].forward_cell.weight_hh_l0

    def of_weight(value: torch.Tensor) -> Any:
        name = "layers.0.forward_cell.weight_hh_l0"
        return torch.func.functional_call(stack, {name: value}, (features.detach(), lengths))[0]

    assert torch.autograd.gradcheck(of_weight, (weight.detach().clone().requires_grad_(),))


@pytest.mark.parametrize(("kind", "bidirectional", "norm"), EVERY_STACK)
def test_an_utterance_alone_equals_itself_among_longer_mates(
    kind: str, bidirectional: bool, norm: str
) -> None:
    stack = make_stack(cell=kind, bidirectional=bidirectional, norm=norm).eval()
    features, lengths = batch([9, 4, 1])
    together, _ = stack(features, lengths)
    for index, length in enumerate(lengths):
        alone, _ = stack(features[index : index + 1, :length], lengths[index : index + 1])
        torch.testing.assert_close(together[index, :length], alone[0], atol=1e-5, rtol=0)
        assert not together[index, length:].any()


@pytest.mark.parametrize(("kind", "bidirectional", "norm"), EVERY_STACK)
def test_more_padding_changes_neither_training_nor_its_statistics(
    kind: str, bidirectional: bool, norm: str
) -> None:
    tight = make_stack(cell=kind, bidirectional=bidirectional, norm=norm).train()
    loose = make_stack(cell=kind, bidirectional=bidirectional, norm=norm).train()
    features, lengths = batch([6, 4])
    padded = torch.cat([features, torch.full((2, 5, INPUT_SIZE), 7.0)], dim=1)
    first, second = tight(features, lengths)[0], loose(padded, lengths)[0]
    torch.testing.assert_close(second[:, :6], first, atol=1e-5, rtol=0)
    first.square().sum().backward()
    second.square().sum().backward()
    for ours, theirs in zip(tight.parameters(), loose.parameters(), strict=True):
        torch.testing.assert_close(theirs.grad, ours.grad, atol=1e-4, rtol=1e-4)
    for ours, theirs in zip(tight.buffers(), loose.buffers(), strict=True):
        torch.testing.assert_close(theirs, ours, atol=1e-5, rtol=0)


@pytest.mark.parametrize("kind", CELLS)
def test_a_bidirectional_layer_equals_torch_packed(kind: str) -> None:
    stack = make_stack(cell=kind, num_layers=1, norm="none", residual=False)
    layer = stack.layers[0]
    reference = {"rnn": torch.nn.RNN, "gru": torch.nn.GRU, "lstm": torch.nn.LSTM}[kind](
        INPUT_SIZE, 6, batch_first=True, bidirectional=True
    )
    for name, value in layer.forward_cell.named_parameters():
        getattr(reference, name).data.copy_(value.data)
    for name, value in layer.backward_cell.named_parameters():
        getattr(reference, name + "_reverse").data.copy_(value.data)
    features, lengths = batch([8, 5, 2])
    packed = torch.nn.utils.rnn.pack_padded_sequence(features, lengths, batch_first=True)
    expected, _ = torch.nn.utils.rnn.pad_packed_sequence(reference(packed)[0], batch_first=True)
    torch.testing.assert_close(stack(features, lengths)[0], expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize("kind", CELLS)
def test_state_carried_over_pieces_equals_the_whole(kind: str) -> None:
    stack = make_stack(cell=kind, bidirectional=False).eval()
    features, _ = batch([10, 10])
    whole, final = stack(features, torch.tensor([10, 10]))
    states, pieces = None, []
    for start, stop in ((0, 3), (3, 4), (4, 10)):
        size = torch.tensor([stop - start] * 2)
        piece, states = stack(features[:, start:stop], size, states)
        pieces.append(piece)
    torch.testing.assert_close(torch.cat(pieces, dim=1), whole, atol=1e-6, rtol=0)
    for ours, theirs in zip(states, final, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=0)


def test_a_bidirectional_stack_refuses_a_state() -> None:
    stack = make_stack()
    features, lengths = batch([3])
    with pytest.raises(ConfigError, match="cannot carry its state"):
        stack(features, lengths, [(torch.zeros(1, 6),)] * 2)


@pytest.mark.parametrize("kind", CELLS)
def test_truncated_bptt_computes_the_same_and_forgets_older_gradients(kind: str) -> None:
    whole = make_stack(cell=kind, bidirectional=False).train()
    truncated = make_stack(cell=kind, bidirectional=False, tbptt_steps=4).train()
    features, lengths = batch([10, 6])
    features.requires_grad_()
    output = truncated(features, lengths)[0]
    torch.testing.assert_close(output, whole(features, lengths)[0], atol=1e-6, rtol=0)
    [gradient] = torch.autograd.grad(output[0, 9].sum(), features)
    assert not gradient[0, :8].any()  # frames 8 and 9 are the last piece of 4, 4, 2
    assert gradient[0, 8:].any()


def test_reversal_stays_within_each_length_and_undoes_itself() -> None:
    values = torch.tensor([[[1.0], [2.0], [3.0]], [[4.0], [5.0], [0.0]]])
    order = reversal(torch.tensor([3, 2]), 3)
    reversed_values = reorder(values, order)
    assert reversed_values.flatten().tolist() == [3, 2, 1, 5, 4, 0]
    assert torch.equal(reorder(reversed_values, order), values)


def test_projection_and_residual_shape_the_output() -> None:
    features, lengths = batch([4])
    assert make_stack(projection_size=3)(features, lengths)[0].shape == (1, 4, 3)
    residual = make_stack(num_layers=2, norm="none")
    plain = make_stack(num_layers=2, norm="none", residual=False)
    first, _ = residual.layers[0](features, None, reversal(lengths, 4), None)
    expected = plain(features, lengths)[0] + first  # the second layer's input comes on top
    torch.testing.assert_close(residual(features, lengths)[0], expected)


def test_the_forget_gate_begins_open() -> None:
    cell = make_stack(cell="lstm").layers[0].forward_cell
    assert (cell.bias_ih_l0[6:12] + cell.bias_hh_l0[6:12]).tolist() == [1.0] * 6


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"cell": "ltsm"}, "encoder.cell must be rnn, gru or lstm, got 'ltsm'"),
        ({"hidden_size": 0}, "encoder.hidden_size must be > 0, got 0"),
        ({"projection_size": 0}, "encoder.projection_size"),
        ({"norm": "group"}, "encoder.norm"),
        ({"nonlinearity": "gelu"}, "encoder.nonlinearity"),
        ({"dropout": 1.0}, "encoder.dropout"),
        ({"subsampling": 3}, "encoder.subsampling must be 1, 2 or 4, got 3"),
        ({"tbptt_steps": 8}, "encoder.tbptt_steps must be absent when encoder.bidirectional"),
    ],
)
def test_a_wrong_setting_is_named(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        EncoderConfig(**options)


def test_locked_dropout_drops_the_same_of_every_frame_and_nothing_in_evaluation() -> None:
    dropout = make_dropout(EncoderConfig(dropout=0.25, lock_dropout=True))
    ones = torch.ones(3, 7, 4000)
    torch.manual_seed(0)
    dropped = dropout(ones)
    assert torch.equal(dropped, dropped[:, :1].expand_as(dropped))
    assert not torch.equal(dropped[0], dropped[1])  # each utterance its own
    np.testing.assert_allclose(dropped.unique(), [0.0, 4 / 3], rtol=1e-6)
    assert (dropped[:, 0] == 0).float().mean() == pytest.approx(0.25, abs=0.02)  # 12,000 draws: 5 sigma
    assert torch.equal(dropout.eval()(ones), ones)
