"""The batches of one epoch of a manifest: which utterances go together, and in which order."""

from collections.abc import Iterator, Sequence
from typing import Any

from lhotse import CutSet
from lhotse.dataset import DynamicBucketingSampler, DynamicCutSampler
from torch.utils.data import Sampler

from speechrnn.errors import ManifestError


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
