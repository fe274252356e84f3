"""Language models written as ARPA files, plain or gzipped."""

import gzip
import os
from collections.abc import Iterator
from typing import IO

import numpy as np
from numpy.typing import NDArray

from speechrnn.lm.arpa import CHUNK, LN_10
from speechrnn.lm.ngram import NgramModel
from speechrnn.lm.progress import OnProgress, ignore_progress
from speechrnn.new_file import new_file


def write_arpa(
    model: NgramModel,
    path: str | os.PathLike[str],
    *,
    overwrite: bool = False,
    on_progress: OnProgress | None = None,
) -> None:
    r"""Write an ARPA file, gzipped if its name ends in ``.gz``.

    Nine digits bring back every float32 to the bit. A model of characters says so in a comment before
    ``\data\``, which KenLM skips.

    Args:
        model: Any model.
        path: The file.
        overwrite: Whether to replace a file of that name.
        on_progress: Told the n-grams written, and their number.

    Raises:
        ModelFileError: If there is such a file and it must not be replaced, or it cannot be written.
    """
    with new_file(path, overwrite=overwrite) as partial, open(partial, "wb") as raw:
        if str(path).endswith(".gz"):
            with gzip.GzipFile("", "wb", fileobj=raw, mtime=0) as file:  # the same model, the same bytes
                write_model(model, file, on_progress or ignore_progress)
        else:
            write_model(model, raw, on_progress or ignore_progress)


def write_model(model: NgramModel, file: IO[bytes] | gzip.GzipFile, on_progress: OnProgress) -> None:
    """Write the whole file."""
    lines = [f"# unit: {model.unit}"] if model.unit != "word" else []
    lines.append("\\data\\")
    lines += [f"ngram {order}={count}" for order, count in enumerate(model.counts, start=1)]
    file.write("\n".join([*lines, "", ""]).encode())
    for order in range(1, model.order + 1):
        file.write(b"\\%d-grams:\n" % order)
        first, last = model.level_bounds[order - 1 : order + 1]
        for start in range(first, last, CHUNK):
            end = min(start + CHUNK, last)
            file.writelines(line.encode() for line in ngram_lines(model, order, start, end))
            on_progress(end - 1, len(model.words) - 1)
        file.write(b"\n")
    file.write(b"\\end\\\n")


def ngram_lines(model: NgramModel, order: int, start: int, end: int) -> Iterator[str]:
    """Write the n-grams of nodes ``start`` … ``end`` - 1, all of one order."""
    words = (map(model.vocabulary.__getitem__, ids) for ids in spell(model, order, np.arange(start, end)))
    ngrams = map(" ".join, zip(*words, strict=True))
    log_probs = to_log10(model.log_probs[start:end])
    if order == model.order:
        return map("%.9g\t%s\n".__mod__, zip(log_probs, ngrams, strict=True))
    backoffs = to_log10(model.backoffs[start:end])
    return map("%.9g\t%s\t%.9g\n".__mod__, zip(log_probs, ngrams, backoffs, strict=True))


def spell(model: NgramModel, order: int, nodes: NDArray[np.int64]) -> list[list[int]]:
    """List the word ids of n-grams: one list for each place, from the first word to the last."""
    columns = []
    for _ in range(order):
        columns.append(model.words[nodes].tolist())
        nodes = np.searchsorted(model.first_child, nodes, side="right") - 1  # the parents
    return columns[::-1]


def to_log10(natural: NDArray[np.float32]) -> list[float]:
    """Turn natural logs into decimal ones; -0 becomes 0."""
    logs: list[float] = (natural.astype(np.float64) / LN_10 + 0.0).tolist()
    return logs
