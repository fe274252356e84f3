"""What is heard while somebody speaks: a line that still changes on the terminal, and results on stdout."""

import json
import shutil
import sys
from typing import TextIO

from speechrnn.cli.console import CLEAR_LINE, put
from speechrnn.runtime import Transcription
from speechrnn.runtime.segments import whole_segment
from speechrnn.runtime.writers import decimal, segment_to_dict

SHOWN = "… "


class LiveView:
    """Show partial texts on stderr, final ones on stdout."""

    def __init__(self, *, as_json: bool, by_word: bool, partials: bool, stream: TextIO | None = None) -> None:
        """Choose what is written.

        Args:
            as_json: Whether a final text is a line of JSON.
            by_word: Whether it is a line for each word.
            partials: Whether partial texts are lines of their own where stderr is no terminal.
            stream: For partial texts; stderr when not given.
        """
        self.as_json, self.by_word, self.partials = as_json, by_word, partials
        self.stream = sys.stderr if stream is None else stream
        self.is_drawn = self.stream.isatty()
        self.shown = ""
        self.num_finals = 0

    def partial(self, text: str) -> None:
        """Show what has been heard of an utterance, if that is news; on a terminal its end, in one line."""
        if text == self.shown:
            return
        self.shown = text
        if self.is_drawn:
            width = shutil.get_terminal_size().columns - 1 - len(SHOWN)
            self.write(f"\r{SHOWN}{text[-width:]}\x1b[K" if text else CLEAR_LINE)
        elif self.partials and text:
            self.write(f"{SHOWN}{text}\n")

    def final(self, heard: Transcription) -> None:
        """Print an utterance that will not change any more; an empty one is none."""
        self.clear()
        if not heard.text:
            return
        segment = whole_segment(heard)
        if self.as_json:
            put(json.dumps(segment_to_dict(self.num_finals, segment), ensure_ascii=False))
        elif self.by_word:
            for word in segment.words:
                put(f"{decimal(word.start_s)}\t{decimal(word.end_s)}\t{word.confidence:.3f}\t{word.text}")
        else:
            put(segment.text)
        self.num_finals += 1

    def clear(self) -> None:
        """Take the partial text off the terminal."""
        if self.is_drawn and self.shown:
            self.write(CLEAR_LINE)
        self.shown = ""

    def write(self, text: str) -> None:
        """Write to stderr at once."""
        self.stream.write(text)
        self.stream.flush()
