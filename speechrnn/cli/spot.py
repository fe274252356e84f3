"""``speechrnn spot``: keywords in recordings, a microphone or a stream of PCM; each hit a line of JSON."""

import argparse
import json
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

from speechrnn.audio import Waveform
from speechrnn.cli.audio_inputs import STDIN, AudioInput, find_inputs
from speechrnn.cli.console import Progress, Terminated, clean_end, put, say
from speechrnn.cli.live_options import add_live_options, find_pcm_misuse, open_live
from speechrnn.cli.spotter_options import (
    add_detection_options,
    add_keyword_option,
    add_model_option,
    open_model,
    read_spotter_options,
)
from speechrnn.errors import SpeechRNNError
from speechrnn.live_audio import Microphone
from speechrnn.runtime.keyword_files import read_keywords
from speechrnn.runtime.keyword_spotter import KeywordHit, KeywordSpotter, read_blocks

METER = " ▁▂▃▄▅▆▇█"
CLEAR_LINE = "\r\x1b[K"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add inputs and options."""
    parser.add_argument(
        "files", nargs="*", metavar="FILE", help="audio file, folder or pattern; - for raw PCM"
    )
    parser.add_argument("--recursive", action="store_true", help="look in the folders of folders, too")
    add_keyword_option(parser)
    add_model_option(parser)
    add_detection_options(parser)
    live = add_live_options(parser)
    live.add_argument("--no-meter", action="store_true", help="draw no meter of the keywords' confidences")


def run(args: argparse.Namespace) -> int:
    """Look for keywords; 0 if all could be heard, 1 if something failed, 2 for wrong usage."""
    is_live = args.mic is not None or args.files == [STDIN]
    if (args.mic is not None) == bool(args.files) or (STDIN in args.files and not is_live):
        say("speechrnn spot: error: name recordings, or - alone for PCM on standard input, or --mic")
        return 2
    misuse = None if args.files == [STDIN] else find_pcm_misuse(args)
    if misuse:
        say(f"speechrnn spot: error: {misuse}")
        return 2
    model = open_model(args)
    options = read_spotter_options(args, model, is_live=is_live)
    spotter = KeywordSpotter(model, read_keywords(args.keywords, model), options)
    if is_live:
        listen(args, spotter)
        return 0
    return search_files(find_inputs(args.files, recursive=args.recursive), spotter)


def search_files(inputs: list[AudioInput], spotter: KeywordSpotter) -> int:
    """Search recordings, one after the other, naming those that cannot be heard."""
    num_failed = 0
    with Progress("searching", total=len(inputs)) as progress:
        for found in inputs:
            spotter.restart()
            try:
                for hit in hits_of(read_blocks(found.source, spotter.model), spotter):
                    put(render(hit, file=found.name))
            except SpeechRNNError as error:
                num_failed += 1
                say(f"speechrnn: error: {error}")
            progress.advance()
    return 1 if num_failed else 0


def hits_of(
    blocks: Iterable[Waveform], spotter: KeywordSpotter, lost_s: Callable[[], float] = lambda: 0.0
) -> Iterator[KeywordHit]:
    """Yield hits as they become certain.

    Args:
        blocks: Of audio.
        spotter: Hears them.
        lost_s: Tells the seconds of audio that were lost before the latest block: the clock jumps over them.
    """
    was_lost_s = 0.0
    for block in blocks:
        at_s, was_lost_s = spotter.now_s + lost_s() - was_lost_s, lost_s()
        yield from spotter.feed(block, at_s=at_s)
    yield from spotter.finish()


def listen(args: argparse.Namespace, spotter: KeywordSpotter) -> None:
    """Search live audio until it ends, is interrupted or terminated; what was heard until then is told."""
    meter = Meter(spotter, is_drawn=sys.stderr.isatty() and not args.no_meter)
    source = open_live(args, spotter.model.info.sample_rate)
    lost_s = (lambda: source.lost_s) if isinstance(source, Microphone) else lambda: 0.0
    ended_by: BaseException | None = None
    with clean_end(), source as blocks, meter.shown():
        try:
            meter.tell(hits_of(meter.watch(blocks), spotter, lost_s))
        except (KeyboardInterrupt, Terminated) as end:
            ended_by = end
            meter.tell(hits_of(source.drain() if isinstance(source, Microphone) else (), spotter))
    is_asked = isinstance(source, Microphone) and isinstance(ended_by, KeyboardInterrupt)
    if ended_by is not None and not is_asked:  # Ctrl-C is how a microphone's audio ends
        raise ended_by


def render(hit: KeywordHit, **more: Any) -> str:
    """Write a hit as a line of JSON."""
    values = {name: round(v, 3) if isinstance(v, float) else v for name, v in asdict(hit).items()}
    return json.dumps(more | values, ensure_ascii=False)


class Meter:
    """A line on the terminal with a bar for the confidence of each keyword."""

    def __init__(self, spotter: KeywordSpotter, *, is_drawn: bool) -> None:
        """Prepare the line."""
        self.spotter, self.is_drawn = spotter, is_drawn

    def watch(self, blocks: Iterable[Waveform]) -> Iterator[Waveform]:
        """Draw after each block."""
        for block in blocks:
            yield block
            self.draw()

    def tell(self, hits: Iterable[KeywordHit]) -> None:
        """Print hits while the line is away."""
        for hit in hits:
            with self.hidden():
                put(render(hit))

    def line(self, width: int) -> str:
        """Write the bars; those that reach their threshold are marked."""
        cells = [
            f"{keyword.label} {METER[round(float(confidence) * (len(METER) - 1))]}"
            + ("!" if confidence >= threshold else " ")
            for keyword, confidence, threshold in zip(
                self.spotter.keywords, self.spotter.confidences, self.spotter.thresholds, strict=True
            )
        ]
        return f"{self.spotter.now_s:7.1f} s  {' '.join(cells)}"[: width - 1]

    def draw(self) -> None:
        """Draw the line anew."""
        if self.is_drawn:
            sys.stderr.write(f"\r{self.line(shutil.get_terminal_size().columns)}\x1b[K")
            sys.stderr.flush()

    def wipe(self) -> None:
        """Remove the line."""
        if self.is_drawn:
            sys.stderr.write(CLEAR_LINE)
            sys.stderr.flush()

    @contextmanager
    def hidden(self) -> Iterator[None]:
        """Take the line off the terminal while something else is written there."""
        self.wipe()
        yield
        self.draw()

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Draw, and leave nothing behind."""
        try:
            yield
        finally:
            self.wipe()
