"""One self-contained HTML page per evaluation: scores, charts, and every case to look at."""

from evaluation.report.case_views import CaseViews
from evaluation.report.content import Chart, Column, Report
from evaluation.report.page import write_report

__all__ = ["CaseViews", "Chart", "Column", "Report", "write_report"]
