"""What was found best on a development set for reading a model's answers; kept in the model file."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from speechrnn.decoding.words import ConfidenceScale
from speechrnn.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class LmChoice:
    """How a language model goes best with an acoustic model."""

    alpha: float
    """Weight of the language model, >= 0."""
    beta: float
    """Added for each word."""
    temperature: float = 1.0
    """Of the confidences of words found with the language model, > 0."""
    bias: float = 0.0
    """Added to the log odds of these confidences."""

    def __post_init__(self) -> None:
        """Check every range; a ``ConfigError`` names the value."""
        if not 0 <= self.alpha < math.inf:
            raise ConfigError(f"lm.alpha must be >= 0 and finite, got {self.alpha!r}")
        if not math.isfinite(self.beta):
            raise ConfigError(f"lm.beta must be finite, got {self.beta!r}")
        try:
            ConfidenceScale(temperature=self.temperature, bias=self.bias)  # refuses what is out of range
        except ConfigError as error:
            raise ConfigError(f"lm.{error}") from None

    @property
    def scale(self) -> ConfidenceScale:
        """Make confidences of probabilities of words found with the language model."""
        return ConfidenceScale(temperature=self.temperature, bias=self.bias)


@dataclass(frozen=True, kw_only=True)
class DecodingChoice:
    """What ``speechrnn calibrate`` and ``speechrnn lm tune`` found."""

    temperature: float = 1.0
    """Divides the log odds of confidences, > 0; 1 leaves them as the network gives them."""
    bias: float = 0.0
    """Added to the log odds of confidences."""
    lm: LmChoice | None = None
    """With a language model."""
    keyword_thresholds: Mapping[str, float] = field(default_factory=dict)
    """Least confidence of a hit, in [0, 1], by the keyword's first spelling."""
    usual_thresholds: tuple[float, ...] = ()
    """Of typed keywords of 1, 2, 3, … phones that have none of their own; longer ones have the last."""

    def __post_init__(self) -> None:
        """Check every range; a ``ConfigError`` names the value."""
        ConfidenceScale(temperature=self.temperature, bias=self.bias)  # refuses what is out of range
        named = {f"keyword_thresholds.{label}": value for label, value in self.keyword_thresholds.items()}
        named |= {
            f"usual_thresholds.{place}": value for place, value in enumerate(self.usual_thresholds, start=1)
        }
        for name, threshold in named.items():
            if not 0 <= threshold <= 1:
                raise ConfigError(f"{name} must be in [0, 1], got {threshold!r}")

    @property
    def scale(self) -> ConfidenceScale:
        """Make confidences of probabilities where no language model has a say."""
        return ConfidenceScale(temperature=self.temperature, bias=self.bias)

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for the model file."""
        return asdict(self)

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> "DecodingChoice":
        """Read what ``to_dict`` gave; absent keys take their defaults.

        Raises:
            ConfigError: If a value is out of range.
            TypeError: If a key does not exist.
        """
        lm = plain.get("lm")
        usual = tuple(plain.get("usual_thresholds", ()))
        return cls(**{**plain, "lm": None if lm is None else LmChoice(**lm), "usual_thresholds": usual})
