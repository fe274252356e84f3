"""Language models as memory-mapped binaries (.srlm): opened in no time, read where they are used.

A file begins with 4096 bytes of header: 16 bytes of magic, the version and the CRC-32 of the rest of the
header (little-endian uint32 both), and JSON filled up with spaces. The JSON says where the parts lie: the words
(UTF-8, one per line) and the arrays of the model (little-endian), each at a multiple of 64 bytes, with its CRC-32.
Packed with xz (.srlm.xz) a file is a quarter as large or less, and is unpacked into memory when it is opened.
"""

import json
import lzma
import os
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from speechrnn.errors import ConfigError, ModelFileError
from speechrnn.lm.ngram import ARRAYS, NgramModel
from speechrnn.lm.progress import OnProgress, ignore_progress
from speechrnn.new_file import new_file

PACKED_MAGIC = b"\xfd7zXZ\x00"
MAGIC = b"\x89speechrnn-lm\r\n\n"  # a transfer as text would change it
VERSION = 1
PREAMBLE = struct.Struct("<16sII")
HEADER_SIZE = 4096
ALIGNMENT = 64
BLOCK = 1 << 24  # bytes in memory at a time
CURE = "build it again, or convert it from its ARPA file"


def write_binary(
    model: NgramModel,
    path: str | os.PathLike[str],
    *,
    packed: bool = False,
    overwrite: bool = False,
    on_progress: OnProgress | None = None,
) -> None:
    """Write a binary.

    Args:
        model: Any model.
        path: The file.
        packed: Whether to pack it with xz.
        overwrite: Whether to replace a file of that name.
        on_progress: Told the bytes written, and their number.

    Raises:
        ModelFileError: If there is such a file and it must not be replaced, or it cannot be written.
    """
    parts = encode_parts(model)
    header = lay_out(model, parts)
    open_to_write = lzma.open if packed else open
    with new_file(path, overwrite=overwrite) as partial, open_to_write(partial, "wb") as file:
        file.write(encode_header(header))
        for name, part in parts.items():
            file.write(bytes(header["parts"][name]["offset"] - file.tell()))
            for start in range(0, part.nbytes, BLOCK):
                file.write(part[start : start + BLOCK])
                (on_progress or ignore_progress)(file.tell(), header["file_size"])


def read_binary(
    path: str | os.PathLike[str], *, verify: bool = False, on_progress: OnProgress | None = None
) -> NgramModel:
    """Open a binary; its arrays stay on disk until they are used, unless it is packed.

    Args:
        path: The file; it must not change as long as the model is used.
        verify: Whether to read it all and compare the checksums of the arrays, too.
        on_progress: Told the bytes verified, and their number.

    Raises:
        ModelFileError: If it cannot be read, is no binary of speechrnn or one of another version, is not as
            long as it was written, or is damaged.
    """
    place = Path(path)
    try:
        content = unpack(place) if is_packed(place) else np.memmap(place, np.uint8, mode="r")
    except OSError as error:
        raise ModelFileError(f"{place}: cannot be read: {error.strerror}") from error
    except ValueError as error:  # nothing can be mapped of an empty file
        raise not_ours(place) from error
    header = read_header(content[:HEADER_SIZE].tobytes(), place)
    if content.size != header["file_size"]:
        raise ModelFileError(
            f"{place}: has {content.size} bytes but was written with {header['file_size']}; copy it again"
        )
    if verify:
        verify_arrays(content, header, place, on_progress or ignore_progress)
    return assemble(content, header, place)


def is_binary(path: str | os.PathLike[str]) -> bool:
    """Tell whether a file begins like a binary, packed or not.

    Raises:
        ModelFileError: If it cannot be read.
    """
    try:
        with open(path, "rb") as file:
            return file.read(len(MAGIC)).startswith((MAGIC, PACKED_MAGIC))
    except OSError as error:
        raise ModelFileError(f"{path}: cannot be read: {error.strerror}") from error


# ---- Writing --------------------------------------------------------------------------------------------


def encode_parts(model: NgramModel) -> dict[str, memoryview]:
    """See the parts of a model as bytes; no word holds a line's end."""
    parts = {"vocabulary": memoryview("\n".join(model.vocabulary).encode())}
    for name, dtype in ARRAYS.items():
        array = np.ascontiguousarray(getattr(model, name), little(dtype))
        parts[name] = array.view(np.uint8).data
    return parts


def lay_out(model: NgramModel, parts: dict[str, memoryview]) -> dict[str, Any]:
    """Give each part its place."""
    places, end = {}, HEADER_SIZE
    for name, part in parts.items():
        offset = -(-end // ALIGNMENT) * ALIGNMENT
        places[name] = {"offset": offset, "size": part.nbytes, "crc32": zlib.crc32(part)}
        end = offset + part.nbytes
    num_words, num_nodes = len(model.vocabulary), len(model.words)
    facts = {"order": model.order, "unit": model.unit, "num_words": num_words, "num_nodes": num_nodes}
    return {**facts, "file_size": end, "parts": places}


def encode_header(header: dict[str, Any]) -> bytes:
    """Write the header."""
    body = json.dumps(header).encode().ljust(HEADER_SIZE - PREAMBLE.size)
    return PREAMBLE.pack(MAGIC, VERSION, zlib.crc32(body)) + body


def little(dtype: Any) -> np.dtype[Any]:
    """Return the little-endian form of a type."""
    ordered: np.dtype[Any] = np.dtype(dtype).newbyteorder("<")
    return ordered


# ---- Reading --------------------------------------------------------------------------------------------


def is_packed(path: Path) -> bool:
    """Tell whether a file begins as xz writes it."""
    with open(path, "rb") as file:
        return file.read(len(PACKED_MAGIC)) == PACKED_MAGIC


def unpack(path: Path) -> NDArray[np.uint8]:
    """Unpack a file into memory; a ``ModelFileError`` if it is damaged."""
    try:
        with lzma.open(path) as file:
            return np.frombuffer(file.read(), np.uint8)
    except (lzma.LZMAError, EOFError) as error:
        raise ModelFileError(f"{path}: cannot be unpacked: {error}; {CURE}") from error


def not_ours(path: Path) -> ModelFileError:
    """Say that a file is none of ours."""
    return ModelFileError(f"{path}: is no binary language model of speechrnn; give a file that it wrote")


def read_header(raw: bytes, path: Path) -> dict[str, Any]:
    """Read and check the header, the first bytes of a file."""
    if raw[: len(MAGIC)] != MAGIC:
        raise not_ours(path)
    if len(raw) < HEADER_SIZE:
        raise ModelFileError(f"{path}: is cut off within its header; copy it again")
    _, version, crc = PREAMBLE.unpack_from(raw)
    if version != VERSION:
        raise ModelFileError(
            f"{path}: is of version {version}, this speechrnn reads version {VERSION}; {CURE}"
        )
    if zlib.crc32(raw[PREAMBLE.size :]) != crc:
        raise ModelFileError(f"{path}: its header is damaged; {CURE}")
    header: dict[str, Any] = json.loads(raw[PREAMBLE.size :])
    return header


def verify_arrays(
    content: NDArray[np.uint8], header: dict[str, Any], path: Path, on_progress: OnProgress
) -> None:
    """Compare the checksums of all parts."""
    for name, part in header["parts"].items():
        end, crc = part["offset"] + part["size"], 0
        for start in range(part["offset"], end, BLOCK):
            crc = zlib.crc32(content[start : min(start + BLOCK, end)].data, crc)
            on_progress(min(start + BLOCK, end), header["file_size"])
        if crc != part["crc32"]:
            raise ModelFileError(f"{path}: its {name} are damaged; {CURE}")


def assemble(content: NDArray[np.uint8], header: dict[str, Any], path: Path) -> NgramModel:
    """Build the model over the mapped bytes."""
    parts = {
        name: content[part["offset"] : part["offset"] + part["size"]]
        for name, part in header["parts"].items()
    }
    words = parts["vocabulary"].tobytes()
    if zlib.crc32(words) != header["parts"]["vocabulary"]["crc32"]:
        raise ModelFileError(f"{path}: its vocabulary is damaged; {CURE}")
    arrays = {name: parts[name].view(little(dtype)) for name, dtype in ARRAYS.items()}
    bounds = arrays["first_child"][[0, -1]].tolist()
    if bounds != [1, header["num_nodes"]]:
        raise ModelFileError(f"{path}: its first_child are damaged; {CURE}")
    vocabulary, order, unit = tuple(words.decode().split("\n")), header["order"], header["unit"]
    try:
        return NgramModel(vocabulary=vocabulary, order=order, unit=unit, **arrays)
    except ConfigError as error:  # only a program that writes such files itself gets here
        raise ModelFileError(f"{path}: {error}; {CURE}") from error
