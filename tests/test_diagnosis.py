"""``speechrnn doctor``: what it says of a machine on which this or that is missing or wrong."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tiny_model import write_model

from speechrnn import __version__, diagnosis
from speechrnn.cli.main import main
from speechrnn.diagnosis import Finding
from speechrnn.runtime import model_registry

REAL_VERSION = metadata.version


def only(findings: Iterator[Finding], name: str) -> Finding:
    (finding,) = [finding for finding in findings if finding.name == name]
    return finding


def install(monkeypatch: pytest.MonkeyPatch, **versions: str | None) -> None:
    """Pretend that packages are installed in these versions, or not at all; _ stands for a dash."""
    pretended = {package.replace("_", "-"): version for package, version in versions.items()}

    def version(package: str) -> str:
        found = pretended[package] if package in pretended else REAL_VERSION(package)
        if found is None:
            raise metadata.PackageNotFoundError(package)
        return found

    monkeypatch.setattr(diagnosis.metadata, "version", version)


def test_a_good_machine_passes(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", fake_sounddevice())
    assert main(["doctor"]) == 0
    captured = capsys.readouterr()
    assert f"ok  speechrnn     {__version__} in " in captured.out
    assert "ok  self-test     'repeat'; opened in " in captured.out
    assert "wav, flac, ogg, opus, mp3" in captured.out
    assert captured.err == "all is well\n"


def test_what_is_wrong_is_named_with_its_cure_and_the_status_is_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", fake_sounddevice())
    install(monkeypatch, soxr=None)
    assert main(["doctor"]) == 1
    captured = capsys.readouterr()
    assert "!!  soxr          not installed\n                  pip install soxr\n" in captured.out
    assert captured.err == "to be mended: soxr\n"


def test_the_findings_are_json_if_wanted(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", fake_sounddevice())
    assert main(["doctor", "--json"]) == 0
    findings = json.loads(capsys.readouterr().out)
    assert findings[0]["name"] == "speechrnn"
    assert {finding["status"] for finding in findings} <= {"ok", "absent"}


def test_what_fails_in_an_unforeseen_way_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    def check_luck() -> Iterator[Finding]:
        raise ZeroDivisionError("no luck")

    monkeypatch.setattr(diagnosis, "CHECKS", (check_luck, diagnosis.check_python))
    first, *rest = diagnosis.diagnose()
    assert (first.name, first.status, first.value) == ("luck", "wrong", "ZeroDivisionError: no luck")
    assert len(rest) == 2


def test_an_old_python_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diagnosis.sys, "version_info", (3, 10, 0))
    found = only(diagnosis.check_python(), "python")
    assert (found.status, found.cure) == ("wrong", "speechrnn needs Python 3.11 or newer")


def test_the_gpu_build_of_onnxruntime_is_onnxruntime(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, onnxruntime=None, **{"onnxruntime_gpu": "1.25.0"})
    assert only(diagnosis.check_packages(), "onnxruntime").value == "1.25.0"


@pytest.mark.parametrize("package", ["lightning", "pytorch_lightning"])
def test_releases_that_were_an_attack_are_found(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, **{package: "2.6.3"})
    found = only(diagnosis.check_packages(), package.replace("_", "-"))
    assert (found.status, found.value) == ("wrong", "2.6.3 was published by an attacker")
    assert found.cure.startswith("pip uninstall")


def test_a_gpu_that_is_not_used_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diagnosis.shutil, "which", lambda name: f"/usr/bin/{name}")
    found = only(diagnosis.check_providers(), "providers")
    assert found.status == "absent"
    assert found.cure.endswith("pip install onnxruntime-gpu")


def test_a_libsndfile_that_lacks_a_codec_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(diagnosis.CODECS, "opus", ("OGG", "NONSENSE"))
    found = only(diagnosis.check_codecs(), "codecs")
    assert found.status == "wrong"
    assert found.value.endswith("cannot read opus")


@pytest.mark.parametrize(("is_there", "status"), [(True, "ok"), (False, "absent")])
def test_ffmpeg_need_not_be_there(is_there: bool, status: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diagnosis.shutil, "which", lambda name: "/usr/bin/ffmpeg" if is_there else None)
    assert only(diagnosis.check_codecs(), "ffmpeg").status == status


@pytest.mark.parametrize(
    ("content", "processors"), [("150000 100000\n", 1.5), ("max 100000\n", None), ("", None)]
)
def test_the_limit_of_a_container_is_read(tmp_path: Path, content: str, processors: float | None) -> None:
    path = tmp_path / "cpu.max"
    path.write_text(content)
    assert diagnosis.processors_of_container(path) == processors
    assert diagnosis.processors_of_container(tmp_path / "gone") is None


def test_more_threads_than_a_container_may_run_are_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diagnosis, "default_threads", lambda: 4)
    monkeypatch.setattr(diagnosis, "processors_of_container", lambda: 1.5)
    found = only(diagnosis.check_threads(), "threads")
    assert (found.status, found.cure) == ("absent", "--threads 1 is faster")


def test_a_cache_that_cannot_be_written_is_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SPEECHRNN_CACHE", str(tmp_path / "file" / "cache"))
    found = only(diagnosis.check_folders(), "cache")
    assert found.status == "wrong"
    assert found.cure == "name a folder that can be written to with $SPEECHRNN_CACHE"
    monkeypatch.setenv("SPEECHRNN_CACHE", str(tmp_path / "new" / "cache"))
    assert only(diagnosis.check_folders(), "cache").status == "ok"
    assert not (tmp_path / "new").exists()


TRAIN = {"torch": "2.11.0", "torchaudio": "2.11.0+cpu", "pytorch_lightning": "2.6.6"}


@pytest.mark.parametrize(
    ("versions", "name", "status", "cure"),
    [
        (TRAIN, "extra train", "ok", ""),
        (TRAIN | {"torch": "2.12.0"}, "extra train", "wrong", "pip install torch==2.11.* torchaudio==2.11.*"),
        (TRAIN | {"torch": None}, "extra train", "absent", 'if wanted: pip install "speechrnn[train]"'),
        ({"numba": None}, "extra lm", "absent", 'if wanted: pip install "speechrnn[lm]"'),
        ({"uvicorn": None}, "extra serve", "wrong", 'pip install "speechrnn[serve]"'),
    ],
)
def test_extras_are_whole_or_not_there(
    versions: dict[str, str | None], name: str, status: str, cure: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(monkeypatch, sounddevice=None, **versions)
    found = only(diagnosis.check_extras(), name)
    assert (found.status, found.cure) == (status, cure)


def fake_sounddevice(error: Exception | None = None) -> SimpleNamespace:
    def query(device: object, kind: str) -> dict[str, Any]:
        if error is not None:
            raise error
        return {"name": "built in", "default_samplerate": 44_100.0}

    return SimpleNamespace(query_devices=query)


def test_a_microphone_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", fake_sounddevice())
    assert diagnosis.check_microphone() == Finding("microphone", "ok", "built in, 44100 Hz")


def test_no_microphone_is_no_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", fake_sounddevice(RuntimeError("no default device")))
    assert diagnosis.check_microphone().status == "absent"


def test_a_microphone_without_portaudio_is_to_be_mended(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(name: str) -> None:
        raise OSError("PortAudio library not found")

    monkeypatch.setattr(diagnosis.importlib, "import_module", fail)
    assert "apt install libportaudio2" in diagnosis.check_microphone().cure


@pytest.mark.parametrize(
    ("prepare", "name", "value"),
    [
        (lambda folder: None, "models", "none"),
        (lambda folder: write_model(folder / "an4.onnx"), "self-test", "'repeat' was heard as "),
        (lambda folder: (folder / "an4.onnx").write_bytes(b"x"), "self-test", "not a whole ONNX file"),
    ],
)
def test_a_damaged_installation_is_found(
    prepare: Callable[[Path], object], name: str, value: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare(tmp_path)
    monkeypatch.setattr(model_registry, "MODELS_FOLDER", tmp_path)
    found = only(diagnosis.check_models(), name)
    assert found.status == "wrong"
    assert value in found.value
    assert found.cure == "pip install --force-reinstall speechrnn"


@pytest.mark.parametrize("package", ["onnxruntime", "soundfile", "soxr"])
@pytest.mark.parametrize("command", [["doctor"], ["transcribe", "x.wav"]])
def test_a_package_of_the_base_that_does_not_load_is_named_with_its_cure(
    package: str, command: list[str], tmp_path: Path
) -> None:
    (tmp_path / f"{package}.py").write_text('raise OSError("libfoo.so.1: cannot open shared object file")\n')
    ended = subprocess.run(
        [sys.executable, "-m", "speechrnn", *command],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 1
    assert f"speechrnn: error: {package} does not load: OSError: libfoo.so.1" in ended.stderr
    assert f"pip install --force-reinstall {package}" in ended.stderr
    assert "Traceback" not in ended.stderr
