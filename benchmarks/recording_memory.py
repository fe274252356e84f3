"""Memory of transcribing recordings of minutes and of hours, each in a process of its own."""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from an4_network import ROOT, load_samples
from decoding_memory import MB, missing_status

MINUTES = (3, 180)
MOST_MB = 400.0
MOST_GROWTH = 1.1
RATE = 16_000
CHILD = """
import sys, speechrnn
from pathlib import Path
assert speechrnn.load().transcribe(sys.argv[1]).text
[line] = [x for x in Path("/proc/self/status").read_text().splitlines() if x.startswith("VmHWM:")]
print(1024 * int(line.split()[1]))
"""

__all__ = ["measure", "missing_status", "table"]


@dataclass(frozen=True, kw_only=True)
class Peak:
    """Most memory of one process."""

    minutes: int
    peak_mb: float
    growth: float
    """As a multiple of that for the shortest recording."""

    @property
    def is_flat(self) -> bool:
        """Whether the targets are met."""
        return self.peak_mb <= MOST_MB and self.growth <= MOST_GROWTH


def measure(*, repeats: int | None = None) -> Iterator[Peak]:
    """Transcribe WAV files with the shipped model, greedily; nothing is repeated."""
    del repeats
    speech = np.concatenate(load_samples(RATE))
    first_mb = None
    with tempfile.TemporaryDirectory() as folder:
        for minutes in MINUTES:
            path = Path(folder) / f"{minutes}.wav"
            write_recording(path, speech, 60 * minutes * RATE)
            peak_mb = measure_process(path) / MB
            first_mb = first_mb or peak_mb
            yield Peak(minutes=minutes, peak_mb=peak_mb, growth=peak_mb / first_mb)


def write_recording(path: Path, speech: np.ndarray, num_samples: int) -> None:
    """Write speech over and over."""
    with soundfile.SoundFile(path, "w", RATE, 1, subtype="PCM_16") as file:
        for start in range(0, num_samples, len(speech)):
            file.write(speech[: num_samples - start])


def measure_process(path: Path) -> int:
    """Transcribe in a process of its own and return its peak in bytes.

    Raises:
        RuntimeError: If it fails.
    """
    process = subprocess.run(
        [sys.executable, "-c", CHILD, str(path)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if process.returncode:
        raise RuntimeError(f"transcribing {path.name}: {process.stderr.strip()}")
    return int(process.stdout)


def table(peaks: Iterator[Peak]) -> Iterator[str]:
    """Write peaks as the lines of a Markdown table."""
    yield "| recording | peak of the process | of the shortest | target |"
    yield "|---|---|---|---|"
    for peak in peaks:
        verdict = "met" if peak.is_flat else "missed"
        yield (
            f"| {peak.minutes} minutes | {peak.peak_mb:.0f} MB | × {peak.growth:.2f} | "
            f"≤ {MOST_MB:.0f} MB, × {MOST_GROWTH:g}: {verdict} |"
        )
