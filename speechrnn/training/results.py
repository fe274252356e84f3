"""What a run shows of its answers: sample pairs, a line an utterance, a summary with its interval."""

import json
import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import pytorch_lightning as pl
import torch.distributed
from pytorch_lightning.loggers import TensorBoardLogger

from speechrnn.metrics import bootstrap_interval, bound_without_errors
from speechrnn.nn.masking import is_distributed

logger = logging.getLogger("speechrnn")


@dataclass(frozen=True)
class UtteranceResult:
    """One tested utterance."""

    utterance: str
    speaker: str
    reference: str
    hypothesis: str
    errors: int
    """Wrong words of a transcript, or 1 for a wrong label."""
    total: int
    """Words of the reference, or 1 for a label."""


def gather_results(results: list[UtteranceResult]) -> list[UtteranceResult]:
    """Bring the results of all processes together, each utterance once, sorted by name."""
    gathered: list[list[UtteranceResult]] = [results]
    if is_distributed():
        gathered = [[] for _ in range(torch.distributed.get_world_size())]
        torch.distributed.all_gather_object(gathered, results)
    by_name = {result.utterance: result for part in gathered for result in part}
    return [by_name[name] for name in sorted(by_name)]


def summarize(results: Sequence[UtteranceResult], measure: str) -> str:
    """Say the error rate with its 95 % bootstrap interval, over speakers where they are known."""
    errors = [result.errors for result in results]
    totals = [result.total for result in results]
    speakers = [result.speaker for result in results]
    groups = speakers if all(speakers) and len(set(speakers)) > 1 else None
    interval = bootstrap_interval(errors, totals, groups=groups)
    unit = f"{len(set(speakers))} speakers" if groups else f"{len(results)} utterances"
    rate = sum(errors) / max(sum(totals), 1)
    caution = ""
    if not sum(errors):
        bound = 100 * bound_without_errors(len(results))
        caution = (
            f"; no error in {len(results)} utterances: at most {bound:.2f} % of such have one, if independent"
        )
    return (
        f"{measure} {100 * rate:.2f} % [{100 * interval.low:.2f}, {100 * interval.high:.2f}] "
        f"({sum(errors)} of {sum(totals)}; 95 % bootstrap over {unit}{caution})"
    )


def write_results(results: Sequence[UtteranceResult], path: Path) -> None:
    """Write one JSON line an utterance."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [json.dumps(asdict(result), ensure_ascii=False) + "\n" for result in results]
    path.write_text("".join(lines), encoding="utf-8")


def finish_test(task: pl.LightningModule, results: list[UtteranceResult], *, name: str, title: str) -> None:
    """Log, print and write the results of all processes at the end of a test."""
    gathered = gather_results(results)
    errors = sum(result.errors for result in gathered)
    total = sum(result.total for result in gathered)
    task.log(f"test/{name}", errors / max(total, 1), rank_zero_only=True)
    folder = (
        task.trainer.log_dir or task.trainer.default_root_dir
    )  # asked by all processes: Lightning broadcasts it
    if task.trainer.is_global_zero:
        path = Path(folder) / "test_results.jsonl"
        write_results(gathered, path)
        print(f"test: {summarize(gathered, title)}\ntest: each utterance in {path}")


def log_sample_pairs(task: pl.LightningModule, pairs: list[tuple[str, str]]) -> None:
    """Show a few references beside their hypotheses, on the terminal and in TensorBoard."""
    if task.trainer.sanity_checking or not task.trainer.is_global_zero:
        return
    lines = [f"ref: {reference}\nhyp: {hypothesis}" for reference, hypothesis in pairs]
    for board in task.trainer.loggers:
        if isinstance(board, TensorBoardLogger):
            board.experiment.add_text("val/samples", "\n\n".join(lines), task.global_step)
    for line in lines:
        logger.info(line)
