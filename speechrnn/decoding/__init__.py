"""Log probabilities to text, in NumPy; the beam search is compiled by Numba when it is first asked for."""

from speechrnn.decoding.beam import BeamConfig, BeamDecoder, BeamStream
from speechrnn.decoding.decoder import Decoder, DecodingOptions, DecodingStream
from speechrnn.decoding.greedy import GreedyStream, greedy_decode
from speechrnn.decoding.hypothesis import NOTHING, Hypothesis
from speechrnn.decoding.words import ConfidenceScale, FrameClock, SpokenWord, split_words

__all__ = [
    "NOTHING",
    "BeamConfig",
    "BeamDecoder",
    "BeamStream",
    "ConfidenceScale",
    "Decoder",
    "DecodingOptions",
    "DecodingStream",
    "FrameClock",
    "GreedyStream",
    "Hypothesis",
    "SpokenWord",
    "greedy_decode",
    "split_words",
]
