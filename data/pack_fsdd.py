"""Pack the Free Spoken Digit Dataset as Lhotse Shar: what made ``data/fsdd/shar``.

The same clips, as WAV or as FLAC, always make the same bytes: one shard a speaker, no time stamps.

Example:
    python -m data.pack_fsdd --source free-spoken-digit-dataset-1.0.10
"""

import argparse
import gzip
import io
import json
import tarfile
from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import soundfile as sf
from lhotse import MonoCut, Recording, SupervisionSegment
from lhotse.audio import AudioSource

from recipes.fsdd.prepare import PACKED, read_clips
from speechrnn.manifest import Utterance
from speechrnn.training.fingerprint import read_samples


def pack(clips: Iterable[Utterance], folder: Path) -> None:
    """Write a shard for each speaker: ``cuts.00000N.jsonl.gz`` and ``recording.00000N.tar``.

    Args:
        clips: All of one speaker's clips after another's.
        folder: Where to write; it is made.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for number, (_, group) in enumerate(groupby(clips, key=lambda clip: clip.speaker)):
        pack_shard(group, f"{number:06}", folder)


def pack_shard(clips: Iterable[Utterance], number: str, folder: Path) -> None:
    """Write one shard: a line in the manifest and two members in the tar for each clip."""
    with (
        tarfile.open(folder / f"recording.{number}.tar", "w", format=tarfile.USTAR_FORMAT) as tar,
        open(folder / f"cuts.{number}.jsonl.gz", "wb") as raw,
        gzip.GzipFile("", "wb", 9, raw, mtime=0) as lines,
    ):
        for clip in clips:
            audio, recording = encode(clip)
            add_member(tar, f"{clip.id}.flac", audio)
            add_member(tar, f"{clip.id}.json", to_line(recording.to_dict()))
            lines.write(to_line(make_cut(clip, recording).to_dict()))


def encode(clip: Utterance) -> tuple[bytes, Recording]:
    """Encode a clip as FLAC, and describe it as Shar does, without saying where it lies."""
    samples, sample_rate = read_samples(clip.audio)
    flac = io.BytesIO()
    sf.write(flac, samples, sample_rate, "PCM_16", format="FLAC", compression_level=1.0)
    source = AudioSource(type="shar", channels=[0], source="")
    duration = len(samples) / sample_rate
    return flac.getvalue(), Recording(clip.id, [source], sample_rate, len(samples), duration)


def make_cut(clip: Utterance, recording: Recording) -> MonoCut:
    """Make a clip's cut: text, speaker, and the number of the take as ``index``."""
    supervision = SupervisionSegment(
        id=clip.id,
        recording_id=clip.id,
        start=0.0,
        duration=recording.duration,
        channel=0,
        text=clip.text,
        speaker=clip.speaker,
    )
    return MonoCut(
        id=clip.id,
        start=0.0,
        duration=recording.duration,
        channel=0,
        supervisions=[supervision],
        recording=recording,
        custom={"index": int(clip.id.rpartition("_")[2])},
    )


def to_line(item: dict[str, Any]) -> bytes:
    """Write one of Lhotse's objects as a line of JSON."""
    return json.dumps(item).encode() + b"\n"


def add_member(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    """Add a member that has a name, a size, and nothing of this machine or this day."""
    member = tarfile.TarInfo(name)
    member.size = len(content)
    tar.addfile(member, io.BytesIO(content))


def main(argv: Sequence[str] | None = None) -> None:
    """Pack the release."""
    parser = argparse.ArgumentParser(description="Pack the Free Spoken Digit Dataset.")
    parser.add_argument("--source", type=Path, required=True, help="unpacked release 1.0.10")
    parser.add_argument("--out", type=Path, default=PACKED, help="default: data/fsdd/shar")
    args = parser.parse_args(argv)
    pack(read_clips(args.source), args.out)


if __name__ == "__main__":
    main()
