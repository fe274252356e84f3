"""What is settled before the first step: manifests that fit the model, statistics of the features."""

import logging
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from lhotse.cut import Cut
from pytorch_lightning.callbacks import Callback

from speechrnn.errors import ManifestError
from speechrnn.nn.config import ModelConfig
from speechrnn.nn.ctc_loss import required_frames
from speechrnn.nn.features import Features
from speechrnn.nn.masking import frame_mask
from speechrnn.training.cuts import cut_text
from speechrnn.training.data import SpeechDataModule
from speechrnn.training.shard_reader import ShardFolder
from speechrnn.training.utterances import cut_files

logger = logging.getLogger("speechrnn")
SPLITS = {"fit": ("train", "dev"), "validate": ("dev",), "test": ("test",), "predict": ()}
MAX_STATISTICS_BATCHES = 500
MAX_NAMED = 5


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
    """Read a stage's manifests through once: all audio there, all transcripts spelled, most alignable.

    Raises:
        ManifestError: If a manifest is wrong, its audio missing, or none of its utterances can be used.
        TextError: Naming utterance, characters and counts that the vocabulary lacks.
    """
    for split in SPLITS.get(stage, ()):
        shards = data.shards(split)
        if shards is not None:
            check_shards(shards, config)
            continue
        path = data.manifest(split)
        num_cuts = 0
        unusable: list[str] = []
        missing: list[str] = []
        for cut in data.checked_cuts(split):
            num_cuts += 1
            missing += [source for source in cut_files(cut) if not Path(source).exists()]
            if not has_alignment(cut, config, f"{path}: utterance {cut.id}"):
                unusable.append(cut.id)
        if missing:
            raise ManifestError(f"{path}: {len(missing)} audio files are missing: {first_of(missing)}")
        if len(unusable) == num_cuts:
            raise ManifestError(
                f"{path}: none of {num_cuts} utterances has more frames than its target needs; "
                "`speechrnn check` lists them"
            )
        if unusable:
            logger.warning(
                "%s: %d of %d utterances have too few frames for their target and will be masked: %s",
                path,
                len(unusable),
                num_cuts,
                first_of(unusable),
            )


def check_shards(shards: ShardFolder, config: ModelConfig) -> None:
    """Check every character of a folder of shards against the model, and the utterances of its first shard.

    Raises:
        ManifestError: If the first shard cannot be read, or none of its utterances can be used.
        TextError: Naming the characters that the vocabulary lacks.
    """
    if config.vocabulary.unit == "character":
        config.vocabulary.encode(shards.index.characters, shards.location)
    cuts = shards.manifest_cuts(0)
    if not sum(has_alignment(cut, config, f"{shards.location}: utterance {cut.id}") for cut in cuts):
        raise ManifestError(
            f"{shards.location}: no utterance of the first shard has more frames than its target needs"
        )


def first_of(names: list[str]) -> str:
    """List the first few names."""
    return ", ".join(names[:MAX_NAMED]) + (", …" if len(names) > MAX_NAMED else "")


def has_alignment(cut: Cut, config: ModelConfig, where: str) -> bool:
    """Tell whether an utterance has a target and frames enough for it; a label needs one frame."""
    ids = config.vocabulary.encode(cut_text(cut), where)
    targets = torch.tensor([ids], dtype=torch.int64)
    required = int(required_frames(targets, torch.tensor([len(ids)]))) if config.task == "ctc" else 1
    num_samples = round(cut.duration * config.features.sample_rate)
    return bool(ids) and config.num_outputs(num_samples) >= required


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
