"""Shards from a folder, a web server or object storage."""

import contextlib
import hashlib
import logging
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
from lhotse import CutSet
from lhotse.cut import Cut
from lhotse.shar import LazySharIterator

from speechrnn.errors import ManifestError
from speechrnn.training.shards import INDEX, KINDS, ShardIndex, read_index, shard_file

logger = logging.getLogger("speechrnn")
WAITS_S = (1, 2, 4, 8)  # between attempts to fetch a file
S3_CURE = 'install it with: pip install "speechrnn[s3]"'


class ShardFolder:
    """A folder of shards: a path, or an address that fsspec knows (http://, https://, s3://, …).

    What comes from elsewhere is fetched whole, a shard at a time, and checked for its size.
    """

    def __init__(self, location: str, *, cache: str | os.PathLike[str] | None = None) -> None:
        """Read the index.

        Args:
            location: Where the shards are.
            cache: Folder that keeps what was fetched, for later epochs and for other processes of the same
                machine; without one, a shard is fetched each time that it is needed.

        Raises:
            ManifestError: If there is no index, or it cannot be read.
        """
        self.location = location.rstrip("/")
        self.cache = (
            None if cache is None else Path(cache) / hashlib.sha256(location.encode()).hexdigest()[:16]
        )
        name = f"{self.location}/{INDEX}"
        with self.local_file(INDEX, None) as path, open(path, "rb") as file:
            self.index: ShardIndex = read_index(file, name)

    @property
    def is_remote(self) -> bool:
        """Tell whether the shards are not simply files here."""
        return "://" in self.location

    def cuts(self, shard: int) -> list[Cut]:
        """Read a shard: its cuts, with their audio, still encoded, in memory.

        Raises:
            ManifestError: If a file is missing, of the wrong size, or cannot be read.
        """
        with contextlib.ExitStack() as stack:
            fields = {kind: [str(stack.enter_context(self.shard_path(kind, shard)))] for kind in KINDS}
            try:
                cuts = list(LazySharIterator(fields=fields))
            except Exception as error:  # tarfile, gzip, json and lhotse each raise their own
                raise ManifestError(f"{self.location}: shard {shard} cannot be read: {error}") from error
        if len(cuts) != self.index.counts[shard]:
            raise ManifestError(
                f"{self.location}: shard {shard} holds {len(cuts)} utterances, "
                f"the index says {self.index.counts[shard]}"
            )
        return cuts

    def manifest_cuts(self, shard: int) -> Iterator[Cut]:
        """Read the cuts of a shard without their audio; errors as ``cuts``."""
        with self.shard_path("cuts", shard) as path:
            yield from CutSet.from_jsonl_lazy(path)

    def shard_path(self, kind: str, shard: int) -> contextlib.AbstractContextManager[Path]:
        """Give a file of a shard, as long as the block lasts; errors as ``cuts``."""
        return self.local_file(shard_file(kind, shard), int(self.index.sizes[shard, KINDS.index(kind)]))

    @contextlib.contextmanager
    def local_file(self, name: str, size: int | None) -> Iterator[Path]:
        """Give a file of the folder of ``size`` bytes, fetched if need be; errors as ``cuts``."""
        if not self.is_remote:
            path = Path(self.location) / name
            check_file(path, size)
            yield path
        elif self.cache is not None and size is not None:
            kept = self.cache / name
            if not kept.is_file() or kept.stat().st_size != size:
                kept.parent.mkdir(parents=True, exist_ok=True)
                partial = kept.with_name(f".{name}.{os.getpid()}.partial")
                fetch(f"{self.location}/{name}", partial, size)
                os.replace(partial, kept)
            yield kept
        else:
            with tempfile.TemporaryDirectory(prefix="speechrnn-shard-") as folder:
                path = Path(folder) / name
                fetch(f"{self.location}/{name}", path, size)
                yield path


def check_file(path: Path, size: int | None) -> None:
    """Check that a file is there and whole.

    Raises:
        ManifestError: If it is not.
    """
    if not path.is_file():
        raise ManifestError(f"{path}: no such file; `speechrnn prepare shards` makes folders of shards")
    actual = path.stat().st_size
    if size is not None and actual != size:
        raise ManifestError(f"{path}: has {actual} bytes, the index says {size}; copy or prepare it again")


def fetch(address: str, path: Path, size: int | None) -> None:
    """Copy a file from elsewhere, again after a while if that fails.

    Raises:
        ManifestError: If it is not there, or still fails after the last attempt.
    """
    for wait_s in (*WAITS_S, None):
        try:
            copy(address, path, size)
            return
        except FileNotFoundError as error:
            raise ManifestError(f"{address}: no such file") from error
        except ImportError as error:
            cure = S3_CURE if address.startswith("s3://") else str(error)
            raise ManifestError(f"{address}: a package to read it with is missing; {cure}") from error
        except Exception as error:  # each kind of storage raises its own
            if wait_s is None:
                attempts = len(WAITS_S) + 1
                raise ManifestError(f"{address}: cannot be fetched ({attempts} attempts): {error}") from error
            logger.warning("%s: cannot be fetched, again in %d s: %s", address, wait_s, error)
            time.sleep(wait_s)


def copy(address: str, path: Path, size: int | None) -> None:
    """Copy a file from elsewhere.

    Raises:
        OSError: If that fails, or it has not ``size`` bytes.
    """
    with fsspec.open(address, "rb", **options_of(address)) as source, open(path, "wb") as target:
        while block := source.read(2**22):
            target.write(block)
    actual = path.stat().st_size
    if size is not None and actual != size:
        raise OSError(f"got {actual} of {size} bytes")


def options_of(address: str) -> dict[str, Any]:
    """Choose how fsspec reads: in one go, from front to back."""
    return {"block_size": 0} if address.startswith("http") else {}
