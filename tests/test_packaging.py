"""What is promised about installing: four light dependencies, pins with reasons, nothing of this machine."""

import re
import subprocess
import tomllib
from pathlib import Path

import pytest

import speechrnn

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
CONSTRAINTS = (ROOT / "constraints.txt").read_text()


def name(requirement: str) -> str:
    return re.split(r"[\[<>=!~ ;]", requirement)[0].lower()


def tracked_texts() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout")
    binary = {".wav", ".tar", ".gz", ".onnx", ".xz", ".flac"}
    return [
        ROOT / path for path in listed.stdout.decode().split("\0") if path and Path(path).suffix not in binary
    ]


def test_the_base_install_is_four_packages() -> None:
    assert sorted(map(name, PROJECT["dependencies"])) == ["numpy", "onnxruntime", "soundfile", "soxr"]


def test_the_version_is_written_once() -> None:
    assert PROJECT["dynamic"] == ["version"]
    assert re.fullmatch(r"\d+\.\d+\.\d+", speechrnn.__version__)
    assert f"## {speechrnn.__version__}" in (ROOT / "CHANGELOG.md").read_text()


def test_the_train_extra_leaves_out_what_was_compromised() -> None:
    train = PROJECT["optional-dependencies"]["train"]
    [lightning] = [line for line in train if name(line) == "pytorch-lightning"]
    assert "!=2.6.2" in lightning
    assert "!=2.6.3" in lightning
    assert "torch>=2.11,<2.14" in train
    assert "torchaudio>=2.11,<2.12" in train
    everything = [name(line) for extra in PROJECT["optional-dependencies"].values() for line in extra]
    assert "lightning" not in everything


def test_constraints_are_exact_and_complete() -> None:
    lines = [line for line in CONSTRAINTS.splitlines() if line and not line.startswith("#")]
    assert all(re.match(r"^[A-Za-z0-9._-]+==[^ ]+( ;.*)?$", line) for line in lines)
    pinned = {name(line) for line in lines}
    wanted = PROJECT["dependencies"] + [
        r for extra in PROJECT["optional-dependencies"].values() for r in extra
    ]
    assert {name(requirement) for requirement in wanted} <= pinned
    assert "lightning" not in pinned
    assert {"torch==2.11.0", "torchaudio==2.11.0"} <= set(lines)


def test_no_file_names_a_registry_or_a_place_on_somebodys_machine() -> None:
    for path in tracked_texts():
        if path == Path(__file__) or not path.is_file():
            continue
        text = path.read_text(encoding="utf-8")
        found = re.search(r"/(root|work)/|index-url|pypi\.org|pythonhosted", text)
        assert not found, f"{path}: {found and found[0]}"


def test_ci_runs_the_tests_of_python_the_documentation_and_the_live_page_and_nothing_else() -> None:
    lines = (ROOT / ".ci/run").read_text().splitlines()
    commands = [line for line in lines if line and not line.startswith(("#", "set ", "cd "))]
    assert commands == ["make test", "make docs", "make test-web"]


def test_every_python_file_of_the_package_is_typed_and_shipped() -> None:
    assert (ROOT / "speechrnn/py.typed").is_file()
    assert (ROOT / "LICENSE").read_text().lstrip().startswith("Apache License")


def test_the_live_page_is_built_and_small_enough_to_ship() -> None:
    page = ROOT / "speechrnn/web_page"
    files = [path for path in page.rglob("*") if path.is_file()]
    assert page / "index.html" in files
    assert sum(path.stat().st_size for path in files) < 15_000_000


def test_the_lock_file_of_the_live_page_names_packages_and_no_addresses() -> None:
    assert '"resolved"' not in (ROOT / "web/package-lock.json").read_text()


def test_make_alone_lists_the_targets() -> None:
    listed = subprocess.run(["make"], cwd=ROOT, capture_output=True, check=True, text=True).stdout
    for target in ("demo", "test", "lint", "format", "bench", "web", "test-web", "clean"):
        assert f"make {target} " in listed
