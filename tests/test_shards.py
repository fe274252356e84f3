"""Shards: what goes in comes out, once, in an order that seed, epoch and rank decide, from wherever they are."""

import functools
import http.server
import itertools
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pytest
import soundfile
import torch
from corpora import make_data, make_task, write_corpus
from moto.server import ThreadedMotoServer
from trainers import Stop, assert_same_weights, make_trainer, weights

from speechrnn.cli.main import main
from speechrnn.errors import ConfigError, ManifestError, TextError
from speechrnn.training import shard_reader
from speechrnn.training.data import SpeechDataModule
from speechrnn.training.shard_plan import ShardBatch, ShardPlan, halve_largest, share_out
from speechrnn.training.shard_reader import ShardFolder
from speechrnn.training.shards import INDEX, ShardIndex, write_shards
from speechrnn.training.utterances import ShardUtterances

# Lhotse leaves the tars to the garbage collector to close.
pytestmark = [
    pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    # Lightning's advice, and its use of a torch function that torch is about to rename.
    pytest.mark.filterwarnings("ignore:.*does not have many workers.*"),
    pytest.mark.filterwarnings("ignore:.*number of training batches.*"),
    pytest.mark.filterwarnings("ignore:.*LeafSpec.*:FutureWarning"),
    pytest.mark.filterwarnings("ignore:Trying to infer the .batch_size.*"),
]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eleven clips, and all of them again as four shards."""
    root = write_corpus(tmp_path_factory.mktemp("corpus"))
    write_shards(make_data(root).cuts("train"), root / "shards", shard_size=3)
    return root


@pytest.fixture
def server(corpus: Path) -> Iterator[tuple[str, list[str]]]:
    """Serve the corpus over HTTP; gives its address and the list of what is asked for."""
    asked: list[str] = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            if self.command == "GET":
                asked.append(self.path.rpartition("/")[2])

    handler = functools.partial(Handler, directory=str(corpus))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as httpd:
        thread = threading.Thread(target=httpd.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{httpd.server_port}", asked
        httpd.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def bucket(corpus: Path) -> Iterator[str]:
    """Keep the shards in object storage on this machine; gives their address."""
    storage_server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    storage_server.start()
    host, port = storage_server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        patch.setenv("AWS_ACCESS_KEY_ID", "key")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        storage = fsspec.filesystem("s3")
        storage.mkdir("corpora")
        storage.put(str(corpus / "shards"), "corpora/", recursive=True)
        yield "s3://corpora/shards"
    storage_server.stop()


def sharded(corpus: Path, **options: Any) -> SpeechDataModule:
    return make_data(corpus, **({"train": "shards"} | options))


def plan(corpus: Path, **options: Any) -> ShardPlan:
    return ShardPlan(ShardFolder(str(corpus / "shards")), **({"max_batch_s": 2.0, "seed": 0} | options))


def synthetic_folder(counts: list[int], *, duration_s: float = 1.0) -> Any:
    class Folder:
        index = ShardIndex(
            counts=np.array(counts),
            sizes=np.zeros((len(counts), 2), dtype=np.int64),
            durations=np.full(sum(counts), duration_s, dtype=np.float32),
            characters="",
        )

    return Folder()


def test_audio_texts_and_speakers_come_back_as_they_went_in(corpus: Path) -> None:
    folder = ShardFolder(str(corpus / "shards"))
    cuts = {cut.id: cut for shard in range(4) for cut in folder.cuts(shard)}
    assert sorted(cuts) == sorted(f"u{number}" for number in range(11))
    for original in make_data(corpus).cuts("train"):
        copy = cuts[original.id]
        assert np.array_equal(copy.load_audio(), original.load_audio())  # 16 bits as FLAC lose nothing
        assert copy.supervisions[0].text == original.supervisions[0].text
        assert copy.supervisions[0].speaker == original.supervisions[0].speaker


def test_shards_are_shuffled_and_about_as_large_as_each_other(corpus: Path) -> None:
    folder = ShardFolder(str(corpus / "shards"))
    assert folder.index.counts.tolist() == [3, 3, 3, 2]
    names = [cut.id for shard in range(4) for cut in folder.manifest_cuts(shard)]
    assert names != sorted(names, key=lambda name: int(name[1:]))
    assert folder.index.characters == " abc"


def test_a_part_of_a_recording_is_packed_alone(corpus: Path, tmp_path: Path) -> None:
    [cut, *_] = make_data(corpus).cuts("train")
    part = cut.truncate(offset=0.1, duration=0.2)
    write_shards([part], tmp_path / "part")
    [packed] = ShardFolder(str(tmp_path / "part")).cuts(0)
    assert np.array_equal(packed.load_audio(), part.load_audio())
    assert packed.recording.num_samples == 1600  # 0.2 s at 8 kHz


@pytest.mark.parametrize("world_size", [1, 2, 3, 4])
@pytest.mark.parametrize("num_streams", [1, 3])
def test_an_epoch_holds_each_utterance_once_and_as_many_batches_for_all(
    corpus: Path, world_size: int, num_streams: int
) -> None:
    shares = [
        list(plan(corpus, shuffle=True, rank=rank, world_size=world_size, num_streams=num_streams))
        for rank in range(world_size)
    ]
    assert len({len(share) for share in shares}) == 1
    drawn = [(batch.shard, member) for share in shares for batch in share for member in batch.members]
    assert sorted(drawn) == [(s, m) for s, count in enumerate([3, 3, 3, 2]) for m in range(count)]


def test_the_order_follows_from_seed_and_epoch(corpus: Path) -> None:
    first = list(plan(corpus, shuffle=True, epoch=1))
    assert list(plan(corpus, shuffle=True, epoch=1)) == first
    others = [list(plan(corpus, shuffle=True, epoch=epoch)) for epoch in range(2, 5)]
    others += [list(plan(corpus, shuffle=True, epoch=1, seed=1))]
    assert all(other != first for other in others)


def test_batches_keep_to_their_seconds(corpus: Path) -> None:
    folder = ShardFolder(str(corpus / "shards"))
    for batch in plan(corpus, shuffle=True):
        durations = folder.index.durations_of(batch.shard)[list(batch.members)]
        assert durations.sum() <= 2.0 or len(durations) == 1


def test_streams_take_turns_so_that_a_shard_stays_in_one_worker() -> None:
    # Four shards of two batches of one utterance each, two streams: shards 0 and 2, shards 1 and 3.
    batches = list(ShardPlan(synthetic_folder([2] * 4), max_batch_s=1.0, seed=0, num_streams=2))
    assert [batch.shard for batch in batches] == [0, 1, 0, 1, 2, 3, 2, 3]


def test_a_process_with_fewer_batches_halves_its_largest() -> None:
    # Three shards of four utterances, two to a batch: 4 batches against 2, which become 4 of one each.
    shares = [
        list(ShardPlan(synthetic_folder([4] * 3), max_batch_s=2.0, seed=0, rank=rank, world_size=2))
        for rank in (0, 1)
    ]
    assert [len(batch.members) for batch in shares[0]] == [2, 2, 2, 2]
    assert [len(batch.members) for batch in shares[1]] == [1, 1, 1, 1]


def test_halving_takes_the_largest_first() -> None:
    batches = halve_largest([np.arange(5), np.arange(5, 7)], 2)
    assert sorted(len(batch) for batch in batches) == [1, 2, 2, 2]  # 5 → 2 + 3 → 2 + 1 + 2
    assert sorted(np.concatenate(batches).tolist()) == list(range(7))


def test_sharing_out_gives_no_place_more_than_it_can_take() -> None:
    assert share_out(7, np.array([0, 1, 10])).tolist() == [0, 1, 6]
    assert share_out(6, np.array([9, 9, 9])).tolist() == [2, 2, 2]


def test_more_processes_than_shards_are_refused(corpus: Path) -> None:
    with pytest.raises(ManifestError, match="4 shards cannot be shared by 5 processes"):
        plan(corpus, world_size=5)


def test_a_process_that_cannot_keep_up_is_refused() -> None:
    with pytest.raises(ManifestError, match="a process has 1 utterances where another has 4 batches"):
        ShardPlan(synthetic_folder([4, 1]), max_batch_s=1.0, seed=0, world_size=2)


def test_a_resumed_epoch_goes_on_behind_what_was_done(corpus: Path) -> None:
    batches = plan(corpus, shuffle=True)
    whole = list(batches)
    batches.num_done = 3
    assert list(batches) == whole[3:]
    assert len(batches) == len(whole)


@pytest.mark.parametrize("num_workers", [0, 2])
def test_the_loader_gives_the_utterances_of_the_plan(corpus: Path, num_workers: int) -> None:
    data = sharded(corpus, num_workers=num_workers)
    batches = list(data.train_dataloader())
    names = [name for batch in batches for name in batch.utterances]
    assert sorted(names) == sorted(f"u{number}" for number in range(11))
    lengths = {
        name: int(n) for b in batches for name, n in zip(b.utterances, b.waveform_lengths, strict=True)
    }
    assert lengths["u4"] == 3000 + 4 * 700


@pytest.mark.parametrize("num_workers", [(0, 0), (2, 1), (0, 2)])
def test_training_on_shards_goes_on_in_mid_epoch_as_if_nothing_had_happened(
    corpus: Path, tmp_path: Path, num_workers: tuple[int, int]
) -> None:
    before, now = num_workers
    whole = make_task()
    saved = tmp_path / "saved.ckpt"
    planned = sharded(corpus, num_workers=before)
    make_trainer(tmp_path / "a", max_epochs=2, callbacks=[Stop(8, saved)]).fit(whole, datamodule=planned)
    resumed = make_task()
    trainer = make_trainer(tmp_path / "b", max_epochs=2)
    trainer.fit(resumed, datamodule=sharded(corpus, num_workers=now), ckpt_path=saved, weights_only=True)
    assert_same_weights(weights(resumed), weights(whole))


def test_an_epoch_keeps_its_streams_and_the_next_has_those_of_the_workers(corpus: Path) -> None:
    data = sharded(corpus, num_workers=0)
    data.load_state_dict({"epoch": 0, "num_done": 3, "follows_from": {}, "num_streams": 2})
    loader = data.train_dataloader()
    drawn = [(batch.shard, batch.members) for batch in loader.sampler]
    assert drawn == list(plan(corpus, shuffle=True, num_streams=2))[3:]
    assert isinstance(loader.dataset, ShardUtterances)
    assert loader.dataset.num_kept == 3  # both streams' and one more, all being read by one process
    assert data.state_dict()["num_streams"] == 2
    data.load_state_dict({"epoch": 0, "num_done": 0, "follows_from": {}, "num_streams": 2})
    assert list(data.train_dataloader().sampler) == list(plan(corpus, shuffle=True, num_streams=1))


def test_a_vocabulary_that_lacks_a_character_of_any_shard_is_refused_at_once(
    corpus: Path, tmp_path: Path
) -> None:
    cuts = list(make_data(corpus).cuts("train"))
    cuts[-1].supervisions[0].text = "q"
    write_shards(cuts, tmp_path / "shards", shard_size=3)
    data = sharded(corpus, train=str(tmp_path / "shards"))
    with pytest.raises(TextError, match=r"shards: the vocabulary of .* has no character 'q'"):
        make_trainer(tmp_path).fit(make_task(), datamodule=data)


def test_shards_of_nothing_but_unusable_utterances_are_refused(corpus: Path, tmp_path: Path) -> None:
    cuts = list(make_data(corpus).cuts("train"))
    for cut in cuts:
        cut.supervisions[0].text = "ab" * 100
    write_shards(cuts, tmp_path / "shards")
    data = sharded(corpus, train=str(tmp_path / "shards"))
    with pytest.raises(ManifestError, match="no utterance of the first shard has more frames"):
        make_trainer(tmp_path).fit(make_task(), datamodule=data)


# ---- From elsewhere -----------------------------------------------------------------------------


def test_shards_on_a_web_server_are_the_same(corpus: Path, server: tuple[str, list[str]]) -> None:
    address, _ = server
    here = [batch.utterances for batch in sharded(corpus).train_dataloader()]
    there = sharded(corpus, train=f"{address}/shards", num_workers=1)
    assert [batch.utterances for batch in there.train_dataloader()] == here
    assert [b.utterances for b in make_data(address, train="shards").train_dataloader()] == here  # type: ignore[arg-type]


@pytest.mark.parametrize("num_workers", [0, 1])
def test_shards_in_object_storage_are_the_same(corpus: Path, bucket: str, num_workers: int) -> None:
    here = list(sharded(corpus).train_dataloader())
    there = list(sharded(corpus, train=bucket, num_workers=num_workers).train_dataloader())
    assert [batch.utterances for batch in there] == [batch.utterances for batch in here]
    assert all(torch.equal(a.waveform, b.waveform) for a, b in zip(there, here, strict=True))


def test_what_is_not_in_object_storage_is_named(bucket: str) -> None:
    with pytest.raises(ManifestError, match=r"s3://corpora/elsewhere/index.npz: no such file"):
        ShardFolder("s3://corpora/elsewhere")


def test_a_cache_fetches_each_file_once(corpus: Path, server: tuple[str, list[str]], tmp_path: Path) -> None:
    address, asked = server
    for _, shard in itertools.product(range(2), range(4)):
        ShardFolder(f"{address}/shards", cache=tmp_path).cuts(shard)
    fetched = [name for name in asked if name != INDEX]
    assert len(fetched) == len(set(fetched)) == 8
    truncated = next(tmp_path.rglob("recording.000001.tar"))
    truncated.write_bytes(truncated.read_bytes()[:100])
    assert len(ShardFolder(f"{address}/shards", cache=tmp_path).cuts(1)) == 3  # fetched again


def test_without_a_cache_nothing_is_left_behind(
    corpus: Path, server: tuple[str, list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    ShardFolder(f"{server[0]}/shards").cuts(0)
    assert not list(tmp_path.iterdir())


def test_what_is_not_there_is_named(server: tuple[str, list[str]], tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"http://.*/elsewhere/index.npz: no such file"):
        ShardFolder(f"{server[0]}/elsewhere")
    with pytest.raises(ManifestError, match=r"index.npz: no such file; `speechrnn prepare shards`"):
        ShardFolder(str(tmp_path))


def test_a_file_that_fails_is_fetched_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []
    results = iter([OSError("reset"), OSError("reset"), None])

    def copy(address: str, path: Path, size: int | None) -> None:
        result = next(results)
        if result is not None:
            raise result

    monkeypatch.setattr(shard_reader, "copy", copy)
    monkeypatch.setattr("time.sleep", waited.append)
    shard_reader.fetch("http://x/y", tmp_path / "y", None)
    assert waited == [1, 2]


def test_a_file_that_goes_on_failing_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def copy(address: str, path: Path, size: int | None) -> None:
        raise OSError("got 3 of 5 bytes")

    monkeypatch.setattr(shard_reader, "copy", copy)
    monkeypatch.setattr("time.sleep", lambda _: None)
    with pytest.raises(ManifestError, match=r"http://x/y: cannot be fetched \(5 attempts\): got 3 of 5"):
        shard_reader.fetch("http://x/y", tmp_path / "y", None)


def test_a_missing_package_is_named_with_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def copy(address: str, path: Path, size: int | None) -> None:
        raise ImportError("Install s3fs")

    monkeypatch.setattr(shard_reader, "copy", copy)
    with pytest.raises(ManifestError, match=r'pip install "speechrnn\[s3\]"'):
        shard_reader.fetch("s3://x/y", tmp_path / "y", None)
    with pytest.raises(ManifestError, match="gs://x/y: a package to read it with is missing; Install s3fs"):
        shard_reader.fetch("gs://x/y", tmp_path / "y", None)


def test_a_short_answer_is_noticed(server: tuple[str, list[str]], tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"got \d+ of 1 bytes"):
        shard_reader.copy(f"{server[0]}/shards/{INDEX}", tmp_path / "x", 1)


# ---- Damage -------------------------------------------------------------------------------------


def test_damaged_shards_are_named(corpus: Path, tmp_path: Path) -> None:
    write_shards(make_data(corpus).cuts("train"), tmp_path / "s", shard_size=3)
    tar = tmp_path / "s" / "recording.000001.tar"
    whole = tar.read_bytes()
    tar.write_bytes(whole[:-512])
    with pytest.raises(ManifestError, match=r"recording.000001.tar: has \d+ bytes, the index says \d+"):
        ShardFolder(str(tmp_path / "s")).cuts(1)
    tar.write_bytes(b"x" * len(whole))
    with pytest.raises(ManifestError, match="shard 1 cannot be read"):
        ShardFolder(str(tmp_path / "s")).cuts(1)
    tar.unlink()
    with pytest.raises(ManifestError, match=r"recording.000001.tar: no such file"):
        ShardFolder(str(tmp_path / "s")).cuts(1)


def test_a_shard_with_fewer_utterances_than_the_index_says_is_named(corpus: Path) -> None:
    folder = ShardFolder(str(corpus / "shards"))
    folder.index.counts[0] = 4
    with pytest.raises(ManifestError, match="shard 0 holds 3 utterances, the index says 4"):
        folder.cuts(0)


@pytest.mark.parametrize("content", [b"", b"not an index"])
def test_a_damaged_index_is_named(content: bytes, tmp_path: Path) -> None:
    (tmp_path / INDEX).write_bytes(content)
    with pytest.raises(ManifestError, match=r"index.npz: not the index of a folder of shards"):
        ShardFolder(str(tmp_path))


def test_an_index_whose_numbers_do_not_add_up_is_named(tmp_path: Path) -> None:
    arrays = {"counts": np.array([3]), "sizes": np.zeros((1, 2)), "durations": np.zeros(2)}
    np.savez(tmp_path / INDEX, characters=np.array("a"), **arrays)  # type: ignore[arg-type]
    with pytest.raises(ManifestError, match="its numbers do not add up"):
        ShardFolder(str(tmp_path))


# ---- Writing ------------------------------------------------------------------------------------


def test_nothing_is_overwritten_unless_asked(corpus: Path, tmp_path: Path) -> None:
    cuts = list(make_data(corpus).cuts("train"))
    target = tmp_path / "shards"
    write_shards(cuts, target)
    with pytest.raises(ManifestError, match="exists already; --overwrite replaces it"):
        write_shards(cuts, target)
    write_shards(cuts[:2], target, overwrite=True)
    assert ShardFolder(str(target)).index.counts.tolist() == [2]
    other = tmp_path / "other"
    other.mkdir()
    with pytest.raises(ManifestError, match="exists already, and holds no shards"):
        write_shards(cuts, other, overwrite=True)


def test_a_failure_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="there are no utterances to write"):
        write_shards([], tmp_path / "shards")
    with pytest.raises(ConfigError, match="shard_size must be > 0, got 0"):
        write_shards([], tmp_path / "shards", shard_size=0)
    assert not list(tmp_path.iterdir())


def test_a_place_that_cannot_be_written_is_named(corpus: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ManifestError, match="cannot be written"):
        write_shards(make_data(corpus).cuts("train"), tmp_path / "file" / "shards")


def test_the_command_packs_a_manifest_and_leaves_out_what_cannot_be_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_corpus(tmp_path, num_utterances=4)
    (tmp_path / "u2.wav").write_bytes(b"no audio")
    arguments = ["prepare", "shards", str(tmp_path / "train.jsonl.gz"), str(tmp_path / "shards")]
    assert main([*arguments, "--shard-size", "2", "--audio", "wav"]) == 1
    output = capsys.readouterr()
    assert "shards: 3 utterances in 2 shards" in output.out
    assert "left out: 1" in output.out
    assert "utterance 'u2': cannot be read" in output.err
    assert main([*arguments, "--overwrite", "--shard-size", "0"]) == 1
    assert "shard_size must be > 0" in capsys.readouterr().err


def test_nothing_readable_is_an_error(tmp_path: Path) -> None:
    write_corpus(tmp_path, num_utterances=1)
    cuts = list(make_data(tmp_path).cuts("train"))
    (tmp_path / "u0.wav").unlink()
    with pytest.raises(ManifestError, match="no utterance whose audio can be read"):
        write_shards(cuts, tmp_path / "shards")


def test_two_channels_stay_two(tmp_path: Path) -> None:
    from speechrnn.manifest import Utterance
    from speechrnn.training.cuts import utterances_to_cuts

    soundfile.write(tmp_path / "two.wav", np.linspace([0, 0.5], [0.5, 0], 800), 8000)
    cuts = list(utterances_to_cuts([Utterance(id="two", audio=tmp_path / "two.wav", text="a")]))
    write_shards(cuts, tmp_path / "shards")
    [packed] = ShardFolder(str(tmp_path / "shards")).cuts(0)
    assert np.array_equal(packed.load_audio(), cuts[0].load_audio())
    assert ShardBatch(0, (0,)).members == (0,)
