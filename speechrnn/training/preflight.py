"""What is settled before the first step: manifests that fit the model, statistics of the features."""

import logging
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback

from speechrnn.errors import ManifestError
from speechrnn.nn.config import ModelConfig
from speechrnn.nn.ctc_loss import required_frames
from speechrnn.nn.features import Features
from speechrnn.nn.masking import frame_mask
from speechrnn.training.data import SpeechDataModule, cut_text

logger = logging.getLogger("speechrnn")
SPLITS = {"fit": ("train", "dev"), "validate": ("dev",), "test": ("test",), "predict": ()}
MAX_STATISTICS_BATCHES = 500


class Preflight(Callback):
    """See to a task's manifests and features before any time is spent on training or testing."""

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Check the manifests of the stage against the model."""
        check_manifests(data_of(trainer), config_of(pl_module), stage)

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Measure the training set's features where they are to be normalised by them."""
        features: Any = pl_module.get_submodule("model.features")
        set_global_statistics(features, data_of(trainer), pl_module.device)


def data_of(trainer: pl.Trainer) -> SpeechDataModule:
    """Return the data that a trainer was given."""
    data: SpeechDataModule = trainer.datamodule  # type: ignore[attr-defined]
    return data


def config_of(task: pl.LightningModule) -> ModelConfig:
    """Return the configuration of a task's network."""
    config: Any = task.config
    assert isinstance(config, ModelConfig)
    return config


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
