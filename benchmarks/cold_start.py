"""From nothing to a transcript of five seconds, a whole process, against ``import torch`` alone."""

import subprocess
import sys
import tempfile
from pathlib import Path

import soundfile
from an4_network import ROOT, load_speech, make_network, write_model_file
from timing import Comparison, Target, compare, time_in_turn

REPEATS = 11
DURATION_S = 5.0
TRANSCRIBE = "speechrnn transcribe, 5 s clip"
TARGET = Target(at_most=0.5)


def measure(*, repeats: int = REPEATS) -> list[Comparison]:
    """Compare processes from start to end."""
    with tempfile.TemporaryDirectory() as folder:
        network = make_network()
        model = write_model_file(network, Path(folder))
        clip = Path(folder) / "five_seconds.wav"
        sample_rate = network.config.features.sample_rate
        soundfile.write(clip, load_speech(sample_rate, DURATION_S), sample_rate)
        transcribe = ["-m", "speechrnn", "transcribe", "-m", str(model), str(clip)]
        seconds = time_in_turn(
            {
                TRANSCRIBE: lambda: run_python(*transcribe),
                "import torch": lambda: run_python("-c", "import torch"),
                "import speechrnn": lambda: run_python("-c", "import speechrnn"),
            },
            repeats=repeats,
        )
    title = "a Python process"
    return [
        compare(title, TRANSCRIBE, "import torch", seconds, target=TARGET),
        compare(title, "import speechrnn", "import torch", seconds),
    ]


def run_python(*arguments: str) -> None:
    """Run this Python in a process of its own.

    Raises:
        RuntimeError: If the process fails.
    """
    process = subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if process.returncode:
        raise RuntimeError(f"python {' '.join(arguments)}: {process.stderr.strip()}")
