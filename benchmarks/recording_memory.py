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
API = "speechrnn.load().transcribe"
COMMAND = "speechrnn transcribe"
WAYS = (API, COMMAND, f"{COMMAND} --vad")
CHILD = f"""
import sys, speechrnn
from pathlib import Path
from speechrnn.cli.main import main
way, path = sys.argv[1:]
if way == {API!r}:
    assert speechrnn.load().transcribe(path).text
else:
    sys.stdout, kept = sys.stderr, sys.stdout
    assert main([*way.split()[1:], path]) == 0
    sys.stdout = kept
[line] = [x for x in Path("/proc/self/status").read_text().splitlines() if x.startswith("VmHWM:")]
print(1024 * int(line.split()[1]))
"""

__all__ = ["measure", "missing_status", "table"]


@dataclass(frozen=True, kw_only=True)
class Peak:
    """Most memory of one process."""

    way: str
    """Of ``WAYS``."""
    minutes: int
    peak_mb: float
    growth: float
    """As a multiple of the same way's for the shortest recording."""

    @property
    def is_flat(self) -> bool:
        """Whether the targets are met."""
        return self.peak_mb <= MOST_MB and self.growth <= MOST_GROWTH


def measure(*, repeats: int | None = None) -> Iterator[Peak]:
    """Transcribe WAV files with the shipped model, greedily; nothing is repeated."""
    del repeats
    speech = np.concatenate(load_samples(RATE))
    first_mb: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        for minutes in MINUTES:
            path = Path(folder) / f"{minutes}.wav"
            write_recording(path, speech, round(60 * minutes * RATE))
            for way in WAYS:
                peak_mb = measure_process(path, way) / MB
                growth = peak_mb / first_mb.setdefault(way, peak_mb)
                yield Peak(way=way, minutes=minutes, peak_mb=peak_mb, growth=growth)


def write_recording(path: Path, speech: np.ndarray, num_samples: int) -> None:
    """Write speech over and over."""
    with soundfile.SoundFile(path, "w", RATE, 1, subtype="PCM_16") as file:
        for start in range(0, num_samples, len(speech)):
            file.write(speech[: num_samples - start])


def measure_process(path: Path, way: str) -> int:
    """Transcribe in one of ``WAYS`` in a process of its own and return its peak in bytes.

    Raises:
        RuntimeError: If it fails.
    """
    process = subprocess.run(
        [sys.executable, "-c", CHILD, way, str(path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if process.returncode:
        raise RuntimeError(f"transcribing {path.name}: {process.stderr.strip()}")
    return int(process.stdout)


def table(peaks: Iterator[Peak]) -> Iterator[str]:
    """Write peaks as the lines of a Markdown table."""
    yield "| recording | by | peak of the process | of the shortest | target |"
    yield "|---|---|---|---|---|"
    for peak in peaks:
        verdict = "met" if peak.is_flat else "missed"
        yield (
            f"| {peak.minutes} minutes | `{peak.way}` | {peak.peak_mb:.0f} MB | × {peak.growth:.2f} | "
            f"≤ {MOST_MB:.0f} MB, × {MOST_GROWTH:g}: {verdict} |"
        )
