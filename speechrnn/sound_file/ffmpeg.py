"""Files that libsndfile does not know, converted by ffmpeg where it is there."""

import errno
import logging
import math
import os
import re
import shutil
import subprocess
import tempfile
from typing import BinaryIO

from speechrnn.errors import AudioError
from speechrnn.sound_file.temporary_folder import no_room

logger = logging.getLogger("speechrnn")

FFMPEG_KINDS = "m4a, mp4, aac, webm, mkv, wma, amr, avi and flv"
FFMPEG_BEGINNINGS = (
    *(b"\xff\xf0", b"\xff\xf1", b"\xff\xf8", b"\xff\xf9"),  # ADTS: aac
    b"\x1a\x45\xdf\xa3",  # EBML: webm, mkv, mka
    b"\x30\x26\xb2\x75\x8e\x66\xcf\x11",  # ASF: wma, wmv
    b"#!AMR",
    b"FLV\x01",
)
FFMPEG_PREFIX = re.compile(r"^(?:\[[^]]*\] *)+")  # the part of ffmpeg that speaks, with its address
INSTALL_FFMPEG = "install ffmpeg (Debian: apt install ffmpeg; macOS: brew install ffmpeg)"


def is_for_ffmpeg(data: bytes) -> bool:
    """Tell by a file's first 12 bytes whether it is one that libsndfile does not know but ffmpeg does.

    By these alone, since ffmpeg takes much for audio that is none, and playlists for what they name.
    """
    is_avi = data[:4] == b"RIFF" and data[8:] == b"AVI "
    return data[4:8] == b"ftyp" or is_avi or data.startswith(FFMPEG_BEGINNINGS)


def convert_with_ffmpeg(file: BinaryIO, converted: BinaryIO, name: str, max_s: float) -> None:
    """Write a file that libsndfile does not know as wav; errors as ``load_audio``, or what a full folder raises."""
    ffmpeg = shutil.which("ffmpeg")
    if ffmpeg is None:
        raise AudioError(f"{name}: {FFMPEG_KINDS} are read with ffmpeg, which is not there; {INSTALL_FFMPEG}")
    with tempfile.NamedTemporaryFile() as copy:  # MP4 cannot be read from a pipe: its index may come last
        file.seek(0)
        shutil.copyfileobj(file, copy)
        copy.flush()
        command = [ffmpeg, "-nostdin", "-v", "error", "-xerror", "-i", f"file:{copy.name}", "-vn"]
        command += [] if max_s == math.inf else ["-t", f"{max_s + 1:.3f}"]  # enough to tell that it is longer
        command += ["-c:a", "pcm_f32le", "-f", "wav", "pipe:1"]
        done = subprocess.run(command, stdout=converted, stderr=subprocess.PIPE, check=False)
    said = done.stderr.decode(errors="replace").strip()
    if os.strerror(errno.ENOSPC) in said:
        raise AudioError(no_room(name))
    reason = FFMPEG_PREFIX.sub("", said.splitlines()[0]) if said else "no reason given"
    if done.returncode != 0 or not converted.seek(0, os.SEEK_END):
        raise AudioError(f"{name}: ffmpeg cannot read it: {reason}")
    if said:  # of a truncated file ffmpeg returns what is there, and success
        logger.warning("%s: ffmpeg reads it, but says: %s", name, reason)
