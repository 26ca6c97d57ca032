"""The curve as a table, a chart and one HTML page with the pseudo labels of its runs."""

import base64
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from markupsafe import Markup
from matplotlib.figure import Figure

from datasets.image_io import read_gray
from evaluation.curve.runs import FULL, CurveRun, Point
from figures.charts import add_legend, figure_to_svg, start_chart
from figures.page_template import load_template
from figures.palette import INK, SERIES
from metrics.registry import METRICS, MISSING
from training.pseudo_labels import FOLDER, TABLE
from utils.files import read_rows, whole_file

_TEMPLATE = Path(__file__).resolve().parent / "templates" / "curve.html.jinja"
_MARKERS = "osD^v"
_NUM_SHOWN, _SIDE = 4, 160  # pseudo labels at either end; px


def table_of(points: Sequence[Point], unit: str) -> list[list[str]]:
    """Heads and rows as text, scores in per cent."""
    heads = [unit, "procedure", "seeds", "Dice, pooled", "± SD", "Dice, slices", "difference"]
    rows = [[*heads, "p, patients", "p, slices", "gap closed"]]
    for point in points:
        dice = METRICS["dice"].format
        rows.append(
            [
                str(point.number),
                point.series,
                str(len(point.seeds)),
                dice(point.mean),
                dice(point.deviation),
                dice(point.slice_mean),
                MISSING if point.difference is None else dice(point.difference, sign="+"),
                _p_value(point.p_patients),
                _p_value(point.p_slices),
                MISSING if point.closed is None else f"{point.closed:.0%}",
            ]
        )
    return rows


def _p_value(p: float | None) -> str:
    return MISSING if p is None or np.isnan(p) else "<0.001" if p < 0.001 else f"{p:.3f}"


def draw_curve(points: Sequence[Point], unit: str) -> Figure:
    """Mean pooled Dice with the seeds' deviation over the labels; that of all labels as a line."""
    figure, place = start_chart(f"Pooled Dice over the number of labelled {unit}")
    curves = sorted(
        {point.series for point in points} - {FULL}, key=lambda name: name != "supervised"
    )
    for index, name in enumerate(curves):
        own = [point for point in points if point.series == name]
        style = {"color": SERIES[index % len(SERIES)], "marker": _MARKERS[index % len(_MARKERS)]}
        place.errorbar(
            [point.number for point in own],
            [100 * point.mean for point in own],
            [100 * (point.deviation or 0) for point in own],
            label=name,
            capsize=2,
            markersize=4,
            linewidth=1.2,
            **style,
        )
    for point in points:
        if point.series == FULL:
            label = f"{FULL} ({point.number} {unit})"
            place.axhline(100 * point.mean, color=INK, linestyle="--", label=label)
    place.set_xticks(sorted({point.number for point in points if point.series != FULL}))
    place.set_xlabel(f"labelled {unit}")
    place.set_ylabel("Dice, pooled, %")
    add_legend(place)
    return figure


def write_page(path: Path, runs: Sequence[CurveRun], points: Sequence[Point], unit: str) -> None:
    """Write the page, which refers to nothing outside of itself.

    Raises:
        UserError: The disk is full or read-only, or a pseudo label is damaged.
    """
    head, *rows = table_of(points, unit)
    text = load_template(_TEMPLATE).render(
        title="Learning from few labels",
        subtitle=f"{len(runs)} runs, {runs[0].row['data_set']}, {runs[0].row['split']}",
        head=head,
        rows=rows,
        notes=notes_of(runs),
        chart=Markup(figure_to_svg(draw_curve(points, unit))),
        labelled=[_labels_of(run) for run in runs if (run.folder / FOLDER / TABLE).is_file()],
    )
    with whole_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def notes_of(runs: Sequence[CurveRun]) -> list[str]:
    """What the figures mean."""
    row = runs[0].row
    return [
        f"{row['split']}: {row['n']} slices of {row['n_patients']} patients; best.pt of each run "
        "is the epoch that was best on val; test was never looked at in training",
        "difference: mean Dice of slices less that of supervised with as many labels, on the "
        "seeds that both have, each case's Dice averaged over the seeds first",
        "p, two-sided, uncorrected: permutation of patients; Wilcoxon of slices, which takes "
        f"slices of a patient for independent. With {row['n_patients']} patients the former is at "
        f"least {2 / 2 ** int(row['n_patients']):.3g}",
        "gap closed: of that between supervised and all labels in mean pooled Dice",
    ]


def _labels_of(run: CurveRun) -> dict[str, Any]:
    """A run's rounds, and the best and worst of its pseudo labels where the truth is known."""
    rows = read_rows(run.folder / FOLDER / TABLE)
    rounds = []
    for number in sorted({int(row["round"]) for row in rows}):
        own = [row for row in rows if int(row["round"]) == number]
        means = [_mean(own, key) for key in ("confidence", "kept", "lesion_share", "dice")]
        rounds.append([str(number), str(len(own)), *means])
    known = sorted((row for row in rows if row["dice"]), key=lambda row: float(row["dice"]))
    return {
        "name": f"{run.row['run']}, {run.series}, seed {run.row['seed']}, "
        f"{run.labels['patients']} patients labelled",
        "rounds": rounds,
        "worst": [_picture(run, row) for row in known[:_NUM_SHOWN]],
        "best": [_picture(run, row) for row in known[::-1][:_NUM_SHOWN]],
    }


def _mean(rows: Sequence[dict[str, str]], key: str) -> str:
    values = [float(row[key]) for row in rows if row[key] != ""]
    return f"{100 * sum(values) / len(values):.1f}" if values else MISSING


def _picture(run: CurveRun, row: dict[str, str]) -> dict[str, str]:
    place = run.folder / FOLDER / f"round{int(row['round']):03d}" / "mask" / f"{row['name']}.png"
    pixels = cv2.resize(read_gray(place), (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
    data = base64.b64encode(cv2.imencode(".png", pixels)[1]).decode("ascii")
    dice = METRICS["dice"].format(float(row["dice"]))
    return {"src": f"data:image/png;base64,{data}", "caption": f"{row['name']}: Dice {dice}"}
