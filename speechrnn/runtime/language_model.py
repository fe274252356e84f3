"""The recurrent language model at work: how probable texts are, and new ones, with ONNX Runtime."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from speechrnn.errors import ConfigError, ModelFileError, SpeechRNNError
from speechrnn.runtime.model_file import (
    CARD_KEY,
    CONFIG_KEY,
    check_version,
    read_metadata,
)
from speechrnn.runtime.session import Session, open_session, reason_of
from speechrnn.text import LANGUAGE_MODEL_TASK, SentenceCoder, Vocabulary

INPUTS = ["tokens", "lengths", "state"]
OUTPUTS = ["log_probs", "new_state"]
MAX_BATCH_NUMBERS = 4_000_000  # log probabilities in one run; 16 MB
LogProbs = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class LanguageModelInfo:
    """What the file of a recurrent language model says of itself."""

    path: Path
    """The file."""
    format_version: str
    """Version of the metadata's layout."""
    vocabulary: Vocabulary
    """Its words or characters; everything else is <unk> to it."""
    config: Mapping[str, Any]
    """The whole configuration as plain data: task, network, vocabulary."""
    card: Mapping[str, str]
    """The model card: any of name, description, hears, data, licence, results, seed."""

    @property
    def name(self) -> str:
        """The card's name, or else the file's."""
        return self.card.get("name") or self.path.stem

    @property
    def knows(self) -> str:
        """What it is a model of, in a phrase."""
        return f"text of {len(self.vocabulary.tokens)} different {self.vocabulary.unit}s"


@dataclass(frozen=True, kw_only=True)
class SamplingConfig:
    """How sentences are drawn."""

    temperature: float = 1.0
    """The log probabilities are divided by it: below 1 more of the usual; 0 always takes the most probable."""
    top_k: int | None = None
    """Draw from this many most probable tokens only; from all when not given."""
    num_tokens: int = 100
    """Most tokens of a sentence, those of the prompt not counted; what is longer is cut off."""
    seed: int = 0
    """With a sentence's number it fixes the sentence."""

    def __post_init__(self) -> None:
        """Check every range.

        Raises:
            ConfigError: Naming the option, its value and its range.
        """
        if not 0 <= self.temperature < np.inf:
            raise ConfigError(f"temperature must be >= 0, got {self.temperature}")
        if self.top_k is not None and self.top_k < 1:
            raise ConfigError(f"top_k must be >= 1, got {self.top_k}")
        if self.num_tokens < 1:
            raise ConfigError(f"num_tokens must be >= 1, got {self.num_tokens}")
        if self.seed < 0:
            raise ConfigError(f"seed must be >= 0, got {self.seed}")


class RecurrentLM:
    """A recurrent language model in one file, open and ready.

    Example:
        >>> lm = RecurrentLM("lm.onnx")  # doctest: +SKIP
        >>> lm.score(["enter six", "six enter enter"])  # doctest: +SKIP
        array([ -7.9, -15.2])
        >>> lm.sample(2, prompt="rubout")  # doctest: +SKIP
        ['rubout g m e f three nine', 'rubout x one']
    """

    def __init__(
        self, path: str | PathLike[str], *, threads: int | None = None, device: str = "auto"
    ) -> None:
        """Open a file.

        Args:
            path: The file, as ``speechrnn export`` writes it of a language model's checkpoint.
            threads: Processor threads to use, >= 1; the physical cores, at most 4, when not given.
            device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.

        Raises:
            ModelFileError: If the file is missing, not ONNX, not a language model of speechrnn, of another
                format version or damaged.
            ConfigError: If ``threads`` is below 1, or the device does not exist.
        """
        self.path = Path(path)
        self._session = Session(self.path, threads=threads, device=device)
        self.info = read_language_info(self.path, read_metadata(self.path, self._session.opened))
        self.coder = SentenceCoder(self.info.vocabulary)
        self._state_shape = self._check_signature()

    def _check_signature(self) -> tuple[int, int]:
        """Refuse a graph that is not ours with a ``ModelFileError``; returns parts and size of a state."""
        session = self._session.opened
        inputs = [value.name for value in session.get_inputs()]
        outputs = [value.name for value in session.get_outputs()]
        if inputs != INPUTS or outputs != OUTPUTS:
            raise ModelFileError(
                f"{self.path}: damaged: it maps {', '.join(inputs)} to {', '.join(outputs)}, "
                f"not {', '.join(INPUTS)} to {', '.join(OUTPUTS)}"
            )
        num_ids = session.get_outputs()[0].shape[-1]
        if num_ids != len(self.coder):
            raise ModelFileError(f"{self.path}: damaged: {num_ids} ids, its vocabulary has {len(self.coder)}")
        _, num_parts, size = session.get_inputs()[2].shape
        return num_parts, size

    def begin_state(self, num_rows: int) -> NDArray[np.float32]:
        """Return the state before the first token: zeros, (num_rows, parts, hidden_size)."""
        return np.zeros((num_rows, *self._state_shape), dtype=np.float32)

    def run(
        self, tokens: NDArray[np.int64], lengths: NDArray[np.int64], state: NDArray[np.float32]
    ) -> tuple[LogProbs, NDArray[np.float32]]:
        """Compute what follows each token.

        Args:
            tokens: (batch, time) ids; the first of a sentence is the end of the one before.
            lengths: (batch,) tokens of each row, >= 1; the others are padding.
            state: From ``begin_state``, or as an earlier call returned it.

        Returns:
            log_probs (batch, time, ids), natural logs, which mean nothing beyond the lengths, and the state
            after each row's last token.

        Raises:
            ModelFileError: If ONNX Runtime cannot compute it, or it is not finite.
        """
        inputs = dict(zip(INPUTS, (tokens, lengths, state), strict=True))
        try:
            log_probs, new_state = self._session.opened.run(OUTPUTS, inputs)
        except Exception as error:  # ONNX Runtime's exceptions share no base class of their own
            shape = np.shape(tokens)
            raise ModelFileError(f"{self.path}: failed on tokens {shape}: {reason_of(error)}") from error
        if np.isnan(log_probs).any():
            raise ModelFileError(f"{self.path}: the language model answered NaN")
        return log_probs, new_state

    def score(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Compute how probable texts are, each as a sentence by itself.

        Args:
            texts: Sentences; an empty one is nothing but its end. Unknown words count as <unk>.

        Returns:
            (len(texts),) natural log of P(text and its end). It does not depend on what else is in the list.

        Raises:
            ModelFileError: If the model cannot compute it.
        """
        ids = [self.coder.encode(text) for text in texts]
        scores = np.zeros(len(ids))
        for batch in self._batches(ids):
            scores[batch] = self._score_batch([ids[i] for i in batch])
        return scores

    def count_tokens(self, texts: Sequence[str]) -> int:
        """Count the tokens of texts and their ends: what a perplexity is per."""
        return sum(len(self.coder.encode(text)) + 1 for text in texts)

    def _batches(self, ids: Sequence[Sequence[int]]) -> Iterator[list[int]]:
        """Group sentences of about the same length, so that none of the padded batches is too large."""
        batch: list[int] = []
        for index in sorted(range(len(ids)), key=lambda index: len(ids[index])):
            if batch and (len(batch) + 1) * (len(ids[index]) + 1) * len(self.coder) > MAX_BATCH_NUMBERS:
                yield batch
                batch = []
            batch.append(index)
        if batch:
            yield batch

    def _score_batch(self, ids: Sequence[Sequence[int]]) -> NDArray[np.float64]:
        """Score sentences together."""
        lengths = np.array([len(sentence) + 1 for sentence in ids], dtype=np.int64)
        tokens = np.full((len(ids), lengths.max() + 1), self.coder.end, dtype=np.int64)
        for row, sentence in zip(tokens, ids, strict=True):
            row[1 : len(sentence) + 1] = sentence
        log_probs, _ = self.run(tokens[:, :-1], lengths, self.begin_state(len(ids)))
        chosen = np.take_along_axis(log_probs, tokens[:, 1:, np.newaxis], axis=-1)[..., 0]
        is_real = np.arange(chosen.shape[1]) < lengths[:, np.newaxis]
        total: NDArray[np.float64] = np.where(is_real, chosen, 0).sum(axis=1, dtype=np.float64)
        return total

    def sample(
        self, num_sentences: int = 1, *, prompt: str = "", config: SamplingConfig = SamplingConfig()
    ) -> list[str]:
        """Draw sentences; <unk>, which spells nothing, is never drawn.

        Args:
            num_sentences: How many, >= 0.
            prompt: How each begins; a sentence contains it, normalised. Unknown words of it are read as <unk>.
            config: Temperature, seed and limits.

        Returns:
            The sentences without their ends; the first few are the same however many are drawn.

        Raises:
            ConfigError: If ``num_sentences`` is below 0.
            ModelFileError: If the model cannot compute it.
        """
        if num_sentences < 0:
            raise ConfigError(f"num_sentences must be >= 0, got {num_sentences}")
        if num_sentences == 0:
            return []
        begin = [self.coder.end, *self.coder.encode(prompt)]
        tokens = np.tile(np.array(begin, dtype=np.int64), (num_sentences, 1))
        drawn = self._draw(tokens, config)
        spelled = self.info.vocabulary.split(prompt)
        return [self.coder.join([*spelled, *map(self.info.vocabulary.token, row)]) for row in drawn]

    def _draw(self, tokens: NDArray[np.int64], config: SamplingConfig) -> list[list[int]]:
        """Go on from tokens (sentences, time) until each has ended; returns the ids behind them."""
        generators = [np.random.default_rng([config.seed, row]) for row in range(len(tokens))]
        drawn: list[list[int]] = [[] for _ in generators]
        rows, state = np.arange(len(tokens)), self.begin_state(len(tokens))
        for _ in range(config.num_tokens):
            lengths = np.full(len(rows), tokens.shape[1], dtype=np.int64)
            log_probs, state = self.run(tokens, lengths, state)
            log_probs[:, -1, self.coder.unknown] = -np.inf
            chosen = np.array(
                [
                    draw_token(row, config, generators[index])
                    for index, row in zip(rows, log_probs[:, -1], strict=True)
                ]
            )
            goes_on = chosen != self.coder.end
            rows, state, tokens = rows[goes_on], state[goes_on], chosen[goes_on, np.newaxis]
            if not len(rows):
                break
            for index, token in zip(rows, tokens[:, 0], strict=True):
                drawn[index].append(int(token))
        return drawn


def draw_token(log_probs: LogProbs, config: SamplingConfig, generator: np.random.Generator) -> int:
    """Draw one id from its log probabilities (ids,), as the configuration says.

    Gumbel's trick: the largest of ln p + G is distributed as p, if the G are Gumbel's (Gumbel, 1954).
    """
    scores = log_probs.astype(np.float64)
    if config.top_k is not None and config.top_k < len(scores):
        kept = np.argsort(-scores, kind="stable")[: config.top_k]
        scores = np.full_like(scores, -np.inf)
        scores[kept] = log_probs[kept]
    if config.temperature > 0:
        scores = scores / config.temperature + generator.gumbel(size=len(scores))
    return int(scores.argmax())


def read_language_info(path: Path, metadata: Mapping[str, str]) -> LanguageModelInfo:
    """Read what an ONNX file's metadata says of the language model.

    Raises:
        ModelFileError: If the file is not a language model of speechrnn, of another format version, or damaged.
    """
    version = check_version(path, metadata)
    task = task_of(metadata)
    if task is not None and task != LANGUAGE_MODEL_TASK:
        raise ModelFileError(f"{path}: not a language model but one that hears (task {task})")
    try:
        config = json.loads(metadata[CONFIG_KEY])
        card = json.loads(metadata.get(CARD_KEY, "{}"))
        return LanguageModelInfo(
            path=path,
            format_version=version,
            vocabulary=Vocabulary.from_dict(config["vocabulary"]),
            config=config,
            card={key: str(value) for key, value in card.items() if value is not None},
        )
    except KeyError as error:
        raise ModelFileError(f"{path}: damaged metadata: {error} is missing") from error
    except (SpeechRNNError, ValueError, TypeError, AttributeError) as error:
        raise ModelFileError(f"{path}: damaged metadata: {error}") from error


def task_of(metadata: Mapping[str, str]) -> str | None:
    """Tell the task that a file's metadata names; None if it names none."""
    try:
        task = json.loads(metadata[CONFIG_KEY])["task"]
    except (KeyError, ValueError, TypeError):
        return None
    return str(task)


def read_task(path: Path) -> str | None:
    """Tell the task of an ONNX file; None if it names none.

    Raises:
        ModelFileError: If the file is missing, cannot be read, or is not ONNX.
    """
    return task_of(read_metadata(path, open_session(path, threads=1, device="cpu")))
