"""Results to look at: pages of HTML that need nothing else, and pictures."""

from speechrnn.report.evaluation_page import render_evaluation
from speechrnn.report.inspection import draw_inspection, render_inspection
from speechrnn.report.summary_plots import DetCurve

__all__ = ["DetCurve", "draw_inspection", "render_evaluation", "render_inspection"]
