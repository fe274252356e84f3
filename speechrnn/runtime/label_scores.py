"""Keywords of a classifier: which of its labels they are, and how sure it is of each in a stream."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from speechrnn.decoding.keyword_search import Scores
from speechrnn.decoding.keywords import Keyword
from speechrnn.errors import ConfigError
from speechrnn.runtime.model_file import ModelFile


def find_labels(model: ModelFile, keywords: Sequence[Keyword]) -> list[int]:
    """Find keywords among the labels of a classifier.

    Of a keyword's spellings one is the label. Others say what sounds like it: `no | know`, of which texts of negatives
    then are none.

    Raises:
        ConfigError: If it has no such label, or several, two keywords are the same one, or a keyword has templates.
    """
    ids = model.info.vocabulary.ids
    found: list[int] = []
    for keyword in keywords:
        if keyword.templates:
            raise ConfigError(f"keyword {keyword.label!r}: a classifier knows labels, no recordings")
        spellings = dict.fromkeys(model.info.vocabulary.normalize(each) for each in keyword.spellings)
        labels = [spelling for spelling in spellings if spelling in ids]
        if not labels:
            wanted = " or ".join(map(repr, spellings))
            raise ConfigError(f"{model.path}: has no label {wanted}; its labels are {', '.join(ids)}")
        if len(labels) > 1:
            several = " and ".join(map(repr, labels))
            raise ConfigError(
                f"keyword {keyword.label!r}: {several} are labels of their own for a classifier"
            )
        if ids[labels[0]] in found:
            same = keywords[found.index(ids[labels[0]])].label
            raise ConfigError(f"keywords {same!r} and {keyword.label!r} are both the label {labels[0]!r}")
        found.append(ids[labels[0]])
    return found


class LabelScores:
    """Labels of a classifier: the mean of its last few answers."""

    wait = 0  # frames by which it is late, as a search may be

    def __init__(
        self, labels: Sequence[int], boosts: Sequence[float], *, smoothing: int, window: int
    ) -> None:
        """Begin a stream; ``window`` counts the chunks that an answer looks back on."""
        self.labels, self.boosts, self.window = list(labels), np.asarray(boosts, float), window
        self.smoothing = smoothing
        self.restart()

    def restart(self) -> None:
        """Forget what was heard."""
        self.frame = 0
        self.past = np.zeros((0, len(self.labels)))

    def feed(self, log_probs: NDArray[np.float32]) -> Scores:
        """Hear answers (chunks, labels)."""
        new = np.exp(log_probs[:, self.labels].astype(np.float64))
        known = np.concatenate([self.past, new])
        ends = np.arange(len(self.past), len(known))
        means = [known[max(0, end + 1 - self.smoothing) : end + 1].mean(axis=0) for end in ends]
        self.past = known[max(0, len(known) - self.smoothing + 1) :]
        frames = np.arange(self.frame, self.frame + len(new))
        self.frame += len(new)
        starts = np.repeat(np.maximum(0, frames - self.window)[:, None], len(self.labels), axis=1)
        log_scores = np.log(np.maximum(np.reshape(means, new.shape), 1e-30)) + self.boosts
        return Scores(log_scores, starts)

    def finish(self) -> Scores:
        """Tell what is left, which is nothing."""
        return self.feed(np.zeros((0, max(self.labels) + 1), np.float32))
