"""How far the work on a language model is, and who is told."""

from collections.abc import Callable

OnProgress = Callable[[int, int], None]
"""Called now and then with how much is done, and of how much."""


def ignore_progress(done: int, total: int) -> None:
    """Tell nobody."""
