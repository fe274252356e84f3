"""The first search of a process, compiled there and then or before; and what it adds to a whole process."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from an4_network import ROOT, SAMPLES
from cold_start import run_python
from timing import Comparison, compare, time_in_turn

from speechrnn.lm import estimate_model, read_sentences, write_lm

REPEATS = 3
CLIP = SAMPLES / "an4_fjlp_cen2.wav"
COLD, WARM = "nothing compiled yet", "compiled before"
GREEDY, SEARCH = "speechrnn transcribe", "speechrnn transcribe --lm"
FIRST_SEARCH = """\
import sys, time
import numpy as np
from speechrnn.decoding import BeamDecoder
from speechrnn.lm import read_lm
from speechrnn.text import Vocabulary
frames = np.log(np.full((1, 40, 29), 1 / 29))
start = time.perf_counter()
decoder = BeamDecoder(Vocabulary(tuple(" 'abcdefghijklmnopqrstuvwxyz")), lm=read_lm(sys.argv[1]))
decoder.decode(frames, [40])
print(time.perf_counter() - start)
"""


def measure(*, repeats: int = REPEATS) -> list[Comparison]:
    """Compare first searches, and whole processes with and without a search (compiled before)."""
    with tempfile.TemporaryDirectory() as folder:
        arpa = write_sample_model(Path(folder))
        first = measure_first_search(arpa, Path(folder) / "compiled", repeats)
        seconds = time_in_turn(
            {
                SEARCH: lambda: run_python("-m", "speechrnn", "transcribe", "--lm", str(arpa), str(CLIP)),
                GREEDY: lambda: run_python("-m", "speechrnn", "transcribe", str(CLIP)),
            },
            repeats=repeats,
        )
    return [first, compare("a process, 1 clip, compiled before", SEARCH, GREEDY, seconds)]


def write_sample_model(folder: Path) -> Path:
    """Write a 3-gram of the sample clips' transcripts."""
    sentences = read_sentences(SAMPLES / "transcripts.tsv", normalization=("lowercase",))
    arpa = folder / "samples.arpa"
    write_lm(estimate_model(sentences, order=3), arpa)
    return arpa


def measure_first_search(arpa: Path, cache: Path, repeats: int) -> Comparison:
    """Time first searches in fresh processes, each once with an empty folder of compiled code and once with it."""
    seconds: dict[str, list[float]] = {COLD: [], WARM: []}
    for _ in range(repeats):
        shutil.rmtree(cache, ignore_errors=True)
        for name in seconds:  # the first leaves what the second finds
            seconds[name].append(time_first_search(arpa, cache))
    return compare("first search of a process, its decoder made", COLD, WARM, seconds)


def time_first_search(arpa: Path, cache: Path) -> float:
    """Make a decoder and search, in a process that keeps compiled code in ``cache``; returns its seconds.

    Raises:
        RuntimeError: If the process fails.
    """
    process = subprocess.run(
        [sys.executable, "-c", FIRST_SEARCH, str(arpa)],
        cwd=ROOT,
        env=os.environ | {"NUMBA_CACHE_DIR": str(cache)},
        capture_output=True,
        text=True,
        check=False,
    )
    if process.returncode:
        raise RuntimeError(f"the first search: {process.stderr.strip()}")
    return float(process.stdout)
