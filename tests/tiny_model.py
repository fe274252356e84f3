"""Small model files that hear tones: one pitch for each token, so that every answer is known beforehand."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

SAMPLE_RATE = 16_000
N_FFT = 320  # 20 ms: pitches at multiples of 50 Hz are orthogonal within a frame
HOP_LENGTH = 160
TOKEN_S = 0.1
TOKENS = ("a", "b", "c", " ")
PITCHES = (500.0, 1000.0, 1500.0, 2000.0)  # Hz
AMPLITUDE = 0.5
SHARPNESS = 80.0  # logit of a pure tone of AMPLITUDE: 80 * 0.5**2 = 20
BLANK_LOGIT = 5.0


def speak(text: str, *, sample_rate: int = SAMPLE_RATE) -> NDArray[np.float32]:
    """Say a text in tones, silence before, between and behind them: (samples,)."""
    length = round(TOKEN_S * sample_rate)
    time = np.arange(length) / sample_rate
    silence = np.zeros(length, dtype=np.float32)
    parts = [silence]
    for token in text:
        tone = AMPLITUDE * np.sin(2 * np.pi * PITCHES[TOKENS.index(token)] * time)
        parts += [tone.astype(np.float32), silence]
    return np.concatenate(parts)


def vocabulary(task: str) -> dict[str, Any]:
    """Describe the tokens: as characters for CTC, as labels for classification."""
    unit = "character" if task == "ctc" else "label"
    tokens = TOKENS if task == "ctc" else TOKENS[:3]
    normalization = ["lowercase"] if task == "ctc" else []
    return {"tokens": list(tokens), "unit": unit, "normalization": normalization}


def metadata(task: str = "ctc", card: dict[str, str] | None = None) -> dict[str, str]:
    """Make what ``speechrnn export`` writes into a model file's metadata."""
    config = {
        "task": task,
        "features": {"sample_rate": SAMPLE_RATE, "n_fft": N_FFT, "hop_length": HOP_LENGTH},
        "encoder": {"subsampling": 1},
        "head": {},
        "vocabulary": vocabulary(task),
    }
    return {
        "speechrnn.format_version": "1",
        "speechrnn.config": json.dumps(config),
        "speechrnn.card": json.dumps({"hears": "tones"} if card is None else card),
    }


def write_model(
    path: Path, task: str = "ctc", *, properties: dict[str, str] | None = None, **card: str
) -> Path:
    """Write a model file; ``properties`` replaces its metadata."""
    tones = len(vocabulary(task)["tokens"])
    outputs = tones + 1 if task == "ctc" else tones
    shape: list[str | int | None] = ["batch", "frames", outputs] if task == "ctc" else ["batch", outputs]
    graph = helper.make_graph(
        [*frame_nodes(), *(ctc_nodes() if task == "ctc" else classification_nodes())],
        "tones",
        [
            helper.make_tensor_value_info("waveform", TensorProto.FLOAT, ["batch", "samples"]),
            helper.make_tensor_value_info("waveform_lengths", TensorProto.INT64, ["batch"]),
        ],
        [
            helper.make_tensor_value_info("log_probs", TensorProto.FLOAT, shape),
            helper.make_tensor_value_info("output_lengths", TensorProto.INT64, ["batch"]),
        ],
        constants(tones, outputs),
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(model, metadata(task, dict(card) or None) if properties is None else properties)
    onnx.save(model, path)
    return path


def constants(tones: int, outputs: int) -> list[onnx.TensorProto]:
    """Make the weights: cosines and sines, then the sum of each pair's squares; a bias for the blank."""
    time = np.arange(N_FFT) / SAMPLE_RATE
    waves = [f(2 * np.pi * pitch * time) for pitch in PITCHES[:tones] for f in (np.cos, np.sin)]
    sums = np.zeros((outputs, 2 * tones, 1))
    first = outputs - tones  # the blank comes before the tokens
    for tone in range(tones):
        sums[first + tone, 2 * tone : 2 * tone + 2] = SHARPNESS
    bias = np.zeros(outputs)
    bias[:first] = BLANK_LOGIT
    arrays = {
        "waves": 2 / N_FFT * np.array(waves, dtype=np.float32)[:, None, :],
        "sums": sums.astype(np.float32),
        "bias": bias.astype(np.float32),
        "axis_1": np.array([1], dtype=np.int64),
        "axis_2": np.array([2], dtype=np.int64),
        "n_fft": np.array(N_FFT, dtype=np.int64),
        "hop_length": np.array(HOP_LENGTH, dtype=np.int64),
        "zero": np.array(0, dtype=np.int64),
        "one": np.array(1, dtype=np.int64),
        "two": np.array(2, dtype=np.int64),
    }
    return [numpy_helper.from_array(array, name) for name, array in arrays.items()]


def nodes(*rows: tuple[str, Iterable[str], str, dict[str, Any]]) -> list[onnx.NodeProto]:
    """Write nodes one below the other."""
    return [helper.make_node(op, list(inputs), [output], **kw) for op, inputs, output, kw in rows]


def frame_nodes() -> list[onnx.NodeProto]:
    """From waveform to logits (batch, outputs, frames), and to output_lengths."""
    return nodes(
        ("Unsqueeze", ["waveform", "axis_1"], "channel", {}),
        ("Conv", ["channel", "waves"], "parts", {"strides": [HOP_LENGTH]}),
        ("Mul", ["parts", "parts"], "squares", {}),
        ("Conv", ["squares", "sums", "bias"], "logits", {}),
        ("Sub", ["waveform_lengths", "n_fft"], "after_first", {}),
        ("Div", ["after_first", "hop_length"], "hops", {}),
        ("Add", ["hops", "one"], "output_lengths", {}),
    )


def ctc_nodes() -> list[onnx.NodeProto]:
    """From logits to log_probs (batch, frames, outputs)."""
    return nodes(
        ("Transpose", ["logits"], "transposed", {"perm": [0, 2, 1]}),
        ("LogSoftmax", ["transposed"], "log_probs", {"axis": 2}),
    )


def classification_nodes() -> list[onnx.NodeProto]:
    """From logits, padding left out and summed over time, to log_probs (batch, labels)."""
    return nodes(
        ("Shape", ["logits"], "shape", {}),
        ("Gather", ["shape", "two"], "frames", {}),
        ("Range", ["zero", "frames", "one"], "positions", {}),
        ("Unsqueeze", ["output_lengths", "axis_1"], "ends", {}),
        ("Less", ["positions", "ends"], "inside", {}),
        ("Unsqueeze", ["inside", "axis_1"], "mask", {}),
        ("Cast", ["mask"], "weights", {"to": TensorProto.FLOAT}),
        ("Mul", ["logits", "weights"], "masked", {}),
        ("ReduceSum", ["masked", "axis_2"], "pooled", {"keepdims": 0}),
        ("LogSoftmax", ["pooled"], "log_probs", {"axis": 1}),
    )
