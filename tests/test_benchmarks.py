"""The arithmetic of the benchmarks and the sameness of what they compare; nothing is timed here."""

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

FOLDER = Path(__file__).resolve().parents[1] / "benchmarks"
sys.path.insert(0, str(FOLDER))
timing = importlib.import_module("timing")
training_step = importlib.import_module("training_step")
transcription = importlib.import_module("transcription")
run = importlib.import_module("run")
sys.path.remove(str(FOLDER))


class FakeTime:
    """A clock that moves only when work is done."""

    def __init__(self) -> None:
        self.now = 100.0
        self.calls: list[str] = []

    def work(self, name: str, seconds: Iterator[float]) -> None:
        self.calls.append(name)
        self.now += next(seconds)

    def clock(self) -> float:
        return self.now


def time_two(a: list[float], b: list[float], *, repeats: int, warm_ups: int = 1) -> tuple[dict, list[str]]:
    fake = FakeTime()
    first, second = iter(a), iter(b)
    works = {"a": lambda: fake.work("a", first), "b": lambda: fake.work("b", second)}
    return timing.time_in_turn(works, repeats=repeats, warm_ups=warm_ups, clock=fake.clock), fake.calls


def test_rounds_alternate_and_warm_ups_do_not_count() -> None:
    seconds, calls = time_two([64.0, 4.0, 8.0], [32.0, 1.0, 2.0], repeats=2)
    assert calls == ["a", "b"] * 3
    assert seconds == {"a": [4.0, 8.0], "b": [1.0, 2.0]}


def test_the_ratio_is_that_of_the_medians_and_not_the_median_of_the_ratios() -> None:
    seconds, _ = time_two([2.0, 6.0, 12.0], [1.0, 4.0, 3.0], repeats=3, warm_ups=0)
    comparison = timing.compare("title", "a", "b", seconds)
    assert comparison.ratio == 2.0  # 6 / 3, whereas the pairs give 2, 1.5 and 4
    assert comparison.pair_ratios == [2.0, 1.5, 4.0]


@pytest.mark.parametrize(
    ("bounds", "text", "met"),
    [
        ({"at_least": 2}, "≥ 2", True),
        ({"at_least": 2.1}, "≥ 2.1", False),
        ({"at_most": 2}, "≤ 2", True),
        ({"at_most": 1.9}, "≤ 1.9", False),
    ],
)
def test_a_target_is_met_from_its_bound_on(bounds: dict[str, float], text: str, met: bool) -> None:
    target = timing.Target(**bounds)
    assert str(target) == text
    assert target.is_met_by(2.0) is met


def test_a_row_shows_medians_real_time_factors_ratio_and_verdict() -> None:
    seconds = {"a": [2.0, 6.0, 12.0], "b": [0.5, 0.25, 0.25]}
    target = timing.Target(at_least=3)
    comparison = timing.compare("title", "a", "b", seconds, target=target, audio_s=60.0)
    # medians 6 s and 0.25 s; 6 / 60 and 0.25 / 60; pairs 4, 24 and 48
    assert timing.table_row(comparison) == [
        "title", "a", "6.00 s (RTF 0.1000)", "b", "250 ms (RTF 0.0042)", "**24.00**", "4.00–48.00", "≥ 3: met",
    ]  # fmt: skip
    assert len(list(timing.table([comparison]))) == 3


@pytest.mark.parametrize("cell", ["lstm", "gru"])
@pytest.mark.parametrize("num_layers", [1, 3])
def test_both_networks_of_the_training_step_compute_the_same(cell: str, num_layers: int) -> None:
    ours, packed = training_step.make_stacks(cell, 8, num_layers)
    batch = training_step.make_batch(4, 15, 8)
    assert len(set(batch.input_lengths.tolist())) == 4
    assert batch.input_lengths.max() == 15
    training_step.check_agreement(ours, packed, batch)
    ours_step, packed_step = training_step.step(ours, batch), training_step.packed_step(packed, batch)
    torch.testing.assert_close(ours_step, packed_step, rtol=0, atol=1e-5)


def test_networks_that_differ_are_not_timed() -> None:
    ours, packed = training_step.make_stacks("gru", 8, 1)
    with torch.no_grad():
        packed.layers.bias_hh_l0_reverse += 0.01
    with pytest.raises(RuntimeError, match="output differs from torch's by"):
        training_step.check_agreement(ours, packed, training_step.make_batch(4, 15, 8))


def test_the_packed_network_gives_the_log_probs_of_ours() -> None:
    network = importlib.import_module("an4_network").make_network()
    generator = torch.Generator().manual_seed(0)
    waveform = 0.1 * torch.randn(3, 9000, generator=generator)
    lengths = torch.tensor([6000, 9000, 600])
    packed = transcription.PackedNetwork(network).eval()
    with torch.inference_mode():
        (ours, ours_lengths), (theirs, theirs_lengths) = network(waveform, lengths), packed(waveform, lengths)
    assert ours_lengths.tolist() == theirs_lengths.tolist()
    for mine, other, length in zip(ours, theirs, ours_lengths.tolist(), strict=True):
        torch.testing.assert_close(mine[:length], other[:length], rtol=0, atol=1e-5)


def test_batches_are_those_of_the_transcriber() -> None:
    clips = [torch.full((n,), 0.5).numpy() for n in (3, 1, 2)]
    [batch] = transcription.make_batches(clips, 16_000)
    assert batch.waveform_lengths.tolist() == [1, 2, 3]
    assert batch.waveform.shape == (3, 3)


@pytest.mark.parametrize("argv", [["nothing"], ["--repeats", "0"], ["--repeats", "x"]])
def test_wrong_arguments_are_refused(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_info:
        run.main(argv)
    assert exit_info.value.code == 2
    assert "error:" in capsys.readouterr().err


def test_a_run_of_all_writes_the_results_and_a_run_of_one_does_not(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def measure(*, repeats: int) -> list[object]:
        seconds = {"a": [4.0] * repeats, "b": [2.0] * repeats}
        return [timing.compare("title", "a", "b", seconds)]

    monkeypatch.setattr(run, "RESULTS", tmp_path / "RESULTS.md")
    monkeypatch.setattr(run, "BENCHMARKS", {n: (n.title(), 5, measure) for n in ("one", "two")})
    run.main(["one", "--repeats", "2"])
    assert "`one`, rounds: 2" in capsys.readouterr().out
    assert not run.RESULTS.exists()
    run.main([])
    written = run.RESULTS.read_text()
    assert written.startswith("# Benchmarks\n")
    assert [line for line in written.splitlines() if line.startswith("## ")] == ["## One", "## Two"]
    assert written == run.INTRODUCTION + "\n" + capsys.readouterr().out
