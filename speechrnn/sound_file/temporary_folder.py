"""The folder of temporary files: what is said where it has no room."""

import errno
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from speechrnn.errors import AudioError

NO_ROOM = (errno.ENOSPC, errno.EDQUOT)


@contextmanager
def needing_room(name: str) -> Iterator[None]:
    """Say where there is too little room for temporary files, and what helps; errors as ``load_audio``."""
    try:
        yield
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise
        raise AudioError(no_room(name)) from error


def no_room(name: str) -> str:
    """Say that the temporary folder is full."""
    folder = tempfile.gettempdir()
    return f"{name}: the temporary folder {folder} is full; set TMPDIR to a folder with more room"
