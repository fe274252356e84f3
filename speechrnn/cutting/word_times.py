"""When each word of a known text is said, by a CTC model that need not be good, of characters or of phones."""

import string
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from speechrnn.decoding.alignment import align_tokens, least_frames
from speechrnn.errors import ConfigError, SpeechRNNError, TextError
from speechrnn.evaluation.evaluate import load_utterance
from speechrnn.manifest import Utterance
from speechrnn.runtime import Transcriber
from speechrnn.runtime.interpretation import Emission
from speechrnn.runtime.model_file import ModelInfo
from speechrnn.voice_activity import Interval

UNLIKELY = -30.0  # nats in each frame, of speech in a pause
# How a letter is often said: near enough to find a word that the dictionary lacks between others that it has.
SOUNDS = "AE B K D EH F G HH IH JH K L M N AA P K R S T AH V W S IY Z"
LETTER_SOUNDS = dict(zip(string.ascii_lowercase, SOUNDS.split(), strict=True))


def cut_each(
    utterances: Sequence[Utterance],
    model: Transcriber,
    cut: Callable[[Utterance, Emission], Iterable[Utterance]],
) -> Iterator[Sequence[Utterance] | SpeechRNNError]:
    """Cut utterances by what a model hears in them.

    Args:
        utterances: What is to be cut.
        model: CTC model of characters, the space among them, that has those of the transcripts; or of phones, with a
            dictionary. Words that this lacks are looked for by what their letters often sound like.
        cut: Makes pieces of an utterance and what the model computed of it.

    Yields:
        For each utterance in turn its pieces, or the error that it met.

    Raises:
        ConfigError: If the model is not one of characters with a space, nor of phones.
        ModelFileError: If it is a model of phones without a dictionary.
    """
    vocabulary = model.info.vocabulary
    if vocabulary.unit == "phone":
        _ = model.info.pronunciations
    elif vocabulary.unit != "character" or " " not in vocabulary.tokens:
        raise ConfigError(
            f"model {model.info.name} cannot tell where words end: it is not one of characters with a space, "
            "nor of phones"
        )
    rate = model.info.sample_rate
    sources = (partial(load_utterance, utterance, rate) for utterance in utterances)
    for utterance, emission in zip(utterances, model.compute_each(sources, rate), strict=True):
        try:
            if isinstance(emission, SpeechRNNError):
                raise emission
            yield list(cut(utterance, emission))
        except SpeechRNNError as error:
            yield error


def time_words(
    words: Sequence[str], emission: Emission, pauses: Sequence[Interval], info: ModelInfo, name: str
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Find the seconds at which each word begins and ends, with nothing spoken in the pauses.

    Returns:
        Starts and ends, (words,) each; none of both where there are fewer frames than the text needs.

    Raises:
        TextError: If the vocabulary lacks a character, or a word cannot be said.
    """
    spelled = [spell(word, info, name) for word in words]
    between = [info.vocabulary.ids[" "]] if info.vocabulary.unit == "character" else []
    tokens = [token for tokens in spelled for token in (*between, *tokens)][len(between) :]
    if not words or not all(spelled) or len(emission.log_probs) < least_frames(tokens):
        return np.empty(0), np.empty(0)
    frame_s = emission.duration_s / len(emission.log_probs)
    spans = align_tokens(silence(emission.log_probs, pauses, frame_s, (0, *between)), tokens)
    behind = np.cumsum([len(tokens) + len(between) for tokens in spelled]) - len(between)
    firsts = np.array([0, *(behind[:-1] + len(between))])
    edges = np.array(spans, dtype=np.float64) * frame_s
    return edges[firsts, 0], edges[behind - 1, 1]


def spell(word: str, info: ModelInfo, name: str) -> list[int]:
    """Bring a word to tokens, to phones in the usual way of the model's dictionary; errors as ``time_words``."""
    if info.vocabulary.unit == "character":
        return info.vocabulary.encode(word, name)
    ways = info.pronunciations.of(word)
    if ways:
        return info.vocabulary.encode(ways[0], name)
    sounds = [LETTER_SOUNDS[letter] for letter in word.lower() if letter in LETTER_SOUNDS]
    if not sounds or not set(sounds) <= set(info.vocabulary.tokens):
        raise TextError(f"{name}: the model's dictionary does not say how {word!r} is said")
    return info.vocabulary.encode(" ".join(sounds), name)


def silence(
    log_probs: NDArray[np.float32], pauses: Sequence[Interval], frame_s: float, silent: Sequence[int]
) -> NDArray[np.float32]:
    """Leave nothing likely in the pauses but the tokens that are ``silent``."""
    quieted = log_probs.copy()
    for pause in pauses:
        frames = quieted[int(np.ceil(pause.start_s / frame_s)) : int(pause.end_s / frame_s)]
        frames[:] = UNLIKELY
        frames[:, list(silent)] = 0.0
    return quieted
