"""A file that appears only when it is whole."""

import contextlib
import itertools
import os
from collections.abc import Iterator
from pathlib import Path

from speechrnn.errors import ModelFileError, SpeechRNNError

COUNTER = itertools.count()  # of the files that this process has begun


@contextlib.contextmanager
def new_file(
    path: str | os.PathLike[str],
    *,
    overwrite: bool = False,
    error: type[SpeechRNNError] = ModelFileError,
) -> Iterator[Path]:
    """Give a temporary file to write to, which takes the name ``path`` when the block is left in peace.

    Args:
        path: The file; its folder is made if it is not there.
        overwrite: Whether to replace a file of that name.
        error: What is raised.

    Raises:
        SpeechRNNError: If there is such a file and it must not be replaced, or it cannot be written.
    """
    target = Path(path)
    refuse_existing(target, overwrite=overwrite, error=error)
    partial = target.with_name(f".{os.getpid()}-{next(COUNTER)}.partial")  # short, as names may be long
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        yield partial
        publish(partial, target, overwrite=overwrite, error=error)
    except OSError as reason:
        raise error(f"{target}: cannot be written: {reason.strerror or reason}") from reason
    finally:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)


def publish(partial: Path, target: Path, *, overwrite: bool, error: type[SpeechRNNError]) -> None:
    """Give a whole file its name; where another process was faster, errors as ``new_file``."""
    if not overwrite:
        with contextlib.suppress(OSError):  # a file system without links
            os.link(partial, target)  # unlike a renaming, it refuses what exists
            return
        refuse_existing(target, overwrite=False, error=error)
    os.replace(partial, target)


def refuse_existing(path: Path, *, overwrite: bool, error: type[SpeechRNNError] = ModelFileError) -> None:
    """Check that nothing is lost by writing; errors as ``new_file``."""
    if path.exists() and not overwrite:
        raise error(f"{path}: exists already; --overwrite replaces it")
