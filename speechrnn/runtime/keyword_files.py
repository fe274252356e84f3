"""Where keywords come from and their thresholds go: a text, a keyword file, an enrolled keyword, the model."""

import codecs
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from speechrnn.decoding.keyword_search import spell
from speechrnn.decoding.keywords import BAR, MARK, Keyword, check_labels, parse_keywords, with_thresholds
from speechrnn.errors import ConfigError
from speechrnn.new_file import new_file
from speechrnn.runtime.enrollment import SUFFIX, check_model, load_enrollment, save_enrollment
from speechrnn.runtime.label_scores import find_labels
from speechrnn.runtime.model_file import ModelFile, ModelInfo
from speechrnn.runtime.pronounced import PHONES, pronounce

FILE_NAME = re.compile(rf"^\S+\.\w{{2,}}$|\.txt$|\{SUFFIX}$", re.IGNORECASE)  # a.m. and U.S. are none


def read_keywords(sources: Sequence[str], model: ModelFile) -> tuple[Keyword, ...]:
    """Read keywords.

    Args:
        sources: Each a file of an enrolled keyword (.npz), a keyword file, or keywords between commas.
        model: What will look for them.

    Raises:
        ConfigError: If a source is wrong or empty, or names a file that is none, labels are double, or a keyword
            was enrolled with another model, or a classifier has no such label.
        TextError: If the model cannot write a keyword, or nobody says how it is said.
        ModelFileError: If the model hears phones and has no dictionary.
    """
    keywords = tuple(keyword for source in sources for keyword in read_source(source, model))
    check_labels(keywords)
    return keywords


def read_source(source: str, model: ModelFile) -> tuple[Keyword, ...]:
    """Read the keywords of one source; errors as ``read_keywords``."""
    if source.endswith(SUFFIX) and ("," not in source or is_file(source)):
        enrollment = load_enrollment(Path(source))
        check_model(enrollment, model, Path(source))
        return (enrollment.keyword,)
    check = partial(check_keyword, model)
    if is_file(source):
        return parse_keywords(read_lines(Path(source)), source, check=check)
    names = source.split(",")
    for name in map(str.strip, names):
        if is_meant_as_file(name, model.info):
            cure = "; each file goes into a --keywords of its own" if len(names) > 1 else ""
            raise ConfigError(f"{name}: {describe_file(name)}{cure}")
    return parse_keywords(names, "keywords", check=check)


def check_keyword(model: ModelFile, keyword: Keyword) -> None:
    """Refuse a keyword that the model cannot hear; errors as ``read_keywords``."""
    if model.info.task == "classification":
        find_labels(model, [keyword])
        return
    for spoken in pronounce(model.info, [keyword]):
        for spelling in spoken.spellings:
            spell(model.info.vocabulary, spelling)


def is_meant_as_file(name: str, info: ModelInfo) -> bool:
    """Tell the name of a file or folder, there or not, from a keyword.

    A word that the model can write is a keyword: clips of alexa often lie in a folder of that name. A normalisation
    that drops points and strokes makes no keyword of a file's name.
    """
    if not name or BAR in name or MARK.search(name) or PHONES.fullmatch(name):
        return False
    signs = [sign for sign in (os.sep, os.altsep) if sign and sign in name]
    signs += ["."] if FILE_NAME.search(name) else []
    if signs:
        return not all(any(sign in token for token in info.vocabulary.tokens) for sign in signs)
    return (is_file(name) or is_folder(name)) and not can_write(info, name)


def describe_file(name: str) -> str:
    """Say what a name that is no keyword is."""
    if is_folder(name):
        return "is a folder, not a keyword file"
    return "is a file among keywords" if is_file(name) else "no such keyword file"


def can_write(info: ModelInfo, text: str) -> bool:
    """Tell whether a text is one that a model can hear."""
    if info.vocabulary.unit == "phone":
        return bool(info.packed_pronunciations) and all(info.pronunciations.of(word) for word in text.split())
    return not info.vocabulary.unknown(text)


def is_stored(source: str) -> bool:
    """Tell whether a source is a file, in which thresholds can be kept, or typed keywords."""
    return source.endswith(SUFFIX) or is_file(source)


def is_file(source: str) -> bool:
    """Tell a file's name from keywords, which may be longer than a name can be."""
    try:
        return Path(source).is_file()
    except OSError:
        return False


def is_folder(source: str) -> bool:
    """Tell a folder's name from keywords; as ``is_file``."""
    try:
        return Path(source).is_dir()
    except OSError:
        return False


def read_lines(path: Path) -> list[str]:
    """Read the lines of a keyword file, with their ends; a ``ConfigError`` if it is no text."""
    try:
        return path.read_bytes().decode("utf-8-sig").splitlines(keepends=True)
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8: {error.reason} at byte {error.start}") from error
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error


def store_thresholds(source: str, thresholds: Mapping[str, float]) -> bool:
    """Write thresholds into the file that keywords came from; all else in it stays as it is.

    Args:
        source: As of ``read_keywords``.
        thresholds: By label; those of other sources are passed over.

    Returns:
        False if the keywords are in no file.

    Raises:
        ConfigError: If it cannot be written.
    """
    path = Path(source)
    if source.endswith(SUFFIX):
        enrollment = load_enrollment(path)
        threshold = thresholds.get(enrollment.keyword.label, enrollment.keyword.threshold)
        keyword = replace(enrollment.keyword, threshold=threshold)
        save_enrollment(replace(enrollment, keyword=keyword), path, overwrite=True)
        return True
    if not is_file(source):
        return False
    lines = with_thresholds(read_lines(path), thresholds)
    encoding = "utf-8-sig" if path.read_bytes().startswith(codecs.BOM_UTF8) else "utf-8"
    with new_file(path, overwrite=True, error=ConfigError) as partial:
        partial.write_bytes("".join(lines).encode(encoding))  # as bytes: each line keeps its own end
    return True
