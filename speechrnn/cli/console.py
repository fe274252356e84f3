"""What the commands say on stderr: messages, notices and a progress bar that keep out of each other's way."""

import logging
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, ClassVar, TextIO

from speechrnn.errors import SpeechRNNError

DELAY_S = 2.0
REDRAW_S = 0.2
BAR_WIDTH = 24
CLEAR_LINE = "\r\x1b[K"


Stage = Callable[[int, int], None]
"""Told how much of a stage is done, and of how much."""


class UsageError(SpeechRNNError):
    """Options that do not go together, which no parser of one of them can tell."""


class Progress:
    """A progress bar on stderr: only on a terminal, and only on work that takes longer than 2 s.

    Example:
        >>> with Progress("transcribing", total=2) as progress:
        ...     progress.advance()
        ...     progress.advance()
    """

    active: ClassVar["Progress | None"] = None

    def __init__(
        self, label: str, *, total: int, stream: TextIO | None = None, delay_s: float = DELAY_S
    ) -> None:
        """Prepare a bar.

        Args:
            label: What is going on.
            total: How many things there are to do.
            stream: Where to draw; stderr when not given.
            delay_s: Seconds of work before the bar appears.
        """
        self.label, self.total, self.num_done = label, total, 0
        self.audio_s = 0.0
        self._begun_s, self._begun_share = 0.0, 0.0  # of the thing that is being done
        self.stream = sys.stderr if stream is None else stream
        self.delay_s = delay_s
        self._is_drawn = False
        self._start = time.monotonic()
        self._lock = threading.RLock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._redraw, daemon=True)

    def __enter__(self) -> "Progress":
        """Begin; the bar draws itself, also while the work is in native code."""
        if self.stream.isatty():
            Progress.active = self
            self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        """Remove the bar."""
        Progress.active = None
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def advance(self, *, audio_s: float = 0.0) -> None:
        """Count one thing as done, and the seconds of audio in it."""
        self.num_done += 1
        self.audio_s += audio_s
        self._begun_s, self._begun_share = 0.0, 0.0

    def reach(self, audio_s: float, total_s: float | None) -> None:
        """Tell how many seconds of the next thing's audio are done, and of how many if that is known."""
        self._begun_s = audio_s
        self._begun_share = min(audio_s / total_s, 1.0) if total_s else 0.0

    @property
    def elapsed_s(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._start

    def render(self, elapsed_s: float) -> str:
        """Draw the bar as it stands ``elapsed_s`` after the start, in one line of the terminal."""
        filled = int(BAR_WIDTH * (self.num_done + self._begun_share) / max(self.total, 1))
        audio_s = self.audio_s + self._begun_s
        bar = "#" * filled + "." * (BAR_WIDTH - filled)
        speed = f"  RTF {elapsed_s / audio_s:.3f}" if audio_s else ""
        line = f"{self.label} [{bar}] {self.num_done}/{self.total}  {clock(elapsed_s)}{speed}"
        return line[: shutil.get_terminal_size().columns - 1]

    @contextmanager
    def hidden(self) -> Iterator[None]:
        """Take the bar off the terminal while something else is written there."""
        with self._lock:
            if self._is_drawn:
                self.stream.write(CLEAR_LINE)
                self.stream.flush()
                self._is_drawn = False
            yield

    def _redraw(self) -> None:
        """Draw until told to stop, then wipe."""
        wait_s = self.delay_s
        while not self._stop.wait(wait_s):
            with self._lock:
                self.stream.write(f"\r{self.render(self.elapsed_s)}\x1b[K")
                self.stream.flush()
                self._is_drawn = True
            wait_s = REDRAW_S
        with self.hidden():
            pass


def clock(seconds: float) -> str:
    """Write a duration as people do: 1:05, or 1:00:05."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


@contextmanager
def stages() -> Iterator[Callable[[str], Stage]]:
    """Show a progress bar whose label changes.

    Yields:
        What begins a stage: takes its label, and returns what is told how much is done, and of how much.
    """
    with Progress("", total=1) as bar:

        def begin(label: str) -> Stage:
            def report(done: int, total: int) -> None:
                bar.label, bar.num_done, bar.total = label, done, total

            report(0, 1)
            return report

        yield begin


def beside_progress() -> AbstractContextManager[Any]:
    """Hide the progress bar, if there is one, while the block writes to the terminal."""
    return Progress.active.hidden() if Progress.active else nullcontext()


def say(message: str) -> None:
    """Write a message to stderr."""
    with beside_progress():
        print(message, file=sys.stderr, flush=True)


def put(line: str, *, end: str = "\n") -> None:
    """Write a line of results to stdout, at once.

    Raises:
        SpeechRNNError: If the caller has closed it.
    """
    if sys.stdout is None:
        raise SpeechRNNError("standard output is closed, so the results cannot be written")
    with beside_progress():
        print(line, end=end, flush=True)


class Messages(logging.Handler):
    """Write the package's notices as the command's messages, each of them once."""

    def __init__(self, level: int) -> None:
        super().__init__(level)
        self.said: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        """Say one notice."""
        message = f"speechrnn: {record.levelname.lower()}: {record.getMessage()}"
        if message not in self.said:
            self.said.add(message)
            say(message)


@contextmanager
def messages_on_stderr() -> Iterator[None]:
    """Route the package's notices through ``say`` while a command runs."""
    logger, handler = logging.getLogger("speechrnn"), Messages(logging.WARNING)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


class Terminated(BaseException):
    """The process was asked to end; what is half done is cleared away on the way out."""


@contextmanager
def clean_end() -> Iterator[None]:
    """Turn SIGTERM into ``Terminated`` within the block, so that no partial file stays behind."""

    def stop(*_: object) -> None:
        raise Terminated

    try:
        before = signal.signal(signal.SIGTERM, stop)
    except ValueError:  # not the main thread, which alone gets signals
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
