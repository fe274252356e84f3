"""Configuration of the network as plain, checked data: what a checkpoint and a model file carry."""

import dataclasses
import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

from speechrnn.errors import ConfigError
from speechrnn.text import Vocabulary

Task = Literal["ctc", "classification"]
ConfigT = TypeVar("ConfigT")


def require(condition: bool, name: str, value: object, wanted: str) -> None:
    """Raise ``ConfigError`` in the words of the option that the user typed."""
    if not condition:
        raise ConfigError(f"{name} must be {wanted}, got {value!r}")


@dataclass(frozen=True, kw_only=True)
class FeatureConfig:
    """How a waveform becomes features.

    Frames are not centred: frame t covers samples [t * hop_length, t * hop_length + n_fft), so padding
    behind a clip can never leak into its frames. A clip of n samples has 1 + (n - n_fft) // hop_length frames.
    """

    kind: Literal["log_mel", "mfcc"] = "log_mel"
    """``log_mel``: natural log of mel power; ``mfcc``: its orthonormal DCT-II."""
    sample_rate: int = 16_000
    """Rate of the waveform the model hears, Hz."""
    n_fft: int = 512
    """Samples in a frame and points of its Fourier transform."""
    win_length: int = 400
    """Samples under the Hann window, centred in the frame; at most n_fft."""
    hop_length: int = 160
    """Samples from one frame to the next."""
    n_mels: int = 64
    """Mel bands."""
    f_min: float = 20.0
    """Lower edge of the first band, Hz."""
    f_max: float | None = None
    """Upper edge of the last band, Hz; half the sample rate when not given."""
    mel_scale: Literal["htk", "slaney"] = "htk"
    """Mel formula; ``slaney`` also normalises each band to unit area, as librosa does."""
    n_mfcc: int = 13
    """Cepstral coefficients kept (kind ``mfcc`` only); at most n_mels."""
    deltas: int = 0
    """0: static features; 1: and their slopes Δ; 2: and ΔΔ."""
    normalization: Literal["none", "utterance", "global"] = "utterance"
    """Mean and variance: left alone, of each utterance, or of the training set (saved with the model)."""
    preemphasis: float = 0.0
    """Coefficient c of y[n] = x[n] - c x[n-1], 0 to below 1; 0 switches it off."""
    dither: float = 0.0
    """Standard deviation of the noise added to the waveform in training; 0 switches it off."""
    floor: float = 1e-6
    """Added to the mel power before the log, so that digital silence stays finite."""

    def __post_init__(self) -> None:
        """Check every range.

        Raises:
            ConfigError: Naming the option, its value and its range.
        """
        require(self.kind in ("log_mel", "mfcc"), "features.kind", self.kind, "log_mel or mfcc")
        for name in ("sample_rate", "n_fft", "win_length", "hop_length", "n_mels", "n_mfcc"):
            require(getattr(self, name) > 0, f"features.{name}", getattr(self, name), "> 0")
        require(
            self.win_length <= self.n_fft,
            "features.win_length",
            self.win_length,
            f"<= n_fft ({self.n_fft})",
        )
        require(
            self.kind != "mfcc" or self.n_mfcc <= self.n_mels,
            "features.n_mfcc",
            self.n_mfcc,
            f"<= n_mels ({self.n_mels})",
        )
        require(0 <= self.f_min < self.highest_frequency, "features.f_min", self.f_min, "in [0, f_max)")
        require(
            self.highest_frequency <= self.sample_rate / 2,
            "features.f_max",
            self.f_max,
            f"<= sample_rate / 2 ({self.sample_rate / 2:g})",
        )
        require(self.mel_scale in ("htk", "slaney"), "features.mel_scale", self.mel_scale, "htk or slaney")
        require(self.deltas in (0, 1, 2), "features.deltas", self.deltas, "0, 1 or 2")
        require(
            self.normalization in ("none", "utterance", "global"),
            "features.normalization",
            self.normalization,
            "none, utterance or global",
        )
        require(0 <= self.preemphasis < 1, "features.preemphasis", self.preemphasis, "in [0, 1)")
        require(self.dither >= 0, "features.dither", self.dither, ">= 0")
        require(self.floor > 0, "features.floor", self.floor, "> 0")

    @property
    def highest_frequency(self) -> float:
        """Upper edge of the last mel band in Hz."""
        return self.sample_rate / 2 if self.f_max is None else self.f_max

    @property
    def n_features(self) -> int:
        """Size of one feature frame, deltas included."""
        static = self.n_mels if self.kind == "log_mel" else self.n_mfcc
        return static * (1 + self.deltas)

    def num_frames(self, num_samples: int) -> int:
        """Count the frames of a clip of ``num_samples`` samples; 0 if it is shorter than one frame."""
        return max(0, 1 + (num_samples - self.n_fft) // self.hop_length)


@dataclass(frozen=True, kw_only=True)
class EncoderConfig:
    """Convolutional subsampling and the recurrent stack behind it."""

    cell: Literal["rnn", "gru", "lstm"] = "lstm"
    """Recurrent cell; ``rnn`` is Elman's (1990)."""
    nonlinearity: Literal["tanh", "relu"] = "tanh"
    """Of the ``rnn`` cell; the other cells have their own."""
    hidden_size: int = 256
    """State size of each direction."""
    num_layers: int = 3
    """Recurrent layers."""
    bidirectional: bool = True
    """Whether each layer also reads the sequence backwards."""
    projection_size: int | None = None
    """Size to which a linear map brings each layer's output; none when not given."""
    norm: Literal["none", "layer", "batch"] = "layer"
    """Normalisation after each layer; batch statistics leave padding out."""
    residual: bool = True
    """Add a layer's input to its output wherever their sizes agree."""
    dropout: float = 0.2
    """Share of activations dropped in front of each recurrent layer and the head, in training."""
    lock_dropout: bool = False
    """Drop the same activations in every frame of an utterance, instead of others in each frame."""
    subsampling: Literal[1, 2, 4] = 2
    """Frames per output frame: neither, the first or both convolutions have stride 2 over time."""
    conv_channels: int = 32
    """Channels of the two convolutions over time and frequency."""
    tbptt_steps: int | None = None
    """Truncate back-propagation through time to this many output frames, the state carried on; unidirectional only."""

    def __post_init__(self) -> None:
        """Check every range.

        Raises:
            ConfigError: Naming the option, its value and its range.
        """
        require(self.cell in ("rnn", "gru", "lstm"), "encoder.cell", self.cell, "rnn, gru or lstm")
        require(
            self.nonlinearity in ("tanh", "relu"), "encoder.nonlinearity", self.nonlinearity, "tanh or relu"
        )
        for name in ("hidden_size", "num_layers", "conv_channels"):
            require(getattr(self, name) > 0, f"encoder.{name}", getattr(self, name), "> 0")
        for name in ("projection_size", "tbptt_steps"):
            value = getattr(self, name)
            require(value is None or value > 0, f"encoder.{name}", value, "> 0")
        require(self.norm in ("none", "layer", "batch"), "encoder.norm", self.norm, "none, layer or batch")
        require(0 <= self.dropout < 1, "encoder.dropout", self.dropout, "in [0, 1)")
        require(self.subsampling in (1, 2, 4), "encoder.subsampling", self.subsampling, "1, 2 or 4")
        require(
            self.tbptt_steps is None or not self.bidirectional,
            "encoder.tbptt_steps",
            self.tbptt_steps,
            "absent when encoder.bidirectional is true (the backward direction needs the whole future)",
        )

    @property
    def output_size(self) -> int:
        """Size of one encoded frame."""
        return self.projection_size or self.hidden_size * (2 if self.bidirectional else 1)

    @property
    def time_strides(self) -> tuple[int, int]:
        """Strides over time of the two convolutions."""
        return min(self.subsampling, 2), max(self.subsampling // 2, 1)

    def num_outputs(self, num_frames: int) -> int:
        """Count the output frames of ``num_frames`` input frames: divided, rounded up, by each stride."""
        for stride in self.time_strides:
            num_frames = (num_frames + stride - 1) // stride
        return num_frames


@dataclass(frozen=True, kw_only=True)
class HeadConfig:
    """From encoded frames to log probabilities."""

    pooling: Literal["last", "mean", "max", "attention"] = "attention"
    """How a classifier sums up a clip; not used by CTC."""

    def __post_init__(self) -> None:
        """Check the choice.

        Raises:
            ConfigError: If there is no such pooling.
        """
        require(
            self.pooling in ("last", "mean", "max", "attention"),
            "head.pooling",
            self.pooling,
            "last, mean, max or attention",
        )


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """All that is needed to build the network again, and to read its answers."""

    task: Task
    vocabulary: Vocabulary
    features: FeatureConfig = field(default_factory=FeatureConfig)
    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    head: HeadConfig = field(default_factory=HeadConfig)

    def __post_init__(self) -> None:
        """Check that the parts fit together.

        Raises:
            ConfigError: If the vocabulary is not one for the task, or the pooling not one for the encoder.
        """
        require(self.task in ("ctc", "classification"), "task", self.task, "ctc or classification")
        labels = self.vocabulary.unit == "label"
        require(
            labels == (self.task == "classification"),
            "vocabulary.unit",
            self.vocabulary.unit,
            "label for classification, and character, word or token for ctc",
        )
        mixed = self.encoder.bidirectional and self.encoder.projection_size is not None
        require(
            self.task == "ctc" or self.head.pooling != "last" or not mixed,
            "head.pooling",
            self.head.pooling,
            "mean, max or attention when a bidirectional encoder has a projection (it mixes the directions)",
        )

    def num_outputs(self, num_samples: int) -> int:
        """Count the output frames of a clip of ``num_samples`` samples."""
        return self.encoder.num_outputs(self.features.num_frames(num_samples))

    def to_dict(self) -> dict[str, Any]:
        """Return nested dicts of plain values: what checkpoints and model files store."""
        return {
            "task": self.task,
            "features": dataclasses.asdict(self.features),
            "encoder": dataclasses.asdict(self.encoder),
            "head": dataclasses.asdict(self.head),
            "vocabulary": self.vocabulary.to_dict(),
        }

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> "ModelConfig":
        """Build the configuration from what ``to_dict`` gave.

        Raises:
            ConfigError: If a key is missing or unknown, the nearest valid one named.
        """
        known = {f.name for f in dataclasses.fields(cls)}
        refuse_unknown(plain, known, "config")
        missing = sorted(known - set(plain))
        if missing:
            raise ConfigError(f"config lacks {', '.join(missing)}")
        return cls(
            task=plain["task"],
            vocabulary=Vocabulary.from_dict(plain["vocabulary"]),
            features=config_from_dict(FeatureConfig, plain["features"], "features"),
            encoder=config_from_dict(EncoderConfig, plain["encoder"], "encoder"),
            head=config_from_dict(HeadConfig, plain["head"], "head"),
        )


def config_from_dict(kind: type[ConfigT], plain: Mapping[str, Any], place: str) -> ConfigT:
    """Build one of the dataclasses above from plain values; absent keys take their defaults.

    Raises:
        ConfigError: If a key is unknown, the nearest valid one named, or a value is out of range.
    """
    refuse_unknown(plain, {f.name for f in dataclasses.fields(kind)}, place)  # type: ignore[arg-type]
    return kind(**plain)


def refuse_unknown(given: Mapping[str, Any], known: set[str], place: str) -> None:
    """Raise ``ConfigError`` for the first key of ``given`` that is not known, with the nearest one that is."""
    for key in given:
        if key not in known:
            nearest = difflib.get_close_matches(str(key), sorted(known), n=1, cutoff=0.0)
            raise ConfigError(f"{place}.{key} does not exist; did you mean {place}.{nearest[0]}?")
