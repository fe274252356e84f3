"""Measure the speed ratios and write them to ``benchmarks/RESULTS.md``.

Example:
    python benchmarks/run.py                           # all of them, to the file too
    python benchmarks/run.py training_step --repeats 3  # one of them, printed only
"""

import argparse
import logging
import os
import platform
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import cold_start
import onnxruntime
import torch
import training_step
import transcription
from timing import Comparison, table

RESULTS = Path(__file__).with_name("RESULTS.md")
BENCHMARKS: Mapping[str, tuple[str, int, Callable[..., Iterable[Comparison]]]] = {
    "training_step": (
        "Training step: forward and backward of the recurrent stack",
        training_step.REPEATS,
        training_step.measure,
    ),
    "transcription": (
        "Transcription: the AN4 recipe's network on short clips, audio already read",
        transcription.REPEATS,
        transcription.measure,
    ),
    "cold_start": ("Cold start: a whole process", cold_start.REPEATS, cold_start.measure),
}
INTRODUCTION = """\
# Benchmarks

Written by `make bench`. A and B are timed in turn (A B A B …) after a warm-up round, so that whatever else
the machine does slows both; times are medians, `A / B` is their ratio, and beside it stand the smallest and
the largest ratio of a pair. Before it is timed, each network is checked to compute what torch's does.
"""


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Measure speed, as ratios within one run.")
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"any of {', '.join(BENCHMARKS)}; all if none"
    )
    parser.add_argument("--repeats", type=positive, metavar="N", help="rounds that count, of each")
    args = parser.parse_args(argv)
    for name in args.names:
        if name not in BENCHMARKS:
            parser.error(f"no benchmark {name!r}; there are {', '.join(BENCHMARKS)}")
    lines = [INTRODUCTION]
    for line in report(args.names or BENCHMARKS, args.repeats):
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


def report(names: Iterable[str], repeats: int | None) -> Iterator[str]:
    """Run benchmarks and write what comes out, line by line."""
    yield f"- CPU: {cpu_model()}, {os.cpu_count()} logical cores"
    yield (
        f"- Python {platform.python_version()}, torch {torch.__version__}, "
        f"onnxruntime {onnxruntime.__version__}"
    )
    yield f"- threads of torch and of ONNX Runtime: {torch.get_num_threads()}"
    for name in names:
        title, default, measure = BENCHMARKS[name]
        num_rounds = repeats or default
        yield from ("", f"## {title}", "")
        yield from table(measure(repeats=num_rounds))
        yield from ("", f"`{name}`, rounds: {num_rounds}")


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
