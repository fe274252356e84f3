"""When each word of a known text is said, by a CTC model of characters that need not be good."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from speechrnn.decoding.alignment import align_tokens, least_frames
from speechrnn.errors import ConfigError, SpeechRNNError
from speechrnn.evaluation.evaluate import load_utterance
from speechrnn.manifest import Utterance
from speechrnn.runtime import Transcriber
from speechrnn.runtime.interpretation import Emission
from speechrnn.text import Vocabulary
from speechrnn.voice_activity import Interval

UNLIKELY = -30.0  # nats in each frame, of speech in a pause


def cut_each(
    utterances: Sequence[Utterance],
    model: Transcriber,
    cut: Callable[[Utterance, Emission], Iterable[Utterance]],
) -> Iterator[Sequence[Utterance] | SpeechRNNError]:
    """Cut utterances by what a model hears in them.

    Args:
        utterances: What is to be cut.
        model: CTC model of characters, the space among them, that has those of the transcripts.
        cut: Makes pieces of an utterance and what the model computed of it.

    Yields:
        For each utterance in turn its pieces, or the error that it met.

    Raises:
        ConfigError: If the model is not one of characters with a space.
    """
    vocabulary = model.info.vocabulary
    if vocabulary.unit != "character" or " " not in vocabulary.tokens:
        raise ConfigError(
            f"model {model.info.name} cannot tell where words end: it is not one of characters with a space"
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
    words: Sequence[str], emission: Emission, pauses: Sequence[Interval], vocabulary: Vocabulary, name: str
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Find the seconds at which each word begins and ends, with nothing spoken in the pauses.

    Returns:
        Starts and ends, (words,) each; none of both where there are fewer frames than the text needs.

    Raises:
        TextError: If the vocabulary lacks a character.
    """
    spelled = [vocabulary.encode(word, name) for word in words]
    space = vocabulary.ids[" "]
    tokens = [token for tokens in spelled for token in (*tokens, space)][:-1]
    if not words or not all(spelled) or len(emission.log_probs) < least_frames(tokens):
        return np.empty(0), np.empty(0)
    frame_s = emission.duration_s / len(emission.log_probs)
    spans = align_tokens(silence(emission.log_probs, pauses, frame_s, (0, space)), tokens)
    lasts = np.cumsum([len(tokens) + 1 for tokens in spelled]) - 2
    firsts = np.array([0, *(lasts[:-1] + 2)])
    edges = np.array(spans, dtype=np.float64) * frame_s
    return edges[firsts, 0], edges[lasts, 1]


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
