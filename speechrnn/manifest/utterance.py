"""What every manifest is read into."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Utterance:
    """One recording, or one stretch of it, and what is said in it."""

    id: str
    """Name, unique in its manifest."""
    audio: Path
    """Audio file."""
    text: str
    """Transcript, or label of a keyword clip, as it was written; may be empty."""
    speaker: str | None = None
    """Who speaks, where known."""
    start_s: float = 0.0
    """Where the utterance begins in the file, seconds."""
    duration_s: float | None = None
    """Seconds from there, > 0; to the end of the file when not given."""
    channel: int | None = None
    """Channel to listen to, from 0; the mean of all when not given."""
    file_duration_s: float | None = None
    """What the manifest says of the whole file's duration, seconds."""
    snr_db: float | None = None
    """Signal-to-noise ratio, where known."""
    place: str = ""
    """Where it was read, for messages: ``train.csv:17``."""
