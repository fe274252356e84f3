"""The options of every command that listens while somebody speaks: a microphone, or raw PCM on standard input."""

import argparse
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Literal

from speechrnn.audio import MAX_CHANNELS, Waveform
from speechrnn.cli.audio_inputs import STDIN_NAME, standard_input
from speechrnn.cli.model_options import positive_count
from speechrnn.live_audio import SAMPLE_BYTES, Microphone, PcmFormat, read_pcm


def add_live_options(parser: argparse.ArgumentParser) -> argparse._ArgumentGroup:
    """Add the microphone, and what raw PCM is; returns their group."""
    group = parser.add_argument_group("live audio")
    group.add_argument(
        "--mic",
        nargs="?",
        const="",
        metavar="DEVICE",
        help="listen to a microphone, until Ctrl-C: its number, or part of its name; default: the system's",
    )
    group.add_argument(
        "--rate", type=positive_count, metavar="HZ", help="rate of raw PCM; default: the model's own"
    )
    group.add_argument("--encoding", choices=SAMPLE_BYTES, help=f"of raw PCM; default: {PcmFormat.encoding}")
    group.add_argument(
        "--channels",
        type=channel_count,
        metavar="N",
        help=f"channels of raw PCM; default: {PcmFormat.num_channels}",
    )
    return group


def channel_count(text: str) -> int:
    """Parse a number of channels."""
    wanted = positive_count(text)
    if wanted > MAX_CHANNELS:
        raise argparse.ArgumentTypeError(f"must be a whole number <= {MAX_CHANNELS}, got {text!r}")
    return wanted


def find_pcm_misuse(args: argparse.Namespace) -> str | None:
    """Say which option of raw PCM was given, if any; files and microphones know it themselves.

    Args:
        args: With what ``add_live_options`` added, which leaves out what was not given.
    """
    for name in ("rate", "encoding", "channels"):
        if getattr(args, name) is not None:
            return f"--{name} is about raw PCM on standard input, which is not what is heard"
    return None


def open_live(
    args: argparse.Namespace, sample_rate: int, *, channel: Literal["mean"] | int = "mean"
) -> AbstractContextManager[Iterator[Waveform]]:
    """Open the microphone, or standard input as raw PCM.

    Args:
        args: With what ``add_live_options`` added.
        sample_rate: Rate wanted, Hz.
        channel: Of raw PCM: ``mean`` of all channels, or one of them, counted from 0.

    Raises:
        AudioError: If there is no such microphone, or standard input is closed.
        ConfigError: If the extra ``mic`` is missing, or raw PCM cannot be such.
    """
    if args.mic is not None:
        device = int(args.mic) if args.mic.isdecimal() else args.mic or None
        return Microphone(sample_rate=sample_rate, device=device)
    pcm = PcmFormat(
        sample_rate=args.rate or sample_rate,
        encoding=args.encoding or PcmFormat.encoding,
        num_channels=args.channels or PcmFormat.num_channels,
    )
    blocks = read_pcm(standard_input(), pcm, sample_rate=sample_rate, channel=channel, name=STDIN_NAME)
    return nullcontext(blocks)
