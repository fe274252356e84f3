"""Speakers: read from file names, and dealt out to splits so that none is in two."""

import hashlib
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from lhotse.cut import Cut

from speechrnn.errors import ManifestError


def with_speakers(cuts: Iterable[Cut], pattern: str) -> Iterator[Cut]:
    """Take the speakers from the audio's paths: what the pattern's group matches.

    Of several groups the first that matches counts, so that alternatives may each have one.

    Raises:
        ManifestError: If the pattern is not a regular expression with a group, or finds nothing.
    """
    try:
        expression = re.compile(pattern)
    except re.error as error:
        raise ManifestError(f"--speaker-pattern {pattern!r} is no regular expression: {error}") from error
    if expression.groups < 1:
        raise ManifestError(f"--speaker-pattern {pattern!r} needs a group ( ) around the speaker")
    for cut in cuts:
        audio = Path(cut.recording.sources[0].source).as_posix()
        match = expression.search(audio)
        speaker = next(filter(None, match.groups()), None) if match else None
        if speaker is None:
            raise ManifestError(f"--speaker-pattern {pattern!r} finds no speaker in {audio}")
        for supervision in cut.supervisions:
            supervision.speaker = speaker
        yield cut


def parse_shares(text: str) -> dict[str, float]:
    """Read ``dev=0.1,test=8``: below 1 a share of the speech, from 1 on a number of speakers.

    Raises:
        ManifestError: If it cannot be read so, or the shares leave nothing for ``train``.
    """
    shares: dict[str, float] = {}
    for part in text.split(","):
        name, _, number = part.strip().partition("=")
        try:
            value = float(number)
        except ValueError:
            value = 0.0
        is_new = re.fullmatch(r"\w[\w-]*", name) and name not in (*shares, "train")
        if not is_new or not 0 < value < math.inf:
            raise ManifestError(
                f"--split-by-speaker must be like dev=0.1,test=8 (a share below 1, or a number of "
                f"speakers; the rest is train), got {text!r}"
            )
        if value >= 1 and value != int(value):
            raise ManifestError(f"--split-by-speaker {part.strip()}: a number of speakers must be whole")
        shares[name] = value
    if sum(share for share in shares.values() if share < 1) >= 1:
        raise ManifestError(f"--split-by-speaker {text}: the shares leave nothing for train")
    return shares


def split_speakers(
    seconds: Mapping[str, float], shares: Mapping[str, float], *, seed: int = 0
) -> dict[str, str]:
    """Deal speakers out to splits; each speaker's split depends on names, shares and seed alone.

    Speakers come in the order of a hash, so it is the same on every machine, and with more speakers
    the old ones mostly stay where they were.

    Args:
        seconds: Speech of each speaker.
        shares: Held-out splits: below 1 a share of all seconds, from 1 on a number of speakers.
        seed: Another seed, another split.

    Returns:
        Each speaker's split, ``train`` for those not held out.

    Raises:
        ManifestError: If there are not enough speakers for every split to have one.

    Example:
        >>> sorted(split_speakers({"ann": 60.0, "bob": 60.0}, {"dev": 1}).values())
        ['dev', 'train']
    """
    order = sorted(seconds, key=lambda name: hashlib.sha256(f"{seed}:{name}".encode()).digest())
    spare = len(order) - 1 - sum(max(1, int(share)) for share in shares.values())
    if spare < 0:
        wanted = ", ".join(f"{name}={share:g}" for name, share in shares.items())
        raise ManifestError(f"{len(order)} speakers are too few for train and {wanted}")
    splits: dict[str, str] = {}
    for split, share in shares.items():
        left = order[len(splits) :]
        wanted_s = share * sum(seconds.values())
        taken = left[: int(share)] or take_share(left[: 1 + spare], seconds, wanted_s)
        spare -= len(taken) - max(1, int(share))
        splits.update(dict.fromkeys(taken, split))
    return splits | dict.fromkeys(order[len(splits) :], "train")


def take_share(speakers: list[str], seconds: Mapping[str, float], wanted_s: float) -> list[str]:
    """Take the first speakers, as many as come nearest to the wanted seconds; at least one."""
    taken: list[str] = []
    total = 0.0
    for speaker in speakers:
        if taken and abs(total + seconds[speaker] - wanted_s) >= abs(total - wanted_s):
            break
        taken.append(speaker)
        total += seconds[speaker]
    return taken


def split_cuts(cuts: Iterable[Cut], shares: Mapping[str, float], *, seed: int = 0) -> dict[str, list[Cut]]:
    """Split cuts so that no speaker is in two splits.

    Raises:
        ManifestError: If a speaker is unknown, or there are too few.
    """
    everything = list(cuts)
    seconds: dict[str, float] = {}
    for cut in everything:
        speaker = cut.supervisions[0].speaker
        if not speaker:
            raise ManifestError(
                f"utterance {cut.id!r} has no speaker, so it cannot be split by speaker; "
                "--speaker-pattern takes speakers from file names"
            )
        seconds[speaker] = seconds.get(speaker, 0.0) + cut.duration
    split_of = split_speakers(seconds, shares, seed=seed)
    splits: dict[str, list[Cut]] = {name: [] for name in ("train", *shares)}
    for cut in everything:
        splits[split_of[cut.supervisions[0].speaker]].append(cut)
    return splits
