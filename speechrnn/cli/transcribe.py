"""``speechrnn transcribe``: audio in, text on stdout or in files, everything else on stderr."""

import argparse
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from speechrnn.cli.audio_inputs import STDIN, AudioInput, find_inputs
from speechrnn.cli.console import DELAY_S, Progress, clean_end, clock, say
from speechrnn.cli.decoding_options import add_decoding_options, read_decoding_options
from speechrnn.cli.live_options import find_pcm_misuse
from speechrnn.cli.live_transcription import add_streaming_options, find_live_misuse, listen
from speechrnn.cli.model_options import add_model_options, introduce, open_transcriber, positive_count
from speechrnn.cli.transcription_jobs import Job, plan
from speechrnn.cli.transcription_results import Results, make_folder
from speechrnn.errors import SpeechRNNError
from speechrnn.runtime import Transcriber
from speechrnn.runtime.hearing_progress import OnHeard
from speechrnn.runtime.segments import SegmentOptions
from speechrnn.runtime.speech_only import SpokenParts, transcribe_speech
from speechrnn.runtime.transcriber import Channel, LazySource, warn_if_nothing_heard
from speechrnn.runtime.writers import WRITERS

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
