"""Text to batches for a language model: contiguous streams in columns, cut into steps of truncated BPTT."""

import itertools
import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import pytorch_lightning as pl
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from speechrnn.errors import ConfigError, ManifestError
from speechrnn.lm.sentences import is_manifest, read_lines, read_transcripts
from speechrnn.nn.config import require
from speechrnn.text import UNKNOWN, SentenceCoder, Vocabulary
from speechrnn.training.progress import NOTHING_DONE, batches_done, epoch_progress, read_progress

Tokens = NDArray[np.int64]
IGNORED = -100  # target of padding, as torch's losses have it
logger = logging.getLogger("speechrnn")


class TextBatch(NamedTuple):
    """Some steps of all columns; the next batch goes on where this one ends."""

    tokens: Tensor
    """(columns, steps) int64 ids that are read."""
    targets: Tensor
    """(columns, steps) int64 ids that come next; -100 behind a column's end."""
    lengths: Tensor
    """(columns,) int64 steps before a column's end."""
    begins: bool
    """Whether the columns begin here, in a state of zeros."""


def read_texts(path: Path) -> Iterator[str]:
    """Read the texts of a manifest, whose audio need not exist, or the lines of any other file.

    Texts without a word are left out. Files may be compressed, ``.gz``.

    Raises:
        TextError: If a file cannot be read or is not UTF-8 text.
        ManifestError: If a manifest, or a line of it, cannot be used.
    """
    lines = read_transcripts(path) if is_manifest(path) else read_lines(path, None)
    yield from (text.rstrip("\r\n") for _, text in lines if text.strip())


def build_vocabulary(
    texts: Iterable[str],
    *,
    unit: Literal["word", "character"],
    normalization: Sequence[str] = (),
    min_count: int = 1,
) -> Vocabulary:
    """Collect the tokens of a text, the most frequent first, equally frequent ones in their own order.

    Args:
        texts: Sentences.
        unit: What a token is.
        normalization: Steps in front of the splitting, as in ``Vocabulary``.
        min_count: Tokens seen less often are left to <unk>, which so learns its probability; >= 1.

    Raises:
        ManifestError: If no token is frequent enough.
        TextError: If there is no such step of normalisation.

    Example:
        >>> build_vocabulary(["go on", "go"], unit="word").tokens
        ('go', 'on')
    """
    splitter = Vocabulary(("?",), unit, tuple(normalization))
    counts = Counter(token for text in texts for token in splitter.split(text))
    del counts[UNKNOWN]  # some corpora spell it out
    frequent = sorted((-count, token) for token, count in counts.items() if count >= min_count)
    if not frequent:
        raise ManifestError(
            f"no {unit} of the training text comes {min_count} times; lower data.min_count ({min_count})"
        )
    return Vocabulary(tuple(token for _, token in frequent), unit, tuple(normalization))


def join_sentences(sentences: Iterable[Tokens], end: int) -> Tokens:
    """Join sentences to one stream (tokens + 1,): an end in front, and one behind each sentence."""
    ending = np.array([end], dtype=np.int64)
    return np.concatenate([ending, *itertools.chain.from_iterable((s, ending) for s in sentences)])


class TokenColumns(Dataset[TextBatch]):
    """A stream in columns of about equal length; item ``i`` holds the ``i``-th steps of all columns."""

    def __init__(
        self,
        stream: Tokens,
        *,
        batch_size: int,
        bptt_steps: int,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        """Cut a stream into columns.

        Args:
            stream: (tokens + 1,) ids.
            batch_size: Columns, at most one a token; a process takes every ``world_size``-th.
            bptt_steps: Tokens of a column in a batch.
            rank: Which process this is.
            world_size: How many processes there are.

        Raises:
            ManifestError: If there are fewer columns than processes.
        """
        num_tokens = len(stream) - 1
        num_columns = min(batch_size, num_tokens)
        if num_columns < world_size:
            raise ManifestError(
                f"{num_columns} columns of text cannot be shared by {world_size} processes; "
                "raise data.batch_size and data.eval_batch_size, or use fewer devices"
            )
        columns = np.array_split(np.arange(num_tokens), num_columns)
        self.lengths = np.array([len(column) for column in columns])[rank::world_size]
        shape = (len(self.lengths), len(columns[0]))  # the first is never shorter than another
        self.tokens = np.zeros(shape, dtype=np.int64)
        self.targets = np.full(shape, IGNORED, dtype=np.int64)
        for row, column in enumerate(columns[rank::world_size]):
            self.tokens[row, : len(column)] = stream[column]
            self.targets[row, : len(column)] = stream[column + 1]
        self.bptt_steps = bptt_steps

    def __len__(self) -> int:
        """Count the batches."""
        return -(-self.tokens.shape[1] // self.bptt_steps)

    def __getitem__(self, index: int) -> TextBatch:
        """Cut out one batch."""
        if not 0 <= index < len(self):
            raise IndexError(index)  # which ends a loop over the batches
        steps = slice(index * self.bptt_steps, (index + 1) * self.bptt_steps)
        tokens = torch.from_numpy(self.tokens[:, steps])
        lengths = torch.from_numpy(self.lengths - steps.start).clamp(0, tokens.shape[1])
        return TextBatch(tokens, torch.from_numpy(self.targets[:, steps]), lengths, index == 0)


class RemainingSteps(Sampler[int]):
    """The batches of an epoch in their order, behind those done before a resume."""

    def __init__(self, num_batches: int, num_done: int = 0) -> None:
        self.num_batches, self.num_done = num_batches, num_done

    def __len__(self) -> int:
        """Count the batches of the whole epoch."""
        return self.num_batches

    def __iter__(self) -> Iterator[int]:
        """Yield those that are not done yet."""
        return iter(range(self.num_done, self.num_batches))


class TextDataModule(pl.LightningDataModule):
    """Train, dev and test texts of a folder, as columns of tokens through which a state is carried."""

    def __init__(
        self,
        root: str,
        *,
        train: str = "train.jsonl.gz",
        dev: str = "dev.jsonl.gz",
        test: str = "test.jsonl.gz",
        unit: Literal["word", "character"] = "word",
        normalization: tuple[str, ...] = ("collapse_spaces",),
        min_count: int = 2,
        batch_size: int = 16,
        eval_batch_size: int = 1,
        bptt_steps: int = 35,
        shuffle: bool = True,
        seed: int = 0,
    ) -> None:
        """Set up the data; nothing is read yet.

        Args:
            root: Folder of the files.
            train: Text to train on, relative to ``root``: a manifest (.jsonl, .json, .csv, .tsv), of which
                the texts are taken and whose audio need not exist, or any other file, a sentence a line.
                Either may be compressed, ``.gz``.
            dev: Text for validation.
            test: Text for ``speechrnn test``.
            unit: Whether a token is a word or a character.
            normalization: Steps in front of the splitting into tokens, as in ``Vocabulary``.
            min_count: Tokens that the training text has less often are left to <unk>, >= 1. With 1, <unk>
                is never seen in training, and what it costs later is left to chance.
            batch_size: Columns into which the training text is cut, >= 1.
            eval_batch_size: Columns of the other texts, >= 1. Each begins without context, so only the
                perplexity of 1 is that of the text as it stands; more are faster.
            bptt_steps: Tokens over which a gradient goes back, >= 1; the state is carried beyond.
            shuffle: Draw a new order of the training sentences for each epoch; false for prose, whose
                sentences belong behind each other.
            seed: Of that order; with the epoch it fixes it completely.

        Raises:
            ConfigError: Naming the option, its value and its range.
        """
        super().__init__()
        require(unit in ("word", "character"), "data.unit", unit, "word or character")
        sizes = {
            "min_count": min_count,
            "batch_size": batch_size,
            "eval_batch_size": eval_batch_size,
            "bptt_steps": bptt_steps,
        }
        for name, value in sizes.items():
            require(value >= 1, f"data.{name}", value, ">= 1")
        self.root = Path(root)
        self.files = {"train": train, "dev": dev, "test": test}
        self.unit, self.normalization, self.min_count = unit, normalization, min_count
        self.batch_size, self.eval_batch_size = batch_size, eval_batch_size
        self.bptt_steps = bptt_steps
        self.shuffle, self.seed = shuffle, seed
        self.coder: SentenceCoder | None = None
        self.encoded: dict[str, list[Tokens]] = {}
        self.resumed = dict(NOTHING_DONE)

    def texts(self, split: str) -> Iterator[str]:
        """Read a split's texts.

        Raises:
            ManifestError: If the file is missing, holds no text, or as ``read_texts``.
        """
        path = self.root / self.files[split]
        if not path.is_file():
            raise ManifestError(f"{path}: no such text; name the file with --data.{split}")
        texts = read_texts(path)
        first = next(texts, None)
        if first is None:
            raise ManifestError(f"{path}: holds no text")
        yield first
        yield from texts

    def build_vocabulary(self) -> Vocabulary:
        """Collect the tokens of the training text; errors as ``texts`` and ``build_vocabulary``."""
        return build_vocabulary(
            self.texts("train"),
            unit=self.unit,
            normalization=self.normalization,
            min_count=self.min_count,
        )

    def use_vocabulary(self, vocabulary: Vocabulary) -> None:
        """Encode all texts from now on with the model's vocabulary."""
        coder = SentenceCoder(vocabulary)
        if coder != self.coder:
            self.coder, self.encoded = coder, {}

    def sentences(self, split: str) -> list[Tokens]:
        """Encode a split's sentences, once.

        Raises:
            ConfigError: If there is no model yet that could say which vocabulary to use.
            ManifestError: As ``texts``.
        """
        if self.coder is None:
            raise ConfigError("there is no model to measure; name one with --ckpt_path best")
        if split not in self.encoded:
            self.encoded[split] = [np.array(self.coder.encode(t), np.int64) for t in self.texts(split)]
            self.warn_of_unknown(split, self.coder)
        return self.encoded[split]

    def warn_of_unknown(self, split: str, coder: SentenceCoder) -> None:
        """Say how many of a split's tokens the vocabulary lacks: a low perplexity may come from them."""
        ids = np.concatenate(self.encoded[split])
        num_unknown = int(np.count_nonzero(ids == coder.unknown))
        if num_unknown and split != "train":
            path = self.root / self.files[split]
            logger.warning("%s: %d of %d %ss are <unk> to the model", path, num_unknown, len(ids), self.unit)

    def columns(self, split: str, *, epoch: int = 0) -> TokenColumns:
        """Lay out a split for this process; the training text in the order of an epoch."""
        sentences = self.sentences(split)
        if split == "train" and self.shuffle:
            order = np.random.default_rng([self.seed, epoch]).permutation(len(sentences))
            sentences = [sentences[i] for i in order]
        trainer = self.trainer
        assert self.coder is not None
        return TokenColumns(
            join_sentences(sentences, self.coder.end),
            batch_size=self.batch_size if split == "train" else self.eval_batch_size,
            bptt_steps=self.bptt_steps,
            rank=trainer.global_rank if trainer else 0,
            world_size=trainer.world_size if trainer else 1,
        )

    def loader(self, columns: TokenColumns, num_done: int = 0) -> DataLoader[TextBatch]:
        """Make the loader of a split; its batches are cut in the training process, being in memory already."""
        return DataLoader(columns, sampler=RemainingSteps(len(columns), num_done), batch_size=None)

    def train_dataloader(self) -> DataLoader[TextBatch]:
        """Make the loader of the trainer's current epoch, behind the batches done before a resume.

        Raises:
            ConfigError: If options have changed from which the batches that are done followed.
        """
        epoch = self.trainer.current_epoch if self.trainer else 0
        checkpoint = self.trainer.ckpt_path if self.trainer else None
        num_done = batches_done(
            self.resumed, epoch=epoch, follows_from=self.follows_from(), checkpoint=checkpoint
        )
        return self.loader(self.columns("train", epoch=epoch), num_done)

    def follows_from(self) -> dict[str, Any]:
        """Name the options from which the batches of an epoch follow; processes share columns, not batches."""
        options = ("batch_size", "bptt_steps", "shuffle", "seed")
        return {"data.train": self.files["train"]} | {f"data.{name}": getattr(self, name) for name in options}

    def val_dataloader(self) -> DataLoader[TextBatch]:
        """Make the loader of the dev text."""
        return self.loader(self.columns("dev"))

    def test_dataloader(self) -> DataLoader[TextBatch]:
        """Make the loader of the test text."""
        return self.loader(self.columns("test"))

    def state_dict(self) -> dict[str, Any]:
        """Tell how far the epoch has come, for the checkpoint."""
        if self.trainer is None:
            return dict(self.resumed)
        return epoch_progress(self.trainer, self.follows_from())

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Remember how far the epoch had come, for the next training loader."""
        self.resumed = read_progress(state_dict)
