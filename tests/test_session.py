"""Sessions: threads, devices, and processes that fork."""

import gc
import multiprocessing
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from tiny_model import speak, write_model

from speechrnn.errors import ConfigError
from speechrnn.runtime import ModelFile, session

HANGS_S = 60  # a process that takes longer never ends

needs_fork = pytest.mark.skipif(
    "fork" not in multiprocessing.get_all_start_methods(), reason="processes do not fork here"
)


@pytest.fixture(scope="module")
def ctc_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("models") / "tones.onnx")


def in_a_fork(work: Callable[[], object]) -> int | None:
    """Do the work in a forked process; its exit status, None if it hangs."""
    process = multiprocessing.get_context("fork").Process(target=work)
    process.start()
    process.join(HANGS_S)
    process.kill()
    return process.exitcode if process.exitcode != -9 else None


# ---- Forks ----------------------------------------------------------------------------------------------


@needs_fork
def test_a_forked_process_runs_a_model_that_was_opened_before(ctc_path: Path) -> None:
    model = ModelFile(ctc_path, threads=2)
    waveform = speak("ab")[np.newaxis]
    expected, _ = model.run(waveform, [waveform.shape[1]])

    def work() -> None:
        log_probs, _ = model.run(waveform, [waveform.shape[1]])
        assert np.array_equal(log_probs, expected)

    assert in_a_fork(work) == 0
    log_probs, _ = model.run(waveform, [waveform.shape[1]])
    assert np.array_equal(log_probs, expected)


@needs_fork
def test_a_forked_process_collects_models_that_were_garbage_before(ctc_path: Path) -> None:
    class Holder:
        pass

    for _ in range(3):
        holder: Any = Holder()
        holder.itself, holder.model = holder, ModelFile(ctc_path, threads=2)
    del holder
    assert in_a_fork(gc.collect) == 0


@needs_fork
def test_a_forked_process_drops_a_model(ctc_path: Path) -> None:
    models = [ModelFile(ctc_path, threads=2)]
    assert in_a_fork(models.clear) == 0


# ---- Threads and devices --------------------------------------------------------------------------------


@pytest.mark.parametrize("threads", [0, -1])
def test_fewer_than_one_thread_is_refused(ctc_path: Path, threads: int) -> None:
    with pytest.raises(ConfigError, match=f"threads must be a whole number >= 1, got {threads}"):
        ModelFile(ctc_path, threads=threads)


def test_the_default_is_one_to_four_threads() -> None:
    assert 1 <= session.default_threads() <= 4


def test_hyper_threads_of_one_core_count_once(monkeypatch: pytest.MonkeyPatch) -> None:
    siblings = {0: "0,4", 1: "1,5", 4: "0,4", 5: "1,5"}
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(siblings), raising=False)
    monkeypatch.setattr(Path, "read_text", lambda path: siblings[int(path.parts[5].removeprefix("cpu"))])
    assert session.default_threads() == 2


def test_a_machine_that_does_not_tell_its_cores_is_taken_at_its_logical_ones(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(path: Path) -> str:
        raise FileNotFoundError(path)

    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(64)), raising=False)
    monkeypatch.setattr(Path, "read_text", refuse)
    assert session.default_threads() == 4


CPU, CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"


@pytest.mark.parametrize(
    ("device", "available", "providers"),
    [
        ("auto", [CPU], [CPU]),
        ("auto", [CUDA, CPU], [(CUDA, {"device_id": "0"}), CPU]),
        ("cpu", [CUDA, CPU], [CPU]),
        ("cuda:1", [CUDA, CPU], [(CUDA, {"device_id": "1"}), CPU]),
    ],
)
def test_a_device_becomes_execution_providers(
    monkeypatch: pytest.MonkeyPatch, device: str, available: list[str], providers: list[Any]
) -> None:
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: available)
    assert session.choose_providers(device) == providers


def test_cuda_without_cuda_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [CPU])
    with pytest.raises(ConfigError, match=r"device cuda: .* pip install onnxruntime-gpu"):
        session.choose_providers("cuda")


@pytest.mark.parametrize("device", ["gpu", "cpu:1", "cuda:x", "auto:0", ""])
def test_an_unknown_device_is_refused(device: str) -> None:
    with pytest.raises(ConfigError, match="device must be auto, cpu, cuda or cuda:N"):
        session.choose_providers(device)


def test_more_threads_than_processors_are_not_started(caplog: pytest.LogCaptureFixture) -> None:
    processors = len(session.usable_processors())
    assert session.check_threads(processors) == processors
    assert not caplog.messages
    assert session.check_threads(2000) == processors
    assert "2000 threads would wait" in caplog.text
