"""What an n-gram model holds, to be looked at."""

from speechrnn.lm.arpa_writing import ngram_lines
from speechrnn.lm.ngram import NgramModel


def table(model: NgramModel) -> dict[str, tuple[float, float]]:
    """List the n-grams of a model with their log10 probabilities and weights."""
    listed = {}
    for order in range(1, model.order + 1):
        first, end = model.level_bounds[order - 1 : order + 1]
        for line in ngram_lines(model, order, first, end):
            log_prob, ngram, *backoff = line.rstrip("\n").split("\t")
            listed[ngram] = (float(log_prob), float(backoff[0]) if backoff else 0.0)
    return listed
