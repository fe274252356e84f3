"""Manifests: which audio says what. Every format is read, line by line, into ``Utterance``."""

from speechrnn.manifest.folders import AUDIO_SUFFIXES, find_files
from speechrnn.manifest.lines import JSON_SUFFIXES, TABLE_SUFFIXES, format_suffix, numbered_lines
from speechrnn.manifest.reading import estimate_length, iter_manifest, read_manifest, scan_manifest
from speechrnn.manifest.utterance import Utterance

__all__ = [
    "AUDIO_SUFFIXES",
    "JSON_SUFFIXES",
    "TABLE_SUFFIXES",
    "Utterance",
    "estimate_length",
    "find_files",
    "format_suffix",
    "iter_manifest",
    "numbered_lines",
    "read_manifest",
    "scan_manifest",
]
