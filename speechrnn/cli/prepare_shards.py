"""``speechrnn prepare shards``: the utterances of a manifest, hundreds to a file."""

import argparse
from pathlib import Path

from speechrnn.cli.console import Progress, put, say
from speechrnn.cli.prepare import estimate
from speechrnn.errors import AudioError

AUDIO_FORMATS = ("flac", "wav", "mp3", "opus")
EPILOG = """\
A folder of shards takes the place of a manifest: --data.train shards/train. It may lie on a web server or in
object storage as well: --data.train s3://bucket/train, with the extra `s3`.

examples:
  speechrnn prepare shards data/train.jsonl.gz data/shards/train
  speechrnn prepare shards train.csv shards/train --audio opus --shard-size 1000
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add source, target and options."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = EPILOG
    parser.add_argument("source", metavar="SRC", help="a manifest, or whatever `speechrnn prepare` reads")
    parser.add_argument("out", metavar="OUT", help="folder to write")
    parser.add_argument(
        "--audio",
        choices=AUDIO_FORMATS,
        default="flac",
        help="how audio is kept; flac and wav lose nothing of 16 bits; default: flac",
    )
    parser.add_argument(
        "--shard-size",
        type=int,
        default=500,
        metavar="N",
        help="utterances in a shard, at most; processes and workers share whole shards; default: 500",
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the order; default: 0")
    parser.add_argument(
        "--relative-to",
        metavar="DIR",
        help="folder that relative audio paths start at; default: SRC's folder",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace a folder of shards that is there")


def run(args: argparse.Namespace) -> int:
    """Write the shards, and sum up; status 1 if audio had to be left out, each named."""
    from speechrnn.training.prepare import open_source  # lhotse takes seconds to import; --help needs none
    from speechrnn.training.shards import write_shards

    source = Path(args.source)
    sources = open_source(source, None if args.relative_to is None else Path(args.relative_to))
    unreadable: list[AudioError] = []

    def leave_out(error: AudioError) -> None:
        unreadable.append(error)
        say(f"speechrnn: error: {error}; left out")

    with Progress("packing", total=estimate(source)) as progress:
        index = write_shards(
            (cut for cuts in sources.values() for cut in cuts),
            args.out,
            audio_format=args.audio,
            shard_size=args.shard_size,
            seed=args.seed,
            overwrite=args.overwrite,
            on_cut=progress.advance,
            on_unreadable=leave_out,
        )
    put(f"{args.out}: {index}" + (f"; left out: {len(unreadable)}" if unreadable else ""))
    return 1 if unreadable else 0
