"""``speechrnn transcribe``: audio files in, text on stdout, everything else on stderr."""

import argparse
import sys
from collections.abc import Iterator

from speechrnn.cli.console import Progress, put, say
from speechrnn.cli.decoding_options import add_decoding_options, read_decoding_options
from speechrnn.cli.model_options import add_model_options, introduce, open_transcriber, positive_count
from speechrnn.errors import SpeechRNNError
from speechrnn.runtime import Transcription
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
    more = parser.add_mutually_exclusive_group()
    more.add_argument(
        "--word-timestamps",
        action="store_true",
        help="a line for each word: start and end in seconds, confidence, word",
    )
    more.add_argument(
        "--nbest",
        type=positive_count,
        metavar="N",
        help="a line for each of the N best hypotheses: score, text",
    )
    add_model_options(parser)
    add_decoding_options(parser)


def run(args: argparse.Namespace) -> int:
    """Transcribe; one file gives its text alone, several give ``path<TAB>text`` in their order."""
    if args.files.count(STDIN) > 1:
        say("speechrnn transcribe: error: standard input (-) can be read only once")
        return 2
    transcriber = open_transcriber(args, read_decoding_options(args, n_best=args.nbest or 1))
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
            for line in render(result, args):
                put(line if len(args.files) == 1 else f"{name}\t{line}")
    if num_failed and len(args.files) > 1:
        say(f"speechrnn: {num_failed} of {len(args.files)} files failed")
    return 1 if num_failed else 0


def render(result: Transcription, args: argparse.Namespace) -> Iterator[str]:
    """Write a transcription as the options ask."""
    if args.word_timestamps:
        for word in result.words:
            yield f"{word.start_s:.3f}\t{word.end_s:.3f}\t{word.confidence:.3f}\t{word.text}"
    elif args.nbest is not None:
        for hypothesis in (result.hypothesis, *result.alternatives):
            yield f"{hypothesis.score:.3f}\t{hypothesis.text}"
    else:
        yield result.text


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
