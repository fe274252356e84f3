"""The model at work: model files and transcription with ONNX Runtime, without torch."""

from speechrnn.runtime.emission_stream import EmissionStream, WindowOptions
from speechrnn.runtime.interpretation import Emission, Interpreter, Transcription
from speechrnn.runtime.live_transcription import EndpointOptions, StreamUpdate, TranscriptionStream
from speechrnn.runtime.model_file import ModelFile, ModelInfo
from speechrnn.runtime.model_registry import find_model, shipped_models
from speechrnn.runtime.transcriber import Transcriber

__all__ = [
    "Emission",
    "EmissionStream",
    "EndpointOptions",
    "Interpreter",
    "ModelFile",
    "ModelInfo",
    "StreamUpdate",
    "Transcriber",
    "Transcription",
    "TranscriptionStream",
    "WindowOptions",
    "find_model",
    "shipped_models",
]
