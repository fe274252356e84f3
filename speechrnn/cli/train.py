"""``speechrnn fit|validate|test|predict``: LightningCLI with this project's models, data and defaults."""

import logging
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, NoReturn

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import EarlyStopping
from pytorch_lightning.cli import LightningArgumentParser, LightningCLI
from pytorch_lightning.loggers import CSVLogger, Logger, TensorBoardLogger
from pytorch_lightning.plugins.environments import SLURMEnvironment  # type: ignore[attr-defined]
from pytorch_lightning.strategies import DDPStrategy
from pytorch_lightning.utilities.exceptions import MisconfigurationException  # type: ignore[attr-defined]
from torch.distributed.constants import default_pg_timeout

from speechrnn.cli.config_errors import explain, keys_of_class
from speechrnn.cli.console import say
from speechrnn.errors import CheckpointError, ConfigError
from speechrnn.nn.config import require
from speechrnn.nn.transfer import load_network, transfer_weights
from speechrnn.training.best_checkpoint import BestCheckpoint
from speechrnn.training.callbacks import AugmentationShares, DataWait, PredictionWriter
from speechrnn.training.checkpointing import (
    DurableCheckpointIO,
    LastCheckpoint,
    checkpoint_folder,
    find_last,
)
from speechrnn.training.classification_task import ClassificationTask
from speechrnn.training.ctc_task import CTCTask
from speechrnn.training.data import SpeechDataModule
from speechrnn.training.language_model_task import LanguageModelTask
from speechrnn.training.run_folder import AugmentedExamples, LearningCurves, RunRecord
from speechrnn.training.step_guard import NonFiniteGuard, StepSeed
from speechrnn.training.text_data import TextDataModule
from speechrnn.training.watch import (
    BlankCollapse,
    PeakMemory,
    UnreadableAudio,
    explain_lack_of_memory,
    explain_lost_worker,
)

PROCESS_TIMEOUT = timedelta(minutes=5)  # steps take seconds; torch's half an hour is a hang
TRAINER_DEFAULTS: dict[str, Any] = {
    "default_root_dir": "exp",
    "gradient_clip_val": 1.0,
    # The batch plan shares batches among processes itself, and is drawn anew for each epoch.
    "use_distributed_sampler": False,
    "reload_dataloaders_every_n_epochs": 1,
    "log_every_n_steps": 10,
    "num_sanity_val_steps": 1,
}
CALLBACKS = (
    StepSeed,
    NonFiniteGuard,
    UnreadableAudio,
    PeakMemory,
    BlankCollapse,
    RunRecord,
    LearningCurves,
    AugmentedExamples,
    DataWait,
    AugmentationShares,
    PredictionWriter,
)
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
        parser.add_lightning_class_args(BestCheckpoint, "checkpoint")
        parser.add_lightning_class_args(EarlyStopping, "early_stopping")
        parser.add_lightning_class_args(LastCheckpoint, "last_checkpoint")
        parser.add_argument(
            "--init_from",
            type=str | None,
            default=None,
            help="checkpoint, model file or shipped model whose weights fit begins with, as far as they fit",
        )
        parser.add_argument(
            "--threads",
            type=int | None,
            default=None,
            help="threads that torch computes with in each process; fewer are faster where cores are busy",
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
        """Resolve ``--ckpt_path last|best|auto``, and never train over the checkpoints of another run.

        Raises:
            CheckpointError: If that checkpoint is not there, or others would be overwritten.
            ConfigError: If a language model is to transcribe.
        """
        config = self.config[self.subcommand]
        if config.threads is not None:
            use_threads(config.threads)
        if config.weights_only is None:
            config.weights_only = True  # a checkpoint is data; nothing in it is ever run
        if config.model.class_path.rpartition(".")[2] == LanguageModelTask.__name__:
            refuse_prediction(self.subcommand)
            watch_perplexity(config)
        if config.checkpoint.save_top_k not in (0, 1) and config.checkpoint.filename == "best":
            raise ConfigError(
                f"checkpoint.filename must tell checkpoints apart with save_top_k {config.checkpoint.save_top_k}, "
                "'{epoch}' say, got 'best'"
            )
        folder = Path(config.checkpoint.dirpath)
        if config.ckpt_path == "auto":
            config.ckpt_path = "last" if any(folder.glob("*.ckpt")) else None
        if config.ckpt_path == "last":
            config.ckpt_path = str(find_last(folder))
        elif config.ckpt_path == "best":
            path = folder / "best.ckpt"
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
        except (MisconfigurationException, ModuleNotFoundError) as error:  # Lightning's: no such device
            raise ConfigError(" ".join(str(error).split())) from error
        config = self.config[self.subcommand]
        # A checkpoint to go on from has weights of its own, which began with the others.
        if self.subcommand == "fit" and config.init_from is not None and config.ckpt_path is None:
            begin_with(self.model, config.init_from)

    def instantiate_trainer(self, **options: Any) -> pl.Trainer:
        """Build the trainer, which writes checkpoints durably and does not wait long for a lost process."""
        trainer: pl.Trainer = super().instantiate_trainer(**options)
        trainer.strategy.checkpoint_io = DurableCheckpointIO()
        trainer.loggers = with_table(trainer.loggers)
        cluster = trainer._accelerator_connector.cluster_environment
        if isinstance(cluster, SLURMEnvironment):
            cluster.auto_requeue = False  # LastCheckpoint does it, between two steps
        if isinstance(trainer.strategy, DDPStrategy) and trainer.strategy._timeout == default_pg_timeout:
            trainer.strategy._timeout = PROCESS_TIMEOUT
        return trainer


def with_table(loggers: list[Logger]) -> list[Logger]:
    """Let TensorBoard, where it is the only logger, have ``metrics.csv`` beside it, in a folder of this start's own.

    Lightning names the folder after SLURM's job, which has the same number when it is started again.
    """
    if len(loggers) != 1 or not isinstance(loggers[0], TensorBoardLogger):
        return loggers
    board = loggers[0]
    if board.version == SLURMEnvironment.job_id():
        board = TensorBoardLogger(board.save_dir, name=str(board.name))
    return [board, CSVLogger(board.save_dir, name=str(board.name), version=board.version)]


@contextmanager
def notes_on_stderr() -> Iterator[None]:
    """Show what training notes about itself: its memory, samples of its answers."""
    logger, handler = logging.getLogger("speechrnn"), logging.Handler()
    level = logger.level
    handler.addFilter(lambda record: record.levelno == logging.INFO)
    handler.emit = lambda record: say(record.getMessage())  # type: ignore[method-assign]
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)


def use_threads(num_threads: int) -> None:
    """Have torch compute with so many threads, in processes that are launched from this one, too.

    Raises:
        ConfigError: If there are none.
    """
    require(num_threads > 0, "threads", num_threads, "> 0")
    os.environ["OMP_NUM_THREADS"] = str(num_threads)
    torch.set_num_threads(num_threads)


def begin_with(task: pl.LightningModule, checkpoint: str) -> None:
    """Put the weights of a checkpoint into a task's network, and say what fitted.

    Raises:
        CheckpointError: If it cannot be read, or nothing of it fits.
        ConfigError: If the task is a language model's.
    """
    if not isinstance(task, CTCTask | ClassificationTask):
        raise ConfigError("--init_from is for models that hear")
    try:
        transfer = transfer_weights(load_network(checkpoint), task.model)
    except CheckpointError as error:
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
    # About Lightning's use of a torch function, and advice that small data does not need. What is not added up over
    # processes is the same on each, or an estimate of which the first's will do.
    for message in (
        ".*LeafSpec.*",
        ".*does not have many workers.*",
        "The `srun` command is available",
        "Experiment logs directory .* exists",
        "It is recommended to use .*sync_dist=True",
    ):
        warnings.filterwarnings("ignore", message=message)
    # LightningCLI reads the command line itself, also in the processes that it launches.
    sys.argv = ["speechrnn", *with_underscores(argv)]
    try:
        with notes_on_stderr():
            fit_or_measure()
    except (RuntimeError, ConnectionError, EOFError) as error:
        advice = explain_lack_of_memory(error) or explain_lost_worker(error)
        if advice is None:
            raise
        raise advice from error
    except SystemExit as stop:
        # Lightning turns Ctrl-C into an exit with status 1.
        if isinstance(stop.__context__, KeyboardInterrupt):
            raise KeyboardInterrupt from stop
        raise
    return 0


def fit_or_measure() -> None:
    """Have LightningCLI do what the command line says."""
    TrainingCLI(
        pl.LightningModule,
        pl.LightningDataModule,
        subclass_mode_model=True,
        subclass_mode_data=True,
        seed_everything_default=0,
        trainer_defaults=TRAINER_DEFAULTS | {"callbacks": [callback() for callback in CALLBACKS]},
        parser_class=TrainingParser,
    )
