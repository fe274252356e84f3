"""``speechrnn transcribe`` while somebody speaks: its options, and the listening."""

import argparse
from collections.abc import Iterable

from speechrnn.audio import Waveform
from speechrnn.cli.audio_inputs import STDIN
from speechrnn.cli.console import Terminated, clean_end, say
from speechrnn.cli.decoding_options import read_decoding_options
from speechrnn.cli.live_options import add_live_options, find_pcm_misuse, open_live
from speechrnn.cli.live_view import LiveView
from speechrnn.cli.model_options import introduce, number, open_transcriber
from speechrnn.live_audio import Microphone
from speechrnn.runtime import EndpointOptions, TranscriptionStream
from speechrnn.runtime.transcriber import Channel


def add_streaming_options(parser: argparse.ArgumentParser) -> None:
    """Add what listens while somebody speaks."""
    group = add_live_options(parser)
    group.add_argument(
        "--stream",
        action="store_true",
        help="take standard input (-) for raw PCM, and print each utterance when it ends",
    )
    group.add_argument(
        "--endpoint-seconds",
        type=number(least=0.1),
        metavar="S",
        help=f"pause that ends an utterance; default: {EndpointOptions.silence_s:g}",
    )
    group.add_argument(
        "--partials",
        action="store_true",
        help="a line on stderr whenever more of an utterance is known, where stderr is no terminal",
    )


def find_live_misuse(args: argparse.Namespace) -> str | None:
    """Say which options do not go together with live audio, if any."""
    if args.files not in ([], [STDIN]) or (args.mic is None) != (args.files == [STDIN]):
        return "live audio comes from --stream - or from --mic alone"
    if args.output_dir is not None or args.output_format not in (None, "txt", "json"):
        return "live text goes to standard output, as text or with -f json"
    if args.nbest is not None or args.vad or args.channel == "each":
        return "--nbest, --vad and --channel each are for recordings"
    if args.recursive:
        return "--recursive is about folders of recordings"
    if args.max_line_width is not None or args.max_line_count is not None:
        return "--max-line-width and --max-line-count are about subtitles, which live text is not"
    return None if args.mic is None else find_pcm_misuse(args)


def listen(args: argparse.Namespace) -> None:
    """Transcribe live audio until it ends, is interrupted or terminated; what was begun is told in the end.

    The model is opened before the microphone, which would not wait for it.
    """
    transcriber = open_transcriber(args, read_decoding_options(args))
    say(introduce(transcriber))
    channel: Channel = "mean" if args.channel == "mean" else int(args.channel)
    stream = transcriber.stream(
        endpoint=EndpointOptions(silence_s=args.endpoint_seconds or EndpointOptions.silence_s)
    )
    view = LiveView(
        as_json=args.output_format == "json", by_word=args.word_timestamps, partials=args.partials
    )
    source = open_live(args, transcriber.info.sample_rate, channel=channel)
    ended_by: BaseException | None = None
    with clean_end(), source as blocks:
        try:
            show(blocks, stream, view)
        except (KeyboardInterrupt, Terminated) as end:
            ended_by = end
            if isinstance(source, Microphone):
                show(source.drain(), stream, view)
        finally:
            view.clear()
        view.final(stream.final())
    is_asked = isinstance(source, Microphone) and isinstance(ended_by, KeyboardInterrupt)
    if ended_by is not None and not is_asked:  # Ctrl-C is how a microphone's audio ends
        raise ended_by


def show(blocks: Iterable[Waveform], stream: TranscriptionStream, view: LiveView) -> None:
    """Hear audio, and show what is understood of it."""
    for block in blocks:
        update = stream.feed(block)
        for heard in update.finals:
            view.final(heard)
        view.partial(update.partial)
