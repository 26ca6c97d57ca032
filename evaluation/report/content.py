"""What stands on the page, as plain values: who fills it in knows metrics, the page does not."""

import math
import sys
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from evaluation.cells import Table
from metrics.registry import Metric


class Chart(NamedTuple):
    """A figure; svg is markup that the page takes over as it is, so never from outside."""

    title: str
    svg: str
    caption: str


class Column(NamedTuple):
    """A column of the table of cases: which value of a row; the metric that it is, if it is one."""

    key: str
    head: str
    metric: Metric | None = None


class Report(NamedTuple):
    """All of the page but the views of its cases.

    rows: Meter.rows; the filters read name, patient, dice, lesion_px, pred_px and hit_px.
    config, run_info: text as it is to be read. files: path beside the page by label.
    classes: colour by name of what the views outline class by class; empty where nothing is.
    """

    title: str
    subtitle: str
    tables: Sequence[Table]
    conventions: Sequence[str]
    charts: Sequence[Chart]
    columns: Sequence[Column]
    rows: Sequence[Mapping[str, Any]]
    config: str
    run_info: str
    files: Mapping[str, str]
    classes: Mapping[str, str] = MappingProxyType({})


def format_value(value: Any, column: Column) -> str:
    """A row's value as it stands in the table."""
    metric = column.metric
    return str(value) if metric is None else metric.format(value, metric.digits)


def sort_value(value: Any) -> str | float | None:
    """A row's value as JSON can hold it: None for NaN, the largest number for infinity."""
    if value is None or isinstance(value, str):
        return value
    largest = sys.float_info.max
    return None if math.isnan(value) else float(max(-largest, min(largest, value)))


def describe_outcome(row: Mapping[str, Any]) -> str:
    """Which kind of case it is, in the terms of the counts of a summary.

    Returns:
        "false alarm" (empty target, a prediction that is not), "missed" (a target of which not one
        px is predicted), "lesion" or "empty" for all others.
    """
    if not row["lesion_px"]:
        return "false alarm" if row["pred_px"] else "empty"
    return "lesion" if row["hit_px"] else "missed"
