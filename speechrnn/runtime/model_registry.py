"""The models and language models that ship inside the package, found by name."""

from os import PathLike
from pathlib import Path

from speechrnn.errors import ModelFileError
from speechrnn.lm.files import PACKED_SUFFIX

DEFAULT_MODEL = "an4"
KEYWORD_MODEL = "phones-en"  # of the commands that look for keywords
MODELS_FOLDER = Path(__file__).parent.parent / "models"


def shipped_models() -> dict[str, Path]:
    """List the models that ship with speechrnn: name to model file, in order of name."""
    return {path.stem: path for path in sorted(MODELS_FOLDER.glob("*.onnx"))}


def shipped_lms() -> dict[str, Path]:
    """List the language models that ship with speechrnn: name to file, in order of name."""
    return {
        path.name.removesuffix(PACKED_SUFFIX): path
        for path in sorted(MODELS_FOLDER.glob(f"*{PACKED_SUFFIX}"))
    }


def find_lm(lm: str | PathLike[str]) -> Path:
    """Find a language model by the name of a shipped one or by its path.

    Args:
        lm: A name without a suffix, or a path; for a file of a shipped model's name, write ``./name``.

    Raises:
        ModelFileError: If there is neither a shipped language model nor a file of that name.
    """
    shipped = shipped_lms()
    if str(lm) in shipped:
        return shipped[str(lm)]
    path = Path(lm)
    if not path.exists():
        raise ModelFileError(
            f"{path}: no such language model; those that ship with speechrnn: {', '.join(shipped) or 'none'}"
        )
    return path


def find_model(model: str | PathLike[str] | None = None, *, default: str = DEFAULT_MODEL) -> Path:
    """Find a model file or checkpoint by the name of a shipped model or by its path.

    Args:
        model: A name without a suffix, or a path; the default model when not given. Where a file of a
            shipped model's name exists in the working folder, write ``./name`` for the file.
        default: Name of the shipped model that is taken then.

    Raises:
        ModelFileError: If there is neither a shipped model nor a file of that name.
    """
    shipped = shipped_models()
    name = default if model is None else str(model)
    if name in shipped:
        return shipped[name]
    if model is None:
        raise ModelFileError(
            f"the model {default!r} is missing from this installation of speechrnn; "
            "name a model file instead, or install speechrnn again"
        )
    if name in shipped_lms():
        raise ModelFileError(
            f"{name} is a language model, with which a model is read (--lm); it is no model file"
        )
    path = Path(model)
    if not path.exists():
        raise ModelFileError(
            f"{path}: no such model file; models that ship with speechrnn: {', '.join(shipped) or 'none'}"
        )
    return path
