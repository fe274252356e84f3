"""Long utterances, cut at their pauses where a model finds the pause in the text.

So recordings of minutes with one transcript become utterances that fit into a batch. The model need not be good:
pauses are found by energy, the text is known, and all that it tells is between which words a pause lies.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise

import numpy as np

from speechrnn.audio import Waveform
from speechrnn.cutting.word_times import cut_each, time_words
from speechrnn.errors import ConfigError, SpeechRNNError
from speechrnn.evaluation.evaluate import load_utterance
from speechrnn.manifest import Utterance
from speechrnn.runtime import Transcriber
from speechrnn.runtime.interpretation import Emission
from speechrnn.voice_activity import Interval, VoiceActivityOptions, find_speech


@dataclass(frozen=True, kw_only=True)
class SegmentationOptions:
    """Where utterances are cut."""

    min_pause_s: float = 0.2
    """Shorter pauses are no place to cut, seconds, > 0."""
    min_piece_s: float = 1.5
    """No piece is shorter than that, seconds, >= 0."""

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            ConfigError: Naming the option, its value and its range.
        """
        if not 0 < self.min_pause_s < np.inf:
            raise ConfigError(f"min_pause_s must be > 0 and finite, got {self.min_pause_s}")
        if not 0 <= self.min_piece_s < np.inf:
            raise ConfigError(f"min_piece_s must be >= 0 and finite, got {self.min_piece_s}")


def segment_utterances(
    utterances: Sequence[Utterance], model: Transcriber, options: SegmentationOptions = SegmentationOptions()
) -> Iterator[Sequence[Utterance] | SpeechRNNError]:
    """Cut each utterance in the middle of the pauses between its words.

    Each becomes pieces that are together the whole of it: one if there is no pause, or if its text cannot be found
    in it. Arguments, answers and errors are otherwise those of ``cut_each``.
    """
    return cut_each(utterances, model, partial(cut, model=model, options=options))


def cut(
    utterance: Utterance, emission: Emission, model: Transcriber, options: SegmentationOptions
) -> Iterator[Utterance]:
    """Cut one utterance; errors as ``load_utterance``, and those of ``time_words``."""
    pauses = find_pauses(load_utterance(utterance, model.info.sample_rate), model.info.sample_rate, options)
    words = utterance.text.split()
    starts_s, ends_s = time_words(words, emission, pauses, model.info, utterance.id)
    first, begin_s = 0, 0.0
    for pause in pauses:
        middle_s = (pause.start_s + pause.end_s) / 2
        behind = int(np.searchsorted(starts_s, middle_s))
        is_long_enough = min(middle_s - begin_s, emission.duration_s - middle_s) >= options.min_piece_s
        if is_long_enough and first < behind < len(words) and ends_s[behind - 1] <= middle_s:
            yield make_piece(utterance, words[first:behind], begin_s, middle_s)
            first, begin_s = behind, middle_s
    yield make_piece(utterance, words[first:], begin_s, emission.duration_s)


def find_pauses(waveform: Waveform, sample_rate: int, options: SegmentationOptions) -> list[Interval]:
    """Find the silences between speech and speech."""
    wanted = VoiceActivityOptions(min_silence_s=options.min_pause_s, padding_s=0.0)
    speech = find_speech(waveform, sample_rate=sample_rate, options=wanted)
    return [Interval(before.end_s, behind.start_s) for before, behind in pairwise(speech)]


def make_piece(utterance: Utterance, words: Sequence[str], begin_s: float, end_s: float) -> Utterance:
    """Make an utterance of a stretch of another, named after where it begins, in milliseconds."""
    return replace(
        utterance,
        id=f"{utterance.id}-{round(1000 * begin_s):05d}",
        text=" ".join(words),
        start_s=round(utterance.start_s + begin_s, 4),
        duration_s=round(end_s - begin_s, 4),
    )
