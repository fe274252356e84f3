"""Words cut out of transcribed speech, as clips to train a keyword model on."""

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial

from speechrnn.cutting.word_times import cut_each, time_words
from speechrnn.errors import ConfigError, SpeechRNNError
from speechrnn.manifest import Utterance
from speechrnn.runtime import Transcriber
from speechrnn.runtime.interpretation import Emission

PADDING_S = 0.12  # CTC names a token late and leaves it early
SHORTEST_S = 0.12  # what is cut shorter was not found


def cut_words(
    utterances: Sequence[Utterance],
    model: Transcriber,
    words: Collection[str],
    *,
    clip_s: float | None = None,
) -> Iterator[Sequence[Utterance] | SpeechRNNError]:
    """Cut words out of utterances that say them.

    Each becomes one clip for every time that it says one of the words, ``PADDING_S`` longer on both sides, but no
    longer than to the middle between the word and its neighbour; none if it says none, or its text cannot be found
    in it. Answers and errors are otherwise those of ``cut_each``.

    Args:
        utterances: Transcribed speech.
        model: Finds the words.
        words: Which ones, single words, in whatever case.
        clip_s: Seconds of each clip, > 0, the word in its middle and around it what is said there, as a detector
            hears it in a stream; shorter utterances are taken whole. The word alone when not given.

    Raises:
        ConfigError: If ``clip_s`` is not > 0.
    """
    if clip_s is not None and not 0 < clip_s < math.inf:
        raise ConfigError(f"clip_s must be > 0 s and finite, got {clip_s}")
    labels = {word.casefold(): word for word in words}
    return cut_each(utterances, model, partial(cut, model=model, labels=labels, clip_s=clip_s))


def that_say(words: Collection[str], utterances: Sequence[Utterance]) -> list[Utterance]:
    """Choose the utterances that say one of the words, in whatever case."""
    wanted = {word.casefold() for word in words}
    return [utterance for utterance in utterances if wanted & set(utterance.text.casefold().split())]


def cut(
    utterance: Utterance,
    emission: Emission,
    model: Transcriber,
    labels: Mapping[str, str],
    clip_s: float | None,
) -> Iterator[Utterance]:
    """Cut the words out of one utterance; errors as ``time_words``."""
    said = utterance.text.split()
    starts_s, ends_s = time_words(said, emission, [], model.info, utterance.id)
    for number, (start_s, end_s) in enumerate(zip(starts_s, ends_s, strict=True)):
        before_s = (ends_s[number - 1] + start_s) / 2 if number else 0.0
        behind_s = (end_s + starts_s[number + 1]) / 2 if number + 1 < len(said) else emission.duration_s
        begin_s, stop_s = max(before_s, start_s - PADDING_S), min(behind_s, end_s + PADDING_S)
        label = labels.get(said[number].casefold())
        if label is not None and stop_s - begin_s >= SHORTEST_S:
            if clip_s is not None:
                begin_s, stop_s = widen(begin_s, stop_s, clip_s, emission.duration_s)
            yield replace(
                utterance,
                id=f"{utterance.id}-{number}",
                text=label,
                start_s=round(utterance.start_s + float(begin_s), 4),
                duration_s=round(float(stop_s - begin_s), 4),
            )


def widen(begin_s: float, stop_s: float, length_s: float, whole_s: float) -> tuple[float, float]:
    """Lay a stretch of a length around the middle of another, within the whole."""
    begin_s = max(0.0, min((begin_s + stop_s - length_s) / 2, whole_s - length_s))
    return begin_s, min(begin_s + length_s, whole_s)
