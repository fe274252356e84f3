"""``speechrnn prepare synthetic``: texts said by speech synthesisers, to train on."""

import argparse
from pathlib import Path

from speechrnn.cli.console import Progress, put, say
from speechrnn.cli.model_options import positive_count
from speechrnn.decoding.word_list import read_lines
from speechrnn.errors import ManifestError
from speechrnn.manifest import Utterance

EPILOG = """\
Whichever of espeak-ng, flite and festival are installed say the texts, each in a voice, pace and pitch of its own. It
is no match for people's speech, but adds words to what a model hears of them. Clips go into a folder beside the
manifest and under its name; what was interrupted goes on.

examples:
  speechrnn prepare synthetic commands.txt data/synthetic.jsonl.gz --clips 2000
  speechrnn prepare synthetic words.txt data/words.jsonl.gz --clips 6000 --most-lines 3
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add texts, target and how many."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = EPILOG
    parser.add_argument("texts", metavar="TEXTS", type=Path, help="text file, a word or phrase a line")
    parser.add_argument("out", metavar="OUT", type=Path, help="manifest to write, .jsonl.gz")
    parser.add_argument(
        "--clips",
        type=positive_count,
        metavar="N",
        help="draw so many texts from the lines; default: each line once, in its order",
    )
    parser.add_argument(
        "--most-lines",
        type=positive_count,
        default=1,
        metavar="N",
        help="with --clips: a clip says up to so many lines, fewer more often; default: 1",
    )
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="of voices and texts; default: 1")
    parser.add_argument("--overwrite", action="store_true", help="replace an existing manifest")


def run(args: argparse.Namespace) -> int:
    """Say, write and sum up.

    Raises:
        ConfigError: If the texts cannot be read.
        ManifestError: If there are none, or the manifest exists or is not named ``.jsonl.gz``.
        SynthesisError: If no synthesiser is installed, or one fails.
    """
    if args.most_lines > 1 and args.clips is None:
        say("speechrnn prepare synthetic: error: --most-lines goes with --clips")
        return 2
    from speechrnn.training.cuts import SUFFIX, refuse_existing  # lhotse takes seconds to import
    from speechrnn.training.prepare import prepare_utterances
    from speechrnn.training.synthetic_speech import draw_texts, synthesize

    refuse_existing([args.out], overwrite=args.overwrite)
    texts = read_texts(args.texts)
    if args.clips is not None:
        texts = draw_texts(texts, args.clips, most_lines=args.most_lines, seed=args.seed)
    folder = args.out.with_name(args.out.name.removesuffix(SUFFIX))
    with Progress("making synthetic speech", total=len(texts)) as progress:
        clips = [
            Utterance(id=f"{folder.name}-{path.stem}", audio=path, text=text, speaker=voice.name)
            for path, text, voice in synthesize(texts, folder, seed=args.seed, on_clip=progress.advance)
        ]
    put(str(prepare_utterances(clips, args.out, overwrite=args.overwrite)))
    return 0


def read_texts(path: Path) -> list[str]:
    """Read the lines of a text that say something; errors as ``run``."""
    texts = [line.strip() for line in read_lines(path, "texts")[0] if line.strip()]
    if not texts:
        raise ManifestError(f"{path}: no line says anything")
    return texts
