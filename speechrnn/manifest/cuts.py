"""Lhotse's cuts, as they are written to JSON."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from speechrnn.errors import ManifestError
from speechrnn.manifest.records import number_of, optional_text
from speechrnn.manifest.utterance import Utterance


def parse_cut(cut: Mapping[str, Any], place: str, root: Path) -> Iterator[Utterance | ManifestError]:
    """Make the utterances of a Lhotse cut: itself, or each of several supervisions."""
    supervisions = cut.get("supervisions") or [{}]
    try:
        for supervision in supervisions:
            part = cut if len(supervisions) == 1 else part_of_cut(cut, supervision)
            yield cut_to_utterance(part, supervision, place, root)
    except ManifestError as error:
        yield error
    except (KeyError, TypeError, IndexError, ValueError, AttributeError) as error:
        yield ManifestError(f"{place}: is not a Lhotse cut: {type(error).__name__}: {error}")


def part_of_cut(cut: Mapping[str, Any], supervision: Mapping[str, Any]) -> Mapping[str, Any]:
    """Cut down to one supervision, whose start is counted from the cut's."""
    return {
        **cut,
        "id": supervision["id"],
        "start": cut["start"] + supervision["start"],
        "duration": supervision["duration"],
        "channel": supervision.get("channel", cut.get("channel")),
    }


def cut_to_utterance(
    cut: Mapping[str, Any], supervision: Mapping[str, Any], place: str, root: Path
) -> Utterance:
    """Make the utterance that is a whole cut.

    Raises:
        ManifestError: If the cut is not a plain stretch of one audio file.
    """
    kind, name = cut.get("type", "MonoCut"), cut["id"]
    if kind not in ("MonoCut", "MultiCut") or "recording" not in cut:
        raise ManifestError(f"{place}: only cuts of one recording can be read, got {kind} {name!r}")
    recording = cut["recording"]
    audio, channel = find_source(recording, cut.get("channel", 0), place, root)
    return Utterance(
        id=str(name),
        audio=audio,
        text=(supervision.get("text") or "").strip(),
        speaker=optional_text(supervision.get("speaker")),
        start_s=number_of(cut["start"], "start", place, name),
        duration_s=number_of(cut["duration"], "duration", place, name),
        channel=channel,
        file_duration_s=number_of(recording["duration"], "duration", place, name),
        place=place,
    )


def find_source(
    recording: Mapping[str, Any], channel: int | list[int], place: str, root: Path
) -> tuple[Path, int | None]:
    """Find the file of a Lhotse recording's channels, and which channel of it to hear (None: all).

    The file lies below the manifest's folder or, where Lhotse itself looks, below the current one.

    Raises:
        ManifestError: If the audio is not one plain file, or is altered while it is read.
    """
    wanted = channel if isinstance(channel, list) else [channel]
    sources = [source for source in recording["sources"] if set(wanted) <= set(source["channels"])]
    altered = [step for step in recording.get("transforms") or [] if "Resample" not in str(step)]
    channels = sources[0]["channels"] if sources else []
    plain = len(sources) == 1 and sources[0]["type"] == "file" and not altered
    if not plain or len(wanted) not in (1, len(channels)):
        raise ManifestError(
            f"{place}: recording {recording['id']!r} must be one audio file, unaltered, "
            f"for channel {channel}; its sources: {str(recording['sources'])[:200]}; "
            f"its transforms: {altered or 'none'}"
        )
    path = Path(sources[0]["source"])
    audio = path if path.exists() and not (root / path).exists() else root / path
    return audio, None if len(wanted) == len(channels) else channels.index(wanted[0])
