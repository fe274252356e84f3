"""What is in a manifest, and what of it cannot be trained on."""

import itertools
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from speechrnn.errors import AudioError, ManifestError
from speechrnn.manifest import Utterance
from speechrnn.nn.config import ModelConfig
from speechrnn.training.probe import DURATION_TOLERANCE_S, AudioFacts, probe_utterances

KINDS: Mapping[str, str] = {
    "line": "lines that cannot be read",
    "id": "ids that came before",
    "repeat": "recordings that came before",
    "audio": "utterances whose audio is missing or damaged",
    "duration": "durations that do not fit the audio",
    "text": "texts that the vocabulary cannot spell",
    "frames": "utterances too short for the model",
}
MAX_LABELS = 200  # with more different texts, it is not a keyword set
AudioKey = tuple[Path, float, float | None, int | None]


class Problem(NamedTuple):
    """Something that training would stumble over."""

    kind: str
    """A key of ``KINDS``."""
    message: str
    """Place, value and condition."""


class Fit(NamedTuple):
    """How an utterance's target fits its frames."""

    utterance: str
    """Id."""
    num_frames: int
    """Output frames of the model."""
    num_needed: int
    """Tokens, and a blank between each two equal neighbours."""


@dataclass(kw_only=True)
class CheckReport:
    """What a manifest holds, counted while it is read."""

    manifest: str
    """The manifest."""
    config: ModelConfig | None = None
    """The model that is to be trained or run on it, if any."""
    durations_s: list[float] = field(default_factory=list)
    """Seconds of each utterance whose audio is sound."""
    num_utterances: int = 0
    """Utterances; lines that cannot be read are not among them."""
    num_empty_texts: int = 0
    """Utterances in which nothing is said."""
    num_silent: int = 0
    """Utterances whose audio is digital silence."""
    num_without_end: int = 0
    """Utterances in Ogg files without an end mark."""
    num_without_speaker: int = 0
    """Utterances of unknown speakers."""
    sample_rates: Counter[int] = field(default_factory=Counter)
    """Hz of the files, by utterances."""
    channels: Counter[int] = field(default_factory=Counter)
    """Channels of the files, by utterances."""
    speakers: Counter[str] = field(default_factory=Counter)
    """Utterances of each speaker."""
    characters: Counter[str] = field(default_factory=Counter)
    """Characters of the texts as they are written."""
    unknown: Counter[str] = field(default_factory=Counter)
    """Of the normalised texts, what the vocabulary lacks."""
    labels: Counter[str] | None = field(default_factory=Counter)
    """Utterances of each text; None where there are more than ``MAX_LABELS``."""
    tightest: Fit | None = None
    """The utterance with the fewest frames for what they must hold, among those that fit."""
    problems: list[Problem] = field(default_factory=list)
    """What must be mended, in the order of the manifest."""


def check_manifest(
    found: Iterable[Utterance | ManifestError],
    *,
    manifest: str,
    config: ModelConfig | None = None,
    decode: bool = True,
    heard: dict[AudioKey, str] | None = None,
) -> CheckReport:
    """Read a manifest and its audio through, and report what is in it.

    Args:
        found: The manifest, from ``speechrnn.manifest.scan_manifest``.
        manifest: Its name, for the report.
        config: The model; without one, vocabulary and frames are not checked.
        decode: Decode all the audio and so find damage anywhere in it; otherwise only its headers.
        heard: Audio of the manifests before this one, to find what is in two; it is added to.

    Returns:
        The report; nothing of what is wrong with a manifest is raised.
    """
    report = CheckReport(manifest=manifest, config=config)
    ids: dict[str, str] = {}
    heard = {} if heard is None else heard
    for utterance, facts in probe_utterances(until_error(found), decode=decode):
        if isinstance(utterance, ManifestError):
            report.problems.append(Problem("line", str(utterance)))
            continue
        report.problems += find_repeats(utterance, ids, heard)
        count_utterance(report, utterance)
        if isinstance(facts, AudioFacts):
            count_audio(report, utterance, facts)
            report.problems += find_misfits(utterance, facts)
        elif facts is not None:
            message = f"{utterance.place}: {facts} (utterance {utterance.id!r})"
            report.problems.append(Problem("audio", message))
        if config is not None:
            report.problems += check_against_model(report, utterance, facts, config)
    if report.num_utterances == 0 and not report.problems:
        report.problems.append(Problem("line", f"{manifest}: holds no utterance"))
    return report


def until_error(
    found: Iterable[Utterance | ManifestError],
) -> Iterator[Utterance | ManifestError]:
    """Pass utterances on; an error that ends the manifest becomes its last entry."""
    try:
        yield from found
    except ManifestError as error:
        yield error


# ---- One utterance ------------------------------------------------------------------------------


def find_repeats(utterance: Utterance, ids: dict[str, str], heard: dict[AudioKey, str]) -> Iterator[Problem]:
    """Find ids and audio that came before, here or in another manifest."""
    place = utterance.place
    if utterance.id in ids:
        yield Problem("id", f"{place}: id {utterance.id!r} was already used at {ids[utterance.id]}")
    ids.setdefault(utterance.id, place)
    duration_s = None if is_whole(utterance) else utterance.duration_s
    key = (utterance.audio.absolute(), utterance.start_s, duration_s, utterance.channel)
    if key in heard:
        message = f"{place}: audio {utterance.audio} was already used at {heard[key]}"
        yield Problem("repeat", f"{message} (utterance {utterance.id!r})")
    heard.setdefault(key, place)


def is_whole(utterance: Utterance) -> bool:
    """Tell whether an utterance goes on to the end of its file, as far as the manifest knows."""
    return utterance.duration_s is None or utterance.duration_s == utterance.file_duration_s


def count_utterance(report: CheckReport, utterance: Utterance) -> None:
    """Count what the manifest says."""
    report.num_utterances += 1
    report.characters.update(utterance.text)
    report.num_empty_texts += not utterance.text.strip()
    report.num_without_speaker += not utterance.speaker
    report.speakers.update([utterance.speaker] if utterance.speaker else [])
    if report.labels is not None:
        report.labels.update([utterance.text])
        report.labels = report.labels if len(report.labels) <= MAX_LABELS else None


def count_audio(report: CheckReport, utterance: Utterance, facts: AudioFacts) -> None:
    """Count what the audio holds."""
    report.durations_s.append(heard_duration_s(utterance, facts))
    report.sample_rates[facts.sample_rate] += 1
    report.channels[facts.num_channels] += 1
    report.num_silent += facts.is_silent
    report.num_without_end += facts.lacks_end


def heard_duration_s(utterance: Utterance, facts: AudioFacts) -> float:
    """Return the seconds of an utterance that its audio really has."""
    left = max(facts.duration_s - utterance.start_s, 0.0)
    return left if is_whole(utterance) else min(left, utterance.duration_s or math.inf)


def find_misfits(utterance: Utterance, facts: AudioFacts) -> Iterator[Problem]:
    """Find durations and channels that the audio does not have."""
    stated, real = utterance.file_duration_s, facts.duration_s
    end = utterance.start_s + (utterance.duration_s or 0.0)
    who = f"(utterance {utterance.id!r})"
    if stated is not None and abs(stated - real) > DURATION_TOLERANCE_S:
        message = f"{utterance.place}: states {stated:g} s, {utterance.audio} lasts {real:g} s {who}"
        yield Problem("duration", message)
    elif utterance.start_s >= real or end > real + DURATION_TOLERANCE_S:
        message = f"{utterance.place}: ends at {end:g} s, {utterance.audio} at {real:g} s {who}"
        yield Problem("duration", message)
    if utterance.channel is not None and utterance.channel >= facts.num_channels:
        message = f"{utterance.place}: {utterance.audio} has no channel {utterance.channel} {who}"
        yield Problem("audio", message)


def check_against_model(
    report: CheckReport,
    utterance: Utterance,
    facts: AudioFacts | AudioError | None,
    config: ModelConfig,
) -> Iterator[Problem]:
    """Find what the vocabulary cannot spell, and targets for which the model has too few frames."""
    unknown = config.vocabulary.unknown(utterance.text)
    report.unknown.update(unknown)
    if unknown:
        listed = ", ".join(f"{name!r} ({count})" for name, count in unknown.most_common())
        message = f"{utterance.place}: not in the vocabulary: {listed} (utterance {utterance.id!r})"
        yield Problem("text", message)
    if not isinstance(facts, AudioFacts):
        return
    num_samples = round(heard_duration_s(utterance, facts) * config.features.sample_rate)
    num_frames = config.num_outputs(num_samples)
    ids = [] if unknown else config.vocabulary.encode(utterance.text, utterance.place)
    num_repeats = count_repeats(ids)
    if num_frames < max(1, len(ids) + num_repeats if config.task == "ctc" else 1):
        seconds = f"{num_samples / config.features.sample_rate:.3f} s"
        message = f"{seconds} make {num_frames} output frames, but {needs(config, ids)}"
        yield Problem("frames", f"{utterance.place}: {message} (utterance {utterance.id!r})")
    elif config.task == "ctc" and ids:
        fit = Fit(utterance.id, num_frames, len(ids) + num_repeats)
        report.tightest = min(report.tightest or fit, fit, key=spare_frames)


def count_repeats(ids: list[int]) -> int:
    """Count equal neighbours: CTC must put a blank between them."""
    return sum(first == second for first, second in itertools.pairwise(ids))


def needs(config: ModelConfig, ids: list[int]) -> str:
    """Say how many frames an utterance needs, and why."""
    if config.task != "ctc" or not ids:
        return f"a clip needs one ({config.features.n_fft / config.features.sample_rate:.3f} s)"
    num_repeats = count_repeats(ids)
    repeats = f" and {num_repeats} repeats" if num_repeats else ""
    return f"{len(ids)} tokens{repeats} need {len(ids) + num_repeats}"


def spare_frames(fit: Fit) -> float:
    """Return the frames for each one needed."""
    return fit.num_frames / fit.num_needed


def shared_speakers(reports: Iterable[CheckReport]) -> dict[tuple[str, str], list[str]]:
    """Find speakers who are in two manifests; a test set that has some is not a fair one."""
    before: list[CheckReport] = []
    shared = {}
    for report in reports:
        for other in before:
            names = sorted(set(report.speakers) & set(other.speakers))
            shared.update({(other.manifest, report.manifest): names} if names else {})
        before.append(report)
    return shared
