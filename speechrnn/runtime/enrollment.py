"""Keywords from recordings: what the model heard in a few of them becomes what is looked for; no training."""

import logging
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from speechrnn.audio import Source, load_audio, source_name
from speechrnn.decoding.keyword_search import KeywordSearch, TemplateSearch
from speechrnn.decoding.keywords import Keyword
from speechrnn.errors import AudioError, ConfigError, TextError
from speechrnn.new_file import new_file
from speechrnn.runtime.emission_stream import stream_emissions
from speechrnn.runtime.model_file import ModelFile
from speechrnn.runtime.pronounced import pronounce

logger = logging.getLogger("speechrnn")

SUFFIX = ".npz"
FORMAT = "speechrnn keyword 3"  # 3: confidences of another temperature, and so thresholds
FEWEST, ENOUGH = 2, 3  # recordings
LONGEST_S = 3.0
# Whether it is the same word is told by the likely tokens; a detector, which also hears the voice, tempers far more.
AGREEMENT_TEMPERATURE = 0.7
# Confidences: takes of a word find each other at 0.73 to 0.84 with the models that we have, other words at 0.66
# to 0.76, and a recording finds itself at 1, but for what rounding takes.
ALIKE, SAME = 0.7, 0.9995
UNLIKE = 0.6  # what the others find less surely than this is left out, as long as enough are left: it is another word
SAID = 0.02  # confidence in the label; half of the takes of a word have 0.06 to 0.4 and more


@dataclass(frozen=True, kw_only=True)
class Enrollment:
    """A keyword made from recordings."""

    keyword: Keyword
    """Ready to be looked for."""
    network_sha256: str
    """Of the model whose answers the templates are; no other can use them."""
    agreement: tuple[float, ...]
    """How surely each recording is found by the others, in [0, 1]; empty where it was not measured."""


def enroll(model: ModelFile, label: str, recordings: Sequence[Source]) -> Enrollment:
    """Make a keyword of recordings.

    Args:
        model: A CTC model.
        label: What a hit is called.
        recordings: Two or more clips of nothing but the keyword; three to five are enough.

    Raises:
        ConfigError: If the model is a classifier, there are fewer than two recordings, or the label is empty.
        AudioError: If a recording cannot be read, the model hears nothing in it, or it is too long.
    """
    if model.info.task != "ctc":
        raise ConfigError(
            f"{model.path}: a classifier knows its labels only; enroll with a model that writes text"
        )
    if len(recordings) < FEWEST:
        raise ConfigError(f"keyword {label!r}: {len(recordings)} recording is too few; give 3 to 5 of them")
    if len(recordings) < ENOUGH:
        logger.warning("keyword %r: %d recordings are few; 3 to 5 work better", label, len(recordings))
    templates = tuple(make_template(model, recording) for recording in recordings)
    for one, again in find_same(templates):
        names = " and ".join(source_name(recordings[place]) for place in (one, again))
        logger.warning("recordings %s are the same; take different ones", names)
    agreement = measure_agreement(templates)
    places = choose_alike(agreement)
    for place, (recording, confidence) in enumerate(zip(recordings, agreement, strict=True)):
        if confidence < ALIKE:
            what = (
                "unlike the other recordings" if place in places else "left out, unlike the other recordings"
            )
            logger.warning("%s: %s (%.2f); is it %r?", source_name(recording), what, confidence, label)
    templates = tuple(templates[place] for place in places)
    keyword = Keyword(label=label, spellings=find_spellings(model, label, templates), templates=templates)
    return Enrollment(keyword=keyword, network_sha256=model.network_sha256, agreement=agreement)


def make_template(model: ModelFile, recording: Source) -> NDArray[np.float32]:
    """Hear a recording and cut it from the first to the last token, a frame to spare at both ends."""
    waveform, name = load_audio(recording, sample_rate=model.info.sample_rate), source_name(recording)
    model.info.check_length(len(waveform), name)
    log_probs = np.concatenate(list(stream_emissions(model, [waveform])))
    heard = np.flatnonzero(log_probs.argmax(axis=1) != model.info.vocabulary.blank)
    if not len(heard):
        raise AudioError(f"{name}: the model hears nothing in {len(waveform) / model.info.sample_rate:.1f} s")
    template = log_probs[max(0, heard[0] - 1) : heard[-1] + 2]
    duration_s = len(template) * model.info.clock.frame_s
    if duration_s > LONGEST_S:
        raise AudioError(f"{name}: {duration_s:.1f} s of speech; a keyword takes at most {LONGEST_S:g} s")
    return template


def find_spellings(model: ModelFile, label: str, templates: Sequence[NDArray[np.float32]]) -> tuple[str, ...]:
    """Take the label as a spelling, too, if a model of phones can say it and hears it in half of the recordings."""
    if model.info.vocabulary.unit != "phone" or not model.info.packed_pronunciations:
        return ()
    try:
        spoken = pronounce(model.info, [Keyword(label=label, spellings=(label,))])
    except (TextError, ConfigError):
        return ()
    frame_s, vocabulary = model.info.clock.frame_s, model.info.vocabulary
    found = [
        KeywordSearch(vocabulary, spoken, frame_s=frame_s).feed(template).log_scores.max()
        for template in templates
    ]
    return (label,) if np.exp(np.median(found)) >= SAID else ()


def measure_agreement(templates: Sequence[NDArray[np.float32]]) -> tuple[float, ...]:
    """Look for each recording with all the others; the confidence of each."""
    agreement = []
    for place, template in enumerate(templates):
        others = [*templates[:place], *templates[place + 1 :]]
        search = TemplateSearch([others], temperature=AGREEMENT_TEMPERATURE)
        agreement.append(float(np.exp(search.feed(template).log_scores.max())))
    return tuple(agreement)


def choose_alike(agreement: Sequence[float]) -> list[int]:
    """Choose the places of the recordings to keep: all, if fewer than ``ENOUGH`` are alike."""
    alike = [place for place, confidence in enumerate(agreement) if confidence >= UNLIKE]
    return alike if len(alike) >= ENOUGH else list(range(len(agreement)))


def find_same(templates: Sequence[NDArray[np.float32]]) -> list[tuple[int, int]]:
    """Find recordings that were given before: the place of the first such one, and the place of this one."""
    heard = np.array([find_each(templates, template) for template in templates])
    # Each must be found in the other: what is only a part of another recording is another take.
    same = np.tril(np.minimum(heard, heard.T) >= SAME, k=-1)
    return [(int(row.argmax()), place) for place, row in enumerate(same) if row.any()]


def find_each(templates: Sequence[NDArray[np.float32]], heard: NDArray[np.float32]) -> NDArray[np.float64]:
    """Look for each of the recordings in what was heard: (templates,) confidences."""
    search = TemplateSearch([[template] for template in templates], temperature=AGREEMENT_TEMPERATURE)
    confidences: NDArray[np.float64] = np.exp(search.feed(heard).log_scores.max(axis=0))
    return confidences


def save_enrollment(enrollment: Enrollment, path: Path, *, overwrite: bool = False) -> None:
    """Write a keyword; the file appears only when it is whole.

    Raises:
        ConfigError: If the file exists and must not be replaced, its name does not end in .npz, or it cannot
            be written.
    """
    check_name(path)
    keyword = enrollment.keyword
    values: dict[str, Any] = {
        "format": FORMAT,
        "label": keyword.label,
        "network_sha256": enrollment.network_sha256,
        "boost": keyword.boost,
        "threshold": np.nan if keyword.threshold is None else keyword.threshold,
        "spellings": np.array(keyword.spellings, dtype=np.str_),
    }
    values |= {f"template_{number}": template for number, template in enumerate(keyword.templates)}
    with new_file(path, overwrite=overwrite, error=ConfigError) as partial, partial.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **values)


def check_name(path: Path) -> None:
    """Refuse a name of a file that no keyword would be looked for in, with a ``ConfigError``."""
    if path.suffix != SUFFIX:
        raise ConfigError(f"{path}: the file of an enrolled keyword must end in {SUFFIX}")


def load_enrollment(path: Path) -> Enrollment:
    """Read what ``save_enrollment`` wrote.

    Raises:
        ConfigError: If the file cannot be read, or is none of an enrolled keyword.
    """
    try:
        # Opened here: NumPy leaves a file open that turns out to be broken.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as values:
            if str(values["format"]) != FORMAT:
                raise ConfigError(f"{path}: is of format {values['format']}, not {FORMAT}; enroll it again")
            names = [name for name in values if name.startswith("template_")]
            templates = tuple(values[f"template_{number}"] for number in range(len(names)))
            threshold = float(values["threshold"])
            keyword = Keyword(
                label=str(values["label"]),
                spellings=tuple(map(str, values["spellings"])) if "spellings" in values else (),
                templates=templates,
                boost=float(values["boost"]),
                threshold=None if np.isnan(threshold) else threshold,
            )
            return Enrollment(keyword=keyword, network_sha256=str(values["network_sha256"]), agreement=())
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror or error}") from error
    except (ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise ConfigError(f"{path}: no file of an enrolled keyword") from error


def check_model(enrollment: Enrollment, model: ModelFile, path: Path) -> None:
    """Refuse a keyword that was enrolled with another model, with a ``ConfigError``."""
    if enrollment.network_sha256 != model.network_sha256:
        raise ConfigError(
            f"{path}: keyword {enrollment.keyword.label!r} was enrolled with another model than {model.path}; "
            "enroll it again"
        )
