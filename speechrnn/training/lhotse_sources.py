"""Lhotse's own material to cuts with one text each: cuts, recordings with supervisions, corpora."""

import difflib
import inspect
import json
import logging
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from inspect import Parameter
from pathlib import Path
from typing import Any

import lhotse.recipes
from lhotse import MonoCut, MultiCut, Recording, RecordingSet, SupervisionSegment, SupervisionSet
from lhotse.cut import Cut, MixedCut
from lhotse.serialization import deserialize_item
from lhotse.utils import fastcopy

from speechrnn.errors import ManifestError
from speechrnn.manifest import JSON_SUFFIXES, format_suffix, numbered_lines
from speechrnn.training.probe import DURATION_TOLERANCE_S

logger = logging.getLogger("speechrnn")

PREFIX = "prepare_"
ONLY_SPLIT = "all"  # of a corpus that has no splits of its own
DIGITS = 8  # of Lhotse's seconds
MAX_WARNINGS = 5  # of a recipe

# ---- Files --------------------------------------------------------------------------------------


def is_lhotse_cuts(path: Path) -> bool:
    """Tell whether a file holds Lhotse cuts, judging by its first line.

    Raises:
        ManifestError: If the file cannot be read.
    """
    if path.is_dir() or format_suffix(path) not in JSON_SUFFIXES:
        return False
    _, line = next(numbered_lines(path), (1, ""))
    try:
        return "supervisions" in json.loads(line)
    except (ValueError, TypeError):
        return False  # whoever reads it as a manifest will say what is wrong


def read_items(path: Path, kind: type | tuple[type, ...]) -> Iterator[tuple[str, Any]]:
    """Read Lhotse's objects line by line, each with its place.

    Raises:
        ManifestError: If a line is no object of that kind.
    """
    for number, line in numbered_lines(path):
        place = f"{path}:{number}"
        try:
            item = deserialize_item(json.loads(line))
        except Exception as error:  # lhotse raises whatever its data classes stumble over
            raise ManifestError(f"{place}: is not of Lhotse: {describe(error)}") from error
        if not isinstance(item, kind):
            raise ManifestError(f"{place}: does not belong here, being a {type(item).__name__}")
        yield place, item


def lhotse_cuts(path: Path, *, relative_to: Path | None = None) -> Iterator[Cut]:
    """Read a file of Lhotse cuts.

    Those with one supervision stay as they are; of those with several, each becomes a cut.

    Raises:
        ManifestError: If a line is no cut, names audio that does not exist, or has a supervision
            outside its audio.
    """
    root = path.parent if relative_to is None else relative_to
    return one_text_each(read_items(path, Cut), root, name=str(path), keep_whole=True)


def find_recordings(folder: Path) -> dict[str, tuple[Path, Path]]:
    """Find Lhotse's pairs of recordings and supervisions, under what tells their names apart.

    Raises:
        ManifestError: If recordings lie there without their supervisions.
    """
    pairs = {}
    for recordings in sorted(folder.glob("*recordings*.jsonl*")):
        supervisions = recordings.with_name(recordings.name.replace("recordings", "supervisions"))
        if not supervisions.is_file():
            raise ManifestError(f"{recordings}: lacks its supervisions, {supervisions.name}")
        name = recordings.name.split(".jsonl")[0].replace("recordings", "")
        pairs[re.sub(r"[_-]{2,}", "_", name).strip("_-") or ONLY_SPLIT] = (recordings, supervisions)
    return pairs


def recordings_to_cuts(
    recordings: Path, supervisions: Path, *, relative_to: Path | None = None
) -> Iterator[Cut]:
    """Join the files of Lhotse recordings and supervisions.

    Raises:
        ManifestError: As for ``lhotse_cuts``, or if a supervision's recording is missing.
    """
    root = recordings.parent if relative_to is None else relative_to
    segments = (segment for _, segment in read_items(supervisions, SupervisionSegment))
    cuts = join_recordings(read_items(recordings, Recording), segments, name=str(supervisions))
    return one_text_each(cuts, root, name=str(recordings), keep_whole=False)


def join_recordings(
    recordings: Iterable[tuple[str, Recording]],
    supervisions: Iterable[SupervisionSegment],
    *,
    name: str,
) -> Iterator[tuple[str, Cut]]:
    """Make a cut of each recording, with its supervisions; errors as ``recordings_to_cuts``."""
    segments: defaultdict[str, list[SupervisionSegment]] = defaultdict(list)
    for supervision in supervisions:
        segments[supervision.recording_id].append(supervision)
    for place, recording in recordings:
        cut = recording.to_cut()
        cut.supervisions = segments.pop(recording.id, [])
        yield place, cut
    for missing in segments:
        raise ManifestError(f"{name}: there is no recording {missing!r}, but a supervision of it")


# ---- Cuts ---------------------------------------------------------------------------------------


def one_text_each(
    cuts: Iterable[tuple[str, Cut]], root: Path, *, name: str, keep_whole: bool
) -> Iterator[Cut]:
    """Make cuts that have exactly one supervision, and audio that exists, under absolute paths.

    Args:
        cuts: Any cuts, each with its place.
        root: Folder that relative audio paths start at; if the audio is not there, they start where
            Lhotse has them start, at the current folder.
        name: Where they come from, for messages.
        keep_whole: Leave cuts as they are that have one supervision already.
    """
    num_left_out = 0
    for place, cut in cuts:
        num_left_out += not cut.supervisions
        settle_audio(cut, place, root)
        if len(cut.supervisions) == 1 and keep_whole:
            yield cut
        else:
            yield from (supervision_to_cut(cut, each, place) for each in cut.supervisions)
    if num_left_out:
        logger.warning(
            "%s: %d recordings have no supervision and are left out; an empty text would keep them",
            name,
            num_left_out,
        )


def settle_audio(cut: Cut, place: str, root: Path) -> None:
    """Make a cut's audio paths absolute, so that they hold from any folder.

    Raises:
        ManifestError: If the audio does not exist.
    """
    parts = [track.cut for track in cut.tracks] if isinstance(cut, MixedCut) else [cut]
    recordings = [part.recording for part in parts if getattr(part, "recording", None)]
    for source in (source for recording in recordings for source in recording.sources):
        if source.type != "file":
            continue
        found = [path for path in (root / source.source, Path(source.source)) if path.is_file()]
        if not found:
            raise ManifestError(
                f"{place}: audio file {source.source} does not exist (cut {cut.id!r}); "
                "relative paths start at the manifest's folder unless --relative-to names another"
            )
        source.source = str(found[0].absolute())


def supervision_to_cut(cut: Cut, supervision: SupervisionSegment, place: str) -> Cut:
    """Cut down to one supervision, which gives the new cut its name.

    Raises:
        ManifestError: If the supervision goes beyond its cut or its recording's channels, or the
            cut is not of one recording.
    """
    start = max(supervision.start, 0.0)
    end = min(supervision.end, cut.duration)
    slack = max(start - supervision.start, supervision.end - end)
    if isinstance(cut, MixedCut) or slack > DURATION_TOLERANCE_S or end <= start:
        raise ManifestError(
            f"{place}: supervision {supervision.id!r} is of {supervision.start:g} s to "
            f"{supervision.end:g} s, its {type(cut).__name__} of 0 s to {cut.duration:g} s"
        )
    channels = {supervision.channel} if isinstance(supervision.channel, int) else {*supervision.channel}
    if not channels <= {*cut.recording.channel_ids}:
        raise ManifestError(
            f"{place}: supervision {supervision.id!r} is of channel {supervision.channel}, "
            f"its recording has {cut.recording.channel_ids}"
        )
    kind = MonoCut if isinstance(supervision.channel, int) else MultiCut
    duration = round(end - start, DIGITS)
    return kind(
        id=supervision.id,
        start=round(cut.start + start, DIGITS),
        duration=duration,
        channel=supervision.channel,
        supervisions=[fastcopy(supervision, start=0.0, duration=duration)],
        recording=cut.recording,
    )


def describe(error: Exception) -> str:
    """Say in a line what kind of error it was."""
    return f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"


# ---- Corpora ------------------------------------------------------------------------------------


def corpus_cuts(
    name: str, source: Path, folder: Path, options: Mapping[str, str]
) -> dict[str, Iterator[Cut]]:
    """Run Lhotse's recipe for a corpus: the cuts of each of its splits.

    Args:
        name: Corpus as Lhotse calls it, for example ``librispeech``.
        source: The corpus, unpacked.
        folder: Where a recipe that must write audio may do so.
        options: Further arguments of Lhotse's function.

    Raises:
        ManifestError: If there is no such corpus, its recipe fails or finds nothing, or an option
            does not exist.
    """
    found = dict(split_sets(run_recipe(name, source, folder, options)))
    if not found:
        raise ManifestError(f"{source}: Lhotse's recipe for {name} found no recordings with texts")
    return {
        split: one_text_each(
            join_recordings(((str(source), each) for each in recordings), supervisions, name=split),
            Path.cwd(),
            name=split,
            keep_whole=False,
        )
        for split, (recordings, supervisions) in sorted(found.items())
    }


def find_recipe(name: str) -> Any:
    """Find Lhotse's function that prepares a corpus.

    Raises:
        ManifestError: If there is none, naming the nearest names.
    """
    known = [entry.removeprefix(PREFIX) for entry in dir(lhotse.recipes) if entry.startswith(PREFIX)]
    wanted = name.lower().replace("-", "_")
    for entry in known:
        if entry.replace("_", "") == wanted.replace("_", ""):
            return getattr(lhotse.recipes, PREFIX + entry)
    near = [entry for entry in known if entry in wanted or wanted in entry]
    near += difflib.get_close_matches(wanted, known, n=5, cutoff=0.0)
    nearest = ", ".join(list(dict.fromkeys(near))[:5])
    raise ManifestError(f"Lhotse has no corpus {name!r}; the nearest are {nearest}")


def run_recipe(name: str, source: Path, folder: Path, options: Mapping[str, str]) -> Any:
    """Call Lhotse's function with the corpus as the first place it reads; errors as above."""
    recipe = find_recipe(name)
    if not source.is_dir():
        raise ManifestError(f"{source}: no such folder")
    parameters = inspect.signature(recipe).parameters
    given = {key: option_value(parameters, name, key, text) for key, text in options.items()}
    places = [key for key in parameters if is_source(key)] or list(parameters)
    given = {places[0]: source} | given
    needed = [key for key, each in parameters.items() if each.default is Parameter.empty]
    if "output_dir" in needed:  # some recipes cut audio into pieces there
        given.setdefault("output_dir", folder / "lhotse")
    missing = [key for key in needed if key not in given]
    if missing:
        raise ManifestError(f"corpus {name} needs --corpus-option {missing[0]}=…")
    try:
        with fewer_warnings(name):
            return recipe(**given)
    except Exception as error:  # recipes assert, raise and stumble in every way
        raise ManifestError(f"{source}: Lhotse's recipe for {name} failed: {describe(error)}") from error


@contextmanager
def fewer_warnings(name: str) -> Iterator[None]:
    """Say only the first few of what a recipe warns of: it may do so for every file."""
    messages: list[str] = []

    def keep(record: logging.LogRecord) -> bool:
        if record.levelno >= logging.WARNING:
            messages.append(record.getMessage())
        return False

    root = logging.getLogger()
    handlers = list(root.handlers)
    root.addFilter(keep)
    try:
        yield
    finally:
        root.removeFilter(keep)
        root.handlers[:] = handlers  # logging.warning() sets one up where there is none
        for message in messages[:MAX_WARNINGS]:
            logger.warning("Lhotse's recipe for %s: %s", name, message)
        if len(messages) > MAX_WARNINGS:
            logger.warning("… and %d warnings more", len(messages) - MAX_WARNINGS)


def is_source(parameter: str) -> bool:
    """Tell whether a recipe's parameter is a place to read: corpus_dir, audio_dir, tedlium_root."""
    return "output" not in parameter and parameter.endswith(("_dir", "_root", "_path", "_dirs"))


def option_value(parameters: Mapping[str, Parameter], corpus: str, name: str, text: str) -> Any:
    """Convert an option's text to the type of its default; errors as ``corpus_cuts``."""
    if name not in parameters:
        near = difflib.get_close_matches(name, parameters, n=1, cutoff=0.0)
        raise ManifestError(f"corpus {corpus} has no option {name!r}; the nearest is {near[0]!r}")
    default = parameters[name].default
    if not isinstance(default, bool | int | float):
        return text
    try:
        value = json.loads(text.lower())
    except ValueError:
        value = None
    if isinstance(value, bool) != isinstance(default, bool) or not isinstance(value, int | float):
        raise ManifestError(
            f"--corpus-option {name} must be like its default, {str(default).lower()}, got {text!r}"
        )
    return value


def split_sets(
    found: Any, name: tuple[str, ...] = ()
) -> Iterator[tuple[str, tuple[RecordingSet, SupervisionSet]]]:
    """Walk through what a recipe returned, however nested: each split's two sets."""
    if not isinstance(found, Mapping):
        return
    recordings, supervisions = found.get("recordings"), found.get("supervisions")
    if isinstance(recordings, RecordingSet) and isinstance(supervisions, SupervisionSet):
        yield "-".join(name) or ONLY_SPLIT, (recordings, supervisions)
        return
    for key, inner in found.items():
        yield from split_sets(inner, (*name, str(key)))
