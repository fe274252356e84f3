"""The recurrent language model: tokens in, log probabilities of the tokens that follow out."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from speechrnn.nn.language_config import LanguageModelConfig
from speechrnn.nn.recurrent import RecurrentStack, State
from speechrnn.text import SentenceCoder

INITIAL_RANGE = 0.1  # of embedding and output, as in Zaremba et al. (2014): logits begin near 0


class RecurrentLanguageModel(nn.Module):
    """Embedding, recurrent layers in one direction, and an output layer that may share the embedding's matrix.

    Example:
        >>> from speechrnn.text import Vocabulary
        >>> model = RecurrentLanguageModel(LanguageModelConfig(vocabulary=Vocabulary(("a", "b"), "word")))
        >>> log_probs, states = model(torch.tensor([[0, 1, 2]]), torch.tensor([3]))
        >>> tuple(log_probs.shape)  # the end, a, b and <unk>
        (1, 3, 4)
    """

    def __init__(self, config: LanguageModelConfig) -> None:
        super().__init__()
        self.config = config
        network, num_ids = config.network, len(SentenceCoder(config.vocabulary))
        self.embedding = nn.Embedding(num_ids, network.embedding_size)
        self.recurrent = RecurrentStack(network.encoder, network.embedding_size)
        self.dropout = nn.Dropout(network.dropout)
        needs_projection = network.tied and network.hidden_size != network.embedding_size
        self.projection = nn.Linear(network.hidden_size, network.embedding_size) if needs_projection else None
        self.untied = None if network.tied else nn.Parameter(torch.empty(num_ids, network.hidden_size))
        self.bias = nn.Parameter(torch.zeros(num_ids))
        with torch.no_grad():
            for matrix in (self.embedding.weight, self.output_weight):
                matrix.uniform_(-INITIAL_RANGE, INITIAL_RANGE)

    @property
    def output_weight(self) -> Tensor:
        """The output layer's matrix, (ids, embedding_size) if tied, else (ids, hidden_size)."""
        return self.embedding.weight if self.untied is None else self.untied

    def forward(
        self, tokens: Tensor, lengths: Tensor, states: list[State] | None = None
    ) -> tuple[Tensor, list[State]]:
        """Predict what follows each token.

        Args:
            tokens: (batch, time) int64 ids; a sentence begins with the end of the one before.
            lengths: (batch,) int64 tokens; beyond them log_probs mean nothing.
            states: From an earlier call, to go on where it ended; zeros when not given.

        Returns:
            log_probs (batch, time, ids), float32, of the token after each, and one state a layer after the
            last token of the batch (after each row's own last token when no row is padded).
        """
        encoded, states = self.recurrent(self.embedding(tokens), lengths, states)
        encoded = self.dropout(encoded)
        if self.projection is not None:
            encoded = self.projection(encoded)
        logits = F.linear(encoded, self.output_weight, self.bias)
        return logits.float().log_softmax(-1), states

    def num_parameters(self) -> int:
        """Count trainable numbers; a shared matrix counts once."""
        return sum(p.numel() for p in self.parameters() if p.requires_grad)


def detach(states: list[State]) -> list[State]:
    """Cut states off from the steps that led to them: where back-propagation through time is truncated."""
    return [tuple(part.detach() for part in state) for state in states]
