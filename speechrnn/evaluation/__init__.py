"""A model measured on recordings whose text is known."""

from speechrnn.evaluation.comparison import Comparison, compare_runs
from speechrnn.evaluation.evaluate import evaluate
from speechrnn.evaluation.report import render_listing, render_summary
from speechrnn.evaluation.results import Evaluation, Failure, Measure, UtteranceResult, read_results

__all__ = [
    "Comparison",
    "Evaluation",
    "Failure",
    "Measure",
    "UtteranceResult",
    "compare_runs",
    "evaluate",
    "read_results",
    "render_listing",
    "render_summary",
]
