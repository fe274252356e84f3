"""One recording as a page or a picture: waveform, features, posteriors, words."""

import math
from dataclasses import dataclass

from matplotlib.figure import Figure

from speechrnn.errors import ConfigError
from speechrnn.evaluation.close_up import CloseUp
from speechrnn.report.close_up_plot import most_probable, plot_close_up
from speechrnn.report.pictures import Picture, embed, sound_address, to_png
from speechrnn.report.templates import fill_template

ROW_S = 20.0  # of a page, what is drawn beside each other
MOST_PICTURE_S = 60.0


@dataclass(frozen=True, kw_only=True)
class Row:
    """A stretch of a recording."""

    start_s: float
    end_s: float
    picture: Picture
    sound: str


def render_inspection(
    close_up: CloseUp, *, model: str, offset_s: float = 0.0, file_s: float | None = None
) -> str:
    """Write a page about a recording, 20 s of it to a row.

    Args:
        close_up: What ``look_closely`` returned.
        model: Name of the model.
        offset_s: Where in its file the recording begins, seconds.
        file_s: How long the file is, seconds; as the recording when not given.
    """
    num_rows = max(1, math.ceil(close_up.duration_s / ROW_S))
    return fill_template(
        "inspection.html",
        close_up=close_up,
        model=model,
        rows=[make_row(close_up, number * ROW_S) for number in range(num_rows)],
        offset_s=offset_s,
        file_s=close_up.duration_s if file_s is None else file_s,
        labels=most_probable(close_up) if close_up.task == "classification" else [],
    )


def make_row(close_up: CloseUp, start_s: float) -> Row:
    """Draw one row, and cut out its sound."""
    end_s = min(start_s + ROW_S, close_up.duration_s)
    rate = close_up.sample_rate
    return Row(
        start_s=start_s,
        end_s=end_s,
        picture=embed(plot(close_up, start_s, end_s)),
        sound=sound_address(close_up.waveform[round(start_s * rate) : round(end_s * rate)], rate),
    )


def plot(close_up: CloseUp, start_s: float, end_s: float) -> Figure:
    """Draw a stretch."""
    return plot_close_up(close_up, start_s=start_s, end_s=end_s)


def draw_inspection(close_up: CloseUp) -> bytes:
    """Draw a recording as a PNG.

    Raises:
        ConfigError: If it is longer than a picture can show.
    """
    if close_up.duration_s > MOST_PICTURE_S:
        raise ConfigError(
            f"{close_up.id}: {close_up.duration_s:.1f} s are too much for one picture; write .html, or choose "
            f"at most {MOST_PICTURE_S:g} s with --start and --duration"
        )
    return to_png(plot(close_up, 0.0, close_up.duration_s))
