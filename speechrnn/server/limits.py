"""What the server takes on, and how long it waits."""

import math
from dataclasses import dataclass, fields

from speechrnn.errors import ConfigError

MB = 1_000_000


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Bounds on what one client, or all together, can ask for; all of them > 0."""

    upload_bytes: int = 100 * MB
    """Of one request; larger ones get 413."""
    audio_s: float = 7200.0
    """Of one recording, seconds; longer ones get 413."""
    requests: int = 64
    """Transcriptions that are received, wait or run; further ones get 429."""
    waiting_s: float = 14400.0
    """Of audio that waits or runs, all clients together, seconds; more gets 429."""
    streams: int = 16
    """Open streaming sockets; further ones are refused."""
    stream_silence_s: float = 60.0
    """In which an open stream must be sent something, seconds; silent ones are closed."""
    upload_s: float = 60.0
    """In which a request must have come whole, seconds; slower ones get 408."""
    silence_s: float = 10.0
    """In which a client must send something while it has something to send, seconds."""
    answer_s: float = 600.0
    """In which a recording that has come whole must be transcribed, waiting included, seconds; else 503."""

    def __post_init__(self) -> None:
        """Check every range.

        Raises:
            ConfigError: Naming the limit and its value.
        """
        for limit in fields(self):
            if not 0 < getattr(self, limit.name) < math.inf:
                raise ConfigError(f"{limit.name} must be > 0 and finite, got {getattr(self, limit.name)}")
