"""The whole network: answers that do not depend on the batch, lengths, pooling, and learning."""

import itertools
from typing import Any

import pytest
import torch
from networks import CHARACTERS, LABELS, make_config, make_model, noise

from speechrnn.decoding import greedy_decode
from speechrnn.errors import ConfigError
from speechrnn.nn.config import EncoderConfig, HeadConfig, ModelConfig
from speechrnn.nn.ctc_loss import ctc_loss
from speechrnn.nn.heads import BLANK_BIAS, ClassificationHead
from speechrnn.nn.model import SpeechModel

EVERY_ENCODER = list(itertools.product(["rnn", "gru", "lstm"], [False, True], ["none", "layer", "batch"]))
LENGTHS = torch.tensor([6000, 2500, 256])


@pytest.mark.parametrize(("cell", "bidirectional", "norm"), EVERY_ENCODER)
@pytest.mark.parametrize("subsampling", [1, 2, 4])
def test_log_probs_alone_equal_those_in_a_batch(
    cell: str, bidirectional: bool, norm: str, subsampling: int
) -> None:
    encoder = {"cell": cell, "bidirectional": bidirectional, "norm": norm, "subsampling": subsampling}
    model = make_model(encoder=encoder)
    waveform = noise(3, 6000)
    together, frames = model(waveform, LENGTHS)
    for index, length in enumerate(LENGTHS):
        alone, [count] = model(waveform[index : index + 1, :length], LENGTHS[index : index + 1])
        assert count == frames[index] == model.config.num_outputs(int(length))
        torch.testing.assert_close(together[index, :count], alone[0, :count], atol=1e-5, rtol=0)


@pytest.mark.parametrize("pooling", ["last", "mean", "max", "attention"])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_a_clip_is_classified_alone_as_in_a_batch(pooling: str, bidirectional: bool) -> None:
    model = make_model("classification", pooling=pooling, encoder={"bidirectional": bidirectional})
    waveform = noise(3, 6000)
    together, _ = model(waveform, LENGTHS)
    assert together.shape == (3, len(LABELS))
    for index, length in enumerate(LENGTHS):
        alone, _ = model(waveform[index : index + 1, :length], LENGTHS[index : index + 1])
        torch.testing.assert_close(together[index], alone[0], atol=1e-5, rtol=0)


@pytest.mark.parametrize("task", ["ctc", "classification"])
def test_log_probs_are_normalised(task: str) -> None:
    log_probs, _ = make_model(task)(noise(1, 4000), torch.tensor([4000]))
    torch.testing.assert_close(log_probs.exp().sum(-1), torch.ones(log_probs.shape[:-1]))


@pytest.mark.parametrize(
    ("pooling", "expected"),
    [("mean", [2.0, 3.0, 4.0, 5.0]), ("max", [3.0, 4.0, 5.0, 6.0]), ("last", [3.0, 4.0, 3.0, 4.0])],
)
def test_pooling_by_hand(pooling: Any, expected: list[float]) -> None:
    # Two real frames and one of padding; "last" takes the forward half (2) of the final frame and the
    # backward half of the first.
    encoder = EncoderConfig(hidden_size=2)
    head = ClassificationHead(HeadConfig(pooling=pooling), encoder, 3)
    encoded = torch.tensor([[[1.0, 2.0, 3.0, 4.0], [3.0, 4.0, 5.0, 6.0], [9.0, 9.0, 9.0, 9.0]]])
    assert head.pool(encoded, torch.tensor([2])).tolist() == [expected]


def test_attention_pooling_weighs_real_frames_only() -> None:
    head = ClassificationHead(HeadConfig(pooling="attention"), EncoderConfig(hidden_size=1), 3)
    assert head.attention is not None
    with torch.no_grad():
        head.attention.weight.copy_(torch.tensor([[1.0, 0.0]]))
        head.attention.bias.zero_()
    encoded = torch.tensor([[[0.0, 4.0], [torch.log(torch.tensor(3.0)), 8.0], [50.0, 50.0]]])
    # Scores 0 and ln 3 are weights 1/4 and 3/4: 4/4 + 3 * 8/4 = 7.
    assert head.pool(encoded, torch.tensor([2]))[0, 1].item() == pytest.approx(7.0)


def test_a_clip_without_a_frame_gives_no_nan() -> None:
    for pooling in ("last", "mean", "max", "attention"):
        log_probs, [count] = make_model("classification", pooling=pooling)(
            torch.zeros(1, 100), torch.tensor([100])
        )
        assert count == 0
        assert log_probs.isfinite().all()


@pytest.mark.parametrize(
    ("num_frames", "factor", "expected"),
    [(7, 1, 7), (7, 2, 4), (8, 2, 4), (9, 4, 3), (8, 4, 2), (1, 4, 1), (0, 2, 0)],
)
def test_output_lengths_are_halved_and_rounded_up(num_frames: int, factor: Any, expected: int) -> None:
    assert EncoderConfig(subsampling=factor).num_outputs(num_frames) == expected


def test_the_blank_begins_unlikely() -> None:
    model = SpeechModel(make_config())
    assert model.head.output.bias[0].item() == BLANK_BIAS


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_four_utterances_can_be_learnt_by_heart(cell: str, bidirectional: bool) -> None:
    torch.manual_seed(0)
    encoder = {"cell": cell, "bidirectional": bidirectional, "hidden_size": 24, "conv_channels": 8}
    model = SpeechModel(make_config(encoder=encoder))
    texts = ["ab", "c a", "bb", "cab"]
    waveform, lengths = noise(4, 4000), torch.tensor([4000, 3500, 3000, 4000])
    ids = [torch.tensor(CHARACTERS.encode(text)) for text in texts]
    targets = torch.nn.utils.rnn.pad_sequence(ids, batch_first=True)
    target_lengths = torch.tensor([len(target) for target in ids])
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(150):
        log_probs, output_lengths = model(waveform, lengths)
        loss = ctc_loss(log_probs, output_lengths, targets, target_lengths, blank=0).loss
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    log_probs, output_lengths = model.eval()(waveform, lengths)
    hypotheses = greedy_decode(log_probs.detach().numpy(), output_lengths.numpy(), CHARACTERS)
    assert [hypothesis.text for hypothesis in hypotheses] == texts


def test_a_configuration_survives_as_plain_data() -> None:
    config = make_config("classification", pooling="mean", features={"kind": "mfcc", "deltas": 2})
    assert ModelConfig.from_dict(config.to_dict()) == config


def test_an_unknown_key_is_refused_with_the_nearest_one() -> None:
    plain = make_config().to_dict()
    plain["encoder"]["hiden_size"] = plain["encoder"].pop("hidden_size")
    with pytest.raises(
        ConfigError, match=r"encoder.hiden_size does not exist; did you mean encoder.hidden_size"
    ):
        ModelConfig.from_dict(plain)


def test_a_missing_part_is_named() -> None:
    plain = make_config().to_dict()
    del plain["head"]
    with pytest.raises(ConfigError, match="config lacks head"):
        ModelConfig.from_dict(plain)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"task": "ctc", "vocabulary": LABELS}, "vocabulary.unit"),
        ({"task": "classification", "vocabulary": CHARACTERS}, "vocabulary.unit"),
        ({"task": "asr", "vocabulary": CHARACTERS}, "task must be ctc or classification, got 'asr'"),
    ],
)
def test_parts_that_do_not_fit_are_refused(options: Any, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        ModelConfig(**options)


def test_last_pooling_needs_directions_that_can_be_told_apart() -> None:
    with pytest.raises(ConfigError, match="head.pooling must be mean, max or attention"):
        make_config("classification", encoder={"projection_size": 4}, pooling="last")


def test_an_unknown_pooling_is_refused() -> None:
    with pytest.raises(ConfigError, match="head.pooling must be last, mean, max or attention, got 'sum'"):
        HeadConfig(pooling="sum")  # type: ignore[arg-type]
