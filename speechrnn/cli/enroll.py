"""``speechrnn enroll``: a keyword from a few recordings of it, without training."""

import argparse
import re
from pathlib import Path

from speechrnn.cli.audio_inputs import find_inputs
from speechrnn.cli.console import Progress, put, say
from speechrnn.cli.spotter_options import add_model_option, open_model
from speechrnn.errors import ConfigError
from speechrnn.new_file import refuse_existing
from speechrnn.runtime.enrollment import SUFFIX, check_name, enroll, save_enrollment

NAMEABLE = r"[^\s/\\:]+"  # what of a phrase becomes the name of a file


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the phrase, its recordings and options."""
    parser.add_argument("phrase", metavar="PHRASE", help="what hits are called")
    parser.add_argument(
        "files",
        nargs="+",
        metavar="FILE",
        help="three to five recordings of nothing but the phrase: files, a folder or a pattern",
    )
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="default: PHRASE.npz")
    parser.add_argument("--overwrite", action="store_true", help="replace the file if it exists")
    add_model_option(parser)


def run(args: argparse.Namespace) -> int:
    """Enroll, and say how well the recordings find each other."""
    path = args.output or Path(f"{'_'.join(re.findall(NAMEABLE, args.phrase)) or 'keyword'}{SUFFIX}")
    check_name(path)
    refuse_existing(path, overwrite=args.overwrite, error=ConfigError)
    inputs = find_inputs(args.files, recursive=False)
    recordings = [found.source for found in inputs]
    model = open_model(args)
    with Progress("listening", total=1):
        enrollment = enroll(model, args.phrase, recordings)
    for found, confidence in zip(inputs, enrollment.agreement, strict=True):
        put(f"{confidence:.2f}\t{found.name}")
    if enrollment.keyword.spellings:
        say(f"looked for by the recordings, and by how {args.phrase!r} is said")
    save_enrollment(enrollment, path, overwrite=args.overwrite)
    say(f"kept in {path}; look for it with: speechrnn spot FILE --keywords {path}")
    say(f"false alarms depend on your background: speechrnn calibrate --keywords {path} --negatives DIR")
    return 0
