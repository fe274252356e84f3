"""Memory of the beam search over hours of speech in one piece, each length in a process of its own."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from an4_network import ROOT
from numpy.typing import NDArray

if TYPE_CHECKING:
    from an4_task import An4Source

STATUS = Path("/proc/self/status")
HOURS = (0.5, 3.0)
FRAMES_PER_S = 40
MOST_MB = 300.0
MB = 2**20
CHILD = Path(__file__)


@dataclass(frozen=True, kw_only=True)
class Use:
    """Memory of one process in MB."""

    hours: float
    input_mb: float
    """The log probabilities, which are there before anything is counted."""
    peak_mb: float
    """Highest use above that: Numba, the language model, the search and its answer."""
    search_mb: float
    """The part of it that came after a first, short utterance was decoded."""

    @property
    def is_bounded(self) -> bool:
        """Whether the target is met."""
        return self.peak_mb < MOST_MB


def missing_status() -> list[str]:
    """Say so where the system does not tell a process's memory."""
    return [] if STATUS.exists() else [f"{STATUS}, which Linux has"]


def measure(*, repeats: int, an4: "An4Source") -> Iterator[Use]:
    """Decode AN4's test utterances over and over as one text; nothing is repeated."""
    from an4_task import load_task  # the child must not load it

    del repeats
    task = load_task(an4)
    speech = np.concatenate(task.test_log_probs)
    with tempfile.TemporaryDirectory() as folder:
        for hours in HOURS:
            path = Path(folder) / "log_probs.npy"
            np.save(path, tile(speech, round(hours * 3600 * FRAMES_PER_S)))
            yield measure_process(hours, path, task.arpa, task.vocabulary.tokens)


def tile(frames: NDArray[np.float32], length: int) -> NDArray[np.float32]:
    """Repeat frames (time, tokens) until there are ``length``."""
    return np.resize(frames, (length, frames.shape[1]))


def measure_process(hours: float, log_probs: Path, arpa: Path, tokens: Sequence[str]) -> Use:
    """Decode in a process of its own.

    Raises:
        RuntimeError: If it fails.
    """
    arguments = [str(hours), str(log_probs), str(arpa), json.dumps(tokens)]
    process = subprocess.run(
        [sys.executable, str(CHILD), *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if process.returncode:
        raise RuntimeError(f"{CHILD.name}: {process.stderr.strip()}")
    return Use(**json.loads(process.stdout))


def decode_here(hours: float, log_probs: Path, arpa: Path, tokens: Sequence[str]) -> Use:
    """Load the input, then count: what the process grows by until the answer is there."""
    from speechrnn.decoding import BeamDecoder
    from speechrnn.lm import read_lm
    from speechrnn.text import Vocabulary

    frames = np.load(log_probs)
    loaded = read_status("VmRSS")
    decoder = BeamDecoder(Vocabulary(tuple(tokens)), lm=read_lm(arpa))
    decoder.decode(frames[None, :FRAMES_PER_S], [FRAMES_PER_S])
    ready = read_status("VmHWM")
    [[hypothesis]] = decoder.decode(frames[None], [len(frames)])
    peak = read_status("VmHWM")
    assert hypothesis.text
    return Use(
        hours=hours,
        input_mb=frames.nbytes / MB,
        peak_mb=(peak - loaded) / MB,
        search_mb=(peak - ready) / MB,
    )


def read_status(name: str) -> int:
    """Read the bytes of a line such as ``VmRSS:  1234 kB`` (in use) or ``VmHWM`` (the most ever in use)."""
    [line] = [line for line in STATUS.read_text().splitlines() if line.startswith(f"{name}:")]
    return 1024 * int(line.split()[1])


def table(uses: Iterator[Use]) -> Iterator[str]:
    """Write uses as the lines of a Markdown table."""
    yield "| speech | input | peak above it | of that, the search | target |"
    yield "|---|---|---|---|---|"
    for use in uses:
        verdict = "met" if use.is_bounded else "missed"
        cells = [f"{value:.0f} MB" for value in (use.input_mb, use.peak_mb, use.search_mb)]
        yield f"| {use.hours:g} h | {' | '.join(cells)} | < {MOST_MB:.0f} MB: {verdict} |"


if __name__ == "__main__":
    given = sys.argv[1:]
    print(
        json.dumps(asdict(decode_here(float(given[0]), Path(given[1]), Path(given[2]), json.loads(given[3]))))
    )
