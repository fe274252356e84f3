"""Small releases of corpora, in their official form, for the recipes that prepare them."""

from pathlib import Path

import numpy as np
import soundfile as sf
from recipe_modules import ROOT, speech_commands

from speechrnn.training.fingerprint import read_samples

COMMAND_WORDS = (*speech_commands.COMMANDS, "bed", "marvin")
TAKES = range(5)  # 3 to train on, one each for dev and test
ARABIC_WORDS = ("zoom in", "yes")
ARABIC_SPEAKERS = {"train": 1, "val": 2, "test": 3}
CLIP = ROOT / "data" / "samples" / "an4_mjwl_an392.wav"
# Speaker, chapter, number, text: real speech that plays the part of LibriSpeech's.
READ_LINES = [
    ("19", "198", 0, "NORTHANGER ABBEY"),
    ("19", "198", 1, "THAT'S ALL"),
    ("1970", "10594", 0, "A WOMAN"),
    ("3242", "8112", 0, "A MAN"),
]


def write_releases(root: Path) -> None:
    """Write one of each into a folder of its own, named as its recipe."""
    write_speech_commands(root / "speech_commands")
    write_arabic_speech_commands(root / "arabic_speech_commands")
    write_librispeech(root / "librispeech", "train-clean-5")


def write_noise(path: Path, seconds: float = 1.0) -> None:
    """Write a clip in Speech Commands' form: 16 kHz, 16 bit, mono WAV."""
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(0).normal(size=int(16000 * seconds))
    sf.write(path, (1000 * noise).astype(np.int16), 16000, subtype="PCM_16")


def name_command(word: str, speaker: int) -> str:
    """Name a clip as Speech Commands does."""
    return f"{word}/{speaker:08x}_nohash_0.wav"


def write_speech_commands(root: Path) -> Path:
    """Write 12 words by 5 speakers, lists, background."""
    for word in COMMAND_WORDS:
        for speaker in TAKES:
            write_noise(root / name_command(word, speaker))
    for noise in ("running_tap", "pink_noise"):
        write_noise(root / "_background_noise_" / f"{noise}.wav", seconds=40)
    (root / "_background_noise_" / "README.md").write_text("About the noise\n")
    for split, speaker in (("validation", 3), ("testing", 4)):
        lines = (f"{name_command(word, speaker)}\n" for word in COMMAND_WORDS)
        (root / f"{split}_list.txt").write_text("".join(lines))
    (root / "LICENSE").write_text("CC BY 4.0\n")
    return root


def write_arabic_speech_commands(root: Path) -> Path:
    """Write two words, each once by a speaker of each split."""
    for split, speaker in ARABIC_SPEAKERS.items():
        lines = ["file,class"]
        for word in ARABIC_WORDS:
            path = f"dataset/{word}/{speaker:08}_NO_01.wav"
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            sf.write(root / path, np.full(16000, speaker * 100, np.int16), 16000, subtype="PCM_16")
            lines.append(f"{path},{word}")
        (root / f"{split}.csv").write_text("\n".join(lines) + "\n")
    return root


def write_librispeech(root: Path, part: str, suffix: str = ".flac") -> Path:
    """Write a part with two utterances to train on and one each for dev and test."""
    samples, rate = read_samples(CLIP)
    for speaker, chapter, number, text in READ_LINES:
        folder = root / part / speaker / chapter
        folder.mkdir(parents=True, exist_ok=True)
        name = f"{speaker}-{chapter}-{number:04}"
        sf.write(folder / f"{name}{suffix}", samples, rate)
        with open(folder / f"{speaker}-{chapter}.trans.txt", "a", encoding="utf-8") as file:
            file.write(f"{name} {text}\n")
    return root
