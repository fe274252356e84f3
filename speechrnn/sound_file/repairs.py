"""Sound files whose writers left something out, made readable, or refused where they are cut off."""

import logging
import os
from typing import BinaryIO

from speechrnn.errors import AudioError
from speechrnn.sound_file.opening import peek

logger = logging.getLogger("speechrnn")

UNKNOWN_SIZE = 0x7FFF_0000  # sizes from here on, and 0, are what writers to a pipe put for "unknown"
OGG_END_OF_STREAM = 0x04
LARGEST_OGG_PAGE = 65_307  # bytes


class EndlessFile:
    """A file that tells a length beyond any estimate, so that libsndfile stops only where it really ends."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.at_end = False

    def read(self, size: int = -1) -> bytes:
        """Read on."""
        return self.file.read(size)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move, and remember whether to the end; what would lie before the beginning is the beginning."""
        self.at_end = whence == os.SEEK_END
        place = self.file.tell() if whence == os.SEEK_CUR else self.file.seek(0, whence)
        return self.file.seek(max(0, place + offset))

    def tell(self) -> int:
        """Say the place; the end is 100 times as far as it is."""
        return self.file.tell() * (100 if self.at_end else 1)


class PatchedFile:
    """A file of which a few bytes read differently."""

    def __init__(self, file: BinaryIO, place: int, patch: bytes) -> None:
        self.file, self.place, self.patch = file, place, patch
        self.seek, self.tell = file.seek, file.tell

    def read(self, size: int = -1) -> bytes:
        """Read on."""
        start = self.file.tell()
        data = bytearray(self.file.read(size))
        for place, byte in enumerate(self.patch, start=self.place - start):
            if 0 <= place < len(data):
                data[place] = byte
        return bytes(data)


def is_mp3_without_length(file: BinaryIO) -> bool:
    """Tell whether a file is MP3 and has no header that counts its frames, as when cut from a stream.

    libsndfile then takes all frames to be as large as the first and reads no further than that gives.
    """
    start, tag = 0, peek(file, 0, 10)
    if tag.startswith(b"ID3"):  # its size comes in 7 bits a byte
        start = 10 + sum((byte & 0x7F) << 7 * place for place, byte in enumerate(tag[9:5:-1]))
    head = peek(file, start, 64)
    is_mp3 = head[:1] == b"\xff" and head[1:2] >= b"\xe0"
    return is_mp3 and not any(mark in head for mark in (b"Xing", b"Info", b"VBRI"))


def mend_unclosed_wav(file: BinaryIO) -> BinaryIO | PatchedFile:
    """Let the samples of a WAV file whose writer never filled in their size run to the end of the file."""
    head, length = peek(file, 0, 12), file.seek(0, os.SEEK_END)
    if head[:4] != b"RIFF" or head[8:] != b"WAVE":
        return file
    start = 12
    while (chunk := peek(file, start, 8))[:4] != b"data" and start + 8 <= length:
        size = int.from_bytes(chunk[4:], "little")
        start += 8 + size + size % 2
    riff_end = 8 + int.from_bytes(head[4:8], "little")
    says_nothing = riff_end <= start + 8 or riff_end >= UNKNOWN_SIZE
    if chunk != b"data\0\0\0\0" or length <= start + 8 or not says_nothing:
        return file
    return PatchedFile(file, start + 4, b"\xff" * 4)


def check_ogg_end(file: BinaryIO, name: str) -> None:
    """Refuse an Ogg file that ends within a page; warn of one whose last page is not marked as such.

    A stream saved while it was sent ends between pages and has no mark, so that is no error. RFC 3533,
    section 6: flags are byte 5 of a page, byte 26 is the number of segments, whose sizes follow.

    Raises:
        AudioError: If the last page is incomplete.
    """
    size = file.seek(0, os.SEEK_END)
    data = peek(file, max(0, size - 2 * LARGEST_OGG_PAGE), size)
    page = data[data.rfind(b"OggS") :]
    sizes = page[27 : 27 + page[26]] if len(page) > 26 else b""
    if len(page) <= 26 or len(sizes) < page[26] or len(page) < 27 + len(sizes) + sum(sizes):
        raise AudioError(f"{name}: truncated: the file ends within an Ogg page")
    if not page[5] & OGG_END_OF_STREAM:
        logger.warning("%s: has no end-of-stream mark; the file may be truncated", name)
