"""A trained network as one ONNX file: waveform in, log probabilities out, front end inside.

The network is small and fixed, so its graph is written down node by node from the weights. That spares users
the torch exporters' bugs (packed recurrent layers, frozen time axes), and gives ONNX Runtime its own fused
recurrent operators, which honour each utterance's length.
"""

import copy
from collections.abc import Callable, Mapping
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper
from torch import nn

from speechrnn.errors import ModelFileError
from speechrnn.new_file import new_file
from speechrnn.nn.checkpoint import load_checkpoint
from speechrnn.nn.graph import INT8, Graph, Precision, finish
from speechrnn.nn.graph_front_end import add_features
from speechrnn.nn.graph_layers import add_cut, add_head, add_recurrent, add_subsampling, row_scales
from speechrnn.nn.model import SpeechModel
from speechrnn.runtime.emission_stream import WindowOptions, stream_emissions
from speechrnn.runtime.feature_statistics import count_statistics
from speechrnn.runtime.model_file import STATE, ModelFile

TOLERANCE = 1e-4


def export_checkpoint(
    checkpoint: str | PathLike[str],
    path: str | PathLike[str],
    *,
    precision: Precision = "single",
    card: Mapping[str, Any] | None = None,
) -> Path:
    """Write a checkpoint's network as a model file.

    Args:
        checkpoint: A training checkpoint.
        path: The file to write; it appears only when it is whole and checked.
        precision: ``half`` stores the weights in half precision, which halves the file. They are rounded
            once, here, and the parity check is against the rounded network. ``int8_weights`` stores the
            recurrent layers' weights in 8 bits, a scale for each row, which quarters the file; it is computed
            with in single precision, so answers are the same on every machine and in a browser. With ``int8``
            LSTM layers also compute in whole numbers, which is faster; their inputs are then rounded by the
            range of the batch, so answers are close to torch's, not equal. ONNX Runtime knows no such GRU or
            Elman layer: those compute in single precision.
        card: What the file says of itself: name, description, hears, data, licence, results, seed, language_model.

    Returns:
        ``path``.

    Raises:
        CheckpointError: If the checkpoint cannot be read.
        ModelFileError: If the file cannot be written, or does not compute what torch does.
    """
    return export_model(load_checkpoint(checkpoint), path, precision=precision, card=card)


def export_model(
    model: SpeechModel,
    path: str | PathLike[str],
    *,
    precision: Precision = "single",
    card: Mapping[str, Any] | None = None,
) -> Path:
    """Write a network as a model file; as ``export_checkpoint``."""
    model = copy.deepcopy(model).cpu().eval()
    if precision == "half":
        round_to_half(model)
    if precision in INT8:
        round_to_int8(model)
    proto = build_model(model, precision=precision, card=card or {})
    is_exact = precision != "int8" or model.config.encoder.cell != "lstm"
    return save_checked(proto, Path(path), lambda written: check_parity(model, written) if is_exact else None)


def save_checked(proto: onnx.ModelProto, path: Path, check: Callable[[Path], None]) -> Path:
    """Write a file that appears only when it is whole and ``check`` has let it pass.

    Raises:
        ModelFileError: If it cannot be written; and whatever ``check`` raises.
    """
    with new_file(path, overwrite=True) as partial:
        onnx.save(proto, partial)
        check(partial)
    return path


def round_to_half(model: torch.nn.Module) -> None:
    """Round the network's matrices to half precision, in place."""
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.copy_(parameter.half().float())


def round_to_int8(model: SpeechModel) -> None:
    """Round the kernels of recurrent layers to whole numbers from -127 to 127, scaled row by row, in place."""
    with torch.no_grad():
        for module in model.encoder.recurrent.modules():
            for kernel in module.parameters() if isinstance(module, nn.RNNBase) else ():
                if kernel.ndim > 1:
                    scales = row_scales(kernel)
                    kernel.copy_((kernel / scales).round() * scales)


def check_parity(model: SpeechModel, path: Path) -> None:
    """Compare the file with torch on noise, alone and in a padded batch.

    Raises:
        ModelFileError: If any output differs by more than ``TOLERANCE``.
    """
    session = ModelFile(path)
    sample_rate, n_fft = model.config.features.sample_rate, model.config.features.n_fft
    generator = torch.Generator().manual_seed(0)
    lengths = torch.tensor([n_fft, n_fft + sample_rate // 3, 2 * sample_rate + 17])
    noise = 0.1 * torch.randn(len(lengths), int(lengths.max()), generator=generator)
    noise *= torch.linspace(0, 1, noise.shape[1]).square()  # from silence to loud
    batches = [(noise[i : i + 1, :n], lengths[i : i + 1]) for i, n in enumerate(lengths)]
    for waveform, waveform_lengths in [*batches, (noise, lengths)]:
        with torch.no_grad():
            expected, expected_lengths = model(waveform, waveform_lengths)
        log_probs, output_lengths = session.run(waveform.numpy(), waveform_lengths.numpy())
        if log_probs.shape != expected.shape or output_lengths.tolist() != expected_lengths.tolist():
            raise ModelFileError(f"{path}: exported shapes {log_probs.shape}, torch {expected.shape}")
        difference = float(np.abs(log_probs - expected.numpy()).max())
        if not difference <= TOLERANCE:
            raise ModelFileError(
                f"{path}: differs from torch by {difference:.1e} (> {TOLERANCE:.0e}) "
                f"on clips of {waveform_lengths.tolist()} samples; not written"
            )
    check_streaming(session, noise[-1].numpy())


def check_streaming(model: ModelFile, waveform: NDArray[np.float32]) -> None:
    """Compare a clip in pieces with the clip as a whole, where they are to be the same: of unidirectional models.

    Raises:
        ModelFileError: If an answer differs by more than ``TOLERANCE``.
    """
    if STATE not in model.options:
        return
    options = WindowOptions(context_s=len(waveform) / model.info.sample_rate)
    statistics = count_statistics(model, [waveform])
    streamed = np.concatenate(list(stream_emissions(model, [waveform], options, statistics=statistics)))
    whole, _ = model.run(waveform[None], [len(waveform)])
    expected = (
        whole[0] if model.info.task == "ctc" else whole
    )  # a classifier's last answer is for all it heard
    difference = float(np.abs(streamed[-len(expected) :] - expected).max())
    if not difference <= TOLERANCE:
        raise ModelFileError(f"{model.path}: streamed differs by {difference:.1e} from whole; not written")


def build_model(
    model: SpeechModel, *, precision: Precision = "single", card: Mapping[str, Any]
) -> onnx.ModelProto:
    """Write the graph and its metadata."""
    graph = Graph(precision=precision)
    features, lengths = add_features(graph, model)
    features, lengths = add_subsampling(graph, model, features, lengths)
    features, lengths = add_cut(graph, features, lengths)
    encoded, mask = add_recurrent(graph, model, features, lengths)
    add_head(graph, model, encoded, mask, lengths)
    graph.nodes.append(helper.make_node("Identity", [lengths], ["output_lengths"]))
    ctc = model.config.task == "ctc"
    shape: list[str | int] = ["batch", "frames"] if ctc else ["batch"]
    outputs = [
        helper.make_tensor_value_info("log_probs", TensorProto.FLOAT, [*shape, len(model.config.vocabulary)]),
        helper.make_tensor_value_info("output_lengths", TensorProto.INT64, ["batch"]),
        *graph.more_outputs,
    ]
    inputs = [
        helper.make_tensor_value_info("waveform", TensorProto.FLOAT, ["batch", "samples"]),
        helper.make_tensor_value_info("waveform_lengths", TensorProto.INT64, ["batch"]),
        *graph.options,
    ]
    return finish(graph, inputs, outputs, model.config.to_dict(), card)
