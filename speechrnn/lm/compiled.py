"""Modules of compiled arithmetic, imported when they are first needed: Numba takes a second, and may be missing."""

import importlib
from types import ModuleType

from speechrnn.errors import ConfigError

NOWHERE_TO_KEEP = "cannot cache function"  # what Numba's RuntimeError begins with


def import_compiled(module: str) -> ModuleType:
    """Import a module whose functions Numba compiles at their first call and keeps on disk.

    Raises:
        ConfigError: If Numba is not installed, or finds no folder for what it compiles.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name != "numba":
            raise
        message = 'beam search and language models need Numba; pip install "speechrnn[lm]"'
        raise ConfigError(message) from None
    except RuntimeError as error:
        if not str(error).startswith(NOWHERE_TO_KEEP):
            raise
        raise ConfigError(
            "Numba finds no folder to keep compiled code in; set NUMBA_CACHE_DIR to one you may write"
        ) from error
