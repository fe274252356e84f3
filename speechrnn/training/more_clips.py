"""Clips from elsewhere, for a recipe to train on, too."""

from collections.abc import Collection
from pathlib import Path

from speechrnn.errors import ManifestError
from speechrnn.manifest import Utterance, read_manifest


def read_more_clips(manifest: Path, labels: Collection[str]) -> list[Utterance]:
    """Read the clips of a manifest whose text is a label.

    Raises:
        ManifestError: If there is none, or the manifest cannot be read.
    """
    clips = [clip for clip in read_manifest(manifest) if clip.text in labels]
    if not clips:
        raise ManifestError(f"{manifest}: --more holds no clip of {', '.join(labels)}")
    return clips
