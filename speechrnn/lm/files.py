"""Language models on disk: the content tells how to read one, the name how to write it."""

import os

from speechrnn.errors import ModelFileError
from speechrnn.lm.arpa import read_arpa
from speechrnn.lm.arpa_writing import write_arpa
from speechrnn.lm.binary import is_binary, read_binary, write_binary
from speechrnn.lm.ngram import NgramModel
from speechrnn.lm.progress import OnProgress
from speechrnn.lm.sphinx import is_sphinx, read_sphinx

ARPA_SUFFIXES = (".arpa", ".arpa.gz")
BINARY_SUFFIX, PACKED_SUFFIX = ".srlm", ".srlm.xz"
KENLM_MAGIC = b"mmap lm http://kheafield.com/code"


def read_lm(
    path: str | os.PathLike[str], *, verify: bool = False, on_progress: OnProgress | None = None
) -> NgramModel:
    """Read a language model, whatever its name.

    Args:
        path: An ARPA file, gzipped or not, a binary of speechrnn, which is mapped and not read whole unless it is
            packed, or one of CMU Sphinx.
        verify: Whether to read a binary whole and compare its checksums.
        on_progress: Told how much is read, and of how much.

    Raises:
        ModelFileError: If it cannot be read or is damaged, as ``read_arpa`` and ``read_binary`` say, or if
            it is a binary of KenLM.
    """
    if is_binary(path):
        return read_binary(path, verify=verify, on_progress=on_progress)
    if is_sphinx(path):
        return read_sphinx(path)
    with open(path, "rb") as file:
        if file.read(len(KENLM_MAGIC)) == KENLM_MAGIC:
            raise ModelFileError(f"{path}: is a binary of KenLM, which only KenLM reads; give its ARPA file")
    return read_arpa(path, on_progress=on_progress)


def write_lm(
    model: NgramModel,
    path: str | os.PathLike[str],
    *,
    overwrite: bool = False,
    on_progress: OnProgress | None = None,
) -> None:
    """Write a language model in the form that the file's name asks for.

    Args:
        model: Any model.
        path: ``.arpa``, ``.arpa.gz``, ``.srlm``, the binary, or ``.srlm.xz``, the same packed.
        overwrite: Whether to replace a file of that name.
        on_progress: Told how much is written, and of how much.

    Raises:
        ModelFileError: If the name ends otherwise, there is such a file and it must not be replaced, or it
            cannot be written.
    """
    check_name(path)
    if str(path).endswith(ARPA_SUFFIXES):
        write_arpa(model, path, overwrite=overwrite, on_progress=on_progress)
    else:
        packed = str(path).endswith(PACKED_SUFFIX)
        write_binary(model, path, packed=packed, overwrite=overwrite, on_progress=on_progress)


def check_name(path: str | os.PathLike[str]) -> None:
    """Check that a name says how to write a model.

    Raises:
        ModelFileError: If it ends in none of the suffixes.
    """
    if not str(path).endswith((*ARPA_SUFFIXES, BINARY_SUFFIX, PACKED_SUFFIX)):
        raise ModelFileError(
            f"{path}: the name must end in {', '.join(ARPA_SUFFIXES)}, {BINARY_SUFFIX} or {PACKED_SUFFIX}"
        )
