"""Batches: each utterance once, the same plan for the same epoch, equal counts on all ranks."""

import gzip
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from corpora import make_data, write_corpus

from speechrnn.errors import ConfigError, ManifestError
from speechrnn.training.batch_plan import BatchPlan
from speechrnn.training.data import SpeechDataModule
from speechrnn.training.utterances import Utterances


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_corpus(tmp_path_factory.mktemp("corpus"))


def plan(data: SpeechDataModule, **options: int | bool) -> list[list[str]]:
    batches = BatchPlan(
        data.cuts("train"),
        max_batch_s=data.max_batch_s,
        num_buckets=data.num_buckets,
        seed=data.seed,
        **options,  # type: ignore[arg-type]
    )
    return [[cut.id for cut in batch] for batch in batches]


def test_an_epoch_holds_each_utterance_once(corpus: Path) -> None:
    batches = plan(make_data(corpus), shuffle=True)
    assert sorted(name for batch in batches for name in batch) == sorted(f"u{n}" for n in range(11))


def test_batches_keep_to_their_seconds(corpus: Path) -> None:
    data = make_data(corpus)
    for batch in BatchPlan(data.cuts("train"), max_batch_s=2.0, num_buckets=3, seed=0):
        durations = [cut.duration for cut in batch]
        assert sum(durations) - max(durations) <= 2.0  # all but the last one fit


def test_the_plan_follows_from_seed_and_epoch_alone(corpus: Path) -> None:
    data = make_data(corpus)
    first = plan(data, epoch=1, shuffle=True)
    assert plan(data, epoch=1, shuffle=True) == first
    assert any(plan(data, epoch=epoch, shuffle=True) != first for epoch in range(2, 6))


@pytest.mark.parametrize("world_size", [1, 2, 3, 4, 7])
def test_ranks_share_the_epoch_in_equal_numbers_of_batches(corpus: Path, world_size: int) -> None:
    data = make_data(corpus)
    shares = [plan(data, shuffle=True, rank=rank, world_size=world_size) for rank in range(world_size)]
    assert len({len(share) for share in shares}) == 1
    names = [name for share in shares for batch in share for name in batch]
    assert sorted(names) == sorted(f"u{n}" for n in range(11))


def test_more_processes_than_utterances_are_refused(corpus: Path) -> None:
    with pytest.raises(ManifestError, match="11 utterances cannot be shared by 12 processes"):
        plan(make_data(corpus), world_size=12)


def test_a_batch_is_padded_with_zeros_and_knows_its_lengths(corpus: Path) -> None:
    cuts = list(make_data(corpus).cuts("train"))
    from lhotse import CutSet

    batch = Utterances(8000)[CutSet.from_cuts([cuts[0], cuts[5]])]
    assert batch.waveform_lengths.tolist() == [3000, 6500]
    assert batch.waveform.shape == (2, 6500)
    assert not batch.waveform[0, 3000:].any()
    expected, _ = soundfile.read(corpus / "u0.wav", dtype="float32")
    np.testing.assert_allclose(batch.waveform[0, :3000].numpy(), expected, atol=1e-6)
    assert (batch.texts, batch.utterances, batch.speakers) == (["ab", "b c"], ["u0", "u5"], ["s0", "s1"])


def test_clips_are_brought_to_the_models_rate(corpus: Path) -> None:
    data = make_data(corpus, sample_rate=16000)
    batch = next(iter(data.val_dataloader()))
    cuts = {cut.id: cut for cut in data.cuts("dev")}
    assert batch.waveform_lengths.tolist() == [
        round(cuts[name].duration * 16000) for name in batch.utterances
    ]


def test_workers_give_the_same_batches(corpus: Path) -> None:
    alone = [batch.utterances for batch in make_data(corpus).val_dataloader()]
    assert [batch.utterances for batch in make_data(corpus, num_workers=1).val_dataloader()] == alone


def test_kept_audio_is_read_once_and_is_the_same(tmp_path: Path) -> None:
    write_corpus(tmp_path)
    data = make_data(tmp_path, keep_audio=True)
    first = {batch.utterances[0]: batch.waveform for batch in data.val_dataloader()}
    for path in tmp_path.glob("*.wav"):
        path.unlink()
    again = {batch.utterances[0]: batch.waveform for batch in data.val_dataloader()}
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert all(next(iter(data.train_dataloader())).unreadable)  # another split's audio is not kept


def test_a_missing_manifest_is_named(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"train.jsonl.gz: no such manifest; make it with"):
        make_data(tmp_path).cuts("train")


@pytest.mark.parametrize(
    ("text", "said"), [("", "holds no utterance"), ("not json\n", "train.jsonl.gz:1: not a Lhotse cut")]
)
def test_an_unusable_manifest_is_named(text: str, said: str, tmp_path: Path) -> None:
    with gzip.open(tmp_path / "train.jsonl.gz", "wt") as file:
        file.write(text)
    with pytest.raises(ManifestError, match=said):
        make_data(tmp_path).cuts("train")


def test_audio_that_cannot_be_read_leaves_an_utterance_of_length_0_and_the_reason(tmp_path: Path) -> None:
    write_corpus(tmp_path, num_utterances=4)
    (tmp_path / "u1.wav").unlink()
    (tmp_path / "u2.wav").write_bytes(b"RIFF of nothing")
    soundfile.write(tmp_path / "u3.wav", np.full(5100, np.nan, dtype=np.float32), 8000, subtype="FLOAT")
    rows = {
        name: (int(batch.waveform_lengths[i]), batch.unreadable[i], batch.is_readable(i))
        for batch in make_data(tmp_path).val_dataloader()
        for i, name in enumerate(batch.utterances)
    }
    assert rows["u0"] == (3000, "", True)
    for name, said in (("u1", "cannot read .*u1.wav"), ("u2", "cannot read .*u2.wav"), ("u3", "no numbers")):
        length, reason, is_readable = rows[name]
        assert (length, is_readable) == (0, False)
        assert re.search(f"utterance '{name}': .*{said}", reason)


def test_a_batch_of_nothing_but_unreadable_audio_is_a_batch_still(tmp_path: Path) -> None:
    write_corpus(tmp_path, num_utterances=2)
    for name in ("u0", "u1"):
        (tmp_path / f"{name}.wav").write_bytes(b"")
    [batch] = make_data(tmp_path).val_dataloader()
    assert batch.waveform.shape == (2, 1)
    assert batch.waveform_lengths.tolist() == [0, 0]


@pytest.mark.parametrize(("option", "value"), [("max_batch_s", 0.0), ("num_buckets", 0), ("num_workers", -1)])
def test_a_wrong_setting_is_named(option: str, value: float, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=f"data.{option} must be"):
        SpeechDataModule(str(tmp_path), **{option: value})  # type: ignore[arg-type]


def test_a_resumed_epoch_goes_on_behind_what_was_done(corpus: Path) -> None:
    batches = BatchPlan(make_data(corpus).cuts("train"), max_batch_s=2.0, num_buckets=3, seed=0)
    whole = [[cut.id for cut in batch] for batch in batches]
    batches.num_done = 2
    assert [[cut.id for cut in batch] for batch in batches] == whole[2:]
    assert len(batches) == len(whole)
    assert torch.utils.data.Sampler in type(batches).__mro__


@pytest.mark.parametrize(
    ("option", "before", "now"),
    [
        ("data.max_batch_s", 1.5, "2.0"),
        ("data.num_buckets", 4, "3"),
        ("data.seed", 1, "0"),
        ("data.train", "others.jsonl.gz", "'train.jsonl.gz'"),
        ("the number of processes", 2, "1"),
    ],
)
def test_batches_that_would_be_others_are_not_taken_for_those_that_are_done(
    corpus: Path, option: str, before: Any, now: str
) -> None:
    data = make_data(corpus)
    follows_from = data.follows_from() | {option: before}
    within = {"epoch": 0, "num_done": 2, "follows_from": follows_from}
    data.load_state_dict(within)
    said = f"2 batches of epoch 0 are done, which followed from {option} = {before!r}, got {now}; go on with"
    with pytest.raises(ConfigError, match=re.escape(said)):
        data.train_dataloader()
    for elsewhere in ({"num_done": 0}, {"epoch": 1}):  # behind an epoch's end, all may change
        data.load_state_dict(within | elsewhere)
        assert data.train_dataloader().sampler.num_done == 0  # type: ignore[union-attr]


def test_the_first_epoch_begins_with_the_batch_that_takes_most_memory(corpus: Path) -> None:
    batches = list(
        BatchPlan(make_data(corpus).cuts("train"), max_batch_s=2.0, num_buckets=3, seed=0, shuffle=True)
    )
    sizes = [max(cut.duration for cut in batch) * len(batch) for batch in batches]
    assert sizes[0] == max(sizes)
    assert plan(make_data(corpus), epoch=1, shuffle=True) != [[cut.id for cut in batch] for batch in batches]
