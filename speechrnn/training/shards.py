"""Shards: an utterance's audio among hundreds of others in one file, for corpora too large for files of their own.

A folder of shards is one of Lhotse's (Shar): ``cuts.000000.jsonl.gz`` beside ``recording.000000.tar``, and so
on. ``index.npz`` comes on top, small and without any objects: what is needed to plan an epoch of ten million
utterances without reading them.
"""

import contextlib
import errno
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import IO, Any, Literal

import numpy as np
from lhotse.cut import Cut
from lhotse.serialization import deserialize_item
from lhotse.shar import SharWriter

from speechrnn.errors import AudioError, ManifestError
from speechrnn.nn.config import require
from speechrnn.training.cuts import cut_text, watched
from speechrnn.training.probe import describe_duration

AudioFormat = Literal["flac", "wav", "mp3", "opus"]
INDEX = "index.npz"
KINDS = ("cuts", "recording")
SUFFIXES = {"cuts": "jsonl.gz", "recording": "tar"}


@dataclass(frozen=True, kw_only=True)
class ShardIndex:
    """What is in each shard, as arrays."""

    counts: np.ndarray[Any, np.dtype[np.int64]]
    """Utterances in each shard."""
    sizes: np.ndarray[Any, np.dtype[np.int64]]
    """(shards, 2) bytes of the files of ``KINDS``."""
    durations: np.ndarray[Any, np.dtype[np.float32]]
    """Seconds of each utterance, shard after shard."""
    characters: str
    """Every character of the texts, each once."""

    @cached_property
    def ends(self) -> np.ndarray[Any, np.dtype[np.int64]]:
        """Where each shard's utterances end in ``durations``."""
        return np.cumsum(self.counts)

    def durations_of(self, shard: int) -> np.ndarray[Any, np.dtype[np.float32]]:
        """Return the seconds of a shard's utterances."""
        end = self.ends[shard]
        return self.durations[end - self.counts[shard] : end]

    def __str__(self) -> str:
        """Sum up in a line."""
        duration = describe_duration(float(self.durations.sum(dtype=np.float64)))
        return f"{len(self.durations):,} utterances in {len(self.counts):,} shards, {duration}"


def shard_file(kind: str, shard: int) -> str:
    """Name a file of a shard; ``kind`` is one of ``KINDS``."""
    return f"{kind}.{shard:06d}.{SUFFIXES[kind]}"


def read_index(file: IO[bytes], name: str) -> ShardIndex:
    """Read ``index.npz``; ``name`` is for the error.

    Raises:
        ManifestError: If it is no index.
    """
    try:
        with np.load(file, allow_pickle=False) as arrays:
            characters = str(arrays["characters"])
            numbers = {key: arrays[key] for key in ("counts", "sizes", "durations")}
        index = ShardIndex(characters=characters, **numbers)
        is_whole = len(index.durations) == index.counts.sum() and index.sizes.shape == (len(index.counts), 2)
    except Exception as error:  # whatever numpy and zipfile think of it
        raise ManifestError(f"{name}: not the index of a folder of shards: {error}") from error
    if not is_whole:
        raise ManifestError(f"{name}: not the index of a folder of shards: its numbers do not add up")
    return index


# ---- Writing ------------------------------------------------------------------------------------


def write_shards(
    cuts: Iterable[Cut],
    folder: str | os.PathLike[str],
    *,
    audio_format: AudioFormat = "flac",
    shard_size: int = 500,
    seed: int = 0,
    overwrite: bool = False,
    on_cut: Callable[[], object] = bool,
    on_unreadable: Callable[[AudioError], object] = bool,
) -> ShardIndex:
    """Write cuts, shuffled, as shards of about equal size; the folder appears only when it is whole.

    Memory stays flat: the cuts wait in a temporary file.

    Args:
        cuts: What to write.
        folder: Where to.
        audio_format: How the audio is kept: flac and wav lose nothing of 16 bits.
        shard_size: Utterances in a shard, at most, > 0. Processes and workers share whole shards.
        seed: Of the order.
        overwrite: Replace a folder of shards that is there.
        on_cut: Called for each cut that is written.
        on_unreadable: Called for each cut whose audio cannot be read; it is left out.

    Raises:
        ConfigError: If ``shard_size`` is out of range.
        ManifestError: If the folder exists, cannot be written, or there is nothing to write.
    """
    require(shard_size > 0, "shard_size", shard_size, "> 0")
    target = Path(folder)
    refuse_folder(target, overwrite=overwrite)
    partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
    try:
        partial.mkdir(parents=True)
        with shuffled(cuts, seed=seed, folder=partial) as (num_cuts, in_order):
            if not num_cuts:
                raise ManifestError(f"{target}: there are no utterances to write")
            size = even_size(num_cuts, shard_size)
            with SharWriter(str(partial), fields={"recording": audio_format}, shard_size=size) as writer:
                summary = summarize(watched(write_readable(writer, in_order, on_unreadable), on_cut))
            index = write_index(*summary, partial, size)
        if not len(index.counts):
            raise ManifestError(f"{target}: there is no utterance whose audio can be read")
        if target.exists():
            shutil.rmtree(target)
        os.replace(partial, target)
    except OSError as error:
        raise ManifestError(f"{target}: cannot be written: {error.strerror or error}") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return index


def refuse_folder(folder: Path, *, overwrite: bool) -> None:
    """Check that nothing is lost by writing; errors as ``write_shards``."""
    if not folder.exists():
        return
    if not (folder / INDEX).is_file():
        raise ManifestError(f"{folder}: exists already, and holds no shards; choose another folder")
    if not overwrite:
        raise ManifestError(f"{folder}: exists already; --overwrite replaces it")


def even_size(num_cuts: int, shard_size: int) -> int:
    """Choose the size of shards that differ least: a small last one would leave a process without work."""
    num_shards = -(-num_cuts // shard_size)
    return -(-num_cuts // num_shards)


@contextlib.contextmanager
def shuffled(cuts: Iterable[Cut], *, seed: int, folder: Path) -> Iterator[tuple[int, Iterator[Cut]]]:
    """Give the number of cuts, and the cuts in random order; meanwhile they are in a file without a name."""
    with tempfile.TemporaryFile(dir=folder) as file:
        starts = np.fromiter(spool(cuts, file), dtype=np.int64)
        order = np.random.default_rng(seed).permutation(len(starts))

        def in_order() -> Iterator[Cut]:
            for start in starts[order]:
                file.seek(start)
                yield deserialize_item(json.loads(file.readline()))

        yield len(starts), in_order()


def spool(cuts: Iterable[Cut], file: IO[bytes]) -> Iterator[int]:
    """Write a cut a line; yields where each begins."""
    for cut in cuts:
        yield file.tell()
        file.write(json.dumps(cut.to_dict()).encode() + b"\n")


DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS)


def write_readable(
    writer: SharWriter, cuts: Iterable[Cut], on_unreadable: Callable[[AudioError], object]
) -> Iterator[Cut]:
    """Write the cuts whose audio can be read, and yield them; nothing is written of any other."""
    for cut in cuts:
        try:
            writer.write(cut)
        except Exception as error:  # lhotse's backends each raise their own
            if isinstance(error, OSError) and error.errno in DISK_ERRORS:
                raise
            on_unreadable(AudioError(f"utterance {cut.id!r}: cannot be read: {error}"))
        else:
            yield cut


def summarize(cuts: Iterable[Cut]) -> tuple[list[float], str]:
    """List the durations of cuts, and the characters of their texts, each once."""
    durations: list[float] = []
    characters: set[str] = set()
    for cut in cuts:
        durations.append(cut.duration)
        characters.update(cut_text(cut))
    return durations, "".join(sorted(characters))


def write_index(durations: list[float], characters: str, folder: Path, shard_size: int) -> ShardIndex:
    """Write the index of a folder whose shards are there."""
    full, rest = divmod(len(durations), shard_size)
    counts = [shard_size] * full + [rest] * bool(rest)
    sizes = [
        [(folder / shard_file(kind, shard)).stat().st_size for kind in KINDS] for shard in range(len(counts))
    ]
    index = ShardIndex(
        counts=np.array(counts, dtype=np.int64),
        sizes=np.array(sizes, dtype=np.int64).reshape(-1, len(KINDS)),
        durations=np.array(durations, dtype=np.float32),
        characters=characters,
    )
    save_index(index, folder / INDEX)
    return index


def save_index(index: ShardIndex, path: Path) -> None:
    """Write an index as it is."""
    np.savez(
        path,
        counts=index.counts,
        sizes=index.sizes,
        durations=index.durations,
        characters=np.array(index.characters),
    )
