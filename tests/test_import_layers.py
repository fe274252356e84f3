"""Imports point one way, and a light command loads nothing heavy."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tiny_model import speak, write_model

PACKAGE = Path(__file__).parent.parent / "speechrnn"
STANDARD = sys.stdlib_module_names

# For each room, in the order of the data: which rooms and which packages it may import.
ROOMS: dict[str, tuple[set[str], set[str]]] = {
    "errors": (set(), set()),
    "base_install": (set(), set()),
    "new_file": ({"errors"}, set()),
    "sound_file": ({"errors"}, {"numpy", "soundfile"}),
    "audio": ({"errors", "sound_file"}, {"numpy", "soundfile", "soxr"}),
    "voice_activity": ({"errors"}, {"numpy"}),
    "live_audio": ({"errors", "sound_file", "audio"}, {"numpy", "soxr"}),
    "long_audio": ({"errors", "sound_file", "audio", "live_audio"}, {"numpy"}),
    "text": ({"errors"}, {"numpy"}),
    "pronunciations": ({"errors"}, set()),
    "metrics": ({"errors"}, {"numpy"}),
    "manifest": ({"errors"}, {"numpy"}),
}
ROOMS["lm"] = ({"errors", "new_file", "text", "manifest"}, {"numpy", "numba"})
ROOMS["decoding"] = (set(ROOMS), {"numpy", "numba"})
ROOMS["runtime"] = (set(ROOMS), {"numpy", "onnxruntime"})
ROOMS["page_server"] = ({"errors"}, set())
ROOMS["nn"] = (set(ROOMS), {"numpy", "onnxruntime", "torch", "torchaudio", "onnx"})
ROOMS["training"] = (
    set(ROOMS),
    ROOMS["nn"][1] | {"pytorch_lightning", "torchmetrics", "lhotse", "jsonargparse", "soundfile", "fsspec"},
)
ROOMS["evaluation"] = (set(ROOMS) - {"nn", "training"}, {"numpy"})
ROOMS["cutting"] = (set(ROOMS) - {"nn", "training"}, {"numpy"})
ROOMS["report"] = (
    set(ROOMS) - {"nn", "training"},
    {"numpy", "matplotlib", "jinja2", "soundfile", "soxr"},
)
ROOMS["diagnosis"] = (
    {"errors", "base_install", "sound_file", "audio", "live_audio", "runtime"},
    {"numpy", "onnxruntime", "soundfile"},
)
ROOMS["server"] = (
    set(ROOMS) - {"nn", "training", "evaluation"},
    {"numpy", "starlette", "uvicorn", "anyio"},
)
ROOMS["cli"] = (set(ROOMS), ROOMS["training"][1])
ROOMS["__main__"] = ({"cli"}, set())
ROOMS["__init__"] = ({"errors", "decoding", "runtime"}, set())
LOCAL_IMPORTS_IN = {"cli", "__init__"}  # the only rooms that may import inside functions

HEAVY = ("torch", "torchaudio", "pytorch_lightning", "lhotse", "librosa", "onnx", "jsonargparse", "numba")
ENGINE = ("onnxruntime", "numpy", "soundfile", "soxr")


def sources() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def imports(tree: ast.AST, path: Path) -> Iterator[tuple[ast.stmt, str]]:
    """Find the dotted names that a module imports; ``from speechrnn import x`` means ``speechrnn.x``."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: relative import"
            if node.module == "speechrnn":
                yield from ((node, f"speechrnn.{alias.name}") for alias in node.names)
            else:
                yield node, str(node.module)


def may_import(room: str, name: str) -> bool:
    rooms, packages = ROOMS[room]
    top, *rest = name.split(".")
    if top != "speechrnn":
        return top in STANDARD or top in packages
    return rest[0] == "__version__" or rest[0] == room or rest[0] in rooms


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_imports_only_what_its_room_may(path: Path) -> None:
    room = room_of(path)
    assert room in ROOMS, f"{path}: a new room; give it a place in the table"
    wrong = [
        f"{path.name}:{node.lineno}: {name}"
        for node, name in imports(ast.parse(path.read_text(encoding="utf-8")), path)
        if not may_import(room, name)
    ]
    assert not wrong


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_only_the_command_line_imports_inside_functions(path: Path) -> None:
    functions = [
        node
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    local = [f"{path.name}:{node.lineno}" for f in functions for node, _ in imports(f, path)]
    assert room_of(path) in LOCAL_IMPORTS_IN or not local


@pytest.mark.parametrize(
    ("name", "allowed"),
    [
        ("speechrnn.nn.model", False),
        ("torch", False),
        ("speechrnn.audio", True),
        ("speechrnn.runtime.model_file", True),
        ("onnxruntime", True),
        ("json", True),
        ("requests", False),
    ],
)
def test_the_table_is_applied_to_the_runtime(name: str, allowed: bool) -> None:
    assert may_import("runtime", name) is allowed


def test_there_are_no_drawers_for_odds_and_ends() -> None:
    drawers = {"utils", "util", "base", "common", "helpers", "misc"}
    assert not [path for path in PACKAGE.rglob("*") if path.stem in drawers]


def modules_after(code: str) -> set[str]:
    """Run code in a fresh interpreter and tell which top-level modules it loaded."""
    code += "\nimport sys; print('\\n', *{name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=PACKAGE.parent
    )
    return set(done.stdout.splitlines()[-1].split())


def test_importing_the_package_loads_neither_torch_nor_the_engine() -> None:
    assert not modules_after("import speechrnn") & {*HEAVY, *ENGINE}


@pytest.mark.parametrize("option", ["--help", "--version"])
def test_help_and_version_load_neither_torch_nor_the_engine(option: str) -> None:
    code = f"from speechrnn.cli.main import main; assert main([{option!r}]) == 0"
    assert not modules_after(code) & {*HEAVY, *ENGINE}


@pytest.mark.parametrize(
    "command", ["transcribe", "serve", "doctor", "evaluate", "info", "models", "prepare", "check"]
)
def test_help_of_a_command_of_the_base_install_does_not_load_torch(command: str) -> None:
    code = f"from speechrnn.cli.main import main; assert main([{command!r}, '--help']) == 0"
    assert not modules_after(code) & set(HEAVY)


def test_transcribing_loads_neither_torch_nor_lightning_nor_lhotse(tmp_path: Path) -> None:
    import soundfile

    model = write_model(tmp_path / "tones.onnx")
    soundfile.write(tmp_path / "ab.wav", speak("ab"), 16_000)
    arguments = ["transcribe", "-m", str(model), str(tmp_path / "ab.wav")]
    loaded = modules_after(f"from speechrnn.cli.main import main; assert main({arguments!r}) == 0")
    assert "onnxruntime" in loaded
    assert not loaded & set(HEAVY)
