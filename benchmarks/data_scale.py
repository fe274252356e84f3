"""What training on very many utterances costs before its first batch: time and memory, from shards and manifests.

The corpora are made up: their shards are one shard under many names, which is read as if each were its own; the
manifests name one clip again and again.
"""

import gzip
import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import soundfile

SAMPLE_RATE = 16_000
CLIP_S = 2.0
SHARD_SIZE = 500
NUM_READ = 2000  # utterances whose loading is timed
SIZES_OF_SHARDS = (1_000, 10_000, 100_000, 1_000_000, 10_000_000)
SIZES_OF_MANIFESTS = (1_000, 10_000, 100_000)
MAX_START_S = 10.0
MAX_GROWTH_MB = 200.0  # from the smallest to the largest number of shards: the plan's arrays, no objects


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What one corpus costs."""

    kind: str
    """shards or a manifest."""
    num_utterances: int
    """In the corpus."""
    start_s: float
    """Seconds from opening the corpus to the first batch."""
    memory_mb: float
    """Peak of the process above what its imports took, after ``NUM_READ`` utterances."""
    utterances_per_s: float
    """Utterances loaded in a second, after the first batch, by one process."""


def measure(
    *,
    repeats: int | None = None,
    of_shards: tuple[int, ...] = SIZES_OF_SHARDS,
    of_manifests: tuple[int, ...] = SIZES_OF_MANIFESTS,
) -> Iterator[Cost]:
    """Measure each corpus in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write_clips(root)
        for size in of_shards:
            yield run_process(make_shards(root, size), size)
        for size in of_manifests:
            yield run_process(make_manifest(root, size), size)


def run_process(corpus: Path, num_utterances: int) -> Cost:
    """Measure a corpus in a process of its own."""
    command = [sys.executable, __file__, str(corpus), str(num_utterances)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr)
    return Cost(**json.loads(done.stdout.splitlines()[-1]))


def write_clips(root: Path) -> None:
    """Write noise clips, a manifest of them, and a folder with one shard."""
    from speechrnn.manifest import Utterance
    from speechrnn.training.cuts import utterances_to_cuts
    from speechrnn.training.shards import write_shards

    generator = np.random.default_rng(0)
    utterances = []
    for number in range(SHARD_SIZE):
        path = root / f"{number}.flac"
        num_samples = int(CLIP_S * SAMPLE_RATE * generator.uniform(0.5, 1.5))
        soundfile.write(path, 0.1 * generator.standard_normal(num_samples), SAMPLE_RATE)
        utterances.append(Utterance(id=f"u{number}", audio=path, text="a b c"))
    cuts = list(utterances_to_cuts(utterances))
    write_shards(cuts, root / "one", shard_size=SHARD_SIZE)
    (root / "cuts.jsonl").write_text("".join(json.dumps(cut.to_dict()) + "\n" for cut in cuts))


def make_shards(root: Path, num_utterances: int) -> Path:
    """Make a folder of shards that are all the same one."""
    from speechrnn.training.shard_reader import ShardFolder
    from speechrnn.training.shards import INDEX, KINDS, ShardIndex, save_index, shard_file

    one = ShardFolder(str(root / "one")).index
    num_shards = num_utterances // SHARD_SIZE
    folder = root / f"shards-{num_utterances}"
    folder.mkdir()
    for shard in range(num_shards):
        for kind in KINDS:
            (folder / shard_file(kind, shard)).symlink_to(root / "one" / shard_file(kind, 0))
    index = ShardIndex(
        counts=np.repeat(one.counts, num_shards),
        sizes=np.tile(one.sizes, (num_shards, 1)),
        durations=np.tile(one.durations, num_shards),
        characters=one.characters,
    )
    save_index(index, folder / INDEX)
    return folder


def make_manifest(root: Path, num_utterances: int) -> Path:
    """Make a manifest that names the same clips again and again, under other ids."""
    lines = (root / "cuts.jsonl").read_text().splitlines(keepends=True)
    path = root / f"{num_utterances}.jsonl.gz"
    with gzip.open(path, "wt", compresslevel=1) as file:
        for number in range(num_utterances):
            file.write(re.sub(r'"u\d+"', f'"u{number}"', lines[number % len(lines)]))
    return path


def measure_here(corpus: Path, num_utterances: int) -> Cost:
    """Load the beginning of a corpus in this process."""
    from speechrnn.training.data import SpeechDataModule

    imported_mb, start = peak_mb(), time.perf_counter()
    data = SpeechDataModule(str(corpus.parent), train=corpus.name, num_workers=0)
    batches = iter(data.train_dataloader())
    next(batches)
    started = time.perf_counter()
    num_read = 0
    for batch in batches:
        num_read += len(batch.texts)
        if num_read >= NUM_READ:
            break
    return Cost(
        kind="shards" if corpus.is_dir() else "manifest",
        num_utterances=num_utterances,
        start_s=started - start,
        memory_mb=peak_mb() - imported_mb,
        utterances_per_s=num_read / (time.perf_counter() - started),
    )


def peak_mb() -> float:
    """Tell the most memory that this process has had, in MB."""
    text = Path("/proc/self/status").read_text()
    return int(re.findall(r"VmHWM:\s+(\d+) kB", text)[0]) / 1000


def missing_status() -> list[str]:
    """Name the file system that tells a process's memory, where there is none."""
    return [] if Path("/proc/self/status").is_file() else ["/proc, which Linux has"]


def table(costs: Iterator[Cost]) -> Iterator[str]:
    """Write the costs as lines of a Markdown table."""
    yield "| from | utterances | before the first batch | memory | utterances/s, one process | target |"
    yield "| --- | --- | --- | --- | --- | --- |"
    smallest_mb: float | None = None
    for cost in costs:
        target = ""
        if cost.kind == "shards":
            smallest_mb = cost.memory_mb if smallest_mb is None else smallest_mb
            is_met = cost.start_s < MAX_START_S and cost.memory_mb < smallest_mb + MAX_GROWTH_MB
            target = (
                f"< {MAX_START_S:g} s, {MAX_GROWTH_MB:g} MB more at most: {'met' if is_met else 'missed'}"
            )
        cells = [
            cost.kind,
            f"{cost.num_utterances:,}",
            f"{cost.start_s:.2f} s",
            f"{cost.memory_mb:.0f} MB",
            f"{cost.utterances_per_s:.0f}",
            target,
        ]
        yield f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    print(json.dumps(asdict(measure_here(Path(sys.argv[1]), int(sys.argv[2])))))
