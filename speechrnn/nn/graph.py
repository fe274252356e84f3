"""An ONNX graph written down node by node: what it is made of, and how it becomes a model."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeAlias

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from speechrnn.runtime.model_file import FORMAT_VERSION

OPSET = 17
HALF_PRECISION_ABOVE = 256  # numbers; smaller tensors save nothing
MICROSOFT = helper.make_opsetid("com.microsoft", 1)  # ONNX Runtime's own operators
Precision: TypeAlias = Literal["single", "half", "int8_weights", "int8"]
INT8 = ("int8_weights", "int8")


class Graph:
    """An ONNX graph in the making: each ``add`` returns the name of the value it computes."""

    def __init__(self, *, precision: Precision = "single") -> None:
        self.precision = precision
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []
        self.options: list[onnx.ValueInfoProto] = []
        self.more_outputs: list[onnx.ValueInfoProto] = []
        self.constants: dict[tuple[Any, ...], str] = {}

    def add(self, operator: str, *inputs: str, **attributes: Any) -> str:
        """Add a node and return its output."""
        return self.add_outputs(operator, *inputs, num_outputs=1, **attributes)[0]

    def add_outputs(self, operator: str, *inputs: str, num_outputs: int, **attributes: Any) -> list[str]:
        """Add a node and return its outputs."""
        name = f"{operator.lower()}_{len(self.nodes)}"
        outputs = [name, *(f"{name}_{number}" for number in range(1, num_outputs))]
        self.nodes.append(helper.make_node(operator, list(inputs), outputs, name=name, **attributes))
        return outputs

    def constant(self, value: Any, dtype: type = np.int64) -> str:
        """Return the name of a small constant, stored once."""
        array: NDArray[Any] = np.asarray(value, dtype=dtype)
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self.constants:
            self.constants[key] = self.store(array)
        return self.constants[key]

    def weight(self, array: NDArray[np.float32] | torch.Tensor) -> str:
        """Store a weight: in half precision where that was asked for and loses nothing, else in single.

        It is computed with in single precision, as ONNX Runtime folds the cast when it opens the file.
        """
        if isinstance(array, torch.Tensor):
            array = array.detach().cpu().numpy()
        array = np.ascontiguousarray(array, dtype=np.float32)
        if self.precision == "half" and array.size > HALF_PRECISION_ABOVE:
            halved = array.astype(np.float16)
            if np.array_equal(halved.astype(np.float32), array):
                return self.add("Cast", self.store(halved), to=TensorProto.FLOAT)
        return self.store(array)

    def store(self, array: NDArray[Any]) -> str:
        """Store an array as an initializer."""
        name = f"constant_{len(self.initializers)}"
        self.initializers.append(numpy_helper.from_array(array, name))
        return name

    def option(self, name: str, default: NDArray[Any], shape: Sequence[str | int]) -> str:
        """Add an input that need not be given: an initializer of the same name is its default."""
        kind = helper.np_dtype_to_tensor_dtype(default.dtype)
        self.options.append(helper.make_tensor_value_info(name, kind, shape))
        self.initializers.append(numpy_helper.from_array(default, name))
        return name

    def output(self, value: str, name: str, shape: Sequence[str | int]) -> None:
        """Give a value to the outside under a name, behind the two outputs that every file has."""
        self.nodes.append(helper.make_node("Identity", [value], [name], name=name))
        self.more_outputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))


def add_time(graph: Graph, values: str, axis: int = 1) -> str:
    """Number the frames of values from 0."""
    size = graph.add("Gather", graph.add("Shape", values), graph.constant(axis), axis=0)
    return graph.add("Range", graph.constant(0), size, graph.constant(1))


def add_mask(graph: Graph, values: str, lengths: str, axis: int = 1) -> str:
    """Mark the real frames of values whose time lies along ``axis``: (batch, time, 1) bool."""
    column = graph.add("Unsqueeze", lengths, graph.constant([1]))
    real = graph.add("Less", add_time(graph, values, axis), column)
    return graph.add("Unsqueeze", real, graph.constant([2]))


def finish(
    graph: Graph,
    inputs: Sequence[onnx.ValueInfoProto],
    outputs: Sequence[onnx.ValueInfoProto],
    config: Mapping[str, Any],
    card: Mapping[str, Any],
) -> onnx.ModelProto:
    """Make a model of a graph and add the metadata."""
    proto = helper.make_model(
        helper.make_graph(graph.nodes, "speechrnn", inputs, outputs, graph.initializers),
        producer_name="speechrnn",
        opset_imports=[helper.make_opsetid("", OPSET), *([MICROSOFT] if graph.precision == "int8" else [])],
        ir_version=8,
    )
    metadata = {
        "speechrnn.format_version": str(FORMAT_VERSION),
        "speechrnn.config": json.dumps(dict(config), ensure_ascii=False),
        "speechrnn.card": json.dumps(dict(card), ensure_ascii=False),
        "speechrnn.precision": graph.precision,
    }
    helper.set_model_props(proto, metadata)
    onnx.checker.check_model(proto)
    return proto
