"""Thresholds for keywords that are not known yet: what words of each length would be mistaken for."""

from collections.abc import Callable, Sequence

import numpy as np

from speechrnn.decoding.keywords import Keyword
from speechrnn.errors import ConfigError
from speechrnn.evaluation.detection import find_threshold
from speechrnn.evaluation.keyword_calibration import storable
from speechrnn.evaluation.keyword_listener import Listener
from speechrnn.manifest import Utterance
from speechrnn.runtime.keyword_spotter import SpotterOptions
from speechrnn.runtime.model_file import ModelFile

SHORTEST, LONGEST = 4, 14  # phones; shorter ones are found in other words all the time
WORDS = 60  # of each length
SEED = 0


def calibrate_any(
    model: ModelFile,
    negatives: Sequence[Utterance],
    *,
    rate: float,
    options: SpotterOptions = SpotterOptions(),
    on_audio: Callable[[float], object] = lambda seconds: None,
) -> tuple[float, ...]:
    """Listen for words of the model's dictionary, drawn at random, where they are not said.

    Args:
        model: Of phones, with a dictionary.
        negatives: Recordings; what their texts say is no false alarm.
        rate: False alarms an hour that are bearable, of each keyword, in the mean over the words of a length.
        options: Of the detector.
        on_audio: Called with the seconds of each recording that was heard, for progress.

    Returns:
        The least confidence for keywords of 1, 2, 3, … phones; 1 for those of too few to be told from other words.

    Raises:
        ConfigError: If the model does not hear phones, its dictionary has no word of a usual length, or less than a
            minute of negatives is heard.
        ModelFileError: If it has no dictionary.
    """
    if model.info.vocabulary.unit != "phone":
        raise ConfigError(
            f"{model.path}: --any-keyword is for models of phones, whose dictionary has the words"
        )
    words = draw_words(model)
    if not any(words):
        raise ConfigError(f"{model.path}: its dictionary has no word of {SHORTEST} to {LONGEST} phones")
    listener = Listener(model, [keyword for group in words for keyword in group], options, on_audio)
    background = listener.hear_negatives(negatives)
    thresholds, first = [1.0] * (SHORTEST - 1), 0
    for group in words:
        found = [background.of(first + number) for number in range(len(group))]
        first += len(group)
        scores = np.concatenate([np.zeros(0), *(each.scores for each in found)])
        threshold = find_threshold(scores, sum(each.hours for each in found), rate)
        # A dictionary without words of a length says nothing of it: what is safe for shorter ones is safe for it.
        thresholds.append(storable(threshold) if group else thresholds[-1])
    return tuple(thresholds)


def draw_words(model: ModelFile) -> list[list[Keyword]]:
    """Draw words for each number of phones; of those that sound the same one is taken."""
    groups: list[list[Keyword]] = [[] for _ in range(SHORTEST, LONGEST + 1)]
    taken: set[str] = set()
    known = model.info.pronunciations.ways
    names = sorted(known)
    for place in np.random.default_rng(SEED).permutation(len(names)):
        word, ways = names[place], known[names[place]]
        size = len(ways[0].split()) - SHORTEST
        if 0 <= size < len(groups) and len(groups[size]) < WORDS and taken.isdisjoint(ways):
            groups[size].append(Keyword(label=word, spellings=(word,)))
            taken.update(ways)
    return groups
