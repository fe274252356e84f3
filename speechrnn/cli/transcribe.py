"""``speechrnn transcribe``: audio files in, text on stdout, everything else on stderr."""

import argparse
import sys

from speechrnn.cli.console import Progress, put, say
from speechrnn.cli.model_options import add_model_options, introduce, open_transcriber
from speechrnn.errors import SpeechRNNError
from speechrnn.runtime.transcriber import LazySource, warn_if_nothing_heard

STDIN = "-"
STDIN_NAME = "standard input"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add files and options."""
    parser.add_argument(
        "files",
        nargs="+",
        metavar="FILE",
        help="audio file (wav, flac, ogg, opus, mp3, …), or - for one on standard input",
    )
    add_model_options(parser)


def run(args: argparse.Namespace) -> int:
    """Transcribe; one file gives its text alone, several give ``path<TAB>text`` in their order."""
    if args.files.count(STDIN) > 1:
        say("speechrnn transcribe: error: standard input (-) can be read only once")
        return 2
    transcriber = open_transcriber(args)
    say(introduce(transcriber))
    num_failed = 0
    with Progress("transcribing", total=len(args.files)) as progress:
        results = transcriber.transcribe_each(map(open_source, args.files))
        for name, result in zip(args.files, results, strict=True):
            progress.advance()
            if isinstance(result, SpeechRNNError):
                num_failed += 1
                say(f"speechrnn: error: {with_place(result, name)}")
                continue
            warn_if_nothing_heard(result, display_name(name))
            put(result.text if len(args.files) == 1 else f"{name}\t{result.text}")
    if num_failed and len(args.files) > 1:
        say(f"speechrnn: {num_failed} of {len(args.files)} files failed")
    return 1 if num_failed else 0


def open_source(name: str) -> LazySource:
    """Turn an argument into what the transcriber reads, when its turn comes."""
    return sys.stdin.buffer.read if name == STDIN else name


def display_name(name: str) -> str:
    """Name an argument in messages."""
    return STDIN_NAME if name == STDIN else name


def with_place(error: SpeechRNNError, name: str) -> str:
    """Put the argument in front of an error that does not name it."""
    message, place = str(error), display_name(name)
    return message if message.startswith(place) else f"{place}: {message}"
