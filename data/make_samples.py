"""Take the sample clips out of their corpora: what made ``data/samples``.

Example:
    python -m data.make_samples --an4 an4 --fsdd free-spoken-digit-dataset-1.0.10
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import soundfile as sf

from recipes.an4.prepare import find_release, read_release
from recipes.fsdd.prepare import read_clips
from speechrnn.manifest import Utterance
from speechrnn.training.fingerprint import read_samples

# Chosen for what is said and by whom, not for how well a model hears it; all are of the test sets.
AN4 = (
    "an406-fcaw-b",
    "cen2-fjlp-b",
    "cen7-fvap-b",
    "cen8-marh-b",
    "an425-menk-b",
    "cen4-mjgm-b",
    "an392-mjwl-b",
)
FSDD = ("3_nicolas_1", "7_jackson_0", "9_lucas_2")


def write_samples(named: dict[str, Utterance], licence: str, folder: Path) -> list[str]:
    """Write clips as 16-bit WAV; returns their rows of ``transcripts.tsv``."""
    rows = []
    for name, utterance in named.items():
        samples, sample_rate = read_samples(utterance.audio)
        sf.write(folder / f"{name}.wav", samples, sample_rate, "PCM_16")
        rows.append(f"{name}.wav\t{utterance.text}\t{utterance.speaker}\t{licence}\n")
    return rows


def an4_name(utterance: str) -> str:
    """Name a clip ``an4_speaker_number``."""
    number, speaker, _ = utterance.split("-")
    return f"an4_{speaker}_{number}"


def main(argv: Sequence[str] | None = None) -> None:
    """Write the clips and their transcripts."""
    parser = argparse.ArgumentParser(description="Take the sample clips out of their corpora.")
    parser.add_argument("--an4", type=Path, required=True, help="unpacked release of AN4")
    parser.add_argument("--fsdd", type=Path, required=True, help="unpacked release of FSDD")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("samples"))
    args = parser.parse_args(argv)
    args.out.mkdir(parents=True, exist_ok=True)
    test = {utterance.id: utterance for utterance in read_release(find_release(args.an4))["test"]}
    clips = {clip.id: clip for clip in read_clips(args.fsdd)}
    rows = write_samples({an4_name(name): test[name] for name in AN4}, "CMU-AN4", args.out)
    digits = {f"fsdd_{name}": clips[name] for name in FSDD}
    rows += write_samples(digits, "CC-BY-SA-4.0", args.out)
    table = "audio\ttext\tspeaker\tlicence\n" + "".join(rows)
    (args.out / "transcripts.tsv").write_text(table, encoding="utf-8")


if __name__ == "__main__":
    main()
