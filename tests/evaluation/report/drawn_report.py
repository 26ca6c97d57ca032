"""A report on six drawn cases, one of each kind, with names that try to break out of the page."""

from pathlib import Path
from typing import Any

import numpy as np

from evaluation.cells import Cell, Table
from evaluation.report import CaseViews, Chart, Column, Report, write_report
from metrics import METRICS

HOSTILE = "<b>\"x\"</b></script><img src=x onerror=alert('1')> 100 %s {{ 7 * 7 }} & \u2028"
COLUMNS = [
    Column("name", "Case"),
    Column("patient", "Patient"),
    Column("dice", "Dice", METRICS["dice"]),
    Column("hd95", "HD95, px", METRICS["hd95"]),
    Column("lesion_px", "Lesion, px"),
]


def make_row(name: str, patient: str, dice: float, px: tuple[int, int, int]) -> dict:
    """A row as a meter gives it; px of lesion, of prediction and of both."""
    row: dict[str, Any] = {"name": name, "patient": patient, "dice": dice, "hd95": 10 * (1 - dice)}
    return row | dict(zip(("lesion_px", "pred_px", "hit_px"), px, strict=True))


ROWS = [
    make_row("a_z2", "Ada", 0.8, (100, 90, 75)),
    make_row("a_z10", "Ada", 0.3, (80, 30, 16)),
    make_row("b_z1", "Bob", np.nan, (0, 0, 0)),
    make_row("b_z3", "Bob", 0.0, (0, 20, 0)),
    make_row("e_z5", "Eve", 0.0, (50, 10, 0)),
    make_row(HOSTILE, "Eve", 0.95, (200, 190, 180)),
]
CURVE = '<svg viewBox="0 0 40 20"><path d="M0 20 40 0" stroke="currentColor"/></svg>'


def add_view(views: CaseViews, row: dict) -> None:
    """A square for the lesion, and one for the prediction, of about the row's px."""
    image = np.tile(np.arange(64, dtype=np.uint8) * 3, (48, 1))
    masks = [np.zeros((48, 64), dtype=bool) for _ in range(2)]
    for mask, key in zip(masks, ("lesion_px", "pred_px"), strict=True):
        side = int(row[key] ** 0.5)
        mask[20 : 20 + side, 30 : 30 + side] = True
    views.add(row["name"], image, *masks)


def make_report(**changes: Any) -> Report:
    """The report on ROWS."""
    heads = ["Dice ↑", "MAE ↓"]
    table = Table("Overlap, %", heads, [("mean", [Cell("41.00", "12.00 to 70.00"), Cell("1.00")])])
    report = Report(
        title=f"Evaluation of {HOSTILE}",
        subtitle="epoch 3",
        tables=[table],
        conventions=["n = 6", HOSTILE],
        charts=[Chart("Dice over the threshold", f"<?xml version='1.0'?>\n{CURVE}", "Six cases.")],
        columns=COLUMNS,
        rows=ROWS,
        config=f"data: {HOSTILE}",
        run_info=f'{{"command": "{HOSTILE}"}}',
        files={"per_case.csv": "per_case.csv", "scores": "100 %/javascript:x.json"},
    )
    return report._replace(**changes)


def write_drawn(path: Path, report: Report | None = None) -> None:
    """Write the page with a view of each case."""
    report = report or make_report()
    with CaseViews(path.parent) as views:
        for row in report.rows:
            add_view(views, row)
        write_report(path, report, views)
