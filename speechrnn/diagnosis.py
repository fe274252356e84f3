"""Is everything there, does it work, and if not: how to mend it. Nothing heavy is imported to find out."""

import importlib
import io
import os
import platform
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Literal

import numpy as np
import onnxruntime
import soundfile

from speechrnn import __version__
from speechrnn.audio import load_audio
from speechrnn.base_install import BASE_PACKAGES
from speechrnn.errors import SpeechRNNError
from speechrnn.live_audio import INSTALL_PORTAUDIO
from speechrnn.runtime import Transcriber
from speechrnn.runtime.checkpoint_cache import FOLDER_VARIABLE, cache_folder
from speechrnn.runtime.model_registry import DEFAULT_MODEL, MODELS_FOLDER, shipped_models
from speechrnn.runtime.session import default_threads
from speechrnn.sound_file.ffmpeg import INSTALL_FFMPEG

OLDEST_PYTHON = (3, 11)
CODECS = {"wav": ("WAV", "PCM_16"), "flac": ("FLAC", "PCM_16"), "ogg": ("OGG", "VORBIS")}
CODECS |= {"opus": ("OGG", "OPUS"), "mp3": ("MP3", "MPEG_LAYER_III")}
EXTRAS = {
    "train": (
        "torch",
        "torchaudio",
        "pytorch-lightning",
        "lhotse",
        "jsonargparse",
        "librosa",
        "onnx",
        "numba",
    ),
    "lm": ("numba",),
    "serve": ("starlette", "uvicorn", "python-multipart", "websockets"),
    "mic": ("sounddevice",),
}
ATTACKED = {"pytorch-lightning": ("2.6.2", "2.6.3"), "lightning": ("2.6.2", "2.6.3")}  # GHSA-w37p-236h-pfx3
SELF_TEST_CLIP = MODELS_FOLDER / f"{DEFAULT_MODEL}.flac"
SELF_TEST_TEXT = "repeat"
REINSTALL = "pip install --force-reinstall speechrnn"

Status = Literal["ok", "absent", "wrong"]


@dataclass(frozen=True)
class Finding:
    """What was found out about one thing."""

    name: str
    status: Status
    """``absent`` is not there and need not be; ``wrong`` is to be mended."""
    value: str
    cure: str = ""
    """What to do about it; empty if nothing is."""


def diagnose() -> Iterator[Finding]:
    """Look at everything, in order; what fails in an unforeseen way is a finding like any other."""
    for check in CHECKS:
        try:
            yield from check()
        except Exception as error:
            yield Finding(check.__name__.removeprefix("check_"), "wrong", f"{type(error).__name__}: {error}")


def check_python() -> Iterator[Finding]:
    """Look at Python and the machine."""
    is_new_enough = sys.version_info >= OLDEST_PYTHON
    wanted = ".".join(map(str, OLDEST_PYTHON))
    yield Finding("speechrnn", "ok", f"{__version__} in {Path(__file__).parent}")
    yield Finding(
        "python",
        "ok" if is_new_enough else "wrong",
        f"{platform.python_version()} on {platform.system()} {platform.machine()}",
        "" if is_new_enough else f"speechrnn needs Python {wanted} or newer",
    )


def check_packages() -> Iterator[Finding]:
    """Look at the packages of the base install, and for releases that were attacks."""
    for package in BASE_PACKAGES:
        version = version_of(package)
        if version is None and package == "onnxruntime":
            version = version_of("onnxruntime-gpu")
        yield Finding(
            package,
            "wrong" if version is None else "ok",
            version or "not installed",
            "" if version else f"pip install {package}",
        )
    for package, versions in ATTACKED.items():
        if version_of(package) in versions:
            cure = (
                f"pip uninstall {package}, and change every password this machine knows (GHSA-w37p-236h-pfx3)"
            )
            yield Finding(package, "wrong", f"{version_of(package)} was published by an attacker", cure)


def version_of(package: str) -> str | None:
    """Say which release is installed, without importing it."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def check_providers() -> Iterator[Finding]:
    """Look at what ONNX Runtime can run on."""
    providers = [name.removesuffix("ExecutionProvider") for name in onnxruntime.get_available_providers()]
    has_gpu = shutil.which("nvidia-smi") is not None
    unused = has_gpu and "CUDA" not in providers
    yield Finding(
        "providers",
        "absent" if unused else "ok",
        ", ".join(providers) + (", though there is an NVIDIA GPU" if unused else ""),
        "to use the GPU: pip uninstall onnxruntime; pip install onnxruntime-gpu" if unused else "",
    )


def check_codecs() -> Iterator[Finding]:
    """Look at which kinds of audio can be read, by reading some of each."""
    lacking = [name for name, (kind, subtype) in CODECS.items() if not can_read(kind, subtype)]
    yield Finding(
        "codecs",
        "wrong" if lacking else "ok",
        f"libsndfile {soundfile.__libsndfile_version__}: "
        + (f"cannot read {', '.join(lacking)}" if lacking else ", ".join(CODECS)),
        "pip install --force-reinstall soundfile, whose wheels bring a whole libsndfile" if lacking else "",
    )
    ffmpeg = shutil.which("ffmpeg")
    yield Finding(
        "ffmpeg",
        "ok" if ffmpeg else "absent",
        ffmpeg or "not there",
        "" if ffmpeg else f"for m4a, webm and films: {INSTALL_FFMPEG}",
    )


def can_read(kind: str, subtype: str) -> bool:
    """Write a moment of silence, and read it."""
    file = io.BytesIO()
    try:
        soundfile.write(file, np.zeros(4800, dtype=np.float32), 48_000, format=kind, subtype=subtype)
        return len(load_audio(file.getvalue(), sample_rate=48_000)) > 0
    except (SpeechRNNError, soundfile.SoundFileError, TypeError, ValueError):
        return False


def check_threads() -> Iterator[Finding]:
    """Look at how many processors there are, and whether the container lets them be used."""
    threads = default_threads()
    allowed = processors_of_container()
    is_short = allowed is not None and allowed < threads
    yield Finding(
        "threads",
        "absent" if is_short else "ok",
        f"{threads} by default, of {os.cpu_count()} processors"
        + (f"; the container may use {allowed:g} of them" if is_short else ""),
        f"--threads {max(1, int(allowed))} is faster" if is_short and allowed is not None else "",
    )


def processors_of_container(path: Path = Path("/sys/fs/cgroup/cpu.max")) -> float | None:
    """Read how many processors a Linux container may use at a time; None if it is not limited."""
    try:
        quota, period = path.read_text().split()
        return int(quota) / int(period)
    except (OSError, ValueError):  # no such file, or "max"
        return None


def check_folders() -> Iterator[Finding]:
    """Look at whether temporary files and exported checkpoints can be written."""
    cure = f"name a folder that can be written to with ${FOLDER_VARIABLE}"
    for name, folder, mend in (
        ("cache", cache_folder(), cure),
        ("temporary", Path(tempfile.gettempdir()), "name one with $TMPDIR"),
    ):
        reason = why_not_writable(folder)
        yield Finding(
            name,
            "wrong" if reason else "ok",
            f"{folder}" + (f": {reason}" if reason else ""),
            mend if reason else "",
        )


def why_not_writable(folder: Path) -> str | None:
    """Say why no file can be written in a folder, or in the one where it would be made."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(1))
    except OSError as error:
        return error.strerror or str(error)
    return None


def check_extras() -> Iterator[Finding]:
    """Look at the optional packages; torch and torchaudio must be of one release."""
    for extra, packages in EXTRAS.items():
        versions = {package: version_of(package) for package in packages}
        lacking = [package for package, version in versions.items() if version is None]
        install = f'pip install "speechrnn[{extra}]"'
        if len(lacking) == len(packages):
            yield Finding(f"extra {extra}", "absent", "not installed", f"if wanted: {install}")
        elif lacking and extra != "train":
            yield Finding(f"extra {extra}", "wrong", f"lacks {', '.join(lacking)}", install)
        elif extra == "train":
            yield check_torch(versions, lacking, install)
        else:
            yield Finding(f"extra {extra}", "ok", describe(versions))
    if version_of("sounddevice"):
        yield check_microphone()


def check_torch(versions: dict[str, str | None], lacking: Sequence[str], install: str) -> Finding:
    """Look at the extra for training; Numba alone is another extra, and torch alone is someone else's."""
    torch, torchaudio = versions["torch"], versions["torchaudio"]
    if lacking:
        return Finding("extra train", "absent", f"lacks {', '.join(lacking)}", f"if wanted: {install}")
    if release(torch) != release(torchaudio):
        cure = f"pip install torch=={release(torchaudio)}.* torchaudio=={release(torchaudio)}.*"
        return Finding(
            "extra train", "wrong", f"torch {torch} does not go with torchaudio {torchaudio}", cure
        )
    return Finding("extra train", "ok", describe({k: versions[k] for k in ("torch", "pytorch-lightning")}))


def release(version: str | None) -> str:
    """Take the first two numbers of a version."""
    found = re.match(r"\d+\.\d+", version or "")
    return found[0] if found else ""


def describe(versions: dict[str, str | None]) -> str:
    """List packages with their versions."""
    return ", ".join(f"{package} {version}" for package, version in versions.items())


def check_microphone() -> Finding:
    """Look at whether there is a microphone."""
    try:
        sounddevice = importlib.import_module("sounddevice")
        found = sounddevice.query_devices(None, "input")
    except OSError as error:
        return Finding("microphone", "wrong", f"PortAudio: {error}", INSTALL_PORTAUDIO)
    except Exception as error:  # sounddevice's own, which cannot be named without importing it
        return Finding("microphone", "absent", f"none: {error}", "plug one in, if wanted")
    return Finding("microphone", "ok", f"{found['name']}, {found['default_samplerate']:.0f} Hz")


def check_models() -> Iterator[Finding]:
    """Look at the models that ship with the package, and let the default one hear a clip."""
    names = list(shipped_models())
    has_default = DEFAULT_MODEL in names
    yield Finding(
        "models",
        "ok" if has_default else "wrong",
        ", ".join(names) or "none",
        "" if has_default else REINSTALL,
    )
    if has_default:
        yield test_itself()


def test_itself() -> Finding:
    """Transcribe a clip whose text is known."""
    begin = time.perf_counter()
    try:
        transcriber = Transcriber(device="cpu")
        opened = time.perf_counter()
        heard = transcriber.transcribe(SELF_TEST_CLIP)
    except SpeechRNNError as error:
        return Finding("self-test", "wrong", str(error), REINSTALL)
    end = time.perf_counter()
    times = f"opened in {opened - begin:.2f} s, {heard.duration_s:.1f} s heard in {end - opened:.2f} s"
    if heard.text != SELF_TEST_TEXT:
        return Finding("self-test", "wrong", f"{SELF_TEST_TEXT!r} was heard as {heard.text!r}", REINSTALL)
    return Finding("self-test", "ok", f"{heard.text!r}; {times}")


CHECKS: tuple[Callable[[], Iterator[Finding]], ...] = (
    check_python,
    check_packages,
    check_providers,
    check_codecs,
    check_threads,
    check_folders,
    check_extras,
    check_models,
)
