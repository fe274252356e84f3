"""The front end as a graph: waveform to normalised features, with what is known of them when a clip comes in pieces."""

import numpy as np
from onnx import TensorProto

from speechrnn.nn.features import DELTA_REACH, VARIANCE_FLOOR
from speechrnn.nn.graph import Graph, add_mask, add_time
from speechrnn.nn.model import SpeechModel
from speechrnn.runtime.model_file import (
    COUNTED,
    FRAME_LIMIT,
    KNOWN_FRAMES,
    KNOWN_MEAN,
    KNOWN_VARIANCE,
    MEAN,
    VARIANCE,
)

EVERYTHING = np.iinfo(np.int64).max


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
