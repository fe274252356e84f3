"""Checkpoints as model files: exported once by another process, so that this one never imports torch."""

import hashlib
import logging
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from speechrnn import __version__
from speechrnn.errors import CheckpointError

logger = logging.getLogger("speechrnn")
PACKAGE_FOLDER = Path(__file__).parent.parent
FOLDER_VARIABLE = "SPEECHRNN_CACHE"


def cache_folder() -> Path:
    """Say where exported checkpoints are kept: $SPEECHRNN_CACHE, or else the user's cache folder."""
    if os.environ.get(FOLDER_VARIABLE):
        return Path(os.environ[FOLDER_VARIABLE])
    if sys.platform == "win32":
        caches = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData/Local")
    elif sys.platform == "darwin":
        caches = Path.home() / "Library/Caches"
    else:
        caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return caches / "speechrnn"


def exported_checkpoint(checkpoint: Path) -> Path:
    """Return the model file of a checkpoint, exporting it if that was not done before.

    It is kept under the checkpoint's SHA-256 and the version of speechrnn, so a changed checkpoint or an
    upgrade is exported anew.

    Raises:
        CheckpointError: If the checkpoint cannot be read or exported, or the cache not written.
    """
    target = cache_folder() / f"{checkpoint_sha256(checkpoint)}-{__version__}.onnx"
    if target.is_file():
        return target
    logger.warning("%s: exporting the checkpoint, once; kept as %s", checkpoint, target)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix="export-") as folder:
            partial = Path(folder) / "model.onnx"
            run_export(checkpoint, partial)
            os.replace(partial, target)
    except OSError as error:
        raise CheckpointError(
            f"{checkpoint}: its export cannot be kept in {target.parent}: {error.strerror}; set "
            f"{FOLDER_VARIABLE} to a folder you may write, or run `speechrnn export {checkpoint} model.onnx`"
        ) from error
    return target


def checkpoint_sha256(checkpoint: Path) -> str:
    """Hash a checkpoint; errors as ``exported_checkpoint``."""
    try:
        with checkpoint.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        raise CheckpointError(f"{checkpoint}: no such checkpoint") from None
    except OSError as error:
        raise CheckpointError(f"{checkpoint}: cannot be read: {error.strerror}") from error


def run_export(checkpoint: Path, path: Path) -> None:
    """Run ``speechrnn export`` in a process of its own; errors as ``exported_checkpoint``.

    ``-P`` keeps the working folder, which may hold files of any origin, off the import path; this very
    package is put on it.
    """
    source = os.path.abspath(checkpoint)  # never mistaken for an option
    command = [sys.executable, "-P", "-m", "speechrnn", "export", source, str(path)]
    places = [str(PACKAGE_FOLDER.parent), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, places))}
    done = subprocess.run(command, capture_output=True, env=environment, check=False)
    if done.returncode != 0 or not path.is_file():
        lines = done.stderr.decode(errors="replace").strip().splitlines() or [
            f"exit status {done.returncode}"
        ]
        reason = lines[-1].removeprefix("speechrnn: error: ").removeprefix(f"{source}: ")
        raise CheckpointError(f"{checkpoint}: cannot be exported: {reason}")
