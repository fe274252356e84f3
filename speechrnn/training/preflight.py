"""What is settled before the first step: manifests that fit the model, statistics of the features."""

import logging

import pytorch_lightning as pl
import torch
from pytorch_lightning.loggers import TensorBoardLogger

from speechrnn.errors import ManifestError
from speechrnn.nn.config import ModelConfig
from speechrnn.nn.ctc_loss import required_frames
from speechrnn.nn.features import Features
from speechrnn.nn.masking import frame_mask
from speechrnn.training.data import SpeechDataModule, cut_text

logger = logging.getLogger("speechrnn")
SPLITS = {"fit": ("train", "dev"), "validate": ("dev",), "test": ("test",), "predict": ()}
MAX_STATISTICS_BATCHES = 500


def check_manifests(data: SpeechDataModule, config: ModelConfig, stage: str) -> None:
    """Read a stage's manifests through once: every transcript must be spelled, most must be alignable.

    Raises:
        ManifestError: If no utterance of a split can be used.
        TextError: Naming utterance, characters and counts that the vocabulary lacks.
    """
    for split in SPLITS.get(stage, ()):
        unusable = unusable_utterances(data, config, split)
        num_cuts = sum(1 for _ in data.cuts(split))
        if len(unusable) == num_cuts:
            raise ManifestError(
                f"{data.root / data.manifests[split]}: none of {num_cuts} utterances has more frames "
                "than its target needs; `speechrnn check` lists them"
            )
        if unusable:
            logger.warning(
                "%s: %d of %d utterances have too few frames for their target and will be masked (%s%s)",
                data.root / data.manifests[split],
                len(unusable),
                num_cuts,
                ", ".join(unusable[:5]),
                ", …" if len(unusable) > 5 else "",
            )


def unusable_utterances(data: SpeechDataModule, config: ModelConfig, split: str) -> list[str]:
    """Name the utterances of a split whose frames cannot hold their target."""
    unusable = []
    path = data.root / data.manifests[split]
    for cut in data.cuts(split):
        ids = config.vocabulary.encode(cut_text(cut), f"{path}: utterance {cut.id}")
        targets = torch.tensor([ids], dtype=torch.int64)
        needed = int(required_frames(targets, torch.tensor([len(ids)])))
        num_frames = config.num_outputs(int(cut.duration * data.sample_rate))
        if num_frames < (needed if config.task == "ctc" else 1) or not ids:
            unusable.append(cut.id)
    return unusable


def set_global_statistics(features: Features, data: SpeechDataModule, device: torch.device) -> None:
    """Measure mean and variance of the training set's features, if they are wanted and not there yet.

    Every process measures the same batches, so all come to the same numbers without talking.
    """
    if features.config.normalization != "global" or bool(features.has_statistics):
        return
    total = torch.zeros(features.config.n_features, dtype=torch.float64, device=device)
    squares, count = torch.zeros_like(total), torch.zeros((), dtype=torch.float64, device=device)
    with torch.no_grad():
        for batch in data.statistics_batches(MAX_STATISTICS_BATCHES):
            values, lengths = features.unnormalized(
                batch.waveform.to(device), batch.waveform_lengths.to(device)
            )
            real = frame_mask(lengths, values.shape[1]).double()
            total += (values * real).sum((0, 1))
            squares += (values.square() * real).sum((0, 1))
            count += real.sum()
    mean = total / count.clamp(min=1)
    features.set_statistics(mean.float(), (squares / count.clamp(min=1) - mean.square()).float())


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
