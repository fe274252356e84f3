"""``speechrnn demo``: the live page, served on this machine and opened in the browser."""

import argparse
import contextlib
import webbrowser
from pathlib import Path

from speechrnn.cli.console import put, say
from speechrnn.page_server import PageServer
from speechrnn.runtime import ModelFile, find_model, shipped_models
from speechrnn.runtime.checkpoint_cache import exported_checkpoint


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add model, port, and whether to open a browser."""
    parser.add_argument(
        "-m",
        "--model",
        metavar="MODEL",
        help="what to begin with: model file (.onnx), checkpoint (.ckpt) or name of a shipped model; default: an4",
    )
    parser.add_argument(
        "--port",
        type=int,
        metavar="N",
        help="port on 127.0.0.1; default: 8432, or a free one if that is taken",
    )
    parser.add_argument("--no-browser", action="store_true", help="only print the address")


def run(args: argparse.Namespace) -> int:
    """Serve until interrupted."""
    models = choose_models(args.model)
    # Being interrupted is the usual way to end it.
    with PageServer(models, port=args.port) as server, contextlib.suppress(KeyboardInterrupt):
        put(server.url)
        say("serving the live page; nothing leaves this machine; Ctrl-C ends it")
        if not args.no_browser and not webbrowser.open(server.url):
            say("no browser could be opened; open the address yourself")
        server.serve_forever()
    return 0


def choose_models(first: str | None) -> dict[str, Path]:
    """Name the models that the page offers, the one to begin with first.

    Raises:
        ModelFileError: If there is no such model, or the file is not one.
        CheckpointError: If a checkpoint cannot be exported.
    """
    path = find_model(first)
    name = path.stem
    if path.suffix == ".ckpt":
        path = exported_checkpoint(path)
    ModelFile(path, threads=1)  # which says what is wrong with it
    return {name: path} | {other: file for other, file in shipped_models().items() if other != name}
