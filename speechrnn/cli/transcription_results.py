"""What ``speechrnn transcribe`` writes: documents into a folder, or text and JSON on standard output."""

import argparse
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from speechrnn.cli.console import put, say
from speechrnn.cli.output_files import OutputFolder
from speechrnn.cli.transcription_jobs import Job
from speechrnn.runtime import Transcriber, Transcription
from speechrnn.runtime.provenance import describe_decoder, describe_model
from speechrnn.runtime.segments import SegmentOptions, split_segments
from speechrnn.runtime.speech_only import SpokenParts, open_anew, survey
from speechrnn.runtime.transcriber import Channel
from speechrnn.runtime.writers import WRITERS, Document, decimal, readable, write_json
from speechrnn.voice_activity import Interval


def make_folder(args: argparse.Namespace) -> OutputFolder | None:
    """Open the folder for results, if there is to be one; errors as ``OutputFolder.prepare``."""
    if args.output_dir is None:
        return None
    formats = tuple(WRITERS) if args.output_format == "all" else (args.output_format or "txt",)
    folder = OutputFolder(
        path=args.output_dir, formats=formats, overwrite=args.overwrite, leave=args.skip_existing
    )
    folder.prepare()
    return folder


@dataclass(frozen=True)
class Results:
    """Where answers go."""

    args: argparse.Namespace
    transcriber: Transcriber
    folder: OutputFolder | None
    is_alone: bool
    """Whether there is one job only, whose result need not be named."""

    def write(self, job: Job, heard: SpokenParts) -> None:
        """Write to the folder or to standard output; errors as ``OutputFolder.write``."""
        wanted = self.args.output_format
        if self.folder is not None:
            assert job.stem is not None
            document = self.document(job, heard)
            self.folder.write(job.stem, {name: self.text(name, document) for name in self.folder.formats})
        elif wanted is not None:
            put(self.text(wanted, self.document(job, heard)), end="")
        else:
            for line in render(heard.transcription, self.args):
                put(line if self.is_alone else f"{job.name}\t{line}")

    def note(self, job: Job, message: str) -> None:
        """Say why a job failed; among lines of JSON on standard output its place is taken by an error."""
        say(f"speechrnn: error: {message}")
        if self.folder is None and self.args.output_format == "json" and not self.is_alone:
            put(json.dumps({"audio": {"path": readable(job.name)}, "error": readable(message)}))

    def text(self, name: str, document: Document) -> str:
        """Write a document in one format."""
        if name == "json":
            on_a_line = self.folder is None and not self.is_alone
            return write_json(document, indent=None if on_a_line else 2)
        if name == "txt" and (self.args.word_timestamps or self.args.nbest):
            return "".join(f"{line}\n" for line in render(document.transcription, self.args))
        return WRITERS[name](document.by_word() if self.args.word_timestamps else document)

    def document(self, job: Job, heard: SpokenParts) -> Document:
        """Gather all that is told of a recording."""
        layout = SegmentOptions(
            max_line_width=self.args.max_line_width or SegmentOptions.max_line_width,
            max_line_count=self.args.max_line_count or SegmentOptions.max_line_count,
        )
        speech = heard.speech or self.find_speech(job)
        return Document(
            transcription=heard.transcription,
            segments=split_segments(heard.transcription, speech=speech, options=layout),
            audio=job.input.format,
            channel=job.channel,
            model=self.model,
            decoder=self.decoder,
            max_line_width=layout.max_line_width,
        )

    def find_speech(self, job: Job) -> tuple[Interval, ...]:
        """Find where somebody speaks in a recording."""
        channel: Channel = "mean" if job.channel is None else job.channel
        sample_rate = self.transcriber.info.sample_rate
        return survey(open_anew(job.open, sample_rate=sample_rate, channel=channel)).speech

    @cached_property
    def model(self) -> dict[str, Any]:
        """What is told of the model."""
        return describe_model(self.transcriber)

    @cached_property
    def decoder(self) -> dict[str, Any]:
        """What is told of the decoding; language models and word lists by their files."""
        named = {key: getattr(self.args, key) for key in ("lm", "lexicon", "phrases", "rescore_lm")}
        files = {key: str(path) for key, path in named.items() if path is not None}
        return describe_decoder(self.transcriber.interpreter) | files


def render(result: Transcription, args: argparse.Namespace) -> Iterator[str]:
    """Write a transcription as lines, as the options ask."""
    if args.word_timestamps:
        for word in result.words:
            yield f"{decimal(word.start_s)}\t{decimal(word.end_s)}\t{word.confidence:.3f}\t{word.text}"
    elif args.nbest is not None:
        for hypothesis in (result.hypothesis, *result.alternatives):
            yield f"{hypothesis.score:.3f}\t{hypothesis.text}"
    else:
        yield result.text
