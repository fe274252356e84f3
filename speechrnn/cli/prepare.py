"""``speechrnn prepare``: manifests out of a folder, a table, Lhotse's files or a corpus."""

import argparse
from pathlib import Path

from speechrnn.cli.console import Progress, put, say
from speechrnn.errors import ManifestError
from speechrnn.manifest import estimate_length

EPILOG = """\
SRC is one of
  a folder of audio with a.txt beside a.wav, with LibriSpeech's *.trans.txt, or with a sub-folder
    for each keyword;
  a .csv or .tsv table with the columns audio and text and, if known, speaker, start, duration,
    id and channel;
  .jsonl as NeMo has it, with audio_filepath, text and duration;
  Lhotse cuts, or a folder of Lhotse *recordings*.jsonl.gz and *supervisions*.jsonl.gz.

examples:
  speechrnn prepare clips.csv data/train.jsonl.gz
  speechrnn prepare speech_commands data --split-by-speaker dev=0.1,test=0.1
  speechrnn prepare words data --speaker-pattern '/([0-9]+)_[^/]*$' --split-by-speaker dev=8
  speechrnn prepare --corpus librispeech LibriSpeech data
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add source, target and options."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = EPILOG
    parser.add_argument("source", metavar="SRC", help="what to read; see below")
    parser.add_argument(
        "out",
        metavar="OUT",
        help="manifest to write, .jsonl.gz; a folder where there are several (splits, --corpus)",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace existing manifests")
    parser.add_argument(
        "--relative-to",
        metavar="DIR",
        help="folder that relative audio paths start at; default: SRC's folder",
    )
    add_speaker_options(parser)
    parser.add_argument("--corpus", metavar="NAME", help="SRC is a corpus that Lhotse has a recipe for")
    parser.add_argument(
        "--corpus-option",
        metavar="KEY=VALUE",
        action="append",
        type=key_and_value,
        default=[],
        help="further argument of Lhotse's recipe; may be repeated",
    )


def add_speaker_options(parser: argparse.ArgumentParser) -> None:
    """Add what concerns speakers."""
    parser.add_argument(
        "--speaker-pattern",
        metavar="REGEX",
        help="take the speaker from the audio's path: what the group ( ) matches",
    )
    parser.add_argument(
        "--split-by-speaker",
        metavar="dev=0.1,test=8",
        help="hold out shares of the speech (below 1) or numbers of speakers, none in two splits; "
        "the rest is train",
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of that split; default: 0")


def key_and_value(text: str) -> tuple[str, str]:
    """Parse KEY=VALUE."""
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise argparse.ArgumentTypeError(f"must be KEY=VALUE, got {text!r}")
    return key, value


def run(args: argparse.Namespace) -> int:
    """Prepare, and sum up each manifest in a line."""
    complaint = misused_option(args)
    if complaint:
        say(f"speechrnn prepare: error: {complaint}")
        return 2
    from speechrnn.training import prepare  # lhotse takes seconds to import; --help needs none

    if args.corpus:
        made = prepare.prepare_corpus(
            args.corpus,
            args.source,
            args.out,
            options=dict(args.corpus_option),
            overwrite=args.overwrite,
        )
    else:
        with Progress("preparing", total=estimate(Path(args.source))) as progress:
            made = prepare.prepare(
                args.source,
                args.out,
                relative_to=args.relative_to,
                speaker_pattern=args.speaker_pattern,
                split_by_speaker=args.split_by_speaker,
                seed=args.seed,
                overwrite=args.overwrite,
                on_cut=progress.advance,
            )
    for manifest in made:
        put(str(manifest))
    return 0


def misused_option(args: argparse.Namespace) -> str:
    """Name options that do not go together, if there are any."""
    if args.corpus_option and not args.corpus:
        return "--corpus-option goes with --corpus"
    names = ("relative_to", "speaker_pattern", "split_by_speaker")
    given = [f"--{name.replace('_', '-')}" for name in names if getattr(args, name) is not None]
    if args.corpus and given:
        return f"{', '.join(given)} cannot go with --corpus; prepare its manifests once more with it"
    return ""


def estimate(source: Path) -> int:
    """Guess the number of cuts for the progress bar."""
    try:
        lists = list(source.glob("*supervisions*.jsonl*"))
        return sum(map(estimate_length, lists)) if lists else estimate_length(source)
    except ManifestError:
        return 0  # whoever reads it next says what is wrong
