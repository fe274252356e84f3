"""A keyword evaluation as one page: misses at false alarms an hour, and where the detector erred, to be heard."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from speechrnn.evaluation.detection import LEVEL, bound_count
from speechrnn.evaluation.keyword_close_up import KeywordCloseUp
from speechrnn.evaluation.keyword_report import render_limits
from speechrnn.evaluation.keywords import KeywordEvaluation, KeywordResult
from speechrnn.report.close_up_plot import plot_keyword
from speechrnn.report.evaluation_page import MOST_SHOWN_S, write_setting
from speechrnn.report.pictures import Picture, embed, sound_address
from speechrnn.report.summary_plots import plot_det
from speechrnn.report.templates import fill_template

MOST_CLOSE_UPS = 60  # on a page; of very many keywords one of each kind


@dataclass(frozen=True, kw_only=True)
class Moment:
    """A stretch of a recording to be seen and heard."""

    close_up: KeywordCloseUp
    shown_s: float
    picture: Picture
    sound: str


def render_keyword_evaluation(
    evaluation: KeywordEvaluation, *, sources: Sequence[tuple[str, str]] = ()
) -> str:
    """Write the page.

    Args:
        evaluation: What ``evaluate_keywords`` returned.
        sources: What was evaluated, name and value.

    Returns:
        HTML that needs no other file and no network.
    """
    keywords = evaluation.keywords
    most = max(1, MOST_CLOSE_UPS // (2 * len(keywords)))
    return fill_template(
        "keywords.html",
        evaluation=evaluation,
        settings=[*sources, *list_settings(evaluation)],
        det_plot=plot_det(keywords) if any(keyword.curve for keyword in keywords) else None,
        moments={keyword.label: list(show_all(keyword, most)) for keyword in keywords},
        least_rate=bound_count(0) / evaluation.hours,
        limits=list(render_limits(evaluation)),
        level=LEVEL,
    )


def list_settings(evaluation: KeywordEvaluation) -> list[tuple[str, str]]:
    """List what the results depend on, name and value."""
    settings = dict(evaluation.settings)
    draws, seed = settings.pop("num_resamples", None), settings.pop("seed", None)
    rows = [("model", evaluation.model), ("SHA-256", evaluation.model_sha256)]
    rows += [(name.replace("_", " "), write_setting(value)) for name, value in settings.items()]
    return [*rows, ("intervals", f"{100 * LEVEL:.0f} % percentile bootstrap, {draws} draws, seed {seed}")]


def show_all(keyword: KeywordResult, most: int) -> Iterator[tuple[str, list[Moment]]]:
    """Make pictures and sounds of what went wrong, or nearly so."""
    if keyword.hardest_positives:
        yield "Hardest to find", [show(keyword, found) for found in keyword.hardest_positives[:most]]
    if keyword.surest_negatives:
        yield "Surest false alarms", [show(keyword, found) for found in keyword.surest_negatives[:most]]


def show(keyword: KeywordResult, close_up: KeywordCloseUp) -> Moment:
    """Make picture and sound of a stretch, or of its beginning if it is long."""
    heard_s = close_up.ends_s[-1] if len(close_up.ends_s) else 0.0
    shown_s = min(MOST_SHOWN_S, max(close_up.duration_s, float(heard_s)))
    figure = plot_keyword(close_up, threshold=keyword.own.threshold, end_s=shown_s)
    samples = close_up.waveform[: round(shown_s * close_up.sample_rate)]
    return Moment(
        close_up=close_up,
        shown_s=shown_s,
        picture=embed(figure),
        sound=sound_address(samples, close_up.sample_rate),
    )
