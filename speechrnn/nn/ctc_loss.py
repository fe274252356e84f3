"""CTC loss (Graves et al., 2006) that cannot be poisoned by an utterance that has no alignment."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class CTCLoss:
    """The loss of a batch, and which of its utterances made it."""

    loss: Tensor
    """Scalar: the negative log likelihood in nats of a target token, over the usable utterances; 0 if none is."""
    total: Tensor
    """Scalar: the negative log likelihood in nats of all usable utterances together."""
    num_tokens: Tensor
    """Scalar int64: tokens of their targets."""
    utterance_losses: Tensor
    """(batch,) negative log likelihood of each utterance in nats; 0 for the unusable."""
    infeasible: Tensor
    """(batch,) bool: too few frames for the target, so no alignment exists."""
    empty: Tensor
    """(batch,) bool: nothing to learn from, the target (or the clip) being empty."""


def ctc_loss(
    log_probs: Tensor, output_lengths: Tensor, targets: Tensor, target_lengths: Tensor, *, blank: int
) -> CTCLoss:
    """Compute the CTC loss of the utterances that have an alignment; the others are masked and marked.

    ``zero_infinity`` is not used: with it cuDNN returns finite garbage for pairs without an alignment
    (pytorch #176910). Integer-64 targets keep every device on torch's own implementation.

    Args:
        log_probs: (batch, time, tokens); computed in float32 whatever its dtype.
        output_lengths: (batch,) int64 frames.
        targets: (batch, longest target) int64 ids without blanks; padding is ignored.
        target_lengths: (batch,) int64.
        blank: Id of the blank.
    """
    required = required_frames(targets, target_lengths)
    infeasible = output_lengths < required
    empty = (target_lengths == 0) | (output_lengths == 0)
    usable = ~(infeasible | empty)
    # Masked utterances are computed as one frame of nothing: finite, with finite gradients, then dropped.
    losses = F.ctc_loss(
        log_probs.float().transpose(0, 1),
        targets.long(),
        torch.where(usable, output_lengths, 1).long(),
        torch.where(usable, target_lengths, 0).long(),
        blank=blank,
        reduction="none",
    )
    losses = torch.where(usable, losses, 0.0)
    total, num_tokens = losses.sum(), torch.where(usable, target_lengths, 0).sum()
    loss = total / num_tokens.clamp(min=1)
    return CTCLoss(loss, total, num_tokens, losses.detach(), infeasible, empty)


def required_frames(targets: Tensor, target_lengths: Tensor) -> Tensor:
    """Count the frames that each target needs: its tokens, and a blank between equal neighbours; (batch,)."""
    position = torch.arange(1, max(targets.shape[1], 1), device=targets.device)
    repeats = (targets[:, 1:] == targets[:, :-1]) & (position < target_lengths.unsqueeze(1))
    return target_lengths + repeats.sum(1)
