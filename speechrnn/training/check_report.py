"""The report on a manifest as text."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np

from speechrnn.training.check import KINDS, CheckReport
from speechrnn.training.probe import describe_duration

PERCENTILES = (0, 1, 5, 25, 50, 75, 95, 99, 100)
MAX_LISTED = 80


def format_report(report: CheckReport) -> str:
    """Write what a manifest holds, a line for each thing."""
    duration = describe_duration(sum(report.durations_s))
    lines = [f"{report.manifest}: {report.num_utterances:,} utterances, {duration}"]
    lines += [f"  {name:<13} {text}" for name, text in describe_counts(report)]
    lines += [f"  {'note':<13} {note}" for note in describe_notes(report)]
    kinds = Counter(problem.kind for problem in report.problems)
    lines += [f"  {'problem':<13} {KINDS[kind]}: {count:,}" for kind, count in kinds.items()]
    return "\n".join(lines if kinds else [*lines, "  no problems"])


def describe_counts(report: CheckReport) -> Iterator[tuple[str, str]]:
    """Describe durations, audio, speakers and texts."""
    if report.durations_s:
        values = np.percentile(report.durations_s, PERCENTILES)
        names = [{0: "min", 50: "median", 100: "max"}.get(p, f"{p} %") for p in PERCENTILES]
        pairs = zip(names, values, strict=True)
        yield "seconds", "  ".join(f"{name} {value:.2f}" for name, value in pairs)
        yield "sample rates", list_counts(report.sample_rates, unit=" Hz")
        yield "channels", list_counts(report.channels)
    yield "speakers", describe_speakers(report)
    is_labelled = report.config is not None and report.config.task == "classification"
    if report.labels and (is_labelled or len(report.labels) <= report.num_utterances / 2):
        yield "texts", f"{len(report.labels):,} different: {list_counts(report.labels)}"
    if report.characters and not is_labelled:
        listed = list_counts(report.characters, show=show_character)
        yield "characters", f"{len(report.characters):,} different: {listed}"
    if report.unknown:
        yield "unknown", list_counts(report.unknown, show=show_character)
    if report.tightest:
        name, num_frames, num_needed = report.tightest
        yield "tightest", f"{name}: {num_frames} output frames for {num_needed} needed"


def describe_speakers(report: CheckReport) -> str:
    """Describe how many speakers there are and how much each says."""
    if not report.speakers:
        return "unknown"
    counts = report.speakers.values()
    text = f"{len(counts):,}, of {min(counts):,} to {max(counts):,} utterances"
    rest = report.num_without_speaker
    return f"{text}; utterances of unknown speakers: {rest:,}" if rest else text


def describe_notes(report: CheckReport) -> Iterator[str]:
    """Say what is allowed but worth knowing."""
    if report.num_empty_texts:
        yield f"empty texts: {report.num_empty_texts:,}"
    if report.num_silent:
        yield f"utterances of digital silence: {report.num_silent:,}"
    if report.num_without_end:
        yield f"in Ogg files without an end mark, perhaps cut short: {report.num_without_end:,}"
    if len(report.sample_rates) > 1:
        yield "sample rates differ; all audio is resampled to the model's"
    if report.config is None:
        yield "vocabulary and frames are checked when --config or -m names a model"
        return
    rate = report.config.features.sample_rate
    low = sum(count for each, count in report.sample_rates.items() if each < rate)
    if low:
        yield f"below the model's {rate} Hz, so without the upper band: {low:,} utterances"
    vocabulary = report.config.vocabulary
    if report.config.task == "classification" and report.labels:
        unused = set(vocabulary.tokens) - {vocabulary.normalize(label) for label in report.labels}
        yield from [f"labels without a clip: {', '.join(sorted(unused))}"] if unused else []


def list_counts(counts: Counter[Any], *, unit: str = "", show: Any = str) -> str:
    """List values with their counts, the most frequent first; of very many, also the rarest."""
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    listed = [f"{show(value)}{unit} ({count:,})" for value, count in ranked]
    if len(listed) > MAX_LISTED:
        num_hidden = len(listed) - MAX_LISTED
        head, tail = listed[: MAX_LISTED * 3 // 4], listed[-(MAX_LISTED // 4) :]
        listed = [*head, f"… {num_hidden:,} more …", *tail]
    return "  ".join(listed)


def show_character(character: str) -> str:
    """Show a character so that it cannot be mistaken for a like one."""
    if character.isascii() and character.isprintable() and not character.isspace():
        return character
    codes = " ".join(f"U+{ord(each):04X}" for each in character)
    return f"{character!r} {codes}" if len(character) == 1 and character != " " else repr(character)
