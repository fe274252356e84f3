"""Log probabilities to text, in NumPy."""

from speechrnn.decoding.greedy import greedy_decode
from speechrnn.decoding.hypothesis import Hypothesis

__all__ = ["Hypothesis", "greedy_decode"]
