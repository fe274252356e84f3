"""What a run leaves beside its checkpoints: how it was made, how it went, and what it heard."""

import hashlib
import importlib.metadata
import json
import platform
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.loggers import TensorBoardLogger
from torch import Tensor

from speechrnn import __version__
from speechrnn.training.learning_curves import Curves, draw

PACKAGES = ("torch", "torchaudio", "pytorch-lightning", "lhotse", "numpy", "soundfile")
CURVES = ("train/loss", "val/loss", "val/error_rate", "val/perplexity")
NUM_EXAMPLES = 4


class RunRecord(Callback):
    """Write ``run.json``: command, versions, git state, data and machine; beside it is ``config.yaml``."""

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Write it."""
        folder = run_folder(trainer)
        if stage != "fit" or not trainer.is_global_zero or getattr(trainer, "fast_dev_run", False):
            return
        record = {
            "command": sys.argv,
            "resumed_from": str(trainer.ckpt_path) if trainer.ckpt_path else None,
            "versions": versions(),
            "git": git_state(Path.cwd()),
            "data": {str(path): digest(path) for path in manifests_of(trainer)},
            "devices": f"{trainer.world_size} × {pl_module.device.type}, precision {trainer.precision}",
        }
        folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps(record, indent=2, ensure_ascii=False) + "\n"
        (folder / "run.json").write_text(text, encoding="utf-8")


def run_folder(trainer: pl.Trainer) -> Path:
    """Name the folder of a run's logs; all processes must ask, since Lightning broadcasts it."""
    return Path(trainer.log_dir or trainer.default_root_dir)


def versions() -> dict[str, str]:
    """Tell the versions of all that decides the numbers."""
    found = {name: importlib.metadata.version(name) for name in PACKAGES}
    return {"speechrnn": __version__, "python": platform.python_version()} | found


def git_state(folder: Path) -> dict[str, Any] | None:
    """Tell the commit of a folder and whether files differ from it; nothing where there is no git."""

    def git(*arguments: str) -> str:
        done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    try:
        return {"commit": git("rev-parse", "HEAD"), "changed": git("status", "--porcelain").splitlines()}
    except (OSError, subprocess.CalledProcessError):
        return None


def manifests_of(trainer: pl.Trainer) -> Iterable[Path]:
    """Name the files of training and development that a run's data module reads."""
    data: Any = trainer.datamodule  # type: ignore[attr-defined]
    names: Mapping[str, str] = getattr(data, "manifests", None) or getattr(data, "files", {})
    paths = (Path(data.root) / names[split] for split in ("train", "dev") if split in names)
    return [path for path in paths if path.is_file()]


def digest(path: Path) -> str:
    """Compute the SHA-256 of a file."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class LearningCurves(Callback):
    """Draw ``learning_curves.svg`` after each validation; a resumed run goes on with the curves it had."""

    def __init__(self) -> None:
        self.curves: Curves = {}
        self.folder = Path()

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Settle the folder."""
        self.folder = run_folder(trainer)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Add what was measured."""
        if trainer.state.fn != "fit" or trainer.sanity_checking:
            return
        for name in CURVES:
            if name in trainer.callback_metrics:
                point = (trainer.global_step, float(trainer.callback_metrics[name]))
                self.curves.setdefault(name, []).append(point)
        if trainer.is_global_zero and not getattr(trainer, "fast_dev_run", False):
            self.folder.mkdir(parents=True, exist_ok=True)
            (self.folder / "learning_curves.svg").write_text(draw(self.curves), encoding="utf-8")

    def state_dict(self) -> dict[str, Any]:
        """Keep the curves."""
        return {"curves": {name: [list(point) for point in curve] for name, curve in self.curves.items()}}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on with the curves."""
        curves = state_dict["curves"].items()
        self.curves = {name: [(int(x), float(y)) for x, y in curve] for name, curve in curves}


class AugmentedExamples(Callback):
    """Show TensorBoard what the network hears: features of some utterances of an epoch, after augmentation."""

    def __init__(self) -> None:
        self.heard: tuple[Tensor, Tensor] | None = None
        self.hook: Any = None

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Listen in on the first batch of an epoch."""
        augment = getattr(pl_module, "spec_augment", None)
        if batch_idx == 0 and augment is not None and boards_of(trainer):
            self.hook = augment.register_forward_hook(self.keep)

    def keep(self, module: torch.nn.Module, inputs: tuple[Tensor, Tensor], output: Tensor) -> None:
        """Keep the first few utterances, (n, time, n_features), and their lengths."""
        self.heard = output[:NUM_EXAMPLES].detach().float().cpu(), inputs[1][:NUM_EXAMPLES].cpu()

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Show them."""
        if self.hook is None:
            return
        self.hook.remove()
        self.hook = None
        if self.heard is not None:
            features, lengths = self.heard
            for index, name in enumerate(batch.utterances[:NUM_EXAMPLES]):
                image = picture(features[index, : max(int(lengths[index]), 1)])
                for board in boards_of(trainer):
                    board.add_image(f"train/augmented_{index}", image, trainer.global_step)
                    board.add_text(f"train/augmented_{index}", name, trainer.global_step)


def boards_of(trainer: pl.Trainer) -> list[Any]:
    """List the writers of TensorBoard that this process has: none on any but the first."""
    if not trainer.is_global_zero:
        return []
    return [logger.experiment for logger in trainer.loggers if isinstance(logger, TensorBoardLogger)]


def picture(features: Tensor) -> Tensor:
    """Paint normalised features (time, n_features) as an image (1, n_features, time) in [0, 1], low ones below."""
    return ((features.T.flip(0) + 2.5) / 5).clamp(0, 1).unsqueeze(0)
