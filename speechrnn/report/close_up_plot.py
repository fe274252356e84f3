"""One recording on one time axis: waveform, features, what the network answered, words."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from speechrnn.evaluation.close_up import CloseUp, Excerpt
from speechrnn.evaluation.keyword_close_up import KeywordCloseUp
from speechrnn.report.pictures import (
    BLUE,
    COLOURS,
    DASHES,
    GREY,
    INK,
    VERMILION,
    fold_columns,
    house_style,
    visible,
)

WIDTH_IN = 9.0
LEFT, RIGHT = 0.075, 0.985  # of the width, where the time axis begins and ends
MOST_COLUMNS = 1500  # more are not seen
LEAST_PROBABILITY = 0.1  # a token that never reaches it is not drawn
MOST_TOKENS = 24
NAMED_FROM = 0.3
MOST_LABELS = 8
SPACE = "␣"
FREQUENCIES_HZ = (250, 1000, 2000, 4000, 8000)

Shown = TypeVar("Shown", bound=Excerpt)
Panel = tuple[Callable[[Axes, Shown, float, float], None], float]
"""What draws it from when to when, and its height in inches."""


def plot_close_up(close_up: CloseUp, *, start_s: float = 0.0, end_s: float | None = None) -> Figure:
    """Draw a stretch of a recording; times count from the recording's start."""
    panels: list[Panel[CloseUp]] = [(plot_waveform, 1.0), (plot_log_mel, 1.7)]
    panels += [(plot_mfcc, 1.2)] if close_up.mfcc is not None else []
    panels += [(plot_posteriors, 1.7)] if close_up.task == "ctc" else []
    panels += [(plot_words, 0.35)] if close_up.words else []
    return draw_panels(panels, close_up, start_s, close_up.duration_s if end_s is None else end_s)


def plot_keyword(close_up: KeywordCloseUp, *, threshold: float, end_s: float) -> Figure:
    """Draw how sure the detector was of a keyword, beside the threshold that it has."""
    confidences = partial(plot_confidences, threshold=threshold)
    return draw_panels([(plot_waveform, 0.6), (plot_log_mel, 1.2), (confidences, 1.0)], close_up, 0.0, end_s)


def draw_panels(panels: Sequence[Panel[Shown]], close_up: Shown, start_s: float, end_s: float) -> Figure:
    """Draw panels of given heights, inches, below each other on one time axis."""
    heights = [height for _, height in panels]
    with house_style():
        figure = Figure(figsize=(WIDTH_IN, 0.5 + 0.12 * len(panels) + sum(heights)))
        rows = figure.subplots(
            len(panels), 1, sharex=True, squeeze=False, gridspec_kw={"height_ratios": heights}
        )[:, 0]
        inch = 1 / figure.get_figheight()
        figure.subplots_adjust(left=LEFT, right=RIGHT, top=1 - 0.08 * inch, bottom=0.45 * inch, hspace=0.12)
        for (plot, _), axes in zip(panels, rows, strict=True):
            plot(axes, close_up, start_s, end_s)
        rows[0].set_xlim(start_s, end_s)
        rows[-1].set_xlabel("time (s)")
    return figure


def plot_waveform(axes: Axes, close_up: Excerpt, start_s: float, end_s: float) -> None:
    """Draw the loudest excursions of the waveform to both sides."""
    rate = close_up.sample_rate
    samples = close_up.waveform[round(start_s * rate) : round(end_s * rate)]
    size = max(1, len(samples) // MOST_COLUMNS)
    columns = samples[: len(samples) // size * size].reshape(-1, size)
    times = start_s + (np.arange(len(columns)) + 0.5) * size / rate
    axes.fill_between(times, columns.min(axis=1), columns.max(axis=1), color=BLUE, linewidth=0.4)
    axes.set_ylabel("wave")
    axes.margins(y=0.02)


def plot_log_mel(axes: Axes, close_up: Excerpt, start_s: float, end_s: float) -> None:
    """Draw the log-mel spectrogram, named by the middles of its bands."""
    features = close_up.features
    show_image(axes, close_up, close_up.log_mel, start_s, end_s)
    middles = features.edges_hz()[1:-1]
    shown = [hz for hz in FREQUENCIES_HZ if middles[0] <= hz <= middles[-1]]
    axes.set_yticks(np.interp(shown, middles, np.arange(len(middles))), [f"{hz}" for hz in shown])
    axes.set_ylabel("log-mel (Hz)")


def plot_mfcc(axes: Axes, close_up: CloseUp, start_s: float, end_s: float) -> None:
    """Draw the cepstral coefficients, each over its own range."""
    assert close_up.mfcc is not None
    spread = close_up.mfcc.std(axis=0) + 1e-6
    show_image(axes, close_up, (close_up.mfcc - close_up.mfcc.mean(axis=0)) / spread, start_s, end_s)
    axes.set_ylabel("MFCC")


def show_image(axes: Axes, close_up: Excerpt, values: np.ndarray, start_s: float, end_s: float) -> None:
    """Draw (frames, n) as colours over time."""
    features = close_up.features
    first = max(0, int((start_s - features.first_s) / features.frame_s))
    last = min(len(values), int(np.ceil((end_s - features.first_s) / features.frame_s)))
    part = fold_columns(values[first:last], MOST_COLUMNS)
    sides = [features.first_s + frame * features.frame_s for frame in (first, max(last, first + 1))]
    axes.imshow(
        part.T if len(part) else np.zeros((values.shape[1], 1)),
        aspect="auto",
        origin="lower",
        cmap="viridis",
        interpolation="none",
        extent=(sides[0], sides[1], -0.5, values.shape[1] - 0.5),
    )


def plot_posteriors(axes: Axes, close_up: CloseUp, start_s: float, end_s: float) -> None:
    """Draw how probable each token is over time, and write its name where it peaks."""
    clock = close_up.clock
    times = clock.first_s + (np.arange(len(close_up.log_probs)) + 0.5) * clock.frame_s
    inside = (times >= start_s) & (times <= end_s)
    probs, times = np.exp(close_up.log_probs[inside]), times[inside]
    axes.set_ylim(0, 1.18)
    axes.set_yticks([0, 0.5, 1])
    axes.set_ylabel("probability")
    peaks = probs.max(axis=0) if len(probs) else np.zeros(len(close_up.tokens))
    for place, token in enumerate(np.argsort(-peaks, kind="stable")[:MOST_TOKENS].tolist()):
        name = close_up.tokens[token]
        if peaks[token] < LEAST_PROBABILITY:
            break
        if not name:
            axes.plot(times, probs[:, token], color=GREY, linestyle=":", linewidth=1, label="blank")
            continue
        colour, dashes = COLOURS[place % len(COLOURS)], DASHES[place // len(COLOURS) % len(DASHES)]
        axes.plot(times, probs[:, token], color=colour, linestyle=dashes, linewidth=1.3)
        write_names(axes, times, probs[:, token], visible(name.replace(" ", SPACE)))
    if axes.get_legend_handles_labels()[0]:
        axes.legend(loc="upper right", frameon=False, fontsize=7, borderaxespad=0)


def write_names(axes: Axes, times: np.ndarray, probs: np.ndarray, name: str) -> None:
    """Write a token's name above each rise of its probability."""
    above = np.flatnonzero(probs >= NAMED_FROM)
    for run in np.split(above, np.flatnonzero(np.diff(above) > 1) + 1):
        if len(run):
            peak = run[np.argmax(probs[run])]
            axes.text(times[peak], probs[peak] + 0.03, name, ha="center", va="bottom", fontsize=8)


def plot_confidences(
    axes: Axes, close_up: KeywordCloseUp, start_s: float, end_s: float, *, threshold: float
) -> None:
    """Draw confidence over time, and the threshold."""
    axes.plot(close_up.ends_s, close_up.confidences, color=BLUE, linewidth=1.5)
    axes.axhline(threshold, color=VERMILION, linestyle="--", linewidth=1, label=f"threshold {threshold:.2f}")
    axes.set_ylim(-0.03, 1.05)
    axes.set_yticks([0, 0.5, 1])
    axes.set_ylabel("confidence")
    axes.legend(loc="upper left", frameon=False, fontsize=7, borderaxespad=0)


def plot_words(axes: Axes, close_up: CloseUp, start_s: float, end_s: float) -> None:
    """Write the words where they were spoken."""
    axes.set_ylim(0, 1)
    axes.set_yticks([])
    axes.set_ylabel("words", rotation=0, ha="right", va="center")
    for number, word in enumerate(close_up.words):
        if word.end_s > start_s and word.start_s < end_s:
            axes.axvspan(word.start_s, word.end_s, color=GREY, alpha=0.35 if number % 2 else 0.2, linewidth=0)
            middle = (max(word.start_s, start_s) + min(word.end_s, end_s)) / 2
            axes.text(middle, 0.5, visible(word.text), ha="center", va="center", color=INK, clip_on=True)


def most_probable(close_up: CloseUp) -> list[tuple[str, float]]:
    """List the most probable labels of a keyword model's answer with their probabilities."""
    order = np.argsort(-close_up.log_probs, kind="stable")[:MOST_LABELS].tolist()
    return [(close_up.tokens[label], float(np.exp(close_up.log_probs[label]))) for label in order]
