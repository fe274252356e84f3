"""An evaluation as one page: measures, where the errors are, and the worst utterances to be seen and heard."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from speechrnn.evaluation.close_up import CloseUp
from speechrnn.evaluation.comparison import Comparison
from speechrnn.evaluation.evaluate import worst_first
from speechrnn.evaluation.results import LEVEL, Evaluation, FrequentError, UtteranceResult
from speechrnn.metrics import MARKS, bound_without_errors
from speechrnn.report.close_up_plot import most_probable, plot_close_up
from speechrnn.report.pictures import Picture, embed, sound_address
from speechrnn.report.summary_plots import MOST_GROUPS, plot_breakdown, plot_calibration
from speechrnn.report.templates import fill_template

MOST_SHOWN_S = 60.0  # of one utterance
MOST_ERRORS = 25  # rows in a table of errors
MOST_LINKS = 10
MOST_CHANGES = 25
UNITS = {"WER": "words", "CER": "characters", "accuracy": "clips"}


@dataclass(frozen=True, kw_only=True)
class Exhibit:
    """One utterance to be seen and heard."""

    result: UtteranceResult
    number: int
    """Place among the utterances, from 0; its anchor."""
    picture: Picture
    sound: str
    shown_s: float
    is_whole: bool
    labels: Sequence[tuple[str, float]]
    """The most probable answers of a keyword model."""


def render_evaluation(
    evaluation: Evaluation,
    *,
    manifest: str = "",
    comparison: Comparison | None = None,
) -> str:
    """Write the page.

    Args:
        evaluation: What ``evaluate`` returned.
        manifest: What was evaluated.
        comparison: With another run.

    Returns:
        HTML that needs no other file and no network.
    """
    numbers = {result.id: number for number, result in enumerate(evaluation.utterances)}
    return fill_template(
        "evaluation.html",
        evaluation=evaluation,
        manifest=manifest,
        comparison=comparison,
        settings=list_settings(evaluation),
        breakdowns=[(b, plot_breakdown(b)) for b in evaluation.breakdowns],
        error_tables=list(list_errors(evaluation).items()),
        exhibits=[show(evaluation, numbers, close_up) for close_up in worst_close_ups(evaluation)],
        calibration_plot=None if evaluation.calibration is None else plot_calibration(evaluation.calibration),
        numbers=numbers,
        marks=MARKS,
        units=UNITS,
        level=LEVEL,
        bound=None
        if any(u.characters.errors for u in evaluation.utterances)
        else bound_without_errors(len(evaluation.utterances)),
        most_groups=MOST_GROUPS,
        most_links=MOST_LINKS,
        most_changes=MOST_CHANGES,
        name=Path(manifest).name or manifest,
    )


def list_settings(evaluation: Evaluation) -> list[tuple[str, str]]:
    """List what the results depend on, name and value."""
    settings = evaluation.settings
    drawn = "utterances" if evaluation.num_speakers is None else f"{evaluation.num_speakers} speakers"
    rows = [("model", evaluation.model), ("SHA-256", evaluation.model_sha256)]
    rows += [(name, settings[name]) for name in ("hears", "created") if name in settings]
    rows += [
        (f"{part} {name}".replace("_", " "), write_setting(value))
        for part in ("decoder", "model")
        for name, value in settings.get(part, {}).items()
        if value is not None and name not in ("name", "sha256")
    ]
    if "normalization" in settings:
        rows.append(("text normalisation", write_setting(settings["normalization"])))
    rows.append(("intervals", f"{100 * LEVEL:.0f} % percentile bootstrap over {drawn}"))
    if "num_resamples" in settings:
        rows.append(("bootstrap", f"{settings['num_resamples']} draws, seed {settings['seed']}"))
    if settings.get("elapsed_s") and evaluation.duration_s:
        elapsed_s = settings["elapsed_s"]
        rows.append(("time", f"{elapsed_s:.1f} s, real-time factor {elapsed_s / evaluation.duration_s:.4f}"))
    return rows


def write_setting(value: Any) -> str:
    """Write a value for people."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        return ", ".join(f"{key}: {item:g}" for key, item in value.items()) or "none"
    return (", ".join(map(str, value)) or "none") if isinstance(value, list | tuple) else str(value)


def list_errors(evaluation: Evaluation) -> dict[str, list[FrequentError]]:
    """List the most frequent errors of each kind."""
    kinds = ("substitution", "deletion", "insertion")
    found = {
        kind: [error for error in evaluation.frequent_errors if error.operation == kind][:MOST_ERRORS]
        for kind in kinds
    }
    return {kind: errors for kind, errors in found.items() if errors}


def worst_close_ups(evaluation: Evaluation) -> list[CloseUp]:
    """Order the close-ups, the worst first."""
    order = {result.id: place for place, result in enumerate(worst_first(evaluation.utterances))}
    return sorted(evaluation.close_ups, key=lambda close_up: order[close_up.id])


def show(evaluation: Evaluation, numbers: dict[str, int], close_up: CloseUp) -> Exhibit:
    """Make picture and sound of an utterance, or of its beginning if it is long."""
    shown_s = min(close_up.duration_s, MOST_SHOWN_S)
    samples = close_up.waveform[: round(shown_s * close_up.sample_rate)]
    return Exhibit(
        result=evaluation.utterances[numbers[close_up.id]],
        number=numbers[close_up.id],
        picture=embed(plot_close_up(close_up, end_s=shown_s)),
        sound=sound_address(samples, close_up.sample_rate),
        shown_s=shown_s,
        is_whole=shown_s == close_up.duration_s,
        labels=most_probable(close_up) if close_up.task == "classification" else (),
    )
