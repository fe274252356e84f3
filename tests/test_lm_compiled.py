"""What is said where Numba cannot be used."""

import subprocess
import sys
from pathlib import Path

import pytest

from speechrnn.errors import ConfigError
from speechrnn.lm import compiled


def test_without_numba_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "numba", None)
    for module in ("speechrnn.lm.scoring", "speechrnn.decoding.beam_kernel"):
        monkeypatch.delitem(sys.modules, module, raising=False)
        with pytest.raises(ConfigError, match=r'need Numba; pip install "speechrnn\[lm\]"'):
            compiled.import_compiled(module)


@pytest.mark.parametrize("error", [ModuleNotFoundError("no", name="else"), RuntimeError("else")])
def test_other_errors_are_left_alone(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(module: str) -> None:
        raise error

    monkeypatch.setattr(compiled.importlib, "import_module", fail)
    with pytest.raises(type(error)):
        compiled.import_compiled("speechrnn.lm.scoring")


def test_without_a_folder_for_compiled_code_the_variable_is_named(tmp_path: Path) -> None:
    # Numba asks each of its places in turn whether it will do; here none does.
    code = (
        "from numba.core import caching\n"
        "caching.CacheImpl._locator_classes = []\n"
        "from speechrnn.lm.compiled import import_compiled\n"
        "import_compiled('speechrnn.lm.scoring')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert "ConfigError: Numba finds no folder to keep compiled code in; set NUMBA_CACHE_DIR" in done.stderr
