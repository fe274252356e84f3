"""Forced alignment: paths by hand, every path by brute force, and torchaudio's."""

import itertools

import numpy as np
import pytest
import torch
import torchaudio.functional
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from speechrnn.decoding.alignment import Span, align_tokens
from speechrnn.errors import ConfigError


def random_log_probs(seed: int, num_frames: int, size: int) -> NDArray[np.float64]:
    logits = np.random.default_rng(seed).normal(scale=3, size=(num_frames, size))
    return logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)


def collapse(path: tuple[int, ...]) -> list[int]:
    return [token for token, _ in itertools.groupby(path) if token != 0]


def score_of(spans: list[Span], tokens: list[int], log_probs: NDArray[np.float64]) -> float:
    path = np.zeros(len(log_probs), dtype=int)
    for span, token in zip(spans, tokens, strict=True):
        path[span.start : span.end] = token
    assert collapse(tuple(path)) == tokens
    return float(log_probs[np.arange(len(path)), path].sum())


def test_a_repeated_token_is_parted_by_a_blank() -> None:
    # The likeliest frames would be 1 1 1; of the paths 1-1, 1 1 - is no transcript of two tokens.
    log_probs = np.log([[0.2, 0.8], [0.3, 0.7], [0.2, 0.8]])
    assert align_tokens(log_probs, [1, 1]) == [Span(0, 1), Span(2, 3)]


def test_an_empty_transcript_has_no_spans() -> None:
    assert align_tokens(np.log([[0.5, 0.5]]), []) == []


@given(st.integers(0, 1000), st.integers(1, 6), st.lists(st.integers(1, 2), min_size=1, max_size=3))
def test_no_path_is_likelier(seed: int, num_frames: int, tokens: list[int]) -> None:
    log_probs = random_log_probs(seed, num_frames, 3)
    paths = [p for p in itertools.product(range(3), repeat=num_frames) if collapse(p) == tokens]
    if not paths:
        with pytest.raises(ConfigError, match="frames are too few"):
            align_tokens(log_probs, tokens)
        return
    best = max(log_probs[np.arange(num_frames), list(path)].sum() for path in paths)
    assert score_of(align_tokens(log_probs, tokens), tokens, log_probs) == pytest.approx(best)


def test_a_long_transcript_is_aligned_as_torchaudio_does_it() -> None:
    log_probs = random_log_probs(7, 700, 29)
    tokens = np.random.default_rng(8).integers(1, 29, size=300).tolist()
    path, _ = torchaudio.functional.forced_align(
        torch.from_numpy(log_probs).unsqueeze(0), torch.tensor([tokens])
    )
    spans = torchaudio.functional.merge_tokens(path[0], torch.zeros(700))
    assert align_tokens(log_probs, tokens) == [(span.start, span.end) for span in spans]
