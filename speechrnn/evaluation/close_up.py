"""What a model heard in a recording: all that can be drawn on one time axis."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from speechrnn.audio import Waveform
from speechrnn.decoding.words import FrameClock, SpokenWord
from speechrnn.errors import SpeechRNNError
from speechrnn.runtime import Transcriber
from speechrnn.runtime.log_mel import LogMel


@dataclass(frozen=True, kw_only=True)
class Excerpt:
    """A recording, or a stretch of one, and its features."""

    id: str
    """Of the utterance, or the file's name."""
    waveform: Waveform = field(repr=False)
    """(samples,) at the model's rate."""
    features: LogMel = field(repr=False)
    """How the features were computed."""
    log_mel: NDArray[np.float32] = field(repr=False)
    """(frames, n_mels)."""

    @property
    def sample_rate(self) -> int:
        """Of the waveform, Hz."""
        return self.features.sample_rate

    @property
    def duration_s(self) -> float:
        """Length, seconds."""
        return len(self.waveform) / self.sample_rate


@dataclass(frozen=True, kw_only=True)
class CloseUp(Excerpt):
    """A recording, its features, and the answers of a model over time."""

    mfcc: NDArray[np.float32] | None = field(repr=False)
    """(frames, n_mfcc) of a model that works with cepstral coefficients."""
    task: str
    """``ctc`` or ``classification``."""
    log_probs: NDArray[np.float32] = field(repr=False)
    """(frames, tokens) of a CTC model, (labels,) of a keyword model."""
    clock: FrameClock
    """When the output frames are."""
    tokens: tuple[str, ...] = field(repr=False)
    """The name of each column of ``log_probs``; empty for the blank."""
    text: str
    confidence: float
    words: tuple[SpokenWord, ...] = ()


def look_closely(transcriber: Transcriber, waveform: Waveform, name: str) -> CloseUp:
    """Run a model on one waveform (samples,) at its rate, and keep everything.

    Raises:
        AudioError: If the clip is too short.
        ModelFileError: If the model cannot compute it.
    """
    info, interpreter = transcriber.info, transcriber.interpreter
    info.check_length(len(waveform), name)
    (emission,) = transcriber.compute_each([waveform], info.sample_rate)
    if isinstance(emission, SpeechRNNError):
        raise emission
    answer, features = interpreter.read(emission), LogMel.from_config(info.config["features"])
    log_mel = features.compute(waveform)
    vocabulary = info.vocabulary
    return CloseUp(
        id=name,
        waveform=waveform,
        features=features,
        log_mel=log_mel,
        mfcc=None if features.n_mfcc is None else features.mfcc(log_mel),
        task=info.task,
        log_probs=emission.log_probs,
        clock=info.clock,
        tokens=("",) * vocabulary.first_id + vocabulary.tokens,
        text=answer.text,
        confidence=answer.confidence,
        words=answer.words,
    )
