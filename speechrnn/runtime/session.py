"""Sessions of ONNX Runtime: threads, devices, and processes that fork."""

import logging
import numbers
import os
import weakref
from pathlib import Path

import onnxruntime

from speechrnn.errors import ConfigError, ModelFileError

logger = logging.getLogger("speechrnn")

MOST_THREADS = 4  # small recurrent networks gain nothing from more
SILENT = 4  # ONNX Runtime's log level "fatal": everything else reaches us as an exception


class Session:
    """A session of ONNX Runtime that a forked process can use, and leave, too.

    The threads of a session do not come along into a forked process, as multiprocessing and torch's data workers
    make it on Linux. It would wait for them for ever, when it runs there or when it is destroyed, be that by the
    garbage collector. So a forked process keeps the inherited one untouched, and opens another when it needs one.
    """

    def __init__(self, path: Path, *, threads: int | None, device: str) -> None:
        """Open the file; arguments and errors as ``ModelFile``."""
        self.path, self.threads, self.device = path, threads, device
        self._opened: onnxruntime.InferenceSession | None = None
        self._opened = self.opened
        _sessions.add(self)

    @property
    def opened(self) -> onnxruntime.InferenceSession:
        """The session of this process; errors as ``ModelFile``, should the file have gone before it was forked."""
        if self._opened is None:
            self._opened = open_session(self.path, threads=self.threads, device=self.device)
        return self._opened

    def part(self) -> None:
        """Lay aside, for as long as the process lives, the session that belongs to the parent process."""
        _inherited.append(self._opened)
        self._opened = None


_sessions: weakref.WeakSet[Session] = weakref.WeakSet()
_inherited: list[onnxruntime.InferenceSession | None] = []


def part_from_parent() -> None:
    """Lay aside every session that a fork brought along."""
    for session in _sessions:
        session.part()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=part_from_parent)


def open_session(path: Path, *, threads: int | None, device: str) -> onnxruntime.InferenceSession:
    """Open an ONNX Runtime session; errors as ``ModelFile``."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = default_threads() if threads is None else check_threads(threads)
    options.inter_op_num_threads = 1
    options.enable_mem_pattern = False  # it plans for every shape anew, and clips have thousands of lengths
    options.log_severity_level = SILENT
    providers = choose_providers(device)
    try:
        with path.open("rb"):  # ONNX Runtime would not say why it cannot
            pass
        # Its fallback would print to stdout, and repeat what has just failed.
        return onnxruntime.InferenceSession(path, options, providers=providers, enable_fallback=0)
    except FileNotFoundError:
        raise ModelFileError(f"{path}: no such model file") from None
    except OSError as error:
        raise ModelFileError(f"{path}: cannot be read: {error.strerror}") from error
    except Exception as error:  # ONNX Runtime's exceptions share no base class of their own
        raise ModelFileError(f"{path}: not a whole ONNX file: {reason_of(error)}") from error


def check_threads(threads: int) -> int:
    """Refuse fewer than one thread with a ``ConfigError``; of more than there are processors, take these."""
    if not isinstance(threads, numbers.Integral) or threads < 1:
        raise ConfigError(f"threads must be a whole number >= 1, got {threads!r}")
    processors = len(usable_processors())
    if threads > processors:
        logger.warning(
            "%d threads would wait for each other on %d processors; using as many", threads, processors
        )
    return min(threads, processors)


def usable_processors() -> set[int]:
    """Give the numbers of the logical processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return os.sched_getaffinity(0)
    return set(range(os.cpu_count() or 1))


def default_threads() -> int:
    """Count the physical cores that this process may use; at most ``MOST_THREADS``."""
    available = usable_processors()
    cores: set[str] = set()
    for cpu in available:
        try:  # hyper-threads of one core list the same siblings
            cores.add(Path(f"/sys/devices/system/cpu/cpu{cpu}/topology/core_cpus_list").read_text())
        except OSError:
            return min(len(available), MOST_THREADS)
        if len(cores) == MOST_THREADS:
            break
    return len(cores)


def choose_providers(device: str) -> list[str | tuple[str, dict[str, str]]]:
    """Translate a device into ONNX Runtime's execution providers, in order of preference.

    Raises:
        ConfigError: If there is no such device, or this ONNX Runtime cannot use it.
    """
    kind, _, index = check_device(device).partition(":")
    has_cuda = "CUDAExecutionProvider" in onnxruntime.get_available_providers()
    if kind == "cuda" and not has_cuda:
        raise ConfigError(f"device {device}: this ONNX Runtime has no CUDA; pip install onnxruntime-gpu")
    if kind == "cpu" or not has_cuda:
        return ["CPUExecutionProvider"]
    return [("CUDAExecutionProvider", {"device_id": index or "0"}), "CPUExecutionProvider"]


def check_device(device: str) -> str:
    """Return what can be the name of a device, of this machine or another; raises a ``ConfigError`` otherwise."""
    kind, _, index = device.partition(":")
    if kind not in ("auto", "cpu", "cuda") or (index and not (kind == "cuda" and index.isdecimal())):
        raise ConfigError(f"device must be auto, cpu, cuda or cuda:N, got {device!r}")
    return device


def reason_of(error: Exception) -> str:
    """Take the first line of ONNX Runtime's message, without its code and its echo of the path."""
    lines = str(error).splitlines() or [type(error).__name__]
    return lines[0].rpartition(" failed:")[2]
