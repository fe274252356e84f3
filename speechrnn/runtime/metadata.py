"""Metadata written into a model file that exists; the network in it is not touched.

An ONNX file is one protobuf message, ``ModelProto``, a sequence of (tag, value) in any order; its field 14,
``metadata_props``, comes once for each key (onnx.proto, ``StringStringEntryProto``).
"""

import hashlib
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from speechrnn.errors import ModelFileError
from speechrnn.new_file import new_file

METADATA_PROPS = 14
KEY, VALUE = 1, 2
VARINT, FIXED_64, BYTES, FIXED_32 = 0, 1, 2, 5


def write_metadata(path: Path, properties: Mapping[str, str]) -> None:
    """Set metadata of a model file, which is replaced in one step.

    Args:
        path: The model file.
        properties: Keys and their new values; other keys keep theirs.

    Raises:
        ModelFileError: If the file cannot be read or written, or is no ONNX file.
    """
    try:
        content = path.read_bytes()
        edited = with_metadata(content, properties)
    except (ValueError, IndexError) as error:
        raise ModelFileError(f"{path}: not a whole ONNX file") from error
    except OSError as error:
        raise ModelFileError(f"{path}: cannot be read: {error.strerror}") from error
    with new_file(path, overwrite=True) as partial:
        partial.write_bytes(edited)


def network_sha256(path: Path, without: Collection[str]) -> str:
    """Compute the SHA-256 of a model file as if it had no metadata of some keys, in hexadecimal.

    Raises:
        ModelFileError: If the file cannot be read, or is no ONNX file.
    """
    digest = hashlib.sha256()
    try:
        view = memoryview(path.read_bytes())
        for field, start, content, end in fields(view):
            if field != METADATA_PROPS or key_of(view[content:end]) not in without:
                digest.update(view[start:end])
    except (ValueError, IndexError) as error:
        raise ModelFileError(f"{path}: not a whole ONNX file") from error
    except OSError as error:
        raise ModelFileError(f"{path}: cannot be read: {error.strerror}") from error
    return digest.hexdigest()


def with_metadata(model: bytes, properties: Mapping[str, str]) -> bytes:
    """Return a serialised ``ModelProto`` with new metadata; a ``ValueError`` or ``IndexError`` if it is none."""
    view = memoryview(model)
    kept: list[bytes | memoryview] = []
    for field, start, content, end in fields(view):
        if field != METADATA_PROPS or key_of(view[content:end]) not in properties:
            kept.append(view[start:end])
    for key, value in properties.items():
        entry = length_delimited(KEY, key.encode()) + length_delimited(VALUE, value.encode())
        kept.append(length_delimited(METADATA_PROPS, entry))
    return b"".join(kept)


def fields(message: memoryview) -> Iterator[tuple[int, int, int, int]]:
    """Walk through a message: number of each field, and where it, its content and the next field begin."""
    place = 0
    while place < len(message):
        tag, content = read_varint(message, place)
        kind, end = tag & 7, content
        if kind == VARINT:
            _, end = read_varint(message, content)
        elif kind == BYTES:
            size, content = read_varint(message, content)
            end = content + size
        elif kind in (FIXED_64, FIXED_32):
            end = content + (8 if kind == FIXED_64 else 4)
        else:
            raise ValueError(f"wire type {kind}")
        if end > len(message):
            raise ValueError("ends too early")
        yield tag >> 3, place, content, end
        place = end


def key_of(entry: memoryview) -> str:
    """Read the key of a ``StringStringEntryProto``."""
    for field, _, content, end in fields(entry):
        if field == KEY:
            return bytes(entry[content:end]).decode()
    return ""


def read_varint(message: memoryview, place: int) -> tuple[int, int]:
    """Read a number, seven bits a byte, the lowest first; return it and the place behind it."""
    value = shift = 0
    while True:
        byte = message[place]
        value |= (byte & 0x7F) << shift
        place, shift = place + 1, shift + 7
        if byte < 0x80:
            return value, place


def length_delimited(field: int, content: bytes) -> bytes:
    """Write a field of bytes."""
    return varint(field << 3 | BYTES) + varint(len(content)) + content


def varint(value: int) -> bytes:
    """Write a number, seven bits a byte, the lowest first."""
    written = bytearray()
    while value >= 0x80:
        written.append(value & 0x7F | 0x80)
        value >>= 7
    written.append(value)
    return bytes(written)
