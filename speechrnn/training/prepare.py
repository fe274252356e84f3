"""Whatever says who says what, to manifests of Lhotse cuts."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from lhotse.cut import Cut

from speechrnn.errors import ManifestError
from speechrnn.manifest import Utterance, iter_manifest
from speechrnn.training.cuts import (
    SUFFIX,
    PreparedManifest,
    refuse_existing,
    split_path,
    utterances_to_cuts,
    watched,
    write_manifest,
    write_splits,
)
from speechrnn.training.lhotse_sources import (
    corpus_cuts,
    find_recordings,
    is_lhotse_cuts,
    lhotse_cuts,
    recordings_to_cuts,
)
from speechrnn.training.speaker_split import parse_shares, split_cuts, with_speakers


def prepare_utterances(
    utterances: Iterable[Utterance], path: str | os.PathLike[str], *, overwrite: bool = False
) -> PreparedManifest:
    """Write utterances as Lhotse cuts; this is what a recipe's ``prepare.py`` calls for each split.

    The audio stays where it is and is named by its absolute path. The manifest appears under its
    name only when it is complete.

    Args:
        utterances: What to write, for example from ``speechrnn.manifest.iter_manifest``.
        path: Manifest to write, ``.jsonl.gz``; its folder is made.
        overwrite: Replace an existing manifest instead of refusing.

    Raises:
        ManifestError: If the manifest exists or cannot be written, there are no utterances, an id
            comes twice, or an utterance lies outside its audio.
        AudioError: If an audio file is missing, empty or no audio.
    """
    return write_manifest(utterances_to_cuts(utterances), Path(path), overwrite=overwrite)


def prepare(
    source: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    relative_to: str | os.PathLike[str] | None = None,
    speaker_pattern: str | None = None,
    split_by_speaker: str | None = None,
    seed: int = 0,
    overwrite: bool = False,
    on_cut: Callable[[], object] = bool,
) -> list[PreparedManifest]:
    """Make manifests of Lhotse cuts from any of the sources that are understood.

    Args:
        source: What ``speechrnn.manifest.read_manifest`` reads, Lhotse cuts, or a folder of Lhotse
            recordings and supervisions.
        out: Manifest to write, ``.jsonl.gz``; or a folder for ``SPLIT.jsonl.gz``, where the source
            has several splits or is to be split.
        relative_to: Folder for relative audio paths; the source's own when not given.
        speaker_pattern: Regular expression whose group is the speaker in an audio path.
        split_by_speaker: ``dev=0.1,test=8``, shares of the speech or numbers of speakers held out.
        seed: Of that split.
        overwrite: Replace existing manifests instead of refusing.
        on_cut: Called for each cut, for a progress bar.

    Raises:
        ManifestError: If the source cannot be read, a manifest exists or cannot be written, an id
            comes twice, an utterance lies outside its audio, or the speakers cannot be split.
        AudioError: If an audio file is missing, empty or no audio.
    """
    path, folder = Path(source), None if relative_to is None else Path(relative_to)
    sources = {
        name: watched(cuts if speaker_pattern is None else with_speakers(cuts, speaker_pattern), on_cut)
        for name, cuts in open_source(path, folder).items()
    }
    target = Path(out)
    if split_by_speaker is None and len(sources) == 1:
        cuts = next(iter(sources.values()))
        return [write_manifest(cuts, target, overwrite=overwrite)]
    if target.name.endswith(SUFFIX):
        several = ", ".join(sources) if split_by_speaker is None else "split by speaker"
        raise ManifestError(f"{target}: must be a folder, for several manifests ({several})")
    if split_by_speaker is None:
        return write_splits(sources, target, overwrite=overwrite)
    return write_split(sources, target, parse_shares(split_by_speaker), seed, overwrite=overwrite)


def open_source(path: Path, relative_to: Path | None) -> dict[str, Iterator[Cut]]:
    """Open a source's cuts, by the splits that it comes in; errors as ``prepare``."""
    pairs = find_recordings(path) if path.is_dir() else {}
    if pairs:
        return {name: recordings_to_cuts(*pair, relative_to=relative_to) for name, pair in pairs.items()}
    if path.is_file() and is_lhotse_cuts(path):
        return {path.name: lhotse_cuts(path, relative_to=relative_to)}
    return {path.name: utterances_to_cuts(iter_manifest(path, relative_to=relative_to))}


def write_split(
    sources: Mapping[str, Iterable[Cut]],
    folder: Path,
    shares: Mapping[str, float],
    seed: int,
    *,
    overwrite: bool,
) -> list[PreparedManifest]:
    """Split by speaker and write, if that overwrites nothing; errors as ``prepare``."""
    if len(sources) > 1:
        raise ManifestError(f"cannot split what comes in splits: {', '.join(sources)}")
    refuse_existing([split_path(folder, name) for name in ("train", *shares)], overwrite=overwrite)
    splits = split_cuts(next(iter(sources.values())), shares, seed=seed)
    return write_splits(splits, folder, overwrite=overwrite)


def prepare_corpus(
    name: str,
    source: str | os.PathLike[str],
    folder: str | os.PathLike[str],
    *,
    options: Mapping[str, str] | None = None,
    overwrite: bool = False,
) -> list[PreparedManifest]:
    """Prepare a corpus by Lhotse's recipe for it, and write a manifest of cuts for each split.

    Args:
        name: Corpus as Lhotse calls it, for example ``librispeech``.
        source: The corpus, unpacked.
        folder: Where to write ``SPLIT.jsonl.gz``.
        options: Further arguments of Lhotse's function.
        overwrite: Replace existing manifests instead of refusing.

    Raises:
        ManifestError: If there is no such corpus, its recipe fails or finds nothing, an option does
            not exist, or a manifest exists or cannot be written.
    """
    splits = corpus_cuts(name, Path(source), Path(folder), options or {})
    return write_splits(splits, Path(folder), overwrite=overwrite)
