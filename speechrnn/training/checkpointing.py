"""Checkpoints that survive whatever stops a run: written whole or not at all, often, and when told to stop."""

import contextlib
import logging
import os
import signal
import subprocess
import threading
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytorch_lightning as pl
import torch
import torch.distributed
from pytorch_lightning.callbacks import Checkpoint
from pytorch_lightning.plugins.io import TorchCheckpointIO

from speechrnn.errors import CheckpointError
from speechrnn.new_file import new_file
from speechrnn.nn.config import require
from speechrnn.nn.masking import is_distributed

logger = logging.getLogger("speechrnn")
LAST, PREVIOUS, NEXT = "last.ckpt", "previous.ckpt", "next.ckpt"
GRACE_S = 45.0
REQUEUING = getattr(signal, "SIGUSR1", signal.SIGTERM)  # what SLURM is asked for with --signal=USR1@120
HANGUP = getattr(signal, "SIGHUP", signal.SIGTERM)  # the terminal, or the connection to it, is gone
STOPPING = {signal.SIGINT, signal.SIGTERM, REQUEUING, HANGUP}
SIGNAL_STATUS = 128  # added to a signal's number it is the exit status, as shells count


class DurableCheckpointIO(TorchCheckpointIO):
    """Write a checkpoint beside its place, have the disk keep it, then rename it: it is there whole or not at all.

    Lightning's own way begins in the system's folder for temporary files, often another disk, and copies.
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | os.PathLike[str], storage_options: Any = None
    ) -> None:
        """Write a checkpoint.

        Raises:
            CheckpointError: If it cannot be written; one of that name is then still there as it was.
        """
        with new_file(path, overwrite=True, error=CheckpointError) as partial:
            try:
                torch.save(checkpoint, partial)
            except RuntimeError as error:  # what torch makes of a full disk
                raise CheckpointError(f"{path}: cannot be written: {str(error).splitlines()[0]}") from error
            synchronize(partial)
        synchronize(Path(path).resolve().parent)  # where the file is, if the path is a link


def synchronize(path: Path) -> None:
    """Have the disk keep a file, or a folder's names, before going on."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def deaf_to_children() -> Iterator[None]:
    """Let no child that ends interrupt the block.

    torch raises an error wherever the main thread is when it hears that a data worker was killed, also where the run
    is being saved since the worker's connection broke a moment before.
    """
    if not in_main_thread() or not hasattr(signal, "SIGCHLD"):
        yield
        return
    handler = signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGCHLD, handler or signal.SIG_DFL)


def checkpoint_folder(root: str | None) -> str:
    """Say where a run keeps its checkpoints."""
    return str(Path(root or ".") / "checkpoints")


def is_whole(path: Path) -> bool:
    """Tell whether a checkpoint, which is a zip archive, is complete and its checksums right."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.testzip() is None
    except (OSError, zipfile.BadZipFile):
        return False


def find_last(folder: Path) -> Path:
    """Find the newest whole checkpoint of a run: the last one or, with a warning, the one before.

    Raises:
        CheckpointError: If there is none.
    """
    last, previous = folder / LAST, folder / PREVIOUS
    if is_whole(last):
        return last
    if is_whole(previous):
        what = "damaged" if last.exists() else "missing"
        logger.warning("%s is %s; going on from the one before it, %s", last, what, previous)
        return previous
    if last.exists():
        raise CheckpointError(f"{last}: damaged, and there is no whole {PREVIOUS} beside it")
    raise CheckpointError(f"{last}: no such checkpoint; has this run been trained?")


class LastCheckpoint(Checkpoint):
    """Save ``last.ckpt`` after every epoch, within long ones, and when training is told to stop or fails.

    Only states between two steps are saved, from which training goes on bit by bit. On SIGINT (Ctrl-C), SIGTERM,
    SIGUSR1 or SIGHUP (unless ``nohup`` has it ignored) the step is finished first; all processes agree on it, so
    none waits for another. SIGUSR1 also has SLURM start the job again.

    Lightning's own ``save_last`` follows the best checkpoint, and would go on from there; its handling of
    signals saves in the middle of whatever it meets. Callbacks of this kind run after all others, so what is
    saved knows of the best checkpoint, and the averages, of the same step.
    """

    def __init__(self, every_n_minutes: float = 10.0, every_n_steps: int | None = None) -> None:
        """Set up.

        Args:
            every_n_minutes: Save within an epoch when so many minutes have passed, > 0.
            every_n_steps: Save within an epoch at multiples of so many optimizer steps, too, > 0.

        Raises:
            ConfigError: Naming the option, its value and its range.
        """
        require(every_n_minutes > 0, "last_checkpoint.every_n_minutes", every_n_minutes, "> 0")
        require(
            every_n_steps is None or every_n_steps > 0, "last_checkpoint.every_n_steps", every_n_steps, "> 0"
        )
        self.every_n_minutes, self.every_n_steps = every_n_minutes, every_n_steps
        self.signal = 0
        self.saved_s = time.monotonic()
        self.step, self.saved_step = 0, -1
        self.is_in_step = False
        self.updating_from = -1
        self.handlers: dict[signal.Signals, Any] = {}
        self.watchdog: threading.Timer | None = None

    # ---- What a run does ------------------------------------------------------------------------

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Begin to listen for signals."""
        self.signal, self.saved_s = 0, time.monotonic()
        self.step, self.saved_step = trainer.global_step, -1
        self.is_in_step = False
        if in_main_thread():
            heard = STOPPING if signal.getsignal(HANGUP) is not signal.SIG_IGN else STOPPING - {HANGUP}
            self.handlers = {number: signal.signal(number, self.note) for number in heard}

    def on_train_batch_start(self, *_: Any, **__: Any) -> None:
        """Note that weights are about to change."""
        self.is_in_step = True

    def on_before_optimizer_step(self, trainer: pl.Trainer, *_: Any, **__: Any) -> None:
        """Note that weights are changing, until the number of steps has changed."""
        self.updating_from = trainer.global_step

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any, **__: Any) -> None:
        """Save where it is time to, and stop if some process was told to."""
        if trainer.global_step == self.step:
            return  # gradients are accumulated, which no checkpoint holds
        self.step = trainer.global_step
        self.is_in_step = False
        number, is_late = self.agree(trainer, self.is_late())
        if number:
            self.save_and_stop(trainer, number)
        is_multiple = self.every_n_steps is not None and self.step % self.every_n_steps == 0
        if (is_late or is_multiple) and not trainer.is_last_batch:  # else the end of the epoch saves
            self.save(trainer)

    def on_validation_batch_end(self, trainer: pl.Trainer, *_: Any, **__: Any) -> None:
        """Stop if some process was told to; the steps before are saved."""
        if trainer.state.fn == "fit" and not trainer.sanity_checking:
            number = self.agree(trainer, False)[0]
            if number:
                self.save_and_stop(trainer, number)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Save."""
        self.save(trainer)

    def on_exception(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException
    ) -> None:
        """Save, unless nothing was trained yet or weights were just changing."""
        self.stop_listening()
        if trainer.state.fn != "fit" or trainer.sanity_checking or trainer.global_step == 0:
            return
        is_torn = self.updating_from == trainer.global_step
        with deaf_to_children():
            if self.saved_step != trainer.global_step and not is_torn:
                self.write(trainer)  # without waiting for other processes, which may be gone
            logger.warning("stopped by %s; to go on: --ckpt_path last", describe(exception))

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Leave signals to whom they belonged: to Lightning, which then does so, too."""
        self.stop_listening()

    # ---- Saving ---------------------------------------------------------------------------------

    def save(self, trainer: pl.Trainer) -> None:
        """Write the checkpoint while all processes wait."""
        self.write(trainer)
        trainer.strategy.barrier("LastCheckpoint.save")

    def write(self, trainer: pl.Trainer) -> None:
        """Write the checkpoint beside the best one; a run of a few trial steps leaves none.

        A full disk is said, and does not end what was learnt; the checkpoint before is still there.
        """
        self.saved_s = time.monotonic()
        if getattr(trainer, "fast_dev_run", False):
            return
        folder = Path(checkpoint_folder(trainer.default_root_dir))
        checkpoint = trainer._checkpoint_connector.dump_checkpoint(weights_only=False)
        try:
            trainer.strategy.save_checkpoint(checkpoint, folder / NEXT)
            if trainer.is_global_zero:
                with contextlib.suppress(FileNotFoundError):
                    os.replace(folder / LAST, folder / PREVIOUS)
                os.replace(folder / NEXT, folder / LAST)
            self.saved_step = (
                trainer.global_step
            )  # no sooner: what stops a run may come in the middle of this
        except (CheckpointError, OSError) as error:
            logger.error("not saved, training goes on: %s", error)

    def is_late(self) -> bool:
        """Tell whether the last checkpoint is older than it should be."""
        return time.monotonic() - self.saved_s > 60 * self.every_n_minutes

    # ---- Stopping -------------------------------------------------------------------------------

    def note(self, number: int, frame: FrameType | None) -> None:
        """Take a signal: at once where nothing can be torn, else after the step; at once if it is repeated."""
        if self.signal or not (self.is_in_step or is_distributed()):
            self.stop_listening()
            raise_for(number)
        self.signal = number
        # In a collective that a lost process never joins, the step would not end.
        self.watchdog = threading.Timer(GRACE_S, give_up, [number])
        self.watchdog.daemon = True
        self.watchdog.start()
        if number == signal.SIGINT:
            logger.warning("finishing this step to save it; Ctrl-C again stops at once")

    def agree(self, trainer: pl.Trainer, is_late: bool) -> tuple[int, bool]:
        """Give the highest signal that any process got, and whether the first finds it is time to save."""
        if not is_distributed():
            return self.signal, is_late
        mine = [self.signal, int(is_late and trainer.is_global_zero)]
        wishes = torch.tensor(mine, device=trainer.strategy.root_device)
        torch.distributed.all_reduce(wishes, op=torch.distributed.ReduceOp.MAX)
        number, late = wishes.tolist()
        return number, bool(late)

    def save_and_stop(self, trainer: pl.Trainer, number: int) -> None:
        """Save, have SLURM start the job again if that was asked for, and leave."""
        self.save(trainer)
        self.stop_listening()
        # Lightning's handler would talk to processes that are leaving; SLURM asks all again when it requeues.
        if in_main_thread():
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
        if number == REQUEUING and trainer.is_global_zero:
            requeue()
        raise_for(number)

    def stop_listening(self) -> None:
        """Put the former handlers of signals back."""
        if self.watchdog is not None:
            self.watchdog.cancel()
        if in_main_thread():
            for number, handler in self.handlers.items():
                signal.signal(number, handler)
        self.handlers = {}


def in_main_thread() -> bool:
    """Tell whether this is the thread to which signals come, the only one that may choose who handles them."""
    return threading.current_thread() is threading.main_thread()


def raise_for(number: int) -> None:
    """Raise what a signal means: ``KeyboardInterrupt`` for Ctrl-C, else ``SystemExit`` with its status."""
    if number == signal.SIGINT:
        raise KeyboardInterrupt
    raise SystemExit(SIGNAL_STATUS + number)


def give_up(number: int) -> None:
    """Leave although the step has not ended."""
    logger.error("the step did not end within %g s; leaving with the last checkpoint as it is", GRACE_S)
    os._exit(SIGNAL_STATUS + number)


def describe(exception: BaseException) -> str:
    """Name what stopped a run."""
    code = exception.code if isinstance(exception, SystemExit) else None
    if isinstance(code, int) and code > SIGNAL_STATUS:
        return signal.Signals(code - SIGNAL_STATUS).name
    return type(exception).__name__


def requeue() -> None:
    """Have SLURM put this job back into its queue; nothing happens outside of SLURM."""
    job = os.environ.get("SLURM_JOB_ID")
    if job is None:
        return
    if "SLURM_ARRAY_JOB_ID" in os.environ:
        job = f"{os.environ['SLURM_ARRAY_JOB_ID']}_{os.environ['SLURM_ARRAY_TASK_ID']}"
    try:
        subprocess.run(["scontrol", "requeue", job], check=True, capture_output=True, text=True)
        logger.warning("SLURM will start job %s again", job)
    except (OSError, subprocess.CalledProcessError) as error:
        logger.error("SLURM could not be asked to start job %s again: %s", job, error)
