"""n-gram language models: read, write, estimate and score them; NumPy, and Numba where words are scored."""

from speechrnn.lm.estimate import estimate_model
from speechrnn.lm.files import read_lm, write_lm
from speechrnn.lm.ngram import NgramModel
from speechrnn.lm.perplexity import Perplexity, measure_perplexity
from speechrnn.lm.sentences import read_sentences

__all__ = [
    "NgramModel",
    "Perplexity",
    "estimate_model",
    "measure_perplexity",
    "read_lm",
    "read_sentences",
    "write_lm",
]
