"""A file that appears only when it is whole."""

import contextlib
import itertools
import os
import stat
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

    As if it had been written into, a file that is replaced keeps its mode, and a link to one still is a link.

    Args:
        path: The file; its folder is made if it is not there.
        overwrite: Whether to replace a file of that name.
        error: What is raised.

    Raises:
        SpeechRNNError: If there is such a file and it must not be replaced, or it cannot be written.
    """
    refuse_existing(Path(path), overwrite=overwrite, error=error)
    target = Path(os.path.realpath(path) if overwrite else path)  # beside the file itself, not beside a link
    partial = target.with_name(f".{os.getpid()}-{next(COUNTER)}.partial")  # short, as names may be long
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        yield partial
        if overwrite:
            keep_mode(target, partial)
        publish(partial, target, overwrite=overwrite, error=error)
    except OSError as reason:
        raise error(f"{path}: cannot be written: {reason.strerror or reason}") from reason
    finally:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)


def keep_mode(old: Path, new: Path) -> None:
    """Give a file the mode of the one that it will replace, if there is one."""
    with contextlib.suppress(OSError):  # no old file, or a file system without modes
        new.chmod(stat.S_IMODE(old.stat().st_mode))


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
