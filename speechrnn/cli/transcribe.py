"""``speechrnn transcribe``: audio in, text on stdout or in files, everything else on stderr."""

import argparse
import itertools
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from speechrnn.audio import Waveform
from speechrnn.cli.audio_inputs import STDIN, AudioInput, find_inputs
from speechrnn.cli.console import DELAY_S, Progress, Terminated, clean_end, clock, put, say
from speechrnn.cli.decoding_options import add_decoding_options, read_decoding_options
from speechrnn.cli.live_options import add_live_options, find_pcm_misuse, open_live
from speechrnn.cli.live_view import LiveView
from speechrnn.cli.model_options import (
    add_model_options,
    introduce,
    number,
    open_transcriber,
    positive_count,
)
from speechrnn.cli.output_files import OutputFolder
from speechrnn.cli.transcription_jobs import Job, plan
from speechrnn.errors import SpeechRNNError
from speechrnn.live_audio import Microphone
from speechrnn.runtime import EndpointOptions, Transcriber, Transcription, TranscriptionStream
from speechrnn.runtime.provenance import describe_decoder, describe_model
from speechrnn.runtime.segments import SegmentOptions, split_segments
from speechrnn.runtime.speech_only import SpokenParts, open_anew, survey, transcribe_speech
from speechrnn.runtime.transcriber import Channel, LazySource, OnHeard, warn_if_nothing_heard
from speechrnn.runtime.writers import WRITERS, Document, decimal, readable, write_json
from speechrnn.voice_activity import Interval

LONG_S = 60.0  # of audio, after which a summary is worth its line


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add inputs and options."""
    parser.add_argument(
        "files",
        nargs="*",
        metavar="FILE",
        help="audio file (wav, flac, ogg, opus, mp3, …; with ffmpeg m4a, mp4, webm, mkv, wma, …), folder, "
        "pattern such as 'talks/**/*.wav', or - for a file on standard input",
    )
    parser.add_argument("--recursive", action="store_true", help="look in the folders of folders, too")
    add_output_options(parser)
    add_hearing_options(parser)
    add_streaming_options(parser)
    add_model_options(parser)
    add_decoding_options(parser)


def add_output_options(parser: argparse.ArgumentParser) -> None:
    """Add what decides which results are written, and where."""
    group = parser.add_argument_group("results")
    group.add_argument(
        "-o",
        "--output-dir",
        type=parse_folder,
        metavar="DIR",
        help="folder for a file for each recording; without, results go to standard output",
    )
    group.add_argument(
        "-f",
        "--output-format",
        choices=[*WRITERS, "all"],
        help="format; default: the text alone. JSON of several recordings is a line for each",
    )
    existing = group.add_mutually_exclusive_group()
    existing.add_argument("--overwrite", action="store_true", help="replace files that exist")
    existing.add_argument(
        "--skip-existing",
        action="store_true",
        help="leave out recordings for which files of their name exist",
    )
    detail = group.add_mutually_exclusive_group()
    detail.add_argument(
        "--word-timestamps",
        action="store_true",
        help="a line for each word: start and end in seconds, confidence, word; a subtitle for each word "
        "(JSON has the words always)",
    )
    detail.add_argument(
        "--nbest",
        type=positive_count,
        metavar="N",
        help="a line for each of the N best hypotheses: score, text",
    )
    for name, meaning in (("width", "characters in a line"), ("count", "lines")):
        default = getattr(SegmentOptions, f"max_line_{name}")
        group.add_argument(
            f"--max-line-{name}",
            type=positive_count,
            metavar="N",
            help=f"{meaning} of a subtitle; default: {default}",
        )


def add_hearing_options(parser: argparse.ArgumentParser) -> None:
    """Add what decides what of a recording is heard."""
    group = parser.add_argument_group("hearing")
    group.add_argument(
        "--channel",
        type=parse_channel,
        default="mean",
        metavar="C",
        help="mean of all channels, one of them counted from 0, or each by itself; default: mean",
    )
    group.add_argument(
        "--vad",
        action="store_true",
        help="skip silence: transcribe only the stretches with speech, each by itself",
    )


def add_streaming_options(parser: argparse.ArgumentParser) -> None:
    """Add what listens while somebody speaks."""
    group = add_live_options(parser)
    group.add_argument(
        "--stream",
        action="store_true",
        help="take standard input (-) for raw PCM, and print each utterance when it ends",
    )
    group.add_argument(
        "--endpoint-seconds",
        type=number(least=0.1),
        metavar="S",
        help=f"pause that ends an utterance; default: {EndpointOptions.silence_s:g}",
    )
    group.add_argument(
        "--partials",
        action="store_true",
        help="a line on stderr whenever more of an utterance is known, where stderr is no terminal",
    )


def parse_folder(text: str) -> Path:
    """Parse the name of a folder, which an unset variable of the shell is not."""
    if not text:
        raise argparse.ArgumentTypeError("must be the name of a folder, got ''; this one is .")
    return Path(text)


def parse_channel(text: str) -> str:
    """Parse ``mean``, ``each`` or a number from 0."""
    if text not in ("mean", "each") and not (text.isdecimal() and text.isascii()):
        raise argparse.ArgumentTypeError(f"must be mean, each or a number from 0, got {text!r}")
    return text


def run(args: argparse.Namespace) -> int:
    """Transcribe; 0 if all went well, 1 if something failed, 2 for options that do not go together."""
    inputs = find_inputs(args.files, recursive=args.recursive)
    is_live = args.stream or args.mic is not None
    misuse = find_live_misuse(args) if is_live else find_misuse(args, inputs)
    if misuse:
        say(f"speechrnn transcribe: error: {misuse}")
        return 2
    if is_live:
        listen(args)
        return 0
    folder = make_folder(args)
    transcriber = open_transcriber(args, read_decoding_options(args, n_best=args.nbest or 1))
    say(introduce(transcriber))
    jobs = plan(inputs, args.channel, folder)
    results = Results(args, transcriber, folder, is_alone=len(jobs) == 1)
    num_failed = 0
    with clean_end(), Progress("transcribing", total=len(jobs)) as progress:
        answers = transcribe(jobs, transcriber, vad=args.vad, on_heard=progress.reach)
        for job, answer in zip(jobs, answers, strict=True):
            try:
                heard = heard_in(job, answer)
                progress.advance(audio_s=heard.transcription.duration_s)
                results.write(job, heard)
            except SpeechRNNError as error:
                num_failed += 1
                results.note(job, job.complain(error))
    if num_failed and len(jobs) > 1:
        say(f"speechrnn: {num_failed} of {len(jobs)} files failed")
    sum_up(progress)
    return 1 if num_failed else 0


def transcribe(
    jobs: Sequence[Job], transcriber: Transcriber, *, vad: bool, on_heard: OnHeard
) -> Iterator[SpokenParts | SpeechRNNError]:
    """Do the jobs, in order; those for one and the same channel share batches.

    A recording is let go of when the answer for the last of its jobs has been dealt with.
    """
    answers = {
        channel: hear(
            [job.open for job in jobs if job.channel == channel],
            transcriber,
            channel="mean" if channel is None else channel,
            vad=vad,
            on_heard=on_heard,
        )
        for channel in {job.channel for job in jobs}
    }
    for job, following in itertools.zip_longest(jobs, jobs[1:]):
        yield next(answers[job.channel])
        if following is None or following.input is not job.input:
            job.input.release()


def hear(
    sources: Sequence[LazySource],
    transcriber: Transcriber,
    *,
    channel: Channel,
    vad: bool,
    on_heard: OnHeard,
) -> Iterator[SpokenParts | SpeechRNNError]:
    """Transcribe one channel of many recordings, in order."""
    if vad:
        yield from transcribe_speech(transcriber, sources, channel=channel, on_heard=on_heard)
        return
    for answer in transcriber.transcribe_each(sources, channel=channel, on_heard=on_heard):
        yield answer if isinstance(answer, SpeechRNNError) else SpokenParts(transcription=answer)


def heard_in(job: Job, answer: SpokenParts | SpeechRNNError) -> SpokenParts:
    """Return what was heard, under the name that the user gave; raises the error if it is one."""
    if isinstance(answer, SpeechRNNError):
        raise answer
    transcription = replace(answer.transcription, source=job.input.name)
    warn_if_nothing_heard(transcription, job.display_name)
    return replace(answer, transcription=transcription)


def sum_up(progress: Progress) -> None:
    """Say how long much work took."""
    is_long = progress.audio_s >= LONG_S or (progress.total > 1 and progress.elapsed_s >= DELAY_S)
    if is_long and progress.audio_s:
        elapsed_s, audio_s = progress.elapsed_s, progress.audio_s
        say(
            f"speechrnn: {clock(audio_s)} of audio in {clock(elapsed_s)}, real-time factor {elapsed_s / audio_s:.4f}"
        )


def find_misuse(args: argparse.Namespace, inputs: Sequence[AudioInput]) -> str | None:
    """Say which options do not go together, if any."""
    several = len(inputs) > 1 or args.channel == "each"
    subtitles = args.output_format in ("srt", "vtt", "tsv", "all")
    if not args.files:
        return "name what to transcribe: files, folders, - for standard input, or --mic"
    if args.files.count(STDIN) > 1:
        return "standard input (-) can be read only once"
    if args.output_dir is None and (args.overwrite or args.skip_existing):
        return "--overwrite and --skip-existing are about files: name their folder with -o"
    if args.output_dir is None and args.output_format == "all":
        return "all formats need a folder: name it with -o"
    if args.output_dir is None and several and args.output_format in ("txt", "srt", "vtt", "tsv"):
        return f"several recordings as {args.output_format} need a folder: name it with -o"
    if args.nbest is not None and (subtitles or args.vad):
        return "--nbest is for whole texts: it goes neither with subtitles nor with --vad"
    if args.partials or args.endpoint_seconds is not None:
        return "--partials and --endpoint-seconds are about live audio: --stream - or --mic"
    misuse = find_pcm_misuse(args)
    return misuse and f"{misuse}; --stream takes it from there"


def find_live_misuse(args: argparse.Namespace) -> str | None:
    """Say which options do not go together with live audio, if any."""
    if args.files not in ([], [STDIN]) or (args.mic is None) != (args.files == [STDIN]):
        return "live audio comes from --stream - or from --mic alone"
    if args.output_dir is not None or args.output_format not in (None, "txt", "json"):
        return "live text goes to standard output, as text or with -f json"
    if args.nbest is not None or args.vad or args.channel == "each":
        return "--nbest, --vad and --channel each are for recordings"
    if args.recursive:
        return "--recursive is about folders of recordings"
    if args.max_line_width is not None or args.max_line_count is not None:
        return "--max-line-width and --max-line-count are about subtitles, which live text is not"
    return None if args.mic is None else find_pcm_misuse(args)


def listen(args: argparse.Namespace) -> None:
    """Transcribe live audio until it ends, is interrupted or terminated; what was begun is told in the end.

    The model is opened before the microphone, which would not wait for it.
    """
    transcriber = open_transcriber(args, read_decoding_options(args))
    say(introduce(transcriber))
    channel: Channel = "mean" if args.channel == "mean" else int(args.channel)
    stream = transcriber.stream(
        endpoint=EndpointOptions(silence_s=args.endpoint_seconds or EndpointOptions.silence_s)
    )
    view = LiveView(
        as_json=args.output_format == "json", by_word=args.word_timestamps, partials=args.partials
    )
    source = open_live(args, transcriber.info.sample_rate, channel=channel)
    ended_by: BaseException | None = None
    with clean_end(), source as blocks:
        try:
            show(blocks, stream, view)
        except (KeyboardInterrupt, Terminated) as end:
            ended_by = end
            if isinstance(source, Microphone):
                show(source.drain(), stream, view)
        finally:
            view.clear()
        view.final(stream.final())
    is_asked = isinstance(source, Microphone) and isinstance(ended_by, KeyboardInterrupt)
    if ended_by is not None and not is_asked:  # Ctrl-C is how a microphone's audio ends
        raise ended_by


def show(blocks: Iterable[Waveform], stream: TranscriptionStream, view: LiveView) -> None:
    """Hear audio, and show what is understood of it."""
    for block in blocks:
        update = stream.feed(block)
        for heard in update.finals:
            view.final(heard)
        view.partial(update.partial)


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
