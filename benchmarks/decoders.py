"""Three beam searches behind one call: ours, torchaudio's flashlight, and pyctcdecode."""

import importlib
import importlib.util
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from an4_task import An4Task, LogProbs

from speechrnn.decoding import BeamConfig, BeamDecoder
from speechrnn.text import SEPARATOR, Vocabulary

BEAM_SIZE = 50
UNLIMITED = 1e9  # nats
IMPOSSIBLE = -1e4  # nats
SILENCE, BLANK = "|", "-"  # names that flashlight's dictionary needs; AN4's characters hold neither
PACKAGES = {  # module and what installs it
    "flashlight": [("flashlight", "flashlight-text")],  # holds KenLM
    "pyctcdecode": [
        ("pyctcdecode", "--no-deps pyctcdecode"),  # it asks for numpy < 2, and runs with numpy 2
        ("pygtrie", "pygtrie"),
        ("kenlm", "kenlm"),
    ],
}


@dataclass(frozen=True, kw_only=True)
class Pruning:
    """What a search drops beside what falls out of the beam."""

    beam_threshold: float = UNLIMITED
    """Nats behind the best."""
    token_threshold: float = UNLIMITED
    """Nats behind the frame's best token (pyctcdecode: behind probability 1); flashlight tries every token."""

    def __str__(self) -> str:
        """Write what is dropped."""
        limits = (("prefixes", self.beam_threshold), ("tokens", self.token_threshold))
        dropped = [f"{what} {nats:g} nats behind" for what, nats in limits if nats < UNLIMITED]
        return " and ".join(dropped) or "nothing but by the beam"


OURS = Pruning(beam_threshold=BeamConfig.beam_threshold, token_threshold=BeamConfig.token_threshold)
FLASHLIGHT = Pruning(beam_threshold=50.0)  # its default
PYCTCDECODE = Pruning(beam_threshold=10.0, token_threshold=5.0)  # its defaults


class Answer(NamedTuple):
    """What a decoder made of an utterance."""

    text: str
    score: float
    """Nats: acoustic, language model and words together."""


Decode = Callable[[Sequence[LogProbs]], list[Answer]]


def missing_packages(decoder: str) -> list[str]:
    """Name what a decoder needs and is not installed, as commands."""
    packages = PACKAGES.get(decoder, [])
    return [f"pip install {name}" for module, name in packages if importlib.util.find_spec(module) is None]


def make_ours(task: An4Task, pruning: Pruning = OURS, *, closed: bool = True, log_add: bool = True) -> Decode:
    """Make our search, ``closed`` over the words of the language model or open to any word."""
    config = BeamConfig(
        beam_size=BEAM_SIZE,
        beam_threshold=pruning.beam_threshold,
        token_threshold=pruning.token_threshold,
        top_tokens=len(task.vocabulary),
        log_add=log_add,
        alpha=task.alpha,
        beta=task.beta,
    )
    decoder = BeamDecoder(task.vocabulary, config, lm=task.lm, lexicon=task.words if closed else None)

    def decode(batch: Sequence[LogProbs]) -> list[Answer]:
        found = [decoder.decode(log_probs[None], [len(log_probs)])[0][0] for log_probs in batch]
        return [Answer(hypothesis.text, hypothesis.score) for hypothesis in found]

    return decode


def make_flashlight(task: An4Task, pruning: Pruning = FLASHLIGHT, *, log_add: bool = False) -> Decode:
    """Make torchaudio's search over the same words, each with a separator behind it.

    KenLM gives logs to base 10, so that its weight is ours times ln 10.
    """
    from torchaudio.models.decoder import ctc_decoder  # optional

    lexicon = task.arpa.with_name("lexicon.txt")
    lexicon.write_text("".join(f"{word} {' '.join(word)} {SILENCE}\n" for word in task.words))
    names = [SILENCE if token == SEPARATOR else token for token in task.vocabulary.tokens]
    decoder = ctc_decoder(
        str(lexicon),
        [BLANK, *names],
        str(task.arpa),
        beam_size=BEAM_SIZE,
        beam_threshold=pruning.beam_threshold,
        lm_weight=task.alpha * math.log(10),
        word_score=task.beta,
        log_add=log_add,
        blank_token=BLANK,
        sil_token=SILENCE,
    )

    def decode(batch: Sequence[LogProbs]) -> list[Answer]:
        found = [decoder(torch.from_numpy(log_probs[None]))[0][0] for log_probs in batch]
        return [Answer(" ".join(best.words), best.score) for best in found]

    return decode


def close_words(log_probs: LogProbs, vocabulary: Vocabulary) -> LogProbs:
    """Append a frame that is surely a separator: flashlight ends no text within a word."""
    closing = np.full((1, log_probs.shape[1]), IMPOSSIBLE, log_probs.dtype)
    closing[0, vocabulary.ids[SEPARATOR]] = 0.0
    return np.concatenate([log_probs, closing])


def make_pyctcdecode(task: An4Task, pruning: Pruning = PYCTCDECODE) -> Decode:
    """Make pyctcdecode's search, which is open to any word."""
    pyctcdecode: Any = importlib.import_module("pyctcdecode")  # optional
    labels = ["", *task.vocabulary.tokens]
    decoder = pyctcdecode.build_ctcdecoder(
        labels, str(task.arpa), alpha=task.alpha, beta=task.beta, unk_score_offset=BeamConfig.unknown_score
    )

    def decode(batch: Sequence[LogProbs]) -> list[Answer]:
        beams = [
            decoder.decode_beams(
                log_probs,
                beam_width=BEAM_SIZE,
                beam_prune_logp=-pruning.beam_threshold,
                token_min_logp=-pruning.token_threshold,
                prune_history=True,  # as its own decode() does
            )[0]
            for log_probs in batch
        ]
        return [Answer(beam[0], beam[-1]) for beam in beams]

    return decode
