"""What a CTC network's targets compete with: every sequence of its tokens, as likely as a language makes it."""

from dataclasses import dataclass

import torch
from torch import Tensor

from speechrnn.errors import ConfigError
from speechrnn.lm.files import read_lm
from speechrnn.lm.ngram import SPACE
from speechrnn.nn.config import require
from speechrnn.nn.crf_loss import log_partition
from speechrnn.nn.ctc_loss import CTCLoss
from speechrnn.text import SEPARATOR, Vocabulary


@dataclass(frozen=True, kw_only=True)
class CompetitionConfig:
    """CTC-CRF (Xiang and Ou, 2019, arXiv:1904.08619), for networks that are read with a language model.

    The loss of a target is that of CTC less what its language makes all sequences lose: the network need not learn
    what the language says anyway, and has to tell apart what it does not.
    """

    lm: str | None = None
    """Language model of the vocabulary's tokens, as ``speechrnn lm build`` makes it of transcripts in phones; of its
    n-grams, three tokens at most count. None by default, and the loss is CTC's."""
    ctc_weight: float = 0.1
    """What CTC's own loss counts beside it, >= 0."""

    def __post_init__(self) -> None:
        """Check the range.

        Raises:
            ConfigError: Naming the option, its value and its range.
        """
        require(self.ctc_weight >= 0, "competition.ctc_weight", self.ctc_weight, ">= 0")


class Competition:
    """The other sequences, weighed by a language. No module: nothing of it is learnt or kept in a checkpoint."""

    def __init__(self, config: CompetitionConfig, vocabulary: Vocabulary) -> None:
        """Read the language model.

        Raises:
            ConfigError: If it is not of the vocabulary's tokens.
            ModelFileError: If it cannot be read.
        """
        assert config.lm is not None
        assert vocabulary.blank is not None
        self.blank = vocabulary.blank
        self.ctc_weight = config.ctc_weight
        self.language = read_language(config.lm, vocabulary)

    def total_loss(self, ctc: CTCLoss, log_probs: Tensor, output_lengths: Tensor) -> Tensor:
        """Add to CTC's loss what all sequences together have.

        Args:
            ctc: CTC's loss of the batch; what it masks is masked here.
            log_probs: (batch, time, tokens) that it was computed from.
            output_lengths: (batch,) int64 frames.

        Returns:
            Scalar, nats of all usable utterances together. The target's own probability in the language, which the
            network cannot change, is left out, so that this may be negative.
        """
        self.language = self.language.to(log_probs.device)
        sums = log_partition(log_probs, output_lengths, self.language, blank=self.blank)
        usable = ~(ctc.infeasible | ctc.empty)
        return (1 + self.ctc_weight) * ctc.total + torch.where(usable, sums, 0.0).sum()


def read_language(path: str, vocabulary: Vocabulary) -> Tensor:
    """Tabulate P(third | first, second) of a language model for the tokens of a vocabulary.

    Returns:
        (tokens, tokens, tokens) as ``log_partition`` takes it; a token that the model does not know is as likely as its
        unknown word.
    """
    lm = read_lm(path)
    names = {token: SPACE if token == SEPARATOR else token for token in vocabulary.tokens}
    if not any(name in lm.word_ids for name in names.values()):
        raise ConfigError(
            f"competition.lm {path} must know the tokens {', '.join(vocabulary.tokens[:3])}, …; it knows words such as "
            f"{', '.join(lm.vocabulary[3:6])}. Build it of transcripts in these tokens, a space between two"
        )
    blank = vocabulary.blank
    assert blank is not None
    words = {vocabulary.ids[token]: lm.word_id(name) for token, name in names.items()}
    begin, nothing = lm.begin_state(), 0
    states = {(blank, blank): begin}
    for first, word in words.items():
        states[blank, first] = lm.score(begin, word)[1]
        after_first = lm.score(nothing, word)[1]
        states.update(
            {(first, second): lm.score(after_first, next_word)[1] for second, next_word in words.items()}
        )
    size = len(words) + 1
    table = torch.full((size, size, size), -torch.inf)
    for (first, second), state in states.items():
        for third, word in words.items():
            table[first, second, third] = lm.score(state, word)[0]
    return table.exp()
