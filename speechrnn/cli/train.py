"""``speechrnn fit|validate|test|predict``: LightningCLI with this project's models, data and defaults."""

import sys
import warnings
from pathlib import Path
from typing import Any, NoReturn

import pytorch_lightning as pl
from pytorch_lightning.callbacks import EarlyStopping, ModelCheckpoint
from pytorch_lightning.cli import LightningArgumentParser, LightningCLI

from speechrnn.cli.config_errors import explain, keys_of_class
from speechrnn.cli.console import say
from speechrnn.errors import CheckpointError, ConfigError, ModelFileError
from speechrnn.nn.checkpoint import load_checkpoint
from speechrnn.nn.restore import restore_model
from speechrnn.nn.transfer import transfer_weights
from speechrnn.runtime import find_model
from speechrnn.training.callbacks import (
    AugmentationShares,
    DataWait,
    LastCheckpoint,
    PredictionWriter,
    checkpoint_folder,
)
from speechrnn.training.classification_task import ClassificationTask
from speechrnn.training.ctc_task import CTCTask
from speechrnn.training.data import SpeechDataModule
from speechrnn.training.language_model_task import LanguageModelTask
from speechrnn.training.text_data import TextDataModule

TRAINER_DEFAULTS: dict[str, Any] = {
    "default_root_dir": "exp",
    "gradient_clip_val": 1.0,
    # The batch plan shares batches among processes itself, and is drawn anew for each epoch.
    "use_distributed_sampler": False,
    "reload_dataloaders_every_n_epochs": 1,
    "log_every_n_steps": 10,
    "num_sanity_val_steps": 1,
    "callbacks": [DataWait(), AugmentationShares(), PredictionWriter(), LastCheckpoint()],
}
CALLBACK_DEFAULTS: dict[str, Any] = {
    "checkpoint.monitor": "val/error_rate",
    "checkpoint.mode": "min",
    "checkpoint.filename": "best",
    "early_stopping.monitor": "val/error_rate",
    "early_stopping.mode": "min",
    "early_stopping.patience": 50,
}
TASKS = (CTCTask, ClassificationTask, LanguageModelTask)
DATA = (SpeechDataModule, TextDataModule)  # the first is the one of recipes that name none
MONITORS = ("checkpoint", "early_stopping")


class TrainingParser(LightningArgumentParser):
    """LightningCLI's parser, whose errors are a line that names the nearest valid key."""

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Print the error and leave with status 2."""
        parser = getattr(ex, "subcommand_parser", None) or self
        keys = [action.dest for action in parser._actions]
        keys += [key for task in TASKS for key in keys_of_class(task, "model")]
        keys += [key for data in DATA for key in keys_of_class(data, "data")]
        said = explain(message, keys, [kind.__name__ for kind in (*TASKS, *DATA)], sys.argv)
        self.exit(2, f"speechrnn: error: {said}\n")


class TrainingCLI(LightningCLI):
    """LightningCLI with checkpoints, early stopping and a watch on the data built in."""

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Add the callbacks that can be configured, and what one part takes from another."""
        parser.add_lightning_class_args(ModelCheckpoint, "checkpoint")
        parser.add_lightning_class_args(EarlyStopping, "early_stopping")
        parser.add_argument(
            "--init_from",
            type=str | None,
            default=None,
            help="checkpoint, model file or shipped model whose weights fit begins with, as far as they fit",
        )
        parser.set_defaults(CALLBACK_DEFAULTS)
        parser.set_defaults({"data": {"class_path": f"{DATA[0].__module__}.{DATA[0].__name__}"}})
        for action in parser._actions:
            if action.dest == "data":
                action.help = "; ".join(map(list_options, DATA))
        root = "trainer.default_root_dir"
        parser.link_arguments(root, "checkpoint.dirpath", compute_fn=checkpoint_folder)
        parser.link_arguments("model.init_args.features.sample_rate", "data.init_args.sample_rate")

    def before_instantiate_classes(self) -> None:
        """Resolve ``--ckpt_path last|best``, and never train over the checkpoints of another run.

        Raises:
            CheckpointError: If that checkpoint is not there, or others would be overwritten.
            ConfigError: If a language model is to transcribe.
        """
        config = self.config[self.subcommand]
        if config.weights_only is None:
            config.weights_only = True  # a checkpoint is data; nothing in it is ever run
        if config.model.class_path.rpartition(".")[2] == LanguageModelTask.__name__:
            refuse_prediction(self.subcommand)
            watch_perplexity(config)
        folder = Path(config.checkpoint.dirpath)
        if config.ckpt_path in ("last", "best"):
            path = folder / f"{config.ckpt_path}.ckpt"
            if not path.is_file():
                raise CheckpointError(f"{path}: no such checkpoint; has this run been trained?")
            config.ckpt_path = str(path)
        elif config.ckpt_path is not None and not Path(config.ckpt_path).is_file():
            raise CheckpointError(f"{config.ckpt_path}: no such checkpoint")
        elif self.subcommand == "fit" and config.ckpt_path is None and any(folder.glob("*.ckpt")):
            raise CheckpointError(
                f"{folder} holds the checkpoints of an earlier run; go on with --ckpt_path last, "
                "or keep it and choose another --trainer.default_root_dir"
            )

    def instantiate_classes(self) -> None:
        """Build task, data and trainer.

        Raises:
            ConfigError: If a value is out of its range.
        """
        try:
            super().instantiate_classes()
        except ValueError as error:  # jsonargparse's, around what the classes themselves said
            raise ConfigError(explain(str(error), (), ())) from error
        config = self.config[self.subcommand]
        # A checkpoint to go on from has weights of its own, which began with the others.
        if self.subcommand == "fit" and config.init_from is not None and config.ckpt_path is None:
            begin_with(self.model, config.init_from)


def begin_with(task: pl.LightningModule, checkpoint: str) -> None:
    """Put the weights of a checkpoint into a task's network, and say what fitted.

    Raises:
        CheckpointError: If it cannot be read, or nothing of it fits.
        ConfigError: If the task is a language model's.
    """
    if not isinstance(task, CTCTask | ClassificationTask):
        raise ConfigError("--init_from is for models that hear")
    try:
        path = find_model(checkpoint)
        source = load_checkpoint(path) if path.suffix == ".ckpt" else restore_model(path)
        transfer = transfer_weights(source, task.model)
    except (CheckpointError, ModelFileError) as error:
        said = str(error)
        raise CheckpointError(said if said.startswith(checkpoint) else f"{checkpoint}: {said}") from error
    say(f"speechrnn: begun with {checkpoint}: {transfer}")


def with_underscores(arguments: list[str]) -> list[str]:
    """Spell the names of options as LightningCLI does; ``--init-from`` is understood as ``--init_from``."""
    spelled = []
    for argument in arguments:
        name, equals, value = argument.partition("=")
        spelled.append(
            f"--{name[2:].replace('-', '_')}{equals}{value}" if name.startswith("--") else argument
        )
    return spelled


def list_options(data: type) -> str:
    """Name the options of a class of data, which jsonargparse shows only when asked for that class."""
    options = ", ".join(f"--{key}" for key in keys_of_class(data, "data"))
    return f"{data.__name__} has {options}; what they mean: --data.help {data.__name__}"


def refuse_prediction(subcommand: str | None) -> None:
    """Raise ``ConfigError`` if a language model is to transcribe."""
    if subcommand == "predict":
        raise ConfigError(
            "`speechrnn predict` transcribes, and a language model hears nothing; "
            "use `speechrnn validate`, `test` or `lm sample`"
        )


def watch_perplexity(config: Any) -> None:
    """Let the best checkpoint of a language model be that of the lowest perplexity, unless told otherwise."""
    for callback in MONITORS:
        if config[callback].monitor == CALLBACK_DEFAULTS[f"{callback}.monitor"]:
            config[callback].monitor = "val/perplexity"


def run(argv: list[str]) -> int:
    """Run one of LightningCLI's subcommands; ``argv`` begins with it.

    Raises:
        KeyboardInterrupt: If the user stopped it; a checkpoint was left then.
    """
    # About Lightning's use of a torch function, and advice that small data does not need.
    for message in (".*LeafSpec.*", ".*does not have many workers.*"):
        warnings.filterwarnings("ignore", message=message)
    # LightningCLI reads the command line itself, also in the processes that it launches.
    sys.argv = ["speechrnn", *with_underscores(argv)]
    try:
        TrainingCLI(
            pl.LightningModule,
            pl.LightningDataModule,
            subclass_mode_model=True,
            subclass_mode_data=True,
            seed_everything_default=0,
            trainer_defaults=TRAINER_DEFAULTS,
            parser_class=TrainingParser,
        )
    except SystemExit as stop:
        # Lightning turns Ctrl-C into an exit with status 1.
        if isinstance(stop.__context__, KeyboardInterrupt):
            raise KeyboardInterrupt from stop
        raise
    return 0
