"""Speech made by espeak-ng, flite and festival: what nobody has recorded, in many voices."""

import hashlib
import itertools
import os
import random
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile as sf

from speechrnn.audio import Waveform, load_audio
from speechrnn.errors import SpeechRNNError
from speechrnn.new_file import new_file

# Shares of the clips; those of an engine that is not installed go to the others.
ENGINES = {"espeak-ng": 0.6, "flite": 0.25, "text2wave": 0.15}
INSTALL = "apt-get install espeak-ng flite festival festvox-kallpc16k festvox-kdlpc16k festvox-us-slt-hts"
ESPEAK_ACCENTS = (
    "en-us",
    "en-gb",
    "en-gb-scotland",
    "en-gb-x-rp",
    "en-gb-x-gbclan",
    "en-gb-x-gbcwmd",
    "en-029",
    "en-us-nyc",
)
ESPEAK_VARIANTS = ("m1", "m2", "m3", "m4", "m5", "m6", "m7", "m8", "f1", "f2", "f3", "f4", "f5")
FLITE_VOICES = ("awb", "kal16", "rms", "slt")
FESTIVAL_VOICES = ("kal_diphone", "ked_diphone", "cmu_us_slt_arctic_hts")
TIMEOUT_S = 30.0
SILENCE_DB = -40.0  # below a clip's peak: what an engine leaves before and behind the words
LEAD_S, TAIL_S = (0.0, 0.3), (0.0, 0.1)  # silence that is put there instead


class SynthesisError(SpeechRNNError):
    """A speech synthesiser that is missing, or does not do as it should."""


@dataclass(frozen=True)
class Voice:
    """A voice and how it speaks."""

    engine: str
    """Its program: ``espeak-ng``, ``flite`` or ``text2wave``."""
    name: str
    """As the engine calls it."""
    pace: float
    """Length of what is said, relative to the engine's own pace."""
    pitch: float
    """In [0, 1], low to high; festival has none to set."""

    def command(self, text: str, path: Path) -> list[str]:
        """Make the command line that says a text into a WAV file; festival reads the text from its input."""
        if self.engine == "espeak-ng":
            pace, pitch = str(round(165 / self.pace)), str(round(99 * self.pitch))
            return ["espeak-ng", "-v", self.name, "-s", pace, "-p", pitch, "-w", str(path), "--", text]
        if self.engine == "flite":
            stretch = f"duration_stretch={self.pace:.3f}"
            pitch = f"int_f0_target_mean={80 + 140 * self.pitch:.0f}"
            return [
                "flite",
                "-voice",
                self.name,
                "--setf",
                stretch,
                "--setf",
                pitch,
                "-t",
                text,
                "-o",
                str(path),
            ]
        setup = f"(begin (voice_{self.name}) (Parameter.set 'Duration_Stretch {self.pace:.3f}))"
        return ["text2wave", "-eval", setup, "-o", str(path)]


def installed_engines() -> tuple[str, ...]:
    """Name the engines that this machine has.

    Raises:
        SynthesisError: If it has none.
    """
    engines = tuple(engine for engine in ENGINES if shutil.which(engine))
    if not engines:
        raise SynthesisError(f"no speech synthesiser is installed; {INSTALL}")
    return engines


def draw_voice(engines: Sequence[str], rng: random.Random) -> Voice:
    """Draw a voice, its pace and pitch."""
    engine = rng.choices(engines, [ENGINES[engine] for engine in engines])[0]
    accents = [
        f"{accent}+{variant}" for accent, variant in itertools.product(ESPEAK_ACCENTS, ESPEAK_VARIANTS)
    ]
    names = {"espeak-ng": accents, "flite": FLITE_VOICES, "text2wave": FESTIVAL_VOICES}[engine]
    return Voice(engine, rng.choice(names), rng.uniform(0.75, 1.35), rng.random())


@dataclass(frozen=True)
class Clip:
    """What is said, by whom, and what silence is around it."""

    text: str
    voice: Voice
    margins_s: tuple[float, float]
    """Before and behind."""

    def name(self, number: int) -> str:
        """Make a file name that no other clip has, so that none is taken for another's."""
        return f"{number:05}-{hashlib.sha256(repr(self).encode()).hexdigest()[:8]}.wav"


def draw_texts(lines: Sequence[str], number: int, *, most_lines: int = 1, seed: int) -> list[str]:
    """Draw texts, each of one line or of several one after the other, fewer more often than more.

    Args:
        lines: To draw from; one may come again.
        number: Of texts.
        most_lines: That a text is put together from, > 0.
        seed: Of the draws.
    """
    rng, counts = random.Random(seed), range(1, most_lines + 1)
    lengths = rng.choices(counts, counts[::-1], k=number)
    return [" ".join(rng.choices(lines, k=length)) for length in lengths]


def synthesize(
    texts: Sequence[str],
    folder: Path,
    *,
    seed: int,
    sample_rate: int = 16_000,
    on_clip: Callable[[], object] = bool,
) -> Iterator[tuple[Path, str, Voice]]:
    """Say each text once, each in a voice of its own, into ``folder/NUMBER-HASH.wav``.

    Args:
        texts: What to say; a text that comes often is said in many ways.
        folder: Folder of the clips; it is made. Clips of the same text, voice and pace that are there are kept.
        seed: With texts and engines it fixes the voices.
        sample_rate: Of the clips, Hz.
        on_clip: Called for each clip, for a progress bar.

    Yields:
        Path, text and voice of each clip.

    Raises:
        SynthesisError: If no engine is installed, or one fails.
    """
    engines, rng = installed_engines(), random.Random(seed)
    folder.mkdir(parents=True, exist_ok=True)
    clips = [draw_clip(text, engines, rng) for text in texts]
    paths = [folder / clip.name(number) for number, clip in enumerate(clips)]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        written = pool.map(write_clip, clips, paths, itertools.repeat(sample_rate))
        try:
            for clip, path in zip(clips, written, strict=True):
                on_clip()
                yield path, clip.text, clip.voice
        finally:
            pool.shutdown(cancel_futures=True)


def draw_clip(text: str, engines: Sequence[str], rng: random.Random) -> Clip:
    """Draw how a text is said."""
    return Clip(text, draw_voice(engines, rng), (rng.uniform(*LEAD_S), rng.uniform(*TAIL_S)))


def write_clip(clip: Clip, path: Path, sample_rate: int) -> Path:
    """Say a clip, unless its file is there; errors as ``synthesize``."""
    if not path.exists():
        waveform = trim(say(clip.text, clip.voice, path, sample_rate))
        waveform = with_margins(waveform, clip.margins_s, sample_rate)
        with new_file(path, overwrite=True, error=SynthesisError) as partial:
            sf.write(partial, waveform, sample_rate, format="WAV", subtype="PCM_16")
    return path


def say(text: str, voice: Voice, path: Path, sample_rate: int) -> Waveform:
    """Say a text; errors as ``synthesize``."""
    raw = path.with_suffix(".raw.wav")
    try:
        subprocess.run(
            voice.command(text, raw),
            input=text,
            text=True,
            capture_output=True,
            check=True,
            timeout=TIMEOUT_S,
        )
        return load_audio(raw, sample_rate=sample_rate)
    except (OSError, subprocess.SubprocessError, SpeechRNNError) as error:
        said = (getattr(error, "stderr", None) or str(error)).strip()
        raise SynthesisError(f"{voice.engine} cannot say {text!r} in voice {voice.name}: {said}") from error
    finally:
        raw.unlink(missing_ok=True)


def trim(waveform: Waveform) -> Waveform:
    """Cut off what is softer than ``SILENCE_DB`` at both ends; silence stays as it is."""
    loud = np.flatnonzero(np.abs(waveform) > np.abs(waveform).max() * 10 ** (SILENCE_DB / 20))
    return waveform[loud[0] : loud[-1] + 1] if len(loud) else waveform


def with_margins(waveform: Waveform, margins_s: tuple[float, float], sample_rate: int) -> Waveform:
    """Put silence before and behind."""
    before, behind = (round(margin * sample_rate) for margin in margins_s)
    return np.pad(waveform, (before, behind))
