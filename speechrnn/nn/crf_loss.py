"""CTC-CRF: what a network says of a target, against what it says of every sequence that a language allows."""

import torch
from torch import Tensor


def log_partition(log_probs: Tensor, output_lengths: Tensor, language: Tensor, *, blank: int) -> Tensor:
    """Sum P(tokens) · P(frames | tokens) over all sequences of tokens, the denominator of CTC-CRF.

    P(tokens) is a trigram model's, P(frames | tokens) CTC's sum over the paths that say them (Xiang and Ou, 2019,
    "CRF-based Single-stage Acoustic Modeling with CTC Topology", arXiv:1904.08619). The forward recursion runs over
    the last two tokens and whether a blank came after them; its values are scaled to sum to 1 in every frame, so that
    no length underflows.

    Args:
        log_probs: (batch, time, tokens); computed in float32 whatever its dtype, and in whatever autocast.
        output_lengths: (batch,) int64 frames; what lies behind them counts for nothing.
        language: (tokens, tokens, tokens) P(third | first, second); the blank's place as a context stands for the
            beginning, before which there is no token, and nothing is ever followed by it.
        blank: Id of the blank.

    Returns:
        (batch,) natural log of the sum; 0 for an utterance without frames.
    """
    with torch.autocast(log_probs.device.type, enabled=False):
        return sum_paths(log_probs.float().exp(), output_lengths, language, blank)


def sum_paths(probs: Tensor, output_lengths: Tensor, language: Tensor, blank: int) -> Tensor:
    """Run the recursion of ``log_partition`` on probabilities."""
    batch, time, num_tokens = probs.shape
    by_second = language.transpose(0, 1)  # (second, first, third)
    others = by_second * (1 - torch.eye(num_tokens, device=probs.device)).unsqueeze(1)  # third is not second
    is_token = torch.arange(num_tokens, device=probs.device) != blank
    said = probs.new_zeros(batch, num_tokens, num_tokens)  # by the last two tokens; the frame says the second
    silent = said.clone()  # the same; the frame says a blank
    silent[:, blank, blank] = 1
    total = probs.new_zeros(batch)
    for frame in range(time):
        now = probs[:, frame]
        # Without a blank between, the same token goes on; with one, it may come again.
        entered = (
            silent.permute(2, 0, 1) @ by_second + said.permute(2, 0, 1) @ others
        )  # (second, batch, third)
        says = (said + entered.transpose(0, 1)) * (now * is_token).unsqueeze(1)
        rests = (said + silent) * now[:, blank, None, None]
        scale = (says + rests).sum((1, 2))
        goes_on = frame < output_lengths
        total = total + torch.where(goes_on, scale.log(), 0.0)
        said = torch.where(goes_on[:, None, None], says / scale[:, None, None], said)
        silent = torch.where(goes_on[:, None, None], rests / scale[:, None, None], silent)
    return total
