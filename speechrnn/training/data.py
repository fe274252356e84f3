"""The data module: a prepared folder's manifests or shards, and the loaders of padded batches from them."""

import gc
import itertools
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeAlias

import pytorch_lightning as pl
import torch
from lhotse import CutSet
from lhotse.cut import Cut
from torch.utils.data import DataLoader

from speechrnn.audio import Waveform
from speechrnn.errors import ManifestError
from speechrnn.nn.config import require
from speechrnn.training.batch_plan import BatchPlan
from speechrnn.training.checkpointing import STOPPING
from speechrnn.training.progress import NOTHING_DONE, batches_done, epoch_progress, read_progress
from speechrnn.training.shard_plan import ShardPlan
from speechrnn.training.shard_reader import ShardFolder
from speechrnn.training.utterances import ShardUtterances, SpeechBatch, Utterances

Plan: TypeAlias = BatchPlan | ShardPlan


def stand_apart(worker: int) -> None:
    """Have a worker go on where all processes of a job are told to stop: training needs it to finish its step.

    Signals to a process group, as of Ctrl-C and of SLURM, do not reach it, and those that training has
    handlers for it would answer as the training process does, from which it was forked. It ends with that process.
    """
    # What that process left to be collected, threads among it, cannot end here: ONNX Runtime waits for them for ever.
    gc.freeze()
    if hasattr(os, "setpgrp"):
        os.setpgrp()
    for number in STOPPING - {signal.SIGTERM}:  # torch ends workers by that one, and has seen to it
        signal.signal(number, signal.SIG_IGN)


class SpeechDataModule(pl.LightningDataModule):
    """Train, dev and test manifests of a prepared folder, as batches of about equal length in seconds."""

    def __init__(
        self,
        root: str,
        *,
        sample_rate: int = 16_000,
        train: str = "train.jsonl.gz",
        dev: str = "dev.jsonl.gz",
        test: str = "test.jsonl.gz",
        predict: str = "test.jsonl.gz",
        max_batch_s: float = 60.0,
        num_buckets: int = 10,
        num_workers: int = 1,
        keep_audio: bool = False,
        seed: int = 0,
        shard_cache: str | None = None,
    ) -> None:
        """Set up the data; nothing is read yet.

        Args:
            root: Folder of the manifests, as ``speechrnn prepare`` or a recipe's ``prepare.py`` writes it.
            sample_rate: Rate in Hz at which the model hears; taken from ``model.features.sample_rate``.
            train: Manifest (Lhotse cuts) to train on, or a folder of shards, relative to ``root``; shards may
                be elsewhere, at ``https://…`` or ``s3://…``, as may ``root``.
            dev: Manifest for validation.
            test: Manifest for ``speechrnn test``.
            predict: Manifest for ``speechrnn predict``.
            max_batch_s: Seconds of audio in a batch, > 0; its last utterance may reach a little beyond.
            num_buckets: Lengths are sorted into this many buckets, >= 1.
            num_workers: Processes that load audio; 0 loads it in the training process.
            keep_audio: Keep decoded audio in memory, 230 MB an hour at 16 kHz; pays for small corpora, where
                decoding costs as much as a small network, and with ``num_workers`` 0.
            seed: Of the order of batches; with the epoch it fixes the order completely.
            shard_cache: Folder that keeps shards from elsewhere for later epochs, best on a disk of the node's
                own; without one, each is fetched again.
        """
        super().__init__()
        require(max_batch_s > 0, "data.max_batch_s", max_batch_s, "> 0")
        require(num_buckets > 0, "data.num_buckets", num_buckets, "> 0")
        require(num_workers >= 0, "data.num_workers", num_workers, ">= 0")
        self.root = root
        self.shard_cache = shard_cache
        self.manifests = {"train": train, "dev": dev, "test": test, "predict": predict}
        self.sample_rate = sample_rate
        self.max_batch_s = max_batch_s
        self.num_buckets = num_buckets
        self.num_workers = num_workers
        self.kept: dict[str, dict[str, Waveform]] | None = {} if keep_audio else None
        self.seed = seed
        self.resumed = dict(NOTHING_DONE)
        self.num_streams = max(1, num_workers)

    def manifest(self, split: str) -> Path:
        """Say where a split's manifest is.

        Raises:
            ManifestError: If it is not there.
        """
        path = Path(self.root) / self.manifests[split]
        if not path.is_file():
            raise ManifestError(
                f"{path}: no such manifest; make it with the recipe's prepare.py or `speechrnn prepare`"
            )
        return path

    def shards(self, split: str) -> ShardFolder | None:
        """Open a split's folder of shards; none if it is a manifest. Errors as ``ShardFolder``."""
        name = self.manifests[split]
        location = name if "://" in name else os.path.join(self.root, name)
        if "://" in location or Path(location).is_dir():
            return ShardFolder(location, cache=self.shard_cache)
        return None

    def cuts(self, split: str) -> CutSet:
        """Open a split's manifest, lazily; errors as ``checked_cuts`` for its first line."""
        next(self.checked_cuts(split))
        return CutSet.from_jsonl_lazy(self.manifest(split))

    def checked_cuts(self, split: str) -> Iterator[Cut]:
        """Read a split's manifest through.

        Raises:
            ManifestError: If it is missing, holds no utterance, or a line is not a Lhotse cut.
        """
        path = self.manifest(split)
        cuts = iter(CutSet.from_jsonl_lazy(path))
        for line in itertools.count(1):
            try:
                cut = next(cuts, None)
            except Exception as error:  # not JSON, not gzip, not a cut: each raises its own
                raise ManifestError(f"{path}:{line}: not a Lhotse cut: {error}") from error
            if cut is None:
                break
            yield cut
        if line == 1:
            raise ManifestError(f"{path}: holds no utterance")

    def plan(self, split: str, *, epoch: int = 0, shuffle: bool = False) -> Plan:
        """Draw the batches of one epoch for this process."""
        trainer = self.trainer
        rank, world_size = (trainer.global_rank, trainer.world_size) if trainer else (0, 1)
        return self.plan_of(split, epoch=epoch, shuffle=shuffle, rank=rank, world_size=world_size)

    def plan_of(self, split: str, **options: Any) -> Plan:
        """Draw the batches of one epoch for a process, from a manifest or from shards."""
        options |= {"max_batch_s": self.max_batch_s, "seed": self.seed}
        shards = self.shards(split)
        if shards is None:
            return BatchPlan(self.cuts(split), num_buckets=self.num_buckets, **options)
        return ShardPlan(shards, num_streams=self.num_streams, **options)

    def utterances(self, plan: Plan, split: str) -> Utterances:
        """Make the dataset of a split's plan."""
        if isinstance(plan, ShardPlan):
            # One more than a worker's streams: at the end of an epoch, those of unequal length take turns.
            num_kept = 1 - (-plan.num_streams // max(1, self.num_workers))
            return ShardUtterances(plan.folder, self.sample_rate, num_kept=num_kept)
        kept = None if self.kept is None else self.kept.setdefault(split, {})
        return Utterances(self.sample_rate, kept)

    def loader(self, plan: Plan, split: str) -> DataLoader[SpeechBatch]:
        """Make the loader of a split's plan."""
        return DataLoader(
            self.utterances(plan, split),
            sampler=plan,
            batch_size=None,
            num_workers=self.num_workers,
            worker_init_fn=stand_apart,
            pin_memory=torch.cuda.is_available(),
        )

    def train_dataloader(self) -> DataLoader[SpeechBatch]:
        """Make the loader of the trainer's current epoch, behind the batches done before a resume.

        Raises:
            ConfigError: If options have changed from which the batches that are done followed.
        """
        epoch = self.trainer.current_epoch if self.trainer else 0
        checkpoint = self.trainer.ckpt_path if self.trainer else None
        num_done = batches_done(
            self.resumed, epoch=epoch, follows_from=self.follows_from(), checkpoint=checkpoint
        )
        # The streams of an epoch stay as they are, however many workers share them now.
        self.num_streams = self.resumed["num_streams"] if num_done else max(1, self.num_workers)
        plan = self.plan("train", epoch=epoch, shuffle=True)
        plan.num_done = num_done
        return self.loader(plan, "train")

    def follows_from(self) -> dict[str, Any]:
        """Name the options from which the batches of an epoch follow."""
        return {
            "data.train": self.manifests["train"],
            "data.max_batch_s": self.max_batch_s,
            "data.num_buckets": self.num_buckets,
            "data.seed": self.seed,
            "the number of processes": self.trainer.world_size if self.trainer else 1,
        }

    def statistics_batches(self, num_batches: int) -> Iterator[SpeechBatch]:
        """Yield up to ``num_batches`` training batches, the same ones on every process."""
        plan = self.plan_of("train", shuffle=True)
        return itertools.islice(self.loader(plan, "train"), num_batches)

    def val_dataloader(self) -> DataLoader[SpeechBatch]:
        """Make the loader of the dev set."""
        return self.loader(self.plan("dev"), "dev")

    def test_dataloader(self) -> DataLoader[SpeechBatch]:
        """Make the loader of the test set."""
        return self.loader(self.plan("test"), "test")

    def predict_dataloader(self) -> DataLoader[SpeechBatch]:
        """Make the loader of the set to transcribe."""
        return self.loader(self.plan("predict"), "predict")

    def state_dict(self) -> dict[str, Any]:
        """Tell how far the epoch has come, for the checkpoint."""
        if self.trainer is None:
            return dict(self.resumed)
        return epoch_progress(self.trainer, self.follows_from()) | {"num_streams": self.num_streams}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Remember how far the epoch had come, for the next training loader."""
        self.resumed = read_progress(state_dict)
        self.resumed["num_streams"] = state_dict.get("num_streams", self.num_streams)
