"""The batches of an epoch of shards, planned from their index alone: no manifest is read, no process asked."""

import bisect
import heapq
import itertools
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from torch.utils.data import Sampler

from speechrnn.errors import ManifestError
from speechrnn.training.shard_reader import ShardFolder

JITTER = 0.1  # of the durations that a shard is sorted by, so that mates differ between epochs

Members = np.ndarray[Any, np.dtype[np.int64]]


class ShardBatch(NamedTuple):
    """A batch of utterances of one shard."""

    shard: int
    """Its number."""
    members: tuple[int, ...]
    """Positions in the shard."""


class ShardPlan(Sampler[ShardBatch]):
    """The batches of one epoch for one process.

    They follow from ``(seed, epoch, rank)`` and the number of streams. Shards come in random order; each
    belongs to one process and, within it, to one stream, whose batches sit ``num_streams`` apart, so that the
    loader hands them to the same worker. Each utterance comes exactly once, and all processes get the same
    number of batches: each counts everybody's from the index, and those with fewer halve their largest.
    """

    def __init__(
        self,
        folder: ShardFolder,
        *,
        max_batch_s: float,
        seed: int,
        epoch: int = 0,
        shuffle: bool = False,
        rank: int = 0,
        world_size: int = 1,
        num_streams: int = 1,
    ) -> None:
        self.folder, self.index, self.max_batch_s = folder, folder.index, max_batch_s
        self.seed, self.epoch, self.shuffle = seed, epoch, shuffle
        self.num_streams = num_streams
        order = np.arange(len(self.index.counts))
        if shuffle:
            order = np.random.default_rng([seed, epoch]).permutation(order)
        numbers = np.array([len(self.batches_of(int(shard))) for shard in order])
        self.shards = order[rank::world_size]
        self.num_batches = largest_share(numbers, self.index.counts[order], world_size)
        mine = numbers[rank::world_size]
        num_missing = self.num_batches - int(mine.sum())
        self.num_halved = share_out(num_missing, self.index.counts[self.shards] - mine)
        self.numbers = mine + self.num_halved
        self.num_done = 0
        self.drawn: dict[int, list[Members]] = {}

    def __len__(self) -> int:
        """Count the batches of the whole epoch."""
        return self.num_batches

    def __iter__(self) -> Iterator[ShardBatch]:
        """Yield the batches that are not done yet."""
        return (
            ShardBatch(shard, tuple(self.batch(shard, number)))
            for shard, number in itertools.islice(self.positions(), self.num_done, None)
        )

    def positions(self) -> Iterator[tuple[int, int]]:
        """Yield shard and number of each batch, the streams in turn; one that has ended leaves its turn."""
        streams = [self.stream(first) for first in range(self.num_streams)]
        left = [int(self.numbers[first :: self.num_streams].sum()) for first in range(self.num_streams)]
        for turn in range(self.num_batches):
            stream = turn % self.num_streams
            if not left[stream]:
                stream = left.index(max(left))
            left[stream] -= 1
            yield next(streams[stream])

    def stream(self, first: int) -> Iterator[tuple[int, int]]:
        """Yield shard and number of each batch of a stream."""
        places = slice(first, None, self.num_streams)
        for shard, num_batches in zip(self.shards[places], self.numbers[places], strict=True):
            yield from ((int(shard), number) for number in range(num_batches))

    def batch(self, shard: int, number: int) -> list[int]:
        """Return the positions of a batch's utterances in their shard."""
        if shard not in self.drawn:
            while len(self.drawn) > self.num_streams:
                del self.drawn[next(iter(self.drawn))]
            self.drawn[shard] = self.final_batches(shard)
        return [int(member) for member in self.drawn[shard][number]]

    def final_batches(self, shard: int) -> list[Members]:
        """Draw the batches of a shard, halved as needed, in random order."""
        place = int(np.flatnonzero(self.shards == shard)[0])
        batches = halve_largest(self.batches_of(shard), int(self.num_halved[place]))
        if self.shuffle:
            self.generator(shard, 1).shuffle(batches)
        return batches

    def batches_of(self, shard: int) -> list[Members]:
        """Cut a shard, sorted by duration, into batches of at most ``max_batch_s``, or of one utterance."""
        durations = self.index.durations_of(shard)
        keys: np.ndarray[Any, np.dtype[np.floating[Any]]] = durations
        if self.shuffle:
            keys = durations * self.generator(shard, 0).uniform(1 - JITTER, 1 + JITTER, len(durations))
        order = np.argsort(keys, kind="stable")
        ends = np.cumsum(durations[order], dtype=np.float64).tolist()  # bisect is faster on a list
        batches, start = [], 0
        while start < len(order):
            before = ends[start - 1] if start else 0.0
            stop = max(start + 1, bisect.bisect_right(ends, before + self.max_batch_s))
            batches.append(order[start:stop])
            start = stop
        return batches

    def generator(self, shard: int, purpose: int) -> np.random.Generator:
        """Make the random numbers of a shard in this epoch."""
        return np.random.default_rng([self.seed, self.epoch, shard, purpose])


def largest_share(num_batches: Members, num_utterances: Members, world_size: int) -> int:
    """Find how many batches every process must make.

    Raises:
        ManifestError: If there are fewer shards than processes, or a process has too few utterances.
    """
    if len(num_batches) < world_size:
        raise ManifestError(
            f"{len(num_batches)} shards cannot be shared by {world_size} processes; use fewer devices, "
            "or prepare more with a smaller --shard-size"
        )
    largest = max(int(num_batches[rank::world_size].sum()) for rank in range(world_size))
    fewest = min(int(num_utterances[rank::world_size].sum()) for rank in range(world_size))
    if fewest < largest:
        raise ManifestError(
            f"a process has {fewest} utterances where another has {largest} batches; raise data.max_batch_s, "
            "or prepare more shards with a smaller --shard-size"
        )
    return largest


def share_out(number: int, room: Members) -> Members:
    """Share a number out as evenly as there is room, each place at most its own."""
    given = np.zeros(len(room), dtype=np.int64)
    for num_before, place in enumerate(np.argsort(room, kind="stable")):
        given[place] = min(int(room[place]), -(-number // (len(room) - num_before)))
        number -= int(given[place])
    return given


def halve_largest(batches: Sequence[Members], times: int) -> list[Members]:
    """Halve the batch with the most utterances, again and again."""
    heap = [(-len(batch), number, batch) for number, batch in enumerate(batches)]
    heapq.heapify(heap)
    for number in range(len(heap), len(heap) + times):
        size, first, batch = heapq.heappop(heap)
        half = -size // 2
        heapq.heappush(heap, (half + size, first, batch[half:]))
        heapq.heappush(heap, (-half, number, batch[:half]))
    return [batch for _, _, batch in sorted(heap, key=lambda item: item[1])]
