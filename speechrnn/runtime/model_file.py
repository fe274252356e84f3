"""The model file: one ONNX file that also says what it hears and how its answers are read."""

import functools
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnxruntime
from numpy.typing import ArrayLike, NDArray

from speechrnn.decoding.rivals import RivalFinder
from speechrnn.decoding.words import FrameClock
from speechrnn.errors import AudioError, ConfigError, ModelFileError, SpeechRNNError
from speechrnn.pronunciations import Pronunciations
from speechrnn.runtime.decoding_choice import DecodingChoice
from speechrnn.runtime.metadata import network_sha256
from speechrnn.runtime.session import Session, reason_of
from speechrnn.text import LANGUAGE_MODEL_TASK, Vocabulary

FORMAT_VERSION = "2"
READABLE_VERSIONS = ("1", FORMAT_VERSION)  # 1 has none of the inputs and outputs below
VERSION_KEY = "speechrnn.format_version"
CONFIG_KEY = "speechrnn.config"
CARD_KEY = "speechrnn.card"
PRECISION_KEY = "speechrnn.precision"
DECODING_KEY = "speechrnn.decoding"
PRONUNCIATIONS_KEY = "speechrnn.pronunciations"
INPUTS = ["waveform", "waveform_lengths"]
OUTPUTS = ["log_probs", "output_lengths"]

# Inputs with defaults, and outputs, for a clip that comes in pieces. Output frames left out at both ends:
SKIP, HOLD = "skip", "hold"
# What each unidirectional layer ends and begins with: (layers, batch, hidden_size), for an LSTM h and c of each.
STATE, NEW_STATE = "state", "new_state"
# Encoded frames, (batch, frames, n), that a unidirectional classifier pools with the new ones.
PAST, ENCODED = "past", "encoded"
# Of utterance normalisation: mean and variance, (batch, 1, n_features), of frames counted before; the range of
# frames that count now; both together; how many frames to go on with.
KNOWN_FRAMES, KNOWN_MEAN, KNOWN_VARIANCE = "known_frames", "known_mean", "known_variance"
COUNTED, MEAN, VARIANCE, FRAME_LIMIT = "counted", "mean", "variance", "frame_limit"
MOST_NAMED_LABELS = 12


@dataclass(frozen=True, kw_only=True)
class ModelInfo:
    """What a model file says of itself."""

    path: Path
    """The file."""
    format_version: str
    """Version of the metadata's layout."""
    task: Literal["ctc", "classification"]
    """Whether it writes text, or picks one label for a clip."""
    vocabulary: Vocabulary
    """What it can write."""
    sample_rate: int
    """Rate of the waveform that it hears, Hz."""
    n_fft: int
    """Samples in one window; no clip may be shorter."""
    config: Mapping[str, Any]
    """The whole configuration as plain data: task, features, encoder, head, vocabulary."""
    card: Mapping[str, str]
    """The model card: any of name, description, hears, data, licence, results, seed, language_model."""
    clock: FrameClock
    """When the output frames are."""
    precision: str
    """In what its weights are stored: single, half, int8_weights or int8, in which LSTM layers also compute."""
    decoding: DecodingChoice
    """What was found best for its answers on a development set."""
    packed_pronunciations: str = field(default="", repr=False)
    """Of a model of phones: how words are said, as ``Pronunciations.pack`` wrote it."""

    @functools.cached_property
    def pronunciations(self) -> Pronunciations:
        """How words are said, unpacked when first asked for.

        Raises:
            ModelFileError: If the file has none, or they are damaged.
        """
        if not self.packed_pronunciations:
            raise ModelFileError(
                f"{self.path}: hears phones and has no dictionary; write one into it with `speechrnn export "
                f"{self.path} NEW.onnx --pronunciations FILE`, or write keywords as phones: [V Y UW]"
            )
        try:
            return Pronunciations.unpack(self.packed_pronunciations)
        except ConfigError as error:
            raise ModelFileError(f"{self.path}: damaged metadata: {error}") from error

    @functools.cached_property
    def rival_finder(self) -> RivalFinder:
        """What finds words that sound like a keyword; laid out when first asked for. Errors as ``pronunciations``."""
        return RivalFinder(way for ways in self.pronunciations.ways.values() for way in ways)

    @property
    def name(self) -> str:
        """The card's name, or else the file's."""
        return self.card.get("name") or self.path.stem

    @property
    def hears(self) -> str:
        """What the model can hear, in a phrase."""
        tokens = self.vocabulary.tokens
        if self.card.get("hears"):
            return self.card["hears"]
        if self.task == "ctc":
            return f"text of {len(tokens)} different {self.vocabulary.unit}s"
        dots = ", …" if len(tokens) > MOST_NAMED_LABELS else ""
        return f"one of {len(tokens)} labels: {', '.join(tokens[:MOST_NAMED_LABELS])}{dots}"

    def check_length(self, num_samples: int, name: str) -> None:
        """Check that a clip is not shorter than one window.

        Raises:
            AudioError: Naming the clip, its duration and the shortest one possible.
        """
        if num_samples < self.n_fft:
            raise AudioError(
                f"{name}: {num_samples / self.sample_rate:.3f} s is too short; "
                f"the model needs at least {self.n_fft / self.sample_rate:.3f} s"
            )


class ModelFile:
    """A model file, open and ready to run.

    Attributes:
        options: Inputs that it has beside ``INPUTS`` and that have defaults: name to shape.
    """

    def __init__(
        self, path: str | PathLike[str], *, threads: int | None = None, device: str = "auto"
    ) -> None:
        """Open a model file.

        Args:
            path: The file, as ``speechrnn export`` writes it.
            threads: Processor threads to use, >= 1; the physical cores, at most 4, when not given.
            device: ``auto`` (a GPU if this ONNX Runtime can use one), ``cpu``, ``cuda`` or ``cuda:N``.

        Raises:
            ModelFileError: If the file is missing, not ONNX, not of speechrnn, of another format version
                or damaged.
            ConfigError: If ``threads`` is below 1, or the device does not exist.
        """
        self.path = Path(path)
        self._session = Session(self.path, threads=threads, device=device)
        opened = self._session.opened
        self.info = read_info(self.path, read_metadata(self.path, opened))
        check_signature(self.path, opened)
        self._outputs = [value.name for value in opened.get_outputs()]
        self.options = {value.name: value.shape for value in opened.get_overridable_initializers()}

    @functools.cached_property
    def sha256(self) -> str:
        """SHA-256 of the file in hexadecimal; computed when first asked for."""
        with self.path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    @functools.cached_property
    def network_sha256(self) -> str:
        """SHA-256 of what computes the answers: not of card, dictionary and what ``calibrate`` and ``lm tune`` keep.

        Raises:
            ModelFileError: If the file has gone since it was opened.
        """
        return network_sha256(self.path, without={DECODING_KEY, CARD_KEY, PRONUNCIATIONS_KEY})

    def run(
        self, waveform: NDArray[np.float32], waveform_lengths: ArrayLike
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Compute log probabilities of a batch.

        Args:
            waveform: (batch, samples) in [-1, 1] at the model's rate, padded at the end; batch >= 1.
            waveform_lengths: (batch,) samples of each clip.

        Returns:
            log_probs, (batch, frames, len(vocabulary)) for CTC or (batch, labels) for classification, and
            output_lengths (batch,) int64 frames; frames behind a clip's length hold nothing of meaning.

        Raises:
            AudioError: If a clip is shorter than one window.
            ModelFileError: If ONNX Runtime cannot compute it.
        """
        lengths = np.asarray(waveform_lengths, dtype=np.int64)
        for index, length in enumerate(lengths):
            self.info.check_length(int(length), f"clip {index} of the batch")
        log_probs, output_lengths = self._run(OUTPUTS, np.asarray(waveform, dtype=np.float32), lengths, {})
        return log_probs, output_lengths

    def run_window(
        self, waveform: NDArray[np.float32], inputs: Mapping[str, NDArray[Any]]
    ) -> dict[str, NDArray[Any]]:
        """Compute one piece of each of several clips; ``EmissionStream`` knows how to cut them.

        Args:
            waveform: (batch, samples) of which no one is padded, at least one window.
            inputs: Those of ``options`` that are not to have their defaults.

        Returns:
            Every output of the file by name.

        Raises:
            ModelFileError: If ONNX Runtime cannot compute it.
        """
        lengths = np.full(len(waveform), waveform.shape[1], np.int64)
        return dict(zip(self._outputs, self._run(self._outputs, waveform, lengths, inputs), strict=True))

    def _run(
        self,
        outputs: Sequence[str],
        waveform: NDArray[np.float32],
        lengths: NDArray[np.int64],
        inputs: Mapping[str, NDArray[Any]],
    ) -> list[NDArray[Any]]:
        """Run the session; a ``ModelFileError`` if it fails."""
        try:
            answers: list[NDArray[Any]] = self._session.opened.run(
                outputs, dict(zip(INPUTS, (waveform, lengths), strict=True)) | dict(inputs)
            )
        except Exception as error:  # ONNX Runtime's exceptions share no base class of their own
            raise ModelFileError(
                f"{self.path}: failed on a batch of shape {np.shape(waveform)}: {reason_of(error)}"
            ) from error
        return answers


def read_metadata(path: Path, session: onnxruntime.InferenceSession) -> dict[str, str]:
    """Read a file's metadata; a ``ModelFileError`` if it is not text."""
    try:
        metadata: dict[str, str] = session.get_modelmeta().custom_metadata_map
    except UnicodeDecodeError as error:
        raise ModelFileError(f"{path}: damaged metadata: {error}") from error
    return metadata


def read_info(path: Path, metadata: Mapping[str, str]) -> ModelInfo:
    """Read what an ONNX file's metadata says of the model.

    Raises:
        ModelFileError: If the file is not one of speechrnn, of another format version, or damaged.
    """
    version = check_version(path, metadata)
    try:
        return parse_info(path, version, metadata)
    except ModelFileError:
        raise
    except KeyError as error:
        raise ModelFileError(f"{path}: damaged metadata: {error} is missing") from error
    except (SpeechRNNError, ValueError, TypeError, AttributeError) as error:
        raise ModelFileError(f"{path}: damaged metadata: {error}") from error


def check_version(path: Path, metadata: Mapping[str, str]) -> str:
    """Return the format version of a file; a ``ModelFileError`` if it is another's, or not ours."""
    version = metadata.get(VERSION_KEY)
    if version is None:
        raise ModelFileError(
            f"{path}: an ONNX file, but not one that speechrnn wrote; make one with `speechrnn export`"
        )
    if version not in READABLE_VERSIONS:
        raise ModelFileError(
            f"{path}: model file format {version}, this speechrnn reads {' and '.join(READABLE_VERSIONS)}; "
            "use the speechrnn that wrote it, or export the model again"
        )
    return version


def parse_info(path: Path, version: str, metadata: Mapping[str, str]) -> ModelInfo:
    """Parse metadata; whatever is wrong with it comes out as the exception that it causes."""
    config = json.loads(metadata[CONFIG_KEY])
    if config["task"] == LANGUAGE_MODEL_TASK:
        raise ModelFileError(
            f"{path}: a language model, which knows text and hears nothing; it is for --rescore-lm and "
            "`speechrnn lm sample`"
        )
    card = json.loads(metadata.get(CARD_KEY, "{}"))
    vocabulary = Vocabulary.from_dict(config["vocabulary"])
    task, features = config["task"], config["features"]
    if task not in ("ctc", "classification"):
        raise ValueError(f"task must be ctc or classification, got {task!r}")
    if (vocabulary.unit == "label") != (task == "classification"):
        raise ValueError(f"a vocabulary of {vocabulary.unit}s does not go with the task {task}")
    sizes = {key: features[key] for key in ("sample_rate", "n_fft")}
    for key, size in sizes.items():
        if not isinstance(size, int) or size < 1:
            raise ValueError(f"features.{key} must be a whole number > 0, got {size!r}")
    return ModelInfo(
        path=path,
        format_version=version,
        task=task,
        vocabulary=vocabulary,
        config=config,
        card={key: str(value) for key, value in card.items() if value is not None},
        precision=metadata.get(PRECISION_KEY, "single"),
        clock=make_clock(features, config["encoder"]["subsampling"]),
        decoding=DecodingChoice.from_dict(json.loads(metadata.get(DECODING_KEY, "{}"))),
        packed_pronunciations=metadata.get(PRONUNCIATIONS_KEY, ""),
        **sizes,
    )


def make_clock(features: Mapping[str, int], subsampling: int) -> FrameClock:
    """Work out when the output frames are: each in the middle of the window that it was computed from."""
    samples = features["hop_length"] * subsampling
    first = max(0, features["n_fft"] - samples) / 2
    return FrameClock(samples / features["sample_rate"], first / features["sample_rate"])


def check_signature(path: Path, session: onnxruntime.InferenceSession) -> None:
    """Refuse a graph whose inputs or outputs are not the ones that we run, with a ``ModelFileError``."""
    inputs = [value.name for value in session.get_inputs()]
    outputs = [value.name for value in session.get_outputs()]
    if inputs != INPUTS or outputs[: len(OUTPUTS)] != OUTPUTS:
        raise ModelFileError(
            f"{path}: damaged: it maps {', '.join(inputs)} to {', '.join(outputs)}, "
            f"not {', '.join(INPUTS)} to {', '.join(OUTPUTS)}"
        )
