"""Measure the speed ratios and write them to ``benchmarks/RESULTS.md``.

Example:
    python benchmarks/run.py                           # all of them, to the file too
    python benchmarks/run.py training_step --repeats 3  # one of them, printed only
    python benchmarks/run.py decoding --an4 exp/an4/data
"""

import argparse
import logging
import os
import platform
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import an4_task
import cold_start
import data_scale
import decoders
import decoding
import decoding_errors
import decoding_memory
import gpu_training
import long_recording
import onnxruntime
import precision_curves
import recording_memory
import search_start
import serving
import spotting
import torch
import training_step
import transcription
import two_processes
from timing import table

RESULTS = Path(__file__).with_name("RESULTS.md")


@dataclass(frozen=True, kw_only=True)
class Benchmark:
    """What is measured, and how it is told."""

    title: str
    measure: Callable[..., Any]
    """Takes ``repeats``, and ``an4`` if it needs AN4; returns what ``table`` takes."""
    repeats: int | None = None
    """Rounds that count; None if there are no rounds."""
    table: Callable[[Any], Iterator[str]] = table
    """Writes it as lines of Markdown."""
    needs_an4: bool = False
    missing: Callable[[], list[str]] = list
    """Names what else is not there, each with the way to get it."""


DECODING = f"Decoding AN4's test set with its 3-gram, a beam of {decoders.BEAM_SIZE}"
BENCHMARKS: Mapping[str, Benchmark] = {
    "training_step": Benchmark(
        title="Training step: forward and backward of the recurrent stack",
        measure=training_step.measure,
        repeats=training_step.REPEATS,
    ),
    "two_processes": Benchmark(
        title="Training in two processes on two cores: efficiency, the time of one process over that of two",
        measure=two_processes.measure,
        repeats=two_processes.REPEATS,
    ),
    "precision_curves": Benchmark(
        title="Learning curves in float32 and bfloat16: CTC on spoken digits",
        measure=precision_curves.measure,
        table=precision_curves.table,
    ),
    "data_scale": Benchmark(
        title="Data at scale: opening a corpus, and reading from it",
        measure=data_scale.measure,
        table=data_scale.table,
        missing=data_scale.missing_status,
    ),
    "gpu_training": Benchmark(
        title="Training step on a GPU, bfloat16",
        measure=gpu_training.measure,
        repeats=gpu_training.REPEATS,
        missing=gpu_training.missing_gpu,
    ),
    "transcription": Benchmark(
        title="Transcription: the AN4 recipe's network on short clips, audio already read",
        measure=transcription.measure,
        repeats=transcription.REPEATS,
    ),
    "long_recording": Benchmark(
        title="Transcription: the AN4 recipe's network on a long recording, already read",
        measure=long_recording.measure,
        repeats=long_recording.REPEATS,
    ),
    "recording_memory": Benchmark(
        title="Memory of transcribing a long file",
        measure=recording_memory.measure,
        table=recording_memory.table,
        missing=recording_memory.missing_status,
    ),
    "cold_start": Benchmark(
        title="Cold start: a whole process", measure=cold_start.measure, repeats=cold_start.REPEATS
    ),
    "serving": Benchmark(
        title="Serving: speechrnn serve over HTTP, no answer lost",
        measure=serving.measure,
        repeats=serving.REPEATS,
    ),
    "spotting": Benchmark(
        title="Spotting keywords in live streams, one thread",
        measure=spotting.measure,
        repeats=spotting.REPEATS,
    ),
    "search_start": Benchmark(
        title="Start of the beam search: compiling, once on a machine",
        measure=search_start.measure,
        repeats=search_start.REPEATS,
    ),
    "decoding_flashlight": Benchmark(
        title=f"{DECODING}, words of a lexicon: the time of flashlight's search and ours, one thread",
        measure=decoding.measure_flashlight,
        repeats=decoding.REPEATS,
        needs_an4=True,
        missing=partial(decoders.missing_packages, "flashlight"),
    ),
    "decoding_pyctcdecode": Benchmark(
        title=f"{DECODING}, any words: the time of pyctcdecode's search and ours, one thread",
        measure=decoding.measure_pyctcdecode,
        repeats=decoding.REPEATS,
        needs_an4=True,
        missing=partial(decoders.missing_packages, "pyctcdecode"),
    ),
    "decoding_pruning": Benchmark(
        title=f"{DECODING}: what our search gains by pruning, one thread",
        measure=decoding.measure_pruning,
        repeats=decoding.REPEATS,
        needs_an4=True,
    ),
    "decoding_errors": Benchmark(
        title=f"{DECODING}: word errors",
        measure=decoding_errors.measure,
        table=decoding_errors.table,
        needs_an4=True,
    ),
    "decoding_memory": Benchmark(
        title=f"{DECODING}: memory for hours of it in one piece",
        measure=decoding_memory.measure,
        table=decoding_memory.table,
        needs_an4=True,
        missing=decoding_memory.missing_status,
    ),
}
INTRODUCTION = """\
# Benchmarks

Written by `make bench`. A and B are timed in turn (A B A B …) after a warm-up round, so that whatever else
the machine does slows both; times are medians, `A / B` is their ratio, and beside it stand the smallest and
the largest ratio of a pair. Before it is timed, each network is checked to compute what torch's does, and the
beam search to find what flashlight's does. All decoders have the weights that the model names
(`speechrnn info an4`) and read one 3-gram of the training transcripts.
"""


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Measure speed, as ratios within one run.")
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"any of {', '.join(BENCHMARKS)}; all if none"
    )
    parser.add_argument("--repeats", type=positive, metavar="N", help="rounds that count, of each")
    parser.add_argument(
        "--an4",
        type=Path,
        default=an4_task.DEFAULT_FOLDER,
        metavar="DIR",
        help="what recipes/an4/prepare.py wrote; without it, decoding is skipped (default: exp/an4/data)",
    )
    parser.add_argument(
        "--an4-model",
        default=an4_task.DEFAULT_MODEL,
        metavar="MODEL",
        help="whose answers are decoded: a shipped model's name or a file (default: an4)",
    )
    args = parser.parse_args(argv)
    an4 = an4_task.An4Source(folder=args.an4, model=args.an4_model)
    for name in args.names:
        if name not in BENCHMARKS:
            parser.error(f"no benchmark {name!r}; there are {', '.join(BENCHMARKS)}")
    lines = [INTRODUCTION]
    for line in report(args.names or BENCHMARKS, args.repeats, an4):
        print(line, flush=True)
        lines.append(line)
    if not args.names:
        RESULTS.write_text("\n".join(lines) + "\n", encoding="utf-8")


def positive(text: str) -> int:
    """Parse a whole number above 0."""
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number


def report(names: Iterable[str], repeats: int | None, an4: an4_task.An4Source) -> Iterator[str]:
    """Run benchmarks and write what comes out, line by line."""
    yield f"- CPU: {cpu_model()}, {os.cpu_count()} logical cores"
    yield (
        f"- Python {platform.python_version()}, torch {torch.__version__}, "
        f"onnxruntime {onnxruntime.__version__}"
    )
    yield f"- threads of torch and of ONNX Runtime: {torch.get_num_threads()}"
    for name in names:
        yield from ("", f"## {BENCHMARKS[name].title}", "")
        yield from run_benchmark(name, repeats, an4)


def run_benchmark(name: str, repeats: int | None, an4: an4_task.An4Source) -> Iterator[str]:
    """Run one benchmark, or say what it lacks."""
    benchmark = BENCHMARKS[name]
    missing = benchmark.missing() + (an4_task.missing_an4(an4.folder) if benchmark.needs_an4 else [])
    if missing:
        yield f"`{name}` skipped; it lacks: {'; '.join(missing)}"
        return
    num_rounds = (repeats or benchmark.repeats) if benchmark.repeats else None
    options = {"an4": an4} if benchmark.needs_an4 else {}
    yield from benchmark.table(benchmark.measure(repeats=num_rounds, **options))
    notes = [f"`{name}`", *([f"rounds: {num_rounds}"] if num_rounds else [])]
    notes += [f"model: {an4.model}"] if benchmark.needs_an4 else []
    yield from ("", ", ".join(notes))


def cpu_model() -> str:
    """Name the processor, as far as the system tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


if __name__ == "__main__":
    logging.getLogger("speechrnn").setLevel(logging.ERROR)  # notices on rates and empty transcripts
    main()
