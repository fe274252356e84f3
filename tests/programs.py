"""Programs that speechrnn calls, played by scripts; and files for them."""

import os
import stat
import sys
from pathlib import Path

import pytest

M4A = b"\0\0\0\x20ftypM4A \0\0\2\0isomiso2mp41" + bytes(100)
AAC = b"\xff\xf1\x50\x80" + bytes(100)


def fake_ffmpeg(folder: Path, monkeypatch: pytest.MonkeyPatch, body: str) -> Path:
    """Put a program called ffmpeg first on PATH; returns where it notes its arguments, a line for each call."""
    script = folder / "bin" / "ffmpeg"
    script.parent.mkdir()
    noted = folder / "arguments"
    script.write_text(
        f"#!{sys.executable}\nimport sys\nprint(sys.argv, file=open({str(noted)!r}, 'a'))\n{body}\n"
    )
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{script.parent}{os.pathsep}{os.environ['PATH']}")
    return noted
