"""A model measured on recordings whose text is known."""

from speechrnn.evaluation.evaluate import Evaluation, Failure, Measure, UtteranceResult, evaluate
from speechrnn.evaluation.report import render_listing, render_summary

__all__ = [
    "Evaluation",
    "Failure",
    "Measure",
    "UtteranceResult",
    "evaluate",
    "render_listing",
    "render_summary",
]
