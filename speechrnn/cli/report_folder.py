"""A folder for a page to look at and the results that it shows."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from speechrnn.cli.console import say
from speechrnn.errors import SpeechRNNError
from speechrnn.evaluation.results import write_json
from speechrnn.new_file import new_file, refuse_existing


class ReportFolder:
    """Where ``--report`` writes."""

    def __init__(self, folder: Path, *, overwrite: bool) -> None:
        """Find out before the work whether the page can be drawn and written after it.

        Raises:
            ModuleNotFoundError: If the packages for it are not installed.
            SpeechRNNError: If there is one already, or the folder is a file.
        """
        import speechrnn.report  # noqa: F401

        self.page, self.results = folder / "index.html", folder / "results.json"
        self.overwrite = overwrite
        if folder.exists() and not folder.is_dir():
            raise SpeechRNNError(f"{folder}: cannot be written: it is not a folder")
        for path in (self.page, self.results):
            refuse_existing(path, overwrite=overwrite, error=SpeechRNNError)

    def write(self, page: str, values: Mapping[str, Any]) -> None:
        """Write both files, each of which appears only when it is whole, and say where."""
        with new_file(self.page, overwrite=self.overwrite, error=SpeechRNNError) as partial:
            partial.write_text(page, encoding="utf-8")
        write_json(values, self.results, overwrite=self.overwrite)
        say(f"report: {self.page}")
