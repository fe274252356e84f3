"""The arithmetic of the benchmarks and the sameness of what they compare; nothing is timed here."""

import importlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from speechrnn.metrics import ErrorCounts
from speechrnn.text import Vocabulary

FOLDER = Path(__file__).resolve().parents[1] / "benchmarks"
sys.path.insert(0, str(FOLDER))
timing = importlib.import_module("timing")
training_step = importlib.import_module("training_step")
transcription = importlib.import_module("transcription")
an4_task = importlib.import_module("an4_task")
decoders = importlib.import_module("decoders")
decoding = importlib.import_module("decoding")
decoding_errors = importlib.import_module("decoding_errors")
decoding_memory = importlib.import_module("decoding_memory")
data_scale = importlib.import_module("data_scale")
gpu_training = importlib.import_module("gpu_training")
precision_curves = importlib.import_module("precision_curves")
two_processes = importlib.import_module("two_processes")
search_start = importlib.import_module("search_start")
recording_memory = importlib.import_module("recording_memory")
spotting = importlib.import_module("spotting")
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


def time_two(
    a: list[float], b: list[float], *, repeats: int, warm_ups: int = 1
) -> tuple[dict[str, list[float]], list[str]]:
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
    benchmarks = {n: run.Benchmark(title=n.title(), repeats=5, measure=measure) for n in ("one", "two")}
    monkeypatch.setattr(run, "BENCHMARKS", benchmarks)
    run.main(["one", "--repeats", "2"])
    assert "`one`, rounds: 2" in capsys.readouterr().out
    assert not run.RESULTS.exists()
    run.main([])
    written = run.RESULTS.read_text()
    assert written.startswith("# Benchmarks\n")
    assert [line for line in written.splitlines() if line.startswith("## ")] == ["## One", "## Two"]
    assert written == run.INTRODUCTION + "\n" + capsys.readouterr().out


def test_a_benchmark_without_what_it_needs_is_skipped_and_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    packages = {"flashlight": [("json", "json"), ("no_such_module", "no-such-package")]}
    monkeypatch.setattr(decoders, "PACKAGES", packages)
    source = an4_task.An4Source(folder=tmp_path, model="an4")
    [line] = run.run_benchmark("decoding_flashlight", None, source)
    assert line == (
        "`decoding_flashlight` skipped; it lacks: pip install no-such-package; "
        f"AN4 in {tmp_path} (python recipes/an4/prepare.py --out DIR, then benchmarks/run.py --an4 DIR)"
    )


def test_an4_is_there_when_all_its_manifests_are(tmp_path: Path) -> None:
    (tmp_path / "train.jsonl.gz").touch()
    assert an4_task.missing_an4(tmp_path)
    (tmp_path / "test.jsonl.gz").touch()
    assert not an4_task.missing_an4(tmp_path)


def test_only_what_needs_an4_is_given_it(tmp_path: Path) -> None:
    for name, benchmark in run.BENCHMARKS.items():
        assert benchmark.needs_an4 is name.startswith("decoding")
        assert ("an4" in benchmark.measure.__annotations__) is benchmark.needs_an4


def test_words_are_closed_by_a_frame_that_is_surely_a_separator() -> None:
    vocabulary = Vocabulary(("a", " "))
    closed = decoders.close_words(np.log(np.full((2, 3), 1 / 3, np.float32)), vocabulary)
    assert closed.dtype == np.float32
    np.testing.assert_array_equal(np.exp(closed[2]), [0, 0, 1])
    assert closed.shape == (3, 3)


@pytest.mark.parametrize(
    ("limits", "text"),
    [
        ({}, "nothing but by the beam"),
        ({"beam_threshold": 50.0}, "prefixes 50 nats behind"),
        (
            {"beam_threshold": 25.0, "token_threshold": 12.0},
            "prefixes 25 nats behind and tokens 12 nats behind",
        ),
    ],
)
def test_pruning_says_what_is_dropped(limits: dict[str, float], text: str) -> None:
    pruning = decoders.Pruning(**limits)
    assert str(pruning) == text
    assert decoding.describe(pruning, pruning) == f"both drop {text}"
    assert decoding.describe(decoders.Pruning(), pruning).startswith(
        "both" if not limits else f"A drops nothing but by the beam, B {text}"
    )


def test_answers_are_the_same_by_text_and_then_by_score() -> None:
    expected = [decoders.Answer(*pair) for pair in (("a", -1.0), ("b", -1.0), ("c", -1.0))]
    found = [decoders.Answer(*pair) for pair in (("a", -1.001), ("b", -1.5), ("x", -1.0))]
    assert decoding.count_same(expected, found) == (2, 1)


def test_errors_are_told_beside_those_of_greedy_decoding() -> None:
    same = decoding.Same(130, 125)
    greedy = decoding_errors.Outcome(decoder="greedy", counts=ErrorCounts(hits=90, substitutions=10))
    theirs = decoding_errors.Outcome(decoder="pyctcdecode", counts=ErrorCounts(hits=88, deletions=12))
    ours = decoding_errors.Outcome(
        decoder="speechrnn, any words",
        counts=ErrorCounts(hits=93, substitutions=7),
        counterpart="pyctcdecode",
        same=same,
    )
    # (10 - 12) / 10 and (10 - 7) / 10, of 100 words
    assert list(decoding_errors.table(iter([greedy, theirs, ours])))[2:] == [
        "| greedy | 10.00 % | 10 / 100 |  |  |  |",
        "| pyctcdecode | 12.00 % | 12 / 100 | -20 % |  |  |",
        "| speechrnn, any words | 7.00 % | 7 / 100 | 30 % | ≥ 30 %: met "
        "| 130 texts, 125 scores as pyctcdecode |",
    ]


def test_hours_are_made_by_repeating_frames() -> None:
    frames = np.arange(6, dtype=np.float32).reshape(3, 2)
    assert decoding_memory.tile(frames, 5)[:, 0].tolist() == [0, 2, 4, 0, 2]


@pytest.mark.parametrize(("peak_mb", "verdict"), [(299.9, "met"), (300.0, "missed")])
def test_memory_is_told_beside_its_bound(peak_mb: float, verdict: str) -> None:
    use = decoding_memory.Use(hours=3.0, input_mb=48.0, peak_mb=peak_mb, search_mb=20.4)
    assert list(decoding_memory.table(iter([use])))[2:] == [
        f"| 3 h | 48 MB | 300 MB | 20 MB | < 300 MB: {verdict} |"
    ]


def test_memory_is_measured_in_a_process_of_its_own(tmp_path: Path) -> None:
    pytest.importorskip("numba")
    if decoding_memory.missing_status():
        pytest.skip("no /proc")
    arpa = search_start.write_sample_model(tmp_path)
    tokens = tuple(" 'abcdefghijklmnopqrstuvwxyz")
    frames = np.full((4096, 29), np.log(0.01 / 28), np.float32)
    frames[:, tokens.index("c") + 1] = np.log(0.99)
    np.save(tmp_path / "frames.npy", frames)
    use = decoding_memory.measure_process(0.1, tmp_path / "frames.npy", arpa, tokens)
    assert use.input_mb == 4096 * 29 * 4 / 2**20
    assert 0 <= use.search_mb < use.peak_mb


def test_transcribing_greedily_loads_no_compiler() -> None:
    arguments = ["transcribe", str(search_start.CLIP)]
    code = (
        "import json, sys; from speechrnn.cli.main import main; "
        f"assert main({arguments!r}) == 0; print(json.dumps(sorted(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=FOLDER.parent
    )
    loaded = json.loads(done.stdout.splitlines()[-1])
    assert "speechrnn.decoding.greedy" in loaded
    assert not {"numba", "llvmlite", "speechrnn.decoding.beam_kernel"} & set(loaded)


# ---- Long recordings and streams ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("minutes", "peak_mb", "growth", "verdict"),
    [(180, 399.9, 1.1, "met"), (180, 400.1, 1.0, "missed"), (180, 300.0, 1.11, "missed")],
)
def test_memory_of_a_recording_is_told_beside_its_bounds(
    minutes: int, peak_mb: float, growth: float, verdict: str
) -> None:
    peak = recording_memory.Peak(way=recording_memory.API, minutes=minutes, peak_mb=peak_mb, growth=growth)
    [row] = list(recording_memory.table(iter([peak])))[2:]
    assert row == (
        f"| {minutes} minutes | `speechrnn.load().transcribe` | {peak_mb:.0f} MB | × {growth:.2f} | "
        f"≤ 400 MB, × 1.1: {verdict} |"
    )


def test_memory_of_a_recording_is_measured_in_each_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if recording_memory.missing_status():
        pytest.skip("Linux tells a process's memory")
    monkeypatch.setattr(recording_memory, "MINUTES", (0.1,))
    peaks = list(recording_memory.measure())
    assert [peak.way for peak in peaks] == list(recording_memory.WAYS)
    for peak in peaks:
        assert peak.growth == 1
        assert 50 < peak.peak_mb < 400


def test_a_recording_is_speech_over_and_over(tmp_path: Path) -> None:
    recording_memory.write_recording(tmp_path / "a.wav", np.array([0.5, -0.5, 0.25]), 8)
    samples, rate = soundfile.read(tmp_path / "a.wav")
    assert rate == 16_000
    np.testing.assert_allclose(samples, [0.5, -0.5, 0.25, 0.5, -0.5, 0.25, 0.5, -0.5])


def test_many_streams_are_fed_in_turn_to_the_end(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fed: list[tuple[int, int]] = []

    class Recording(spotting.KeywordSpotter):  # type: ignore[misc, name-defined]
        def feed(self, samples: Any) -> Any:
            fed.append((id(self), len(samples)))
            return super().feed(samples)

    monkeypatch.setattr(spotting, "KeywordSpotter", Recording)
    model = spotting.ModelFile(
        spotting.export_model(spotting.make_detector(), tmp_path / "m.onnx"), threads=1
    )
    keywords = [spotting.Keyword(label="yes", spellings=("yes",))]
    spotting.listen(model, keywords, [np.zeros(4000, np.float32)] * 2)
    # 0.25 s at 16 kHz in pieces of 0.1 s, of either stream in turn.
    assert [size for _, size in fed] == [1600, 1600, 1600, 1600, 800, 800]
    assert fed[0][0] != fed[1][0] == fed[3][0]


def test_the_detector_that_is_timed_is_small_and_streams() -> None:
    detector = spotting.make_detector()  # refuses a larger one
    assert not detector.config.encoder.bidirectional
    assert detector.config.task == "classification"


def test_the_keywords_that_are_timed_are_as_many_as_they_say() -> None:
    assert len({keyword.label for keyword in spotting.make_keywords(50)}) == 50


# ---- Training at scale --------------------------------------------------------------------------


# Lhotse leaves the tars to the garbage collector to close.
@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_made_up_corpora_are_as_large_as_they_say_and_can_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if data_scale.missing_status():
        pytest.skip("Linux tells a process's memory")
    monkeypatch.setattr(data_scale, "SHARD_SIZE", 4)
    monkeypatch.setattr(data_scale, "NUM_READ", 8)
    monkeypatch.setattr(data_scale, "CLIP_S", 1.0)
    data_scale.write_clips(tmp_path)
    for corpus in (data_scale.make_shards(tmp_path, 200), data_scale.make_manifest(tmp_path, 200)):
        cost = data_scale.measure_here(corpus, 200)
        assert cost.kind == ("shards" if corpus.is_dir() else "manifest")
        assert cost.start_s > 0
        assert cost.utterances_per_s > 0


def test_shards_are_to_start_soon_and_to_stay_small() -> None:
    costs = [
        data_scale.Cost(kind=kind, num_utterances=n, start_s=s, memory_mb=mb, utterances_per_s=9.0)
        for kind, n, s, mb in (
            ("shards", 1000, 1.0, 50.0),
            ("shards", 10**7, 9.0, 251.0),
            ("manifest", 10, 99.0, 9.0),
        )
    ]
    rows = list(data_scale.table(iter(costs)))[2:]
    assert [row.split("|")[-2].strip().rpartition(" ")[2] for row in rows] == ["met", "missed", ""]


def test_noise_is_what_seeds_differ_by() -> None:
    # Standard deviation of 1, 2, 3 is 1; of the difference of two means of three it is sqrt(2 / 3).
    point = precision_curves.Point(step=9, single=(1.0, 2.0, 3.0), half=(2.0, 2.0, 3.5))
    assert point.difference == pytest.approx(0.5)
    assert point.noise == pytest.approx(2 * (2 / 3) ** 0.5)
    assert "within noise: met" in list(precision_curves.table(iter([point])))[-1]


def test_the_clock_takes_the_second_epoch() -> None:
    clock = two_processes.EpochClock()
    clock.starts, clock.ends = [0.0, 10.0], [9.0, 12.5]
    assert clock.seconds == 2.5


@pytest.mark.filterwarnings("ignore:.*RNN module weights are not part of single contiguous.*")
def test_the_steps_of_the_gpu_run_on_any_device() -> None:
    size = gpu_training.Size(
        title="tiny", hidden_size=4, num_layers=2, num_clips=3, num_frames=40, num_features=5
    )
    comparisons = list(gpu_training.measure(repeats=1, device="cpu", sizes=(size,)))
    assert len(comparisons) == (2 if gpu_training.is_installed() else 1)
    for comparison in comparisons:
        assert comparison.title == "tiny, 3 × 40 frames, cpu"
        assert comparison.ratio > 0
    assert not (torch.cuda.is_available() and gpu_training.missing_gpu())
