"""One self-contained HTML page per evaluation: scores, charts, and every case to look at."""

from utils.report.case_views import CaseViews
from utils.report.content import Chart, Column, Report
from utils.report.page import write_report

__all__ = ["CaseViews", "Chart", "Column", "Report", "write_report"]
