"""CTC loss by brute force, and what it does with utterances that have no alignment."""

import itertools

import pytest
import torch

from speechrnn.nn.ctc_loss import ctc_loss, required_frames

BLANK = 0


def collapse(path: tuple[int, ...]) -> list[int]:
    """Merge repeats, then drop blanks."""
    return [token for token, _ in itertools.groupby(path) if token != BLANK]


def brute_force(log_probs: torch.Tensor, target: list[int]) -> float:
    """Sum the probability of every path that reads as the target."""
    num_frames, num_tokens = log_probs.shape
    paths = itertools.product(range(num_tokens), repeat=num_frames)
    scores = [
        sum(log_probs[t, token] for t, token in enumerate(path)) for path in paths if collapse(path) == target
    ]
    return float(-torch.logsumexp(torch.stack(scores), 0))


def random_log_probs(*shape: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(sum(shape))
    return torch.randn(*shape, generator=generator).log_softmax(-1)


@pytest.mark.parametrize("num_frames", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("target", [[1], [2, 1], [1, 1], [1, 2, 1]])
def test_the_loss_is_the_sum_over_all_paths(num_frames: int, target: list[int]) -> None:
    log_probs = random_log_probs(1, num_frames, 3)
    repeats = sum(a == b for a, b in itertools.pairwise(target))
    outcome = ctc_loss(
        log_probs,
        torch.tensor([num_frames]),
        torch.tensor([target]),
        torch.tensor([len(target)]),
        blank=BLANK,
    )
    if num_frames < len(target) + repeats:
        assert outcome.infeasible.tolist() == [True]
        assert outcome.loss == 0
    else:
        expected = brute_force(log_probs[0], target)
        assert outcome.utterance_losses.item() == pytest.approx(expected, abs=1e-5)
        assert outcome.loss.item() == pytest.approx(expected / len(target), abs=1e-5)


def test_unusable_utterances_are_masked_marked_and_leave_no_gradient() -> None:
    logits = torch.randn(4, 6, 3, generator=torch.Generator().manual_seed(0)).requires_grad_()
    outcome = ctc_loss(
        logits.log_softmax(-1),
        torch.tensor([6, 2, 6, 0]),
        torch.tensor([[1, 2, 0], [1, 1, 0], [0, 0, 0], [1, 0, 0]]),
        torch.tensor([2, 2, 0, 1]),  # fine; 1 1 needs three frames of two; nothing to say; no frame
        blank=BLANK,
    )
    assert outcome.infeasible.tolist() == [False, True, False, True]
    assert outcome.empty.tolist() == [False, False, True, True]
    assert outcome.utterance_losses[1:].tolist() == [0, 0, 0]
    outcome.loss.backward()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()
    assert logits.grad[0].any()
    assert not logits.grad[1:].any()


def test_a_batch_with_nothing_usable_has_loss_0_and_finite_gradients() -> None:
    logits = torch.zeros(1, 1, 3, requires_grad=True)
    outcome = ctc_loss(
        logits.log_softmax(-1), torch.tensor([1]), torch.tensor([[1, 1]]), torch.tensor([2]), blank=BLANK
    )
    outcome.loss.backward()
    assert outcome.loss == 0
    assert logits.grad is not None
    assert not logits.grad.any()


def test_the_loss_of_a_batch_is_that_of_its_utterances_over_all_tokens() -> None:
    log_probs = random_log_probs(2, 5, 4)
    targets, lengths = torch.tensor([[1, 2, 3], [3, 0, 0]]), torch.tensor([3, 1])
    together = ctc_loss(log_probs, torch.tensor([5, 3]), targets, lengths, blank=BLANK)
    alone = ctc_loss(log_probs[1:, :3], torch.tensor([3]), targets[1:, :1], lengths[1:], blank=BLANK)
    torch.testing.assert_close(together.utterance_losses[1], alone.utterance_losses[0])
    torch.testing.assert_close(together.loss, together.utterance_losses.sum() / 4)


def test_half_precision_is_computed_in_single() -> None:
    log_probs = random_log_probs(1, 5, 3)
    arguments = torch.tensor([5]), torch.tensor([[1, 2]]), torch.tensor([2])
    half = ctc_loss(log_probs.bfloat16(), *arguments, blank=BLANK)
    assert half.loss.dtype == torch.float32
    expected = ctc_loss(log_probs.bfloat16().float(), *arguments, blank=BLANK).loss
    torch.testing.assert_close(half.loss, expected)


def test_int32_lengths_and_targets_are_taken_too() -> None:
    log_probs = random_log_probs(1, 5, 3)
    arguments = torch.tensor([5]), torch.tensor([[1, 2]]), torch.tensor([2])
    small = ctc_loss(log_probs, *(argument.int() for argument in arguments), blank=BLANK)
    torch.testing.assert_close(small.loss, ctc_loss(log_probs, *arguments, blank=BLANK).loss)


def test_frames_are_needed_for_tokens_and_between_equal_neighbours() -> None:
    # 1 2 3: 3; 1 1 2: 1 _ 1 2 is 4; 1 1 1: 1 _ 1 _ 1 is 5; the padding's 0 0 does not count.
    targets = torch.tensor([[1, 2, 3], [1, 1, 2], [1, 1, 1], [1, 0, 0]])
    assert required_frames(targets, torch.tensor([3, 3, 3, 1])).tolist() == [3, 4, 5, 1]
