"""The denominator of CTC-CRF by brute force, and what must not change it."""

import itertools

import pytest
import torch

from speechrnn.nn.crf_loss import log_partition
from speechrnn.nn.ctc_loss import ctc_loss

BLANK = 0


def make_language(num_tokens: int, *, blank: int = BLANK) -> torch.Tensor:
    """Make P(third | first, second) that has every token after every other."""
    generator = torch.Generator().manual_seed(num_tokens)
    table = torch.rand(num_tokens, num_tokens, num_tokens, generator=generator)
    table[..., blank] = 0
    return table / table.sum(-1, keepdim=True)


def random_log_probs(*shape: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(sum(shape))
    return torch.randn(*shape, generator=generator).log_softmax(-1)


def prior(tokens: list[int], language: torch.Tensor, blank: int = BLANK) -> torch.Tensor:
    """Multiply what the language says of each token after the two before it."""
    padded = [blank, blank, *tokens]
    return torch.stack(
        [
            torch.ones(()),
            *(language[a, b, c] for a, b, c in zip(padded, padded[1:], padded[2:], strict=False)),
        ]
    ).prod()


def brute_force(log_probs: torch.Tensor, language: torch.Tensor, blank: int = BLANK) -> float:
    """Sum over every path what its frames and its tokens are worth."""
    num_frames, num_tokens = log_probs.shape
    worth = []
    for path in itertools.product(range(num_tokens), repeat=num_frames):
        tokens = [token for token, _ in itertools.groupby(path) if token != blank]
        frames = torch.stack([log_probs[t, token] for t, token in enumerate(path)]).sum().exp()
        worth.append(frames * prior(tokens, language, blank))
    return float(torch.stack(worth).sum().log())


@pytest.mark.parametrize("num_frames", [1, 2, 3, 4, 5])
def test_the_denominator_is_the_sum_over_all_paths(num_frames: int) -> None:
    log_probs, language = random_log_probs(1, num_frames, 3), make_language(3)
    [ours] = log_partition(log_probs, torch.tensor([num_frames]), language, blank=BLANK).tolist()
    assert ours == pytest.approx(brute_force(log_probs[0], language), abs=1e-5)


def test_the_blank_may_be_any_token() -> None:
    log_probs, language = random_log_probs(1, 4, 3), make_language(3, blank=2)
    [ours] = log_partition(log_probs, torch.tensor([4]), language, blank=2).tolist()
    assert ours == pytest.approx(brute_force(log_probs[0], language, 2), abs=1e-5)


def test_one_path_is_worth_what_frames_and_language_say() -> None:
    # 1 1 blank 1 for certain reads as 1 1: P(1 | begin) = 0.5, P(1 | begin 1) = 0.25
    log_probs = torch.full((1, 4, 2), -1e4)
    log_probs[0, [0, 1, 2, 3], [1, 1, 0, 1]] = 0.0
    language = torch.zeros(2, 2, 2)
    language[0, 0, 1], language[0, 1, 1] = 0.5, 0.25
    [ours] = log_partition(log_probs, torch.tensor([4]), language, blank=0).exp().tolist()
    assert ours == pytest.approx(0.125)


def test_no_target_is_likelier_than_all_sequences_together() -> None:
    log_probs, language = random_log_probs(3, 12, 5), make_language(5)
    targets = torch.tensor([[1, 2, 3], [4, 4, 1], [2, 1, 2]])
    lengths = torch.tensor([12, 12, 12])
    found = -ctc_loss(log_probs, lengths, targets, torch.tensor([3, 3, 3]), blank=BLANK).utterance_losses
    priors = torch.stack([prior(target, language) for target in targets.tolist()]).log()
    assert (found + priors < log_partition(log_probs, lengths, language, blank=BLANK)).all()


def test_padding_and_neighbours_change_nothing() -> None:
    log_probs, language = random_log_probs(3, 9, 4), make_language(4)
    lengths = torch.tensor([9, 4, 0])
    together = log_partition(log_probs, lengths, language, blank=BLANK)
    changed = log_probs.clone()
    changed[1, 4:] = changed[1, 4:].flip(-1)
    assert torch.equal(together, log_partition(changed, lengths, language, blank=BLANK))
    alone = log_partition(log_probs[1:2, :4], lengths[1:2], language, blank=BLANK)
    assert alone.item() == pytest.approx(together[1].item(), abs=1e-6)
    assert together[2] == 0


def test_gradients_are_finite_and_stop_at_the_end_of_an_utterance() -> None:
    logits = torch.randn(2, 300, 6, generator=torch.Generator().manual_seed(0), requires_grad=True)
    log_probs = logits.log_softmax(-1)
    sums = log_partition(log_probs, torch.tensor([300, 7]), make_language(6), blank=BLANK)
    assert (
        sums.isfinite().all()
    )  # 300 frames of random tokens: far below the smallest float32 without scaling
    sums.sum().backward()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()
    assert logits.grad[1, 7:].abs().max() == 0


def test_the_gradient_is_that_of_its_definition() -> None:
    log_probs, language = random_log_probs(1, 3, 3).double(), make_language(3)
    shifted = log_probs.clone()
    shifted[0, 1, 2] += 0.01
    values = [brute_force(each[0], language.double()) for each in (log_probs, shifted)]
    leaf = log_probs.float().requires_grad_()
    log_partition(leaf, torch.tensor([3]), language, blank=BLANK).sum().backward()
    assert leaf.grad is not None
    assert leaf.grad[0, 1, 2].item() == pytest.approx((values[1] - values[0]) / 0.01, abs=2e-3)


def test_autocast_does_not_round_it() -> None:
    log_probs, language = random_log_probs(2, 40, 8), make_language(8)
    lengths = torch.tensor([40, 33])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rounded = log_partition(log_probs, lengths, language, blank=BLANK)
    assert torch.equal(rounded, log_partition(log_probs, lengths, language, blank=BLANK))
