"""``speechrnn inspect``: look at a recording and at what a model hears in it."""

import argparse
import math
from pathlib import Path

from speechrnn.audio import Waveform, load_audio
from speechrnn.cli.console import Progress, put, say
from speechrnn.cli.decoding_options import add_decoding_options, read_decoding_options
from speechrnn.cli.model_options import add_model_options, introduce, number, open_transcriber
from speechrnn.errors import AudioError, SpeechRNNError
from speechrnn.evaluation.close_up import look_closely
from speechrnn.new_file import new_file, refuse_existing

SUFFIXES = (".html", ".png")
MOST_S = 600.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the file and options."""
    parser.add_argument("file", metavar="FILE", help="audio file")
    add_model_options(parser)
    parser.add_argument(
        "--output",
        "-o",
        required=True,
        type=Path,
        metavar="VIEW",
        help="page (.html), with sound, or picture (.png)",
    )
    parser.add_argument(
        "--start", type=number(least=0), default=0.0, metavar="S", help="where to begin, seconds; default: 0"
    )
    parser.add_argument(
        "--duration",
        type=number(least=0.01, most=MOST_S),
        metavar="S",
        help=f"how much to look at, seconds; default: the rest, at most {MOST_S:g}",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace VIEW if it exists")
    add_decoding_options(parser)


def run(args: argparse.Namespace) -> int:
    """Draw, and print the text."""
    from speechrnn.report import draw_inspection, render_inspection

    if (suffix := args.output.suffix.lower()) not in SUFFIXES:
        raise SpeechRNNError(f"{args.output}: must end in {' or '.join(SUFFIXES)}")
    refuse_existing(args.output, overwrite=args.overwrite, error=SpeechRNNError)
    transcriber = open_transcriber(args, read_decoding_options(args))
    say(introduce(transcriber))
    sample_rate = transcriber.info.sample_rate
    waveform = load_audio(args.file, sample_rate=sample_rate)
    part = cut(waveform, sample_rate, args)
    with (
        Progress("drawing", total=1),
        new_file(args.output, overwrite=args.overwrite, error=SpeechRNNError) as partial,
    ):
        close_up = look_closely(transcriber, part, args.file)
        if suffix == ".png":
            partial.write_bytes(draw_inspection(close_up))
        else:
            file_s = len(waveform) / sample_rate
            page = render_inspection(close_up, model=transcriber.name, offset_s=args.start, file_s=file_s)
            partial.write_text(page, encoding="utf-8")
    put(close_up.text)
    return 0


def cut(waveform: Waveform, sample_rate: int, args: argparse.Namespace) -> Waveform:
    """Cut out what shall be looked at, and say what is left out unasked.

    Raises:
        AudioError: If the file ends before.
    """
    file_s = len(waveform) / sample_rate
    if args.start >= file_s:
        raise AudioError(f"{args.file}: ends at {file_s:.3f} s, before --start {args.start:g}")
    duration_s = min(args.duration or MOST_S, file_s - args.start)
    if args.duration is None and math.ceil(file_s - args.start) > math.ceil(duration_s):
        say(
            f"speechrnn: warning: {args.file}: the first {duration_s:g} of {file_s:.1f} s; --start shows others"
        )
    first = round(args.start * sample_rate)
    return waveform[first : first + round(duration_s * sample_rate)]
