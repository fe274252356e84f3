"""Learn a few utterances by heart: what cannot do that has a mistake in its data, texts or settings."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from lhotse import CutSet
from torch import Tensor

from speechrnn.decoding import greedy_decode
from speechrnn.errors import AudioError, ManifestError
from speechrnn.metrics import word_errors
from speechrnn.nn.config import ModelConfig
from speechrnn.nn.ctc_loss import ctc_loss
from speechrnn.nn.masking import frame_mask, masked_mean_and_variance
from speechrnn.nn.model import SpeechModel
from speechrnn.training.cuts import cut_text
from speechrnn.training.data import SpeechDataModule
from speechrnn.training.preflight import has_alignment
from speechrnn.training.utterances import SpeechBatch, Utterances

NUM_LOOKED_AT = 1000  # of these the shortest are taken
LEARNING_RATE = 3e-3
STEPS_BETWEEN_LOOKS = 10


@dataclass(frozen=True, kw_only=True)
class Overfit:
    """How learning by heart went."""

    num_utterances: int
    """Utterances learnt from."""
    num_steps: int
    """Steps taken."""
    loss: float
    """Loss at the end: nats a token, or a clip."""
    errors: int
    """Wrong words, or labels, at the end."""
    total: int
    """Words, or labels."""
    wrong: tuple[tuple[str, str, str], ...]
    """Utterance, reference and answer of those that are wrong still."""


def overfit(
    config: ModelConfig,
    manifest: Path,
    *,
    num_utterances: int = 10,
    max_steps: int = 600,
    on_step: Callable[[int, int], object] = lambda done, total: None,
) -> Overfit:
    """Train a network, without dropout, on the shortest utterances of a manifest until it answers all right.

    Args:
        config: Of the network; its dropout is left out.
        manifest: Lhotse cuts, as ``speechrnn prepare`` writes them.
        num_utterances: How many to learn.
        max_steps: When to give up.
        on_step: Told how many steps are done, and of how many at most.

    Raises:
        ManifestError: If the manifest cannot be used, or holds no utterance with an alignment.
        TextError: If the vocabulary lacks a character.
        AudioError: If audio cannot be read.
    """
    torch.manual_seed(0)
    config = replace(config, encoder=replace(config.encoder, dropout=0.0))
    batch = shortest(config, manifest, num_utterances)
    model = SpeechModel(config)
    measure_features(model, batch)
    optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, weight_decay=0.0)
    for step in range(1, max_steps + 1):
        loss = loss_of(model.train(), batch)
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        on_step(step, max_steps)
        if step % STEPS_BETWEEN_LOOKS == 0 or step == max_steps:
            outcome = examine(model.eval(), batch, step, float(loss.detach()))
            if not outcome.errors:
                break
    return outcome


def shortest(config: ModelConfig, manifest: Path, num_utterances: int) -> SpeechBatch:
    """Load the shortest utterances that have an alignment, of the first thousand; errors as ``overfit``."""
    data = SpeechDataModule(
        str(manifest.parent), train=manifest.name, sample_rate=config.features.sample_rate, num_workers=0
    )
    first = (cut for _, cut in zip(range(NUM_LOOKED_AT), data.checked_cuts("train"), strict=False))
    usable = [cut for cut in first if has_alignment(cut, config, f"{manifest}: utterance {cut.id}")]
    if not usable:
        raise ManifestError(f"{manifest}: no utterance has more frames than its target needs")
    by_duration = sorted(usable, key=lambda cut: cut.duration)
    first_of_text = {cut_text(cut): cut.id for cut in reversed(by_duration)}
    # Different texts come first: ten times the same is learnt by saying it always.
    by_duration.sort(key=lambda cut: first_of_text[cut_text(cut)] != cut.id)
    chosen = by_duration[:num_utterances]
    batch = Utterances(config.features.sample_rate)[CutSet.from_cuts(chosen)]
    for reason in filter(None, batch.unreadable):
        raise AudioError(reason)
    return batch


def measure_features(model: SpeechModel, batch: SpeechBatch) -> None:
    """Set the statistics of the features where they are normalised by those of the data."""
    if model.config.features.normalization == "global":
        with torch.no_grad():
            values, lengths = model.features.unnormalized(batch.waveform, batch.waveform_lengths)
            mask = frame_mask(lengths, values.shape[1])
            mean, variance = masked_mean_and_variance(values, mask, dims=(0, 1))
        model.features.set_statistics(mean.flatten(), variance.flatten())


def loss_of(model: SpeechModel, batch: SpeechBatch) -> Tensor:
    """Compute the loss of all utterances."""
    vocabulary = model.config.vocabulary
    log_probs, output_lengths = model(batch.waveform, batch.waveform_lengths)
    ids = [torch.tensor(vocabulary.encode(text)) for text in batch.texts]
    if vocabulary.blank is None:
        return torch.nn.functional.nll_loss(log_probs, torch.cat(ids))
    targets = torch.nn.utils.rnn.pad_sequence(ids, batch_first=True)
    lengths = torch.tensor([len(target) for target in ids])
    return ctc_loss(log_probs, output_lengths, targets, lengths, blank=vocabulary.blank).loss


def examine(model: SpeechModel, batch: SpeechBatch, num_steps: int, loss: float) -> Overfit:
    """Count the errors of the network's answers."""
    references = [model.config.vocabulary.normalize(text) for text in batch.texts]
    counts, wrong = [], []
    for name, reference, answer in zip(batch.utterances, references, answers_of(model, batch), strict=True):
        counts.append(word_errors(reference, answer))
        if answer != reference:
            wrong.append((name, reference, answer))
    return Overfit(
        num_utterances=len(references),
        num_steps=num_steps,
        loss=loss,
        errors=sum(count.errors for count in counts),
        total=sum(count.reference_length for count in counts),
        wrong=tuple(wrong),
    )


def answers_of(model: SpeechModel, batch: SpeechBatch) -> list[str]:
    """Decode greedily, or name the best label."""
    with torch.no_grad():
        log_probs, output_lengths = model(batch.waveform, batch.waveform_lengths)
    vocabulary = model.config.vocabulary
    if vocabulary.blank is None:
        return [vocabulary.decode([index]) for index in log_probs.argmax(-1).tolist()]
    return [h.text for h in greedy_decode(log_probs.numpy(), output_lengths.numpy(), vocabulary)]
