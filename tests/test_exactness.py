"""Whatever the lengths, cell, direction, norm and front end: an utterance alone is an utterance in a batch."""

import itertools
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from networks import make_config, make_model, noise

from speechrnn.nn.model import SpeechModel

CELLS = ("rnn", "gru", "lstm")
NORMS = ("none", "layer", "batch")
FRONT_ENDS: tuple[dict[str, Any], ...] = (
    {"kind": "log_mel", "normalization": "utterance"},
    {"kind": "log_mel", "normalization": "global", "deltas": 1, "preemphasis": 0.97},
    {"kind": "mfcc", "normalization": "utterance", "deltas": 2},
    {"kind": "mfcc", "normalization": "none"},
)
EVERY_STACK = list(itertools.product(CELLS, (False, True), NORMS))
# From nothing, over less than a frame (256 samples), to half a second at 8 kHz.
LENGTHS = st.lists(st.integers(0, 4000), min_size=2, max_size=5).filter(lambda lengths: max(lengths) >= 256)
DEVICES = [
    "cpu",
    pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")),
]
QUICK = settings(
    max_examples=4, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.differing_executors]
)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("front_end", FRONT_ENDS, ids=lambda f: "-".join(map(str, f.values())))
@pytest.mark.parametrize(("cell", "bidirectional", "norm"), EVERY_STACK)
@QUICK
@given(lengths=LENGTHS)
def test_log_probs_alone_equal_those_among_any_mates(
    device: str, front_end: dict[str, Any], cell: str, bidirectional: bool, norm: str, lengths: list[int]
) -> None:
    encoder = {"cell": cell, "bidirectional": bidirectional, "norm": norm}
    model = make_model(features=front_end, encoder=encoder).to(device)
    waveform = noise(len(lengths), max(lengths)).to(device)
    counts = torch.tensor(lengths, device=device)
    with torch.no_grad():
        together, frames = model(waveform, counts)
        for index, length in enumerate(lengths):
            alone, [count] = model(waveform[index : index + 1, :length], counts[index : index + 1])
            assert count == frames[index] == model.config.num_outputs(length)
            torch.testing.assert_close(together[index, :count], alone[0, :count], atol=1e-5, rtol=0)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("front_end", FRONT_ENDS, ids=lambda f: "-".join(map(str, f.values())))
@pytest.mark.parametrize(("cell", "bidirectional", "norm"), EVERY_STACK)
@QUICK
@given(lengths=LENGTHS, more=st.integers(1, 3000), order=st.randoms(use_true_random=False))
def test_training_does_not_depend_on_padding_or_on_the_order_of_utterances(
    device: str,
    front_end: dict[str, Any],
    cell: str,
    bidirectional: bool,
    norm: str,
    lengths: list[int],
    more: int,
    order: Any,
) -> None:
    # Outputs, batch norm's running statistics and gradients, of the batch as it is and shuffled with garbage behind.
    waveform = noise(len(lengths), max(lengths)).to(device)
    garbage = torch.cat([waveform, noise(len(lengths), more, seed=1).to(device)], dim=1)
    rows = order.sample(range(len(lengths)), len(lengths))
    encoder = {"cell": cell, "bidirectional": bidirectional, "norm": norm}
    torch.manual_seed(0)
    first = SpeechModel(make_config(features=front_end, encoder=encoder)).to(device).train()
    second = SpeechModel(first.config).to(device).train()
    second.load_state_dict(first.state_dict())
    counts = torch.tensor(lengths, device=device)
    ours, frames = first(waveform, counts)
    theirs, _ = second(garbage[rows], counts[rows])
    sums = [
        sum(output[row, :count].square().sum() for row, count in pairs)
        for output, pairs in (
            (ours, enumerate(frames)),
            (theirs, ((rows.index(i), count) for i, count in enumerate(frames))),
        )
    ]
    for index, count in enumerate(frames):
        torch.testing.assert_close(theirs[rows.index(index), :count], ours[index, :count], atol=1e-5, rtol=0)
    for name, value in first.named_buffers():
        torch.testing.assert_close(second.get_buffer(name), value, atol=1e-5, rtol=0, msg=name)
    for total in sums:
        torch.autograd.backward(total)
    for name, parameter in first.named_parameters():
        # The order of summation shows in float32, relative to a tensor's largest entry.
        atol = 1e-4 * float(parameter.grad.abs().max()) + 1e-7
        grad = second.get_parameter(name).grad
        torch.testing.assert_close(grad, parameter.grad, atol=atol, rtol=0, msg=name)
