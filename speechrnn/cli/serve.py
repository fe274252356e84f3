"""``speechrnn serve``: a model behind HTTP, for this machine alone unless told."""

import argparse

from speechrnn.cli.console import say
from speechrnn.cli.decoding_options import add_decoding_options, read_decoding_options
from speechrnn.cli.model_options import (
    add_model_options,
    introduce,
    number,
    open_transcriber,
    positive_count,
)
from speechrnn.server.app import make_app
from speechrnn.server.guards import LOOPBACK
from speechrnn.server.limits import MB, Limits
from speechrnn.server.listen import address_of, open_socket, serve


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add address and limits."""
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on; default: 127.0.0.1")
    parser.add_argument(
        "--port", type=port, default=8000, help="port to listen on, 0 for any that is free; default: 8000"
    )
    parser.add_argument(
        "--allow-origin",
        action="append",
        default=[],
        metavar="ORIGIN",
        help="a web page that may ask, such as http://localhost:3000; may be given several times",
    )
    parser.add_argument(
        "--allow-host",
        action="append",
        default=[],
        metavar="NAME",
        help="another name of this server; may be given several times",
    )
    add_limits(parser)
    add_model_options(parser)
    add_decoding_options(parser)


def add_limits(parser: argparse.ArgumentParser) -> None:
    """Add the limits on what clients may ask for."""
    group = parser.add_argument_group("limits")
    group.add_argument(
        "--max-upload-mb",
        type=number(least=0.001),
        default=Limits.upload_bytes / MB,
        metavar="MB",
        help=f"size of an upload; default: {Limits.upload_bytes / MB:g}",
    )
    group.add_argument(
        "--max-audio-seconds",
        type=number(least=0.1),
        default=Limits.audio_s,
        metavar="S",
        help=f"length of a recording; default: {Limits.audio_s:g}",
    )
    group.add_argument(
        "--max-requests",
        type=positive_count,
        default=Limits.requests,
        metavar="N",
        help=f"transcriptions that wait or run at once; default: {Limits.requests}",
    )
    group.add_argument(
        "--max-streams",
        type=positive_count,
        default=Limits.streams,
        metavar="N",
        help=f"live streams that are open at once; default: {Limits.streams}",
    )
    group.add_argument(
        "--upload-timeout",
        type=number(least=0.1),
        default=Limits.upload_s,
        metavar="S",
        help=f"in which a request must have come whole; default: {Limits.upload_s:g}",
    )
    group.add_argument(
        "--timeout",
        type=number(least=0.1),
        default=Limits.answer_s,
        metavar="S",
        help=f"in which a recording must be transcribed; default: {Limits.answer_s:g}",
    )


def read_limits(args: argparse.Namespace) -> Limits:
    """Collect what ``add_limits`` added."""
    return Limits(
        upload_bytes=round(args.max_upload_mb * MB),
        audio_s=args.max_audio_seconds,
        requests=args.max_requests,
        streams=args.max_streams,
        upload_s=args.upload_timeout,
        answer_s=args.timeout,
    )


def port(text: str) -> int:
    """Parse a number from 0 to 65535."""
    if not (text.isdecimal() and text.isascii() and int(text) < 2**16):
        raise argparse.ArgumentTypeError(f"must be a number from 0 to 65535, got {text!r}")
    return int(text)


def run(args: argparse.Namespace) -> int:
    """Serve until asked to stop, then finish what runs."""
    limits = read_limits(args)
    listener = open_socket(args.host, args.port)
    with listener:
        transcriber = open_transcriber(args, read_decoding_options(args))
        say(introduce(transcriber))
        app = make_app(transcriber, limits=limits, hosts=names(args), origins=args.allow_origin)
        say(f"listening on {address_of(listener)}")
        if args.host not in LOOPBACK:
            say("speechrnn: warning: whoever can reach this machine can use it")
        serve(app, listener, limits=limits)
    say("speechrnn: stopped")
    return 0


def names(args: argparse.Namespace) -> set[str]:
    """List the names under which the server may be called; none if it listens to the world, which has others."""
    if args.host not in LOOPBACK and not args.allow_host:
        return set()
    return {*LOOPBACK, args.host, *args.allow_host}
