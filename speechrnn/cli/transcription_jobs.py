"""What ``speechrnn transcribe`` has to do: a job for each recording, or for each of its channels."""

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from speechrnn.audio import Source
from speechrnn.cli.audio_inputs import AudioInput
from speechrnn.cli.console import say
from speechrnn.cli.output_files import OutputFolder, name_outputs
from speechrnn.errors import SpeechRNNError

MOST_NAMED = 3  # of the recordings that are skipped


@dataclass(frozen=True)
class Job:
    """One recording, or one channel of it."""

    input: AudioInput
    channel: int | None = None
    """The one to hear, counted from 0; None for the mean of all."""
    is_part: bool = False
    """Whether the other channels have jobs of their own."""
    stem: Path | None = None
    """Where its files go within the output folder; None for standard output."""
    error: SpeechRNNError | None = None
    """Why it cannot be done."""

    @property
    def name(self) -> str:
        """What it is called in results."""
        return f"{self.input.name}[{self.channel}]" if self.is_part else self.input.name

    @property
    def display_name(self) -> str:
        """What it is called in messages."""
        return f"{self.input.display_name}[{self.channel}]" if self.is_part else self.input.display_name

    def open(self) -> Source:
        """Return what the transcriber hears: a path.

        Raises:
            SpeechRNNError: If the job cannot be done.
        """
        if self.error is not None:
            raise self.error
        return self.input.source

    def complain(self, error: SpeechRNNError) -> str:
        """Put the job's name in front of an error, in the place of the recording's if that is there."""
        message = str(error).removeprefix(f"{self.input.display_name}: ")
        return f"{self.display_name}: {message}"


def plan(inputs: Sequence[AudioInput], channel: str, folder: OutputFolder | None) -> list[Job]:
    """Make the jobs, in order.

    Args:
        inputs: The recordings.
        channel: ``mean``, ``each`` or a number.
        folder: Where results go; None for standard output.
    """
    if folder is not None:
        inputs = list({os.path.abspath(found.name): found for found in inputs}.values())
    stems = [None] * len(inputs) if folder is None else name_outputs(inputs)
    jobs = [
        job
        for found, stem in zip(inputs, stems, strict=True)
        for job in split_channels(Job(found, stem=stem, error=found.error), channel)
    ]
    return jobs if folder is None else list(check_outputs(jobs, folder))


def split_channels(job: Job, channel: str) -> Iterator[Job]:
    """Make of a job one for the channel that is wanted, or one for each."""
    if job.error is not None or channel == "mean":
        yield job
    elif channel != "each":
        yield replace(job, channel=int(channel))
    else:
        try:
            num_channels = job.input.format.num_channels
        except SpeechRNNError as error:
            yield replace(job, error=error)
            return
        for number in range(num_channels):
            stem = job.stem and job.stem.with_name(f"{job.stem.name}.channel{number}")
            yield replace(job, channel=number, is_part=True, stem=stem)


def check_outputs(jobs: Iterable[Job], folder: OutputFolder) -> Iterator[Job]:
    """Leave out or refuse the jobs whose files are there already."""
    skipped = []
    for job in jobs:
        assert job.stem is not None
        existing = folder.existing(job.stem)
        if folder.leave and len(existing) == len(folder.formats):
            skipped.append(f"{existing[0]} for {job.display_name}")
        else:
            yield replace(job, error=job.error or folder.refuse(job.stem))
    if skipped:
        named = ", ".join(skipped[:MOST_NAMED]) + (", …" if len(skipped) > MOST_NAMED else "")
        say(f"speechrnn: {len(skipped)} skipped, as files of their names are there already: {named}")
