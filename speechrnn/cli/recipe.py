"""What every recipe's ``prepare.py`` asks and says on the command line."""

import argparse
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from speechrnn.cli.console import Progress, messages_on_stderr, put, say
from speechrnn.cli.main import INTERRUPTED, OK, fail, what_to_install
from speechrnn.errors import SpeechRNNError

if TYPE_CHECKING:
    from speechrnn.training.cuts import PreparedManifest

SPLITS = ("train", "dev", "test")
MEGABYTE = 1_000_000


def recipe_parser(
    description: str, *, out: str, default_source: str, writes: str = "train, dev and test.jsonl.gz"
) -> argparse.ArgumentParser:
    """Make the parser that all recipes share.

    Args:
        description: What is prepared, in a sentence or a few.
        out: Default of ``--out``.
        default_source: What is taken when neither ``--source`` nor ``--download`` is given.
        writes: What the folder then holds.
    """
    parser = argparse.ArgumentParser(description=description, allow_abbrev=False)
    origin = parser.add_mutually_exclusive_group()
    origin.add_argument(
        "--source", metavar="DIR", type=Path, help=f"unpacked corpus; default: {default_source}"
    )
    origin.add_argument("--download", action="store_true", help="fetch the official release into OUT/release")
    parser.add_argument(
        "--out",
        metavar="OUT",
        type=Path,
        help=f"folder for {writes}; default: {out}",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace what exists")
    parser.set_defaults(out=Path(out))
    return parser


def add_more_option(parser: argparse.ArgumentParser, what: str) -> None:
    """Add ``--more``, manifests of ``what`` to train on as well."""
    parser.add_argument(
        "--more",
        action="append",
        default=[],
        type=Path,
        metavar="MANIFEST",
        help=f"{what}, to train on, too; may be given several times",
    )


def run_recipe(
    args: argparse.Namespace, prepare: Callable[[argparse.Namespace], Sequence["PreparedManifest"]]
) -> int:
    """Run a recipe, sum up each manifest in a line, and return the exit status."""

    def prepare_splits() -> None:
        from speechrnn.training.cuts import (
            refuse_existing,
            split_path,
        )  # slow: imports lhotse; --help needs none

        refuse_existing([split_path(args.out, split) for split in SPLITS], overwrite=args.overwrite)
        for manifest in prepare(args):
            put(str(manifest))

    return run_guarded(prepare_splits)


def run_guarded(prepare: Callable[[], None]) -> int:
    """Prepare, and return the exit status; what goes wrong is said in a sentence."""
    with messages_on_stderr():
        try:
            prepare()
            return OK
        except SpeechRNNError as error:
            return fail(str(error))
        except ModuleNotFoundError as error:
            return fail(f"recipes need {what_to_install(error)}")
        except KeyboardInterrupt:
            say("speechrnn: interrupted")
            return INTERRUPTED


@contextmanager
def megabytes(label: str) -> Iterator[Callable[[int, int | None], None]]:
    """Show a progress bar of megabytes; yields what ``download`` calls with the bytes."""
    with Progress(f"{label}, MB", total=1) as bar:

        def show(done: int, total: int | None) -> None:
            bar.num_done, bar.total = done // MEGABYTE, (total or done) // MEGABYTE

        yield show
