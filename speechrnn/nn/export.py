"""A trained network as one ONNX file: waveform in, log probabilities out, front end inside.

The network is small and fixed, so its graph is written down node by node from the weights. That spares users
the torch exporters' bugs (packed recurrent layers, frozen time axes), and gives ONNX Runtime its own fused
recurrent operators, which honour each utterance's length.
"""

import copy
import json
from collections.abc import Callable, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from speechrnn.errors import ModelFileError
from speechrnn.new_file import new_file
from speechrnn.nn.checkpoint import load_checkpoint
from speechrnn.nn.config import EncoderConfig
from speechrnn.nn.encoder import KERNEL_SIZE
from speechrnn.nn.features import DELTA_REACH, VARIANCE_FLOOR
from speechrnn.nn.heads import ClassificationHead, CTCHead
from speechrnn.nn.model import SpeechModel
from speechrnn.nn.recurrent import FrameLayerNorm, MaskedBatchNorm, RecurrentLayer
from speechrnn.runtime.emission_stream import WindowOptions, count_statistics, stream_emissions
from speechrnn.runtime.model_file import (
    COUNTED,
    ENCODED,
    FORMAT_VERSION,
    FRAME_LIMIT,
    HOLD,
    KNOWN_FRAMES,
    KNOWN_MEAN,
    KNOWN_VARIANCE,
    MEAN,
    NEW_STATE,
    PAST,
    SKIP,
    STATE,
    VARIANCE,
    ModelFile,
)

OPSET = 17
TOLERANCE = 1e-4
HALF_PRECISION_ABOVE = 256  # numbers; smaller tensors save nothing
MICROSOFT = helper.make_opsetid("com.microsoft", 1)  # ONNX Runtime's own operators
EVERYTHING = np.iinfo(np.int64).max
LARGEST_INT8 = 127
SMALLEST_SCALE = 1e-30  # of a row of zeros
Precision: TypeAlias = Literal["single", "half", "int8_weights", "int8"]
INT8 = ("int8_weights", "int8")
GATE_ORDER = {"rnn": [0], "gru": [1, 0, 2], "lstm": [0, 3, 1, 2]}  # ONNX's gates by their places in torch's


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
        card: What the file says of itself: name, description, hears, data, licence, results, seed.

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


def row_scales(kernel: torch.Tensor) -> torch.Tensor:
    """Find what the whole numbers of each row, the last dimension, are multiplied with."""
    return kernel.detach().abs().amax(-1, keepdim=True).clamp(min=SMALLEST_SCALE) / LARGEST_INT8


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


def add_features(graph: Graph, model: SpeechModel) -> tuple[str, str]:
    """Add the front end; returns normalised features (batch, time, n), padding zeroed, and lengths (batch,)."""
    config = model.config.features
    features = add_log_mel(graph, model)
    if config.kind == "mfcc":
        features = graph.add("MatMul", features, graph.weight(model.features.dct))
    past_first = graph.add("Add", "waveform_lengths", graph.constant([config.hop_length - config.n_fft]))
    lengths = graph.add(
        "Div", graph.add("Max", past_first, graph.constant([0])), graph.constant([config.hop_length])
    )
    if config.deltas:
        features = add_deltas(graph, features, lengths, config.deltas)
    return add_normalization(graph, model, features, lengths)


def add_log_mel(graph: Graph, model: SpeechModel) -> str:
    """Add framing, window and Fourier transform as one strided convolution, then mel bands and log."""
    config = model.config.features
    waveform = graph.add("Unsqueeze", "waveform", graph.constant([1]))
    if config.preemphasis > 0:
        emphasis = np.array([[[-config.preemphasis, 1.0]]], np.float32)
        waveform = graph.add("Conv", waveform, graph.weight(emphasis), pads=[1, 0])
    left = (config.n_fft - config.win_length) // 2
    right = config.n_fft - config.win_length - left
    ends = [graph.constant([left]), graph.constant([-right if right else EVERYTHING])]
    waveform = graph.add("Slice", waveform, *ends, graph.constant([2]))
    kernel = add_fourier_kernel(graph, model, left)
    spectrum = graph.add("Conv", waveform, kernel, strides=[config.hop_length])
    # Real and imaginary parts are squared, then added up by the mel bands themselves.
    bands = graph.weight(model.features.mel_bands.T.unsqueeze(2))
    both = graph.add("Concat", bands, bands, axis=1)
    mel = graph.add("Conv", graph.add("Mul", spectrum, spectrum), both)
    floored = graph.add("Add", mel, graph.constant(config.floor, np.float32))
    return graph.add("Transpose", graph.add("Log", floored), perm=[0, 2, 1])


def add_fourier_kernel(graph: Graph, model: SpeechModel, left: int) -> str:
    """Add the windowed Fourier basis, (2 * bins, 1, win_length), which begins ``left`` samples into a frame.

    The window is zero outside its ``win_length`` middle samples, so the kernel covers only them. One period of
    cosine and sine is stored and the basis is looked up in it when the file is opened: it would be 0.8 MB.
    """
    config = model.config.features
    samples = np.arange(left, left + config.win_length)
    bins = np.arange(config.n_fft // 2 + 1)[:, None]
    product = graph.add("Mul", graph.constant(bins), graph.constant(samples))
    phase = graph.add("Mod", product, graph.constant(config.n_fft))
    angle = 2 * np.pi * np.arange(config.n_fft) / config.n_fft
    waves = [graph.add("Gather", graph.constant(wave(angle), np.float32), phase) for wave in (np.cos, np.sin)]
    window = graph.weight(model.features.window[samples])
    windowed = graph.add("Mul", graph.add("Concat", *waves, axis=0), window)
    return graph.add("Unsqueeze", windowed, graph.constant([1]))


def add_deltas(graph: Graph, features: str, lengths: str, order: int) -> str:
    """Append slopes, the first and last frame of each utterance repeated beyond its ends."""
    last = graph.add("Max", graph.add("Sub", lengths, graph.constant([1])), graph.constant([0]))
    last = graph.add("Unsqueeze", last, graph.constant([1, 2]))
    time = graph.add("Unsqueeze", add_time(graph, features), graph.constant([0, 2]))

    def shifted(values: str, offset: int) -> str:
        moved = graph.add("Add", time, graph.constant(offset))
        index = graph.add("Min", graph.add("Max", moved, graph.constant(0)), last)
        index = graph.add("Expand", index, graph.add("Shape", values))
        return graph.add("GatherElements", values, index, axis=1)

    reach = range(1, DELTA_REACH + 1)
    scale = 2 * sum(k * k for k in reach)
    parts = [features]
    for _ in range(order):
        slopes = [
            graph.add(
                "Mul",
                graph.add("Sub", shifted(parts[-1], k), shifted(parts[-1], -k)),
                graph.constant(k / scale, np.float32),
            )
            for k in reach
        ]
        parts.append(graph.add("Sum", *slopes))
    return graph.add("Concat", *parts, axis=2)


def add_time(graph: Graph, values: str, axis: int = 1) -> str:
    """Number the frames of values from 0."""
    size = graph.add("Gather", graph.add("Shape", values), graph.constant(axis), axis=0)
    return graph.add("Range", graph.constant(0), size, graph.constant(1))


def add_mask(graph: Graph, values: str, lengths: str, axis: int = 1) -> str:
    """Mark the real frames of values whose time lies along ``axis``: (batch, time, 1) bool."""
    column = graph.add("Unsqueeze", lengths, graph.constant([1]))
    real = graph.add("Less", add_time(graph, values, axis), column)
    return graph.add("Unsqueeze", real, graph.constant([2]))


def add_normalization(graph: Graph, model: SpeechModel, features: str, lengths: str) -> tuple[str, str]:
    """Normalise mean and variance as configured, padding zeroed; returns features and lengths."""
    zero = graph.constant(0.0, np.float32)
    mask = add_mask(graph, features, lengths)
    kind = model.config.features.normalization
    if kind == "utterance":
        return add_utterance_normalization(graph, model, features, lengths)
    if kind == "global":
        scale = (model.features.variance + VARIANCE_FLOOR).rsqrt()
        centred = graph.add("Sub", features, graph.weight(model.features.mean))
        features = graph.add("Mul", centred, graph.weight(scale))
    return graph.add("Where", mask, features, zero), lengths


def add_utterance_normalization(
    graph: Graph, model: SpeechModel, features: str, lengths: str
) -> tuple[str, str]:
    """Normalise by the mean and variance of what is counted here and of what was counted before.

    Alone, a clip's own frames count. A clip in pieces is normalised alike because each piece can be told what
    the others hold (``KNOWN``) and which of its frames are new (``COUNTED``). Two samples are joined as by
    Chan et al. (1983): with w = n / (n + n'), mean = mean' + w (mean - mean') and
    variance = (1 - w) variance' + w variance + w (1 - w) (mean - mean')^2.
    """
    size = model.config.features.n_features
    zero, one = graph.constant(0.0, np.float32), graph.constant(1.0, np.float32)
    known = [
        graph.option(name, np.zeros((1, *shape), np.float32), ["batch or 1", *shape])
        for name, shape in ((KNOWN_FRAMES, (1, 1)), (KNOWN_MEAN, (1, size)), (KNOWN_VARIANCE, (1, size)))
    ]
    counted = add_counted(graph, features, lengths)
    count = graph.add("ReduceSum", graph.add("Cast", counted, to=TensorProto.FLOAT), graph.constant([1]))
    at_least_one = graph.add("Max", count, one)

    def average(values: str) -> str:
        kept = graph.add("Where", counted, values, zero)
        return graph.add("Div", graph.add("ReduceSum", kept, graph.constant([1])), at_least_one)

    mean = average(features)
    deviation = graph.add("Sub", features, mean)
    variance = average(graph.add("Mul", deviation, deviation))
    share = graph.add("Div", count, graph.add("Max", graph.add("Add", known[0], count), one))
    rest = graph.add("Sub", one, share)
    step = graph.add("Sub", mean, known[1])
    moved = graph.add("Mul", share, step)
    mean = graph.add("Add", known[1], moved)
    parts = [
        graph.add("Mul", rest, known[2]),
        graph.add("Mul", share, variance),
        graph.add("Mul", rest, graph.add("Mul", moved, step)),
    ]
    variance = graph.add("Sum", *parts)
    graph.output(mean, MEAN, ["batch", 1, size])
    graph.output(variance, VARIANCE, ["batch", 1, size])
    floored = graph.add("Add", variance, graph.constant(VARIANCE_FLOOR, np.float32))
    normalised = graph.add("Div", graph.add("Sub", features, mean), graph.add("Sqrt", floored))
    normalised = graph.add("Where", add_mask(graph, features, lengths), normalised, zero)
    return add_limit(graph, normalised, lengths)


def add_counted(graph: Graph, features: str, lengths: str) -> str:
    """Mark the frames whose mean and variance count: (batch, time, 1) bool; all real ones if nothing is said."""
    bounds = graph.option(COUNTED, np.array([0, EVERYTHING]), [2])
    first, end = (graph.add("Gather", bounds, graph.constant([place])) for place in (0, 1))
    mask = add_mask(graph, features, graph.add("Min", lengths, end))
    old = graph.add("Less", add_time(graph, features), first)
    return graph.add("And", mask, graph.add("Unsqueeze", graph.add("Not", old), graph.constant([0, 2])))


def add_limit(graph: Graph, features: str, lengths: str) -> tuple[str, str]:
    """Let no more than the first frames through: who wants only mean and variance asks for one."""
    limit = graph.option(FRAME_LIMIT, np.array([EVERYTHING]), [1])
    lengths = graph.add("Min", lengths, limit)
    return graph.add("Slice", features, graph.constant([0]), limit, graph.constant([1])), lengths


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
