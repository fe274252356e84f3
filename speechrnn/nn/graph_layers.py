"""Encoder and heads as a graph: features to log probabilities, with the states in which the layers begin and end."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from onnx import TensorProto, helper

from speechrnn.nn.config import EncoderConfig
from speechrnn.nn.encoder import KERNEL_SIZE
from speechrnn.nn.graph import INT8, MICROSOFT, Graph, add_mask
from speechrnn.nn.heads import ClassificationHead, CTCHead
from speechrnn.nn.model import SpeechModel
from speechrnn.nn.recurrent import FrameLayerNorm, MaskedBatchNorm, RecurrentLayer
from speechrnn.runtime.model_file import ENCODED, HOLD, NEW_STATE, PAST, SKIP, STATE

LARGEST_INT8 = 127
SMALLEST_SCALE = 1e-30  # of a row of zeros
GATE_ORDER = {"rnn": [0], "gru": [1, 0, 2], "lstm": [0, 3, 1, 2]}  # ONNX's gates by their places in torch's


def add_subsampling(graph: Graph, model: SpeechModel, features: str, lengths: str) -> tuple[str, str]:
    """Add the strided convolutions; returns (batch, time, n) and the new lengths."""
    padding = [KERNEL_SIZE // 2] * 4
    subsampling = model.encoder.subsampling
    planes = graph.add("Unsqueeze", features, graph.constant([1]))
    for index, convolution in enumerate(subsampling.convolutions):
        if index:
            real = graph.add("Unsqueeze", add_mask(graph, planes, lengths, axis=2), graph.constant([1]))
            planes = graph.add("Where", real, planes, graph.constant(0.0, np.float32))
        weights = [graph.weight(convolution.get_parameter(name)) for name in ("weight", "bias")]
        stride = subsampling.time_strides[index]
        convolved = graph.add("Conv", planes, *weights, strides=[stride, 2], pads=padding)
        planes = graph.add("Relu", convolved)
        rounded_up = graph.add("Add", lengths, graph.constant([stride - 1]))
        lengths = graph.add("Div", rounded_up, graph.constant([stride]))
    frames_first = graph.add("Transpose", planes, perm=[0, 2, 1, 3])
    return graph.add("Reshape", frames_first, graph.constant([0, 0, subsampling.output_size])), lengths


def add_cut(graph: Graph, features: str, lengths: str) -> tuple[str, str]:
    """Leave out frames at both ends: those next to a cut, which the convolutions could not see beyond."""
    skip = graph.option(SKIP, np.array([0]), [1])
    hold = graph.option(HOLD, np.array([0]), [1])
    end = graph.add("Sub", graph.add("Gather", graph.add("Shape", features), graph.constant([1])), hold)
    lengths = graph.add("Sub", graph.add("Sub", lengths, skip), hold)
    return graph.add("Slice", features, skip, end, graph.constant([1])), lengths


def add_recurrent(graph: Graph, model: SpeechModel, features: str, lengths: str) -> tuple[str, str]:
    """Add the recurrent layers; returns encoded frames (batch, time, n), padding zeroed, and their mask."""
    mask = add_mask(graph, features, lengths)
    # The operators refuse a length of 0; such an utterance has no frame that anyone reads.
    sequence_lens = graph.add("Max", lengths, graph.constant([1]))
    sequence_lens = graph.add("Cast", sequence_lens, to=TensorProto.INT32)
    values = graph.add("Transpose", features, perm=[1, 0, 2])
    layers = model.encoder.recurrent.layers
    begins = add_states(graph, model, lengths)
    ends: list[str] = []
    for layer, begin in zip(layers, begins, strict=True):
        assert isinstance(layer, RecurrentLayer)
        values, end = add_layer(graph, model, layer, values, sequence_lens, begin)
        ends += end
    if not model.config.encoder.bidirectional:
        joined = graph.add("Concat", *ends, axis=0)
        graph.output(joined, NEW_STATE, [len(ends), "batch", model.config.encoder.hidden_size])
    encoded = graph.add("Transpose", values, perm=[1, 0, 2])
    return graph.add("Where", mask, encoded, graph.constant(0.0, np.float32)), mask


def add_states(graph: Graph, model: SpeechModel, lengths: str) -> list[list[str]]:
    """Add the state in which each layer begins, (1, batch, n) for each part; none if bidirectional."""
    config = model.config.encoder
    if config.bidirectional:
        return [[]] * config.num_layers
    parts = 2 if config.cell == "lstm" else 1
    rows, width = parts * config.num_layers, config.hidden_size
    state = graph.option(STATE, np.zeros((rows, 1, width), np.float32), [rows, "batch or 1", width])
    shape = graph.add(
        "Concat", graph.constant([rows]), graph.add("Shape", lengths), graph.constant([width]), axis=0
    )
    split = graph.add_outputs("Split", graph.add("Expand", state, shape), num_outputs=rows, axis=0)
    return [split[row : row + parts] for row in range(0, rows, parts)]


def add_layer(
    graph: Graph,
    model: SpeechModel,
    layer: RecurrentLayer,
    values: str,
    sequence_lens: str,
    begin: Sequence[str],
) -> tuple[str, list[str]]:
    """Add one layer over (time, batch, n) values; returns its output and the state in which it ends."""
    config = model.config.encoder
    cells = [layer.forward_cell, *([layer.backward_cell] if layer.backward_cell else [])]
    kernels = stack_cells(cells, config.cell)
    add = add_int8_lstm if graph.precision == "int8" and config.cell == "lstm" else add_cells
    output, *end = add(graph, config, values, kernels, sequence_lens, begin)
    output = graph.add("Transpose", output, perm=[0, 2, 1, 3])
    width = len(cells) * config.hidden_size
    output = graph.add("Reshape", output, graph.constant([0, 0, width]))
    if layer.projection is not None:
        output = add_linear(graph, layer.projection, output)
    output = add_norm(graph, layer.norm, output)
    return (graph.add("Add", output, values) if layer.residual else output), end


def add_cells(
    graph: Graph,
    config: EncoderConfig,
    values: str,
    kernels: Sequence[torch.Tensor],
    sequence_lens: str,
    begin: Sequence[str],
) -> list[str]:
    """Add a recurrent operator; returns its output and the state in which it ends."""
    names = [add_kernel(graph, kernel) for kernel in kernels]
    return graph.add_outputs(
        config.cell.upper(),
        values,
        *names,
        sequence_lens,
        *begin,
        num_outputs=1 + len(begin),
        **cell_attributes(config),
    )


def add_kernel(graph: Graph, kernel: torch.Tensor) -> str:
    """Store a kernel in as few bits as was asked for, to be computed with in single precision."""
    if graph.precision not in INT8 or kernel.ndim < 3:
        return graph.weight(kernel)
    scales = row_scales(kernel)
    numbers = graph.store((kernel / scales).round().to(torch.int8).numpy())
    return graph.add("Mul", graph.add("Cast", numbers, to=TensorProto.FLOAT), graph.store(scales.numpy()))


def add_int8_lstm(
    graph: Graph,
    config: EncoderConfig,
    values: str,
    kernels: Sequence[torch.Tensor],
    sequence_lens: str,
    begin: Sequence[str],
) -> list[str]:
    """Add an LSTM that multiplies in whole numbers; as ``add_cells``.

    It takes kernels with a column for each gate, and behind the other inputs their scales and zero points.
    """
    parts = []
    for kernel in kernels[:2]:
        scales = row_scales(kernel)
        numbers = (kernel / scales).round().to(torch.int8).transpose(1, 2).contiguous().numpy()
        zeros = np.zeros(kernel.shape[:2], np.int8)
        parts.append([graph.store(array) for array in (numbers, scales.squeeze(-1).numpy(), zeros)])
    return graph.add_outputs(
        "DynamicQuantizeLSTM",
        values,
        *[part[0] for part in parts],
        graph.weight(kernels[2]),
        sequence_lens,
        *(begin or ("", "")),
        "",  # no peepholes
        *[name for part in parts for name in part[1:]],
        num_outputs=1 + len(begin),
        domain=MICROSOFT.domain,
        **cell_attributes(config),
    )


def cell_attributes(config: EncoderConfig) -> dict[str, Any]:
    """Say to a recurrent operator which cell it is."""
    attributes: dict[str, Any] = {"hidden_size": config.hidden_size}
    attributes["direction"] = "bidirectional" if config.bidirectional else "forward"
    if config.cell == "rnn":
        attributes["activations"] = [config.nonlinearity.capitalize()] * (1 + config.bidirectional)
    if config.cell == "gru":
        attributes["linear_before_reset"] = 1
    return attributes


def stack_cells(cells: list[Any], kind: str) -> list[torch.Tensor]:
    """Stack the directions' kernels W, R and biases B, gates in ONNX's order."""
    order = GATE_ORDER[kind]

    def gates(name: str) -> torch.Tensor:
        kernels = [getattr(cell, name).detach() for cell in cells]
        chunks = [kernel.chunk(len(order)) for kernel in kernels]
        return torch.stack([torch.cat([chunk[gate] for gate in order]) for chunk in chunks])

    biases = torch.cat([gates("bias_ih_l0"), gates("bias_hh_l0")], dim=1)
    return [gates("weight_ih_l0"), gates("weight_hh_l0"), biases]


def add_linear(graph: Graph, linear: Any, values: str) -> str:
    """Add a linear map of the last dimension."""
    product = graph.add("MatMul", values, graph.weight(linear.weight.detach().T))
    return graph.add("Add", product, graph.weight(linear.bias))


def add_norm(graph: Graph, norm: Any, values: str) -> str:
    """Add the normalisation behind a layer."""
    if isinstance(norm, FrameLayerNorm):
        weights = graph.weight(norm.weight), graph.weight(norm.bias)
        return graph.add("LayerNormalization", values, *weights, axis=-1, epsilon=norm.eps)
    if isinstance(norm, MaskedBatchNorm):
        scale = (norm.running_variance + norm.epsilon).rsqrt() * norm.weight
        shift = norm.bias - norm.running_mean * scale
        return graph.add("Add", graph.add("Mul", values, graph.weight(scale)), graph.weight(shift))
    return values


def add_head(graph: Graph, model: SpeechModel, encoded: str, mask: str, lengths: str) -> None:
    """Add pooling where there is one, the output layer and the log softmax."""
    head = model.head
    assert isinstance(head, CTCHead | ClassificationHead)
    if isinstance(head, ClassificationHead):
        bidirectional = model.config.encoder.bidirectional
        if not bidirectional:
            encoded, mask, lengths = add_past(graph, model, encoded, mask, lengths)
        encoded = add_pooling(graph, head, encoded, mask, lengths, bidirectional=bidirectional)
    logits = add_linear(graph, head.output, encoded)
    graph.nodes.append(helper.make_node("LogSoftmax", [logits], ["log_probs"], axis=-1))


def add_past(graph: Graph, model: SpeechModel, encoded: str, mask: str, lengths: str) -> tuple[str, str, str]:
    """Put frames that were encoded earlier in front of the new ones, so that both are pooled together."""
    width = model.config.encoder.output_size
    past = graph.option(PAST, np.zeros((1, 0, width), np.float32), ["batch or 1", "past frames", width])
    graph.output(encoded, ENCODED, ["batch", "frames", width])
    batch = graph.add("Shape", lengths)
    shape = graph.add("Concat", batch, graph.constant([1, 1]), axis=0)
    past = graph.add("Expand", past, shape)
    num_past = graph.add("Gather", graph.add("Shape", past), graph.constant([1]))
    before = graph.add("Expand", graph.constant(True, np.bool_), graph.add("Shape", past))
    before = graph.add("Slice", before, graph.constant([0]), graph.constant([1]), graph.constant([2]))
    return (
        graph.add("Concat", past, encoded, axis=1),
        graph.add("Concat", before, mask, axis=1),
        graph.add("Add", lengths, num_past),
    )


def add_pooling(
    graph: Graph,
    head: ClassificationHead,
    encoded: str,
    mask: str,
    lengths: str,
    *,
    bidirectional: bool,
) -> str:
    """Sum up each clip: (batch, time, n) to (batch, n)."""
    lowest = graph.constant(-np.inf, np.float32)
    time_axis = graph.constant([1])
    at_least_one = graph.add("Max", lengths, graph.constant([1]))
    if head.pooling == "mean":
        count = graph.add("Cast", at_least_one, to=TensorProto.FLOAT)
        total = graph.add("ReduceSum", encoded, time_axis, keepdims=0)
        return graph.add("Div", total, graph.add("Unsqueeze", count, time_axis))
    if head.pooling == "max":
        return graph.add("ReduceMax", graph.add("Where", mask, encoded, lowest), axes=[1], keepdims=0)
    if head.attention is not None:
        scores = graph.add("Where", mask, add_linear(graph, head.attention, encoded), lowest)
        weighted = graph.add("Mul", graph.add("Softmax", scores, axis=1), encoded)
        return graph.add("ReduceSum", weighted, time_axis, keepdims=0)
    final = graph.add("Sub", at_least_one, graph.constant([1]))
    final = graph.add("GatherND", encoded, graph.add("Unsqueeze", final, time_axis), batch_dims=1)
    if not bidirectional:
        return final
    first = graph.add("Gather", encoded, graph.constant(0), axis=1)
    from_final = np.arange(head.output.in_features) < head.forward_size
    parts = [
        graph.add("Mul", values, graph.weight(kept.astype(np.float32)))
        for values, kept in ((final, from_final), (first, ~from_final))
    ]
    return graph.add("Add", *parts)


def row_scales(kernel: torch.Tensor) -> torch.Tensor:
    """Find what the whole numbers of each row, the last dimension, are multiplied with."""
    return kernel.detach().abs().amax(-1, keepdim=True).clamp(min=SMALLEST_SCALE) / LARGEST_INT8
