"""A model file back to the network it was exported from, to export it in another way or to train it further."""

from collections.abc import Iterator, Mapping
from os import PathLike
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import numpy_helper
from torch import Tensor, nn

from speechrnn.errors import ModelFileError, SpeechRNNError
from speechrnn.nn.config import ModelConfig
from speechrnn.nn.features import VARIANCE_FLOOR
from speechrnn.nn.graph_layers import GATE_ORDER
from speechrnn.nn.heads import ClassificationHead
from speechrnn.nn.model import SpeechModel
from speechrnn.nn.recurrent import FrameLayerNorm, MaskedBatchNorm, RecurrentLayer
from speechrnn.runtime.model_file import ModelFile

Weights = Iterator[Tensor]
WEIGHT_TYPES = (onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16, onnx.TensorProto.INT8)


def restore_model(path: str | PathLike[str]) -> SpeechModel:
    """Build the network that a model file holds.

    Weights come back as they were stored. Batch norm comes back with its statistics folded into its weights:
    it computes the same, but its running statistics begin anew.

    Args:
        path: A file that ``speechrnn export`` wrote, of any format version.

    Returns:
        The network in evaluation mode.

    Raises:
        ModelFileError: If it is no model file, or one of int8 layers, which hold their weights otherwise.
    """
    info = ModelFile(path, threads=1, device="cpu").info
    if info.precision == "int8":
        raise ModelFileError(f"{path}: its layers compute in int8; start from the file they came from")
    try:
        model = SpeechModel(ModelConfig.from_dict(info.config)).eval()
        with torch.no_grad():
            fill(model, onnx.load(path).graph)
    except (SpeechRNNError, RuntimeError, StopIteration, KeyError, TypeError, ValueError) as error:
        raise ModelFileError(f"{path}: does not hold the network that it describes: {error}") from error
    return model


def fill(model: SpeechModel, graph: onnx.GraphProto) -> None:
    """Put a graph's weights into a network, in the order in which the exporter wrote them."""
    first = next(i for i, node in enumerate(graph.node) if node.op_type == "Conv" and len(node.input) == 3)
    arrays = stored_arrays(graph)
    if model.config.features.normalization == "global":
        fill_statistics(model, weights_of(graph.node[:first], arrays))
    weights = weights_of(graph.node[first:], arrays)
    for convolution in model.encoder.subsampling.convolutions:
        take(weights, convolution, "weight", "bias")
    for layer in model.encoder.recurrent.layers:
        assert isinstance(layer, RecurrentLayer)
        fill_layer(layer, weights, model.config.encoder.cell)
    head = model.head
    if isinstance(head, ClassificationHead):
        if head.attention is not None:
            take_linear(weights, head.attention)
        if head.pooling == "last" and model.config.encoder.bidirectional:
            next(weights), next(weights)  # which half comes from which end
    assert isinstance(head.output, nn.Linear)
    take_linear(weights, head.output)


def stored_arrays(graph: onnx.GraphProto) -> dict[str, NDArray[np.float32]]:
    """Find the weights that a graph stores, those of 8 bits scaled, under each name by which they are used."""
    optional = {value.name for value in graph.input}
    arrays = {
        tensor.name: numpy_helper.to_array(tensor).astype(np.float32)
        for tensor in graph.initializer
        if tensor.data_type in WEIGHT_TYPES and tensor.name not in optional
    }
    casts = [node for node in graph.node if node.op_type == "Cast" and node.input[0] in arrays]
    arrays |= {node.output[0]: arrays[node.input[0]] for node in casts}
    numbers = {node.output[0] for node in casts}
    scaled = [node for node in graph.node if node.op_type == "Mul" and numbers.issuperset(node.input[:1])]
    return arrays | {node.output[0]: arrays[node.input[0]] * arrays[node.input[1]] for node in scaled}


def weights_of(nodes: Any, arrays: Mapping[str, NDArray[np.float32]]) -> Weights:
    """Go through the arrays that nodes compute with, numbers and what makes weights of stored ones left out."""
    for node in nodes:
        for name in node.input:
            if node.output[0] not in arrays and name in arrays and arrays[name].ndim:
                yield torch.from_numpy(arrays[name].copy())


def fill_statistics(model: SpeechModel, weights: Weights) -> None:
    """Take the training set's mean and variance, the last two arrays of the front end."""
    *_, mean, scale = weights
    model.features.set_statistics(mean, scale**-2 - VARIANCE_FLOOR)


def fill_layer(layer: RecurrentLayer, weights: Weights, cell: str) -> None:
    """Take a layer's kernels, gates back in torch's order, then its projection and norm."""
    kernels = [next(weights) for _ in range(3)]
    order = np.argsort(GATE_ORDER[cell])
    cells = [layer.forward_cell, *([layer.backward_cell] if layer.backward_cell else [])]
    for direction, module in enumerate(cells):
        input_kernel, state_kernel, biases = (kernel[direction] for kernel in kernels)
        parts = (input_kernel, state_kernel, *biases.chunk(2))
        names = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
        for name, part in zip(names, parts, strict=True):
            chunks = part.chunk(len(order))
            module.get_parameter(name).copy_(torch.cat([chunks[gate] for gate in order]))
    if layer.projection is not None:
        take_linear(weights, layer.projection)
    if isinstance(layer.norm, FrameLayerNorm | MaskedBatchNorm):
        take(weights, layer.norm, "weight", "bias")
    if isinstance(layer.norm, MaskedBatchNorm):
        layer.norm.running_variance.fill_(1 - layer.norm.epsilon)


def take_linear(weights: Weights, linear: nn.Linear) -> None:
    """Take the matrix and bias of a linear map."""
    linear.weight.copy_(next(weights).T)
    linear.bias.copy_(next(weights))


def take(weights: Weights, module: nn.Module, *names: str) -> None:
    """Take parameters one after the other."""
    for name in names:
        module.get_parameter(name).copy_(next(weights))
