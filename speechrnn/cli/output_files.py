"""Where transcriptions go: which file for which recording, and what happens if it is there already."""

import collections
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from speechrnn.cli.audio_inputs import AudioInput
from speechrnn.errors import ConfigError, SpeechRNNError
from speechrnn.new_file import new_file
from speechrnn.runtime.writers import WRITERS

CURE = "--overwrite replaces it, --skip-existing leaves it as it is"


@dataclass(frozen=True, kw_only=True)
class OutputFolder:
    """A folder for transcriptions."""

    path: Path
    formats: tuple[str, ...]
    """Keys of ``WRITERS``."""
    overwrite: bool = False
    """Whether to replace files that exist."""
    leave: bool = False
    """Whether to leave them as they are, rather than refuse to write."""

    def prepare(self) -> None:
        """Make the folder, and find out now rather than after the work whether files can be written there.

        Raises:
            ConfigError: If they cannot.
        """
        if not self.path.exists() and self.path.suffix[1:] in WRITERS:
            raise ConfigError(
                f"{self.path}: -o names a folder; for one recording, -f {self.path.suffix[1:]} without -o "
                "writes to standard output"
            )
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.path):
                pass
        except OSError as error:
            raise ConfigError(f"{self.path}: cannot be written to: {error.strerror}") from error

    def files(self, stem: Path) -> Iterator[tuple[str, Path]]:
        """List format and path of the files of a recording; ``stem`` is relative and may hold points."""
        for name in self.formats:
            yield name, self.path / stem.parent / f"{stem.name}.{name}"

    def existing(self, stem: Path) -> list[Path]:
        """List those of its files that are there already."""
        return [path for _, path in self.files(stem) if path.exists()]

    def refuse(self, stem: Path) -> SpeechRNNError | None:
        """Return the reason why a recording's files must not be written, if there is one."""
        existing = [] if self.overwrite or self.leave else self.existing(stem)
        return ConfigError(f"{existing[0]}: exists already; {CURE}") if existing else None

    def write(self, stem: Path, texts: Mapping[str, str]) -> None:
        """Write a recording's files, each in one step.

        Args:
            stem: Where, without suffix.
            texts: Format to content.

        Raises:
            SpeechRNNError: Naming the file that cannot be written.
        """
        for name, path in self.files(stem):
            try:
                with new_file(path, overwrite=self.overwrite, error=SpeechRNNError) as partial:
                    partial.write_text(texts[name], encoding="utf-8", newline="\n")
            except SpeechRNNError:
                if not (self.leave and path.exists()):
                    raise


def name_outputs(inputs: Sequence[AudioInput]) -> list[Path]:
    """Choose for each recording the path of its files within the output folder, without their suffix.

    That is its own without suffix: ``a`` for ``a.wav``. Where two would be the same they keep the suffix
    (``a.wav``, ``a.mp3``), and where that does not help the folders in which they differ (``x/a.wav``,
    ``y/a.wav``).
    """
    folders = {os.path.dirname(os.path.abspath(found.name)) for found in inputs}
    choices = [candidates(found, common_folder(folders)) for found in inputs]
    levels = [0] * len(inputs)
    while True:
        chosen = [options[level] for options, level in zip(choices, levels, strict=True)]
        counts = collections.Counter(chosen)
        raised = [min(level + (counts[path] > 1), 2) for path, level in zip(chosen, levels, strict=True)]
        if raised == levels:
            return chosen
        levels = raised


def candidates(found: AudioInput, root: str) -> tuple[Path, Path, Path]:
    """List the paths that a recording's files may have, the shortest first."""
    return found.relative.with_suffix(""), found.relative, Path(os.path.relpath(found.name, root or None))


def common_folder(folders: Iterable[str]) -> str:
    """Find the folder that all of them are in."""
    try:
        return os.path.commonpath(folders)
    except ValueError:  # there are none, or they are on different drives
        return ""
