"""A recurrent language model as one ONNX file: tokens and state in, log probabilities and new state out."""

import copy
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper
from torch import Tensor

from speechrnn.errors import ConfigError, ModelFileError
from speechrnn.nn.checkpoint import load_any
from speechrnn.nn.export import TOLERANCE, export_model, round_to_half, save_checked
from speechrnn.nn.graph import INT8, Graph, Precision, finish
from speechrnn.nn.graph_layers import add_linear, cell_attributes, stack_cells
from speechrnn.nn.language_model import RecurrentLanguageModel
from speechrnn.nn.model import SpeechModel
from speechrnn.nn.recurrent import RecurrentLayer, State
from speechrnn.runtime.language_model import INPUTS, OUTPUTS, RecurrentLM
from speechrnn.text import SentenceCoder

PARITY_LENGTHS = (1, 9, 40)


def export_any_checkpoint(
    checkpoint: str | PathLike[str],
    path: str | PathLike[str],
    *,
    precision: Precision = "single",
    card: Mapping[str, Any] | None = None,
) -> Path:
    """Write whatever network a checkpoint holds, one that hears or a language model; as ``export_checkpoint``.

    Raises:
        ConfigError: If a language model is to be of int8.
    """
    model = load_any(checkpoint)
    if isinstance(model, SpeechModel):
        return export_model(model, path, precision=precision, card=card)
    if precision in INT8:
        raise ConfigError(f"{checkpoint}: int8 is for models that hear; language models have --half")
    return export_language_model(model, path, half=precision == "half", card=card)


def export_language_model(
    model: RecurrentLanguageModel,
    path: str | PathLike[str],
    *,
    half: bool = False,
    card: Mapping[str, Any] | None = None,
) -> Path:
    """Write a language model as a file that needs no torch.

    Its inputs are ``tokens`` (batch, time) int64, ``lengths`` (batch,) int64 from 1 to time, and ``state``
    (batch, parts, hidden_size), zeros to begin with; its outputs ``log_probs`` (batch, time, ids), which mean
    nothing beyond the lengths, and ``new_state`` after each row's last token.

    Args:
        model: The network.
        path: The file to write; it appears only when it is whole and checked.
        half: Store the weights in half precision; they are rounded once, here.
        card: What the file says of itself.

    Returns:
        ``path``.

    Raises:
        ModelFileError: If the file cannot be written, or does not compute what torch does.
    """
    model = copy.deepcopy(model).cpu().eval()
    if half:
        round_to_half(model)
    proto = build_language_model(model, half=half, card=card or {})
    return save_checked(proto, Path(path), lambda written: check_parity(model, written))


def check_parity(model: RecurrentLanguageModel, path: Path) -> None:
    """Compare the file with torch on random tokens, alone with a carried state and in a padded batch.

    Raises:
        ModelFileError: If an output differs by more than ``TOLERANCE``.
    """
    file = RecurrentLM(path)
    generator = torch.Generator().manual_seed(0)
    shape = len(PARITY_LENGTHS), max(PARITY_LENGTHS)
    tokens = torch.randint(len(SentenceCoder(model.config.vocabulary)), shape, generator=generator)
    lengths = torch.tensor(PARITY_LENGTHS)
    expected_states: list[State] | None = None
    state = file.begin_state(1)
    for row, length in zip(tokens.unsqueeze(1), lengths.unsqueeze(1), strict=True):
        with torch.no_grad():
            expected, expected_states = model(row[:, : int(length)], length, expected_states)
        log_probs, state = file.run(row[:, : int(length)].numpy(), length.numpy(), state)
        refuse_difference(path, log_probs, expected)
        refuse_difference(path, state, stack_states(expected_states))
    with torch.no_grad():
        expected, _ = model(tokens, lengths)
    log_probs, _ = file.run(tokens.numpy(), lengths.numpy(), file.begin_state(len(tokens)))
    for index, count in enumerate(PARITY_LENGTHS):
        refuse_difference(path, log_probs[index, :count], expected[index, :count])


def refuse_difference(path: Path, answer: np.ndarray[Any, Any], expected: Tensor) -> None:
    """Compare one output; errors as ``check_parity``."""
    if answer.shape != expected.shape:
        raise ModelFileError(f"{path}: exported shape {answer.shape}, torch {tuple(expected.shape)}")
    difference = float(np.abs(answer - expected.numpy()).max())
    if not difference <= TOLERANCE:
        raise ModelFileError(
            f"{path}: differs from torch by {difference:.1e} (> {TOLERANCE:.0e}) "
            f"on {answer.shape[-2]} tokens; not written"
        )


def stack_states(states: list[State]) -> Tensor:
    """Bring the layers' states to one tensor (batch, parts, hidden_size): h, or h and c, of each in turn."""
    return torch.stack([part for state in states for part in state], dim=1)


def build_language_model(
    model: RecurrentLanguageModel, *, half: bool, card: Mapping[str, Any]
) -> onnx.ModelProto:
    """Write the graph and its metadata."""
    graph = Graph(precision="half" if half else "single")
    network, num_ids = model.config.network, len(SentenceCoder(model.config.vocabulary))
    embedding = graph.weight(model.embedding.weight)
    embedded = graph.add("Gather", embedding, INPUTS[0], axis=0)
    encoded = add_recurrent(graph, model, embedded)
    if model.projection is not None:
        encoded = add_linear(graph, model.projection, encoded)
    matrix = embedding if network.tied else graph.weight(model.output_weight)
    logits = graph.add("MatMul", encoded, graph.add("Transpose", matrix, perm=[1, 0]))
    logits = graph.add("Add", logits, graph.weight(model.bias))
    graph.nodes.append(helper.make_node("LogSoftmax", [logits], [OUTPUTS[0]], axis=-1))
    state_shape: list[str | int] = ["batch", network.num_state_parts, network.hidden_size]
    inputs = [
        helper.make_tensor_value_info(INPUTS[0], TensorProto.INT64, ["batch", "time"]),
        helper.make_tensor_value_info(INPUTS[1], TensorProto.INT64, ["batch"]),
        helper.make_tensor_value_info(INPUTS[2], TensorProto.FLOAT, state_shape),
    ]
    outputs = [
        helper.make_tensor_value_info(OUTPUTS[0], TensorProto.FLOAT, ["batch", "time", num_ids]),
        helper.make_tensor_value_info(OUTPUTS[1], TensorProto.FLOAT, state_shape),
    ]
    return finish(graph, inputs, outputs, model.config.to_dict(), card)


def add_recurrent(graph: Graph, model: RecurrentLanguageModel, embedded: str) -> str:
    """Add the recurrent layers and the new state; returns encoded tokens (batch, time, hidden_size)."""
    sequence_lens = graph.add("Cast", INPUTS[1], to=TensorProto.INT32)
    values = graph.add("Transpose", embedded, perm=[1, 0, 2])
    layers_first = graph.add("Transpose", INPUTS[2], perm=[1, 0, 2])
    new_parts: list[str] = []
    for layer in model.recurrent.layers:
        assert isinstance(layer, RecurrentLayer)
        values, parts = add_layer(graph, model, layer, values, sequence_lens, layers_first, len(new_parts))
        new_parts += parts
    stacked = graph.add("Concat", *new_parts, axis=0)
    graph.nodes.append(helper.make_node("Transpose", [stacked], [OUTPUTS[1]], perm=[1, 0, 2]))
    return graph.add("Transpose", values, perm=[1, 0, 2])


def add_layer(
    graph: Graph,
    model: RecurrentLanguageModel,
    layer: RecurrentLayer,
    values: str,
    sequence_lens: str,
    states: str,
    first_part: int,
) -> tuple[str, list[str]]:
    """Add one layer over (time, batch, n) values; returns its outputs and its new state's parts (1, batch, n)."""
    config = model.config.network.encoder
    num_parts = 2 if config.cell == "lstm" else 1
    initial = [
        graph.add("Gather", states, graph.constant([first_part + part]), axis=0) for part in range(num_parts)
    ]
    kernels = [graph.weight(stacked) for stacked in stack_cells([layer.forward_cell], config.cell)]
    output, *new_parts = graph.add_outputs(
        config.cell.upper(),
        values,
        *kernels,
        sequence_lens,
        *initial,
        num_outputs=1 + num_parts,
        **cell_attributes(config),
    )
    return graph.add("Squeeze", output, graph.constant([1])), new_parts
