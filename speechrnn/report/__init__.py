"""Results to look at: pages of HTML that need nothing else, and pictures."""

from speechrnn.report.evaluation_page import render_evaluation
from speechrnn.report.inspection import draw_inspection, render_inspection
from speechrnn.report.keyword_page import render_keyword_evaluation
from speechrnn.report.pictures import PICTURES
from speechrnn.report.summary_plots import plot_det

__all__ = [
    "PICTURES",
    "draw_inspection",
    "plot_det",
    "render_evaluation",
    "render_inspection",
    "render_keyword_evaluation",
]
