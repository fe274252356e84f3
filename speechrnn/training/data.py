"""Lhotse manifests to padded batches."""

import gc
import itertools
import os
import re
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import pytorch_lightning as pl
import torch
from lhotse import CutSet
from lhotse.cut import Cut
from lhotse.dataset import DynamicBucketingSampler, DynamicCutSampler
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from speechrnn.audio import Waveform, load_audio
from speechrnn.errors import AudioError, ManifestError
from speechrnn.nn.config import require
from speechrnn.training.checkpointing import STOPPING
from speechrnn.training.cuts import cut_text
from speechrnn.training.progress import NOTHING_DONE, batches_done, epoch_progress, read_progress
from speechrnn.training.shard_plan import ShardBatch, ShardPlan
from speechrnn.training.shard_reader import ShardFolder


class SpeechBatch(NamedTuple):
    """A padded batch of utterances."""

    waveform: Tensor
    """(batch, samples) in [-1, 1], zero-padded at the end."""
    waveform_lengths: Tensor
    """(batch,) int64 samples."""
    texts: list[str]
    """Transcripts or labels."""
    utterances: list[str]
    """Names, for messages and results."""
    speakers: list[str]
    """Speakers; empty where unknown."""
    unreadable: tuple[str, ...] = ()
    """For each utterance why its audio could not be read, empty where it could; such a one has length 0."""

    def is_readable(self, index: int) -> bool:
        """Tell whether there is audio of the utterance at ``index``."""
        return not self.unreadable or not self.unreadable[index]


class Utterances(Dataset[SpeechBatch]):
    """A dataset whose index is a batch of cuts and whose item is the batch itself.

    Audio that cannot be read leaves an utterance of length 0, which losses mask: a batch never becomes
    empty, so that all processes go on making the same number of steps.
    """

    def __init__(self, sample_rate: int, kept: "dict[str, Waveform] | None" = None) -> None:
        """Set up; ``kept`` collects each cut's waveform by its id, and is asked first."""
        self.sample_rate = sample_rate
        self.kept = kept

    def load(self, cut: Cut) -> Waveform:
        """Load a cut's waveform, or find it among those that are kept."""
        if self.kept is None:
            return load_cut(cut, self.sample_rate)
        if cut.id not in self.kept:
            self.kept[cut.id] = load_cut(cut, self.sample_rate)
        return self.kept[cut.id]

    def try_load(self, cut: Cut) -> tuple[Waveform, str]:
        """Load a cut's waveform, or give none and the reason why it cannot be read."""
        try:
            return self.load(cut), ""
        except AudioError as error:
            return np.zeros(0, dtype=np.float32), str(error)

    def __getitem__(self, cuts: CutSet) -> SpeechBatch:
        """Load and pad one batch."""
        waveforms, reasons = zip(*(self.try_load(cut) for cut in cuts), strict=True)
        lengths = [len(waveform) for waveform in waveforms]
        padded = np.zeros((len(waveforms), max(1, *lengths)), dtype=np.float32)
        for row, waveform in zip(padded, waveforms, strict=True):
            row[: len(waveform)] = waveform
        return SpeechBatch(
            torch.from_numpy(padded),
            torch.tensor(lengths, dtype=torch.int64),
            [cut_text(cut) for cut in cuts],
            [cut.id for cut in cuts],
            [cut_speaker(cut) for cut in cuts],
            reasons,
        )


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


def load_cut(cut: Cut, sample_rate: int) -> Waveform:
    """Load a cut's waveform at ``sample_rate``.

    Raises:
        AudioError: Naming the cut and its file, if it cannot be read.
    """
    try:
        samples = cut.load_audio()
    except Exception as error:  # lhotse's backends each raise their own
        where = f"utterance {cut.id!r}: cannot read {', '.join(cut_files(cut))}"
        raise AudioError(f"{where}: {reason_of(error)}") from error
    if not np.isfinite(samples).all():
        raise AudioError(
            f"utterance {cut.id!r}: {', '.join(cut_files(cut))} holds samples that are no numbers"
        )
    return load_audio(np.ascontiguousarray(samples.T), sample_rate=sample_rate, source_rate=cut.sampling_rate)


def reason_of(error: Exception) -> str:
    """Find what libsndfile said within Lhotse's account of all that it tried, else the account's first line."""
    said = re.search(r"LibsndfileError'>: (?:Error opening '.*': )?(.*)", str(error))
    return said[1] if said else (str(error).splitlines() or [type(error).__name__])[0]


def cut_files(cut: Cut) -> list[str]:
    """Name the files behind a cut; none for audio that comes from memory or the network."""
    sources = cut.recording.sources if cut.has_recording else []
    return [str(source.source) for source in sources if source.type == "file"]


def cut_speaker(cut: Cut) -> str:
    """Name the speaker of a cut, or nobody."""
    return next((s.speaker for s in cut.supervisions if s.speaker), "")


class ShardUtterances(Utterances):
    """Utterances of shards: a batch is of one shard, which is kept for the batches to come."""

    def __init__(self, folder: ShardFolder, sample_rate: int, *, num_kept: int) -> None:
        super().__init__(sample_rate)
        self.folder = folder
        self.num_kept = num_kept
        self.opened: dict[int, list[Cut]] = {}

    def __getitem__(self, batch: ShardBatch) -> SpeechBatch:
        """Load and pad one batch."""
        cuts = self.opened.pop(batch.shard, None) or self.folder.cuts(batch.shard)
        self.opened[batch.shard] = cuts  # the latest comes last
        while len(self.opened) > self.num_kept:
            del self.opened[next(iter(self.opened))]
        return super().__getitem__(CutSet.from_cuts(cuts[member] for member in batch.members))


class BatchPlan(Sampler[CutSet]):
    """The batches of one epoch, all drawn beforehand from Lhotse's dynamic bucketing.

    Drawn from ``(seed, epoch)`` alone, a plan is the same after a resume and on every rank. Each utterance
    comes exactly once, and all ranks get the same number of batches, so that none waits for another.
    """

    def __init__(
        self,
        cuts: CutSet,
        *,
        max_batch_s: float,
        num_buckets: int,
        seed: int,
        epoch: int = 0,
        shuffle: bool = False,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        options: dict[str, Any] = {"max_duration": max_batch_s, "shuffle": shuffle, "seed": seed}
        options |= {"world_size": 1, "rank": 0}  # every process draws the whole plan
        buckets = min(num_buckets, sum(1 for _ in cuts) // 2)
        if buckets < 2:  # Lhotse makes no single bucket
            sampler: Any = DynamicCutSampler(cuts, **options)
        else:
            sampler = DynamicBucketingSampler(cuts, num_buckets=buckets, **options)
        sampler.set_epoch(epoch)
        self.batches = split_evenly(list(sampler), world_size)[rank::world_size]
        if shuffle and epoch == 0:
            put_largest_first(self.batches)
        self.num_done = 0

    def __len__(self) -> int:
        """Count the batches of the whole epoch."""
        return len(self.batches)

    def __iter__(self) -> Iterator[CutSet]:
        """Yield the batches that are not done yet."""
        return iter(self.batches[self.num_done :])


def split_evenly(batches: Sequence[CutSet], world_size: int) -> list[CutSet]:
    """Halve the largest batches until their number is a multiple of ``world_size``.

    Where there are not utterances enough for that, the shortest batches are joined instead.

    Raises:
        ManifestError: If there are fewer utterances than processes.
    """
    even = list(batches)
    num_utterances = sum(len(batch) for batch in even)
    if num_utterances < world_size:
        raise ManifestError(
            f"{num_utterances} utterances cannot be shared by {world_size} processes; use fewer devices"
        )
    can_split = -(-len(even) // world_size) * world_size <= num_utterances
    while len(even) % world_size:
        if can_split:
            largest = max(range(len(even)), key=lambda index: len(even[index]))
            even[largest : largest + 1] = even[largest].split(2)
        else:
            first, second, *_ = sorted(range(len(even)), key=lambda index: seconds(even[index]))
            even[first] = even[first] + even[second]
            del even[second]
    return even


def put_largest_first(batches: list[CutSet]) -> None:
    """Move the batch that takes most memory, padding included, to the front: it fails at once or never."""
    batches.insert(0, batches.pop(max(range(len(batches)), key=lambda index: padded_seconds(batches[index]))))


def padded_seconds(cuts: CutSet) -> float:
    """Compute the duration of a batch with its padding."""
    return float(max(cut.duration for cut in cuts) * len(cuts))


def seconds(cuts: CutSet) -> float:
    """Add up the durations of a batch."""
    return float(sum(cut.duration for cut in cuts))


Plan: TypeAlias = BatchPlan | ShardPlan


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
