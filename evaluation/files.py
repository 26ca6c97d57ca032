"""The files of an evaluation: scores, rows, curves, charts, maps and the report."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from datasets.classes import to_values
from datasets.image_io import write_png
from evaluation.cases import Case
from evaluation.class_scores import ClassScores
from evaluation.paper_figures import save_figures
from evaluation.report import CaseViews, Chart, Column, Report, write_report
from evaluation.scoring import Evaluation, Viewer
from evaluation.tables import conventions, score_tables
from evaluation.volume_scores import VolumeScores
from figures.charts import figure_to_svg
from figures.classes import draw_confusion
from figures.palette import outline_colour
from figures.scores import draw_dice_by_area, draw_dice_histogram, draw_threshold_curves
from metrics.case import ScoredCase
from metrics.protocols import PROTOCOLS
from metrics.registry import METRICS
from metrics.stretch import as_saved
from metrics.threshold_counts import NUM_THRESHOLDS
from utils.errors import UserError
from utils.files import write_json, write_rows

_SCORES, _CASES, _CURVES = "metrics.json", "per_case.csv", "curves.csv"
_CLASSES, _CONFUSION, _VOLUMES = "per_class.csv", "confusion.csv", "per_volume.csv"
_CAPTIONS = {
    "threshold_curves": "Means over the slices where a pixel counts as lesion from a threshold on.",
    "dice_histogram": "How many slices with lesion have which Dice.",
    "dice_by_area": "Dice of the slices with lesion against the area of their lesion.",
    "confusion": "What the pixels of each class are predicted as, in % of the class.",
}


class EvaluationFiles:
    """Where an evaluation is kept, and how it is written.

    Args:
        out: Folder of all files.
        saves_maps: Whether every map is written as it was scored, as 8-bit PNG in <out>/maps, and
            every predicted class map with the values of the data set in <out>/label.
        classes: The scores of classes, where they are told apart.
        volumes: Those of whole scans, where the slices are of such.
        has_report: Whether there is a report and figures, beside the tables.
    """

    def __init__(
        self,
        out: Path,
        *,
        saves_maps: bool = False,
        classes: ClassScores | None = None,
        volumes: VolumeScores | None = None,
        has_report: bool = True,
    ) -> None:
        self.out, self.saves_maps, self.classes = out, saves_maps, classes
        self.volumes, self.has_report = volumes, has_report
        self._volume_rows: list[dict[str, Any]] = []
        self._views: CaseViews | None = None

    @property
    def figures(self) -> Path:
        """Folder of the pictures."""
        return self.out / "figures"

    @property
    def maps(self) -> Path:
        """Folder of the maps."""
        return self.out / "maps"

    @property
    def labels(self) -> Path:
        """Folder of the class maps."""
        return self.out / "label"

    @contextmanager
    def errors_named(self) -> Iterator[None]:
        """Turn an error of the disk into one that names the folder.

        Raises:
            UserError: A file or folder cannot be written.
        """
        try:
            yield
        except OSError as error:
            raise UserError(f"--out {self.out}: cannot be written ({error.strerror})") from error

    @contextmanager
    def open(self) -> Iterator[list[Viewer]]:
        """Make the folders; what is to see each case that is scored within the block.

        Raises:
            UserError: A file or folder cannot be written.
        """
        with self.errors_named():
            (self.figures if self.has_report else self.out).mkdir(parents=True, exist_ok=True)
            viewers: list[Viewer] = [self._add_view] if self.has_report else []
            viewers += [own.view for own in (self.classes, self.volumes) if own]
            if self.saves_maps:
                for folder in (self.maps, *([self.labels] if self.classes else [])):
                    folder.mkdir(exist_ok=True)
                viewers.append(self._save_map)
            with CaseViews(self.out) as self._views:
                yield viewers

    def _add_view(self, case: Case, scored: ScoredCase) -> None:
        classes = []
        if case.class_prob is not None:
            pred = case.class_prob.argmax(axis=0)
            classes = [(case.label == k, pred == k) for k in range(1, len(case.class_prob))]
        self._views.add(case.name, case.image, case.target, scored.pred, classes)

    def _save_map(self, case: Case, scored: ScoredCase) -> None:
        """Write a map; 255 is probability 1. Write its classes, too."""
        levels = np.rint(255 * as_saved(scored.prob)).astype(np.uint8)
        write_png(self.maps / f"{case.name}.png", levels)
        if self.classes:
            label = to_values(case.class_prob.argmax(axis=0), [*self.classes.classes.values()])
            write_png(self.labels / f"{case.name}.png", label)

    def summarise(self, evaluation: Evaluation) -> dict[str, Any]:
        """What classes and whole scans come to, beside the evaluation's summary."""
        summary = self.classes.summary() if self.classes else {}
        if self.volumes:
            self._volume_rows = self.volumes.rows(evaluation.meter.rows)
            summary["volumes"] = self.volumes.summary(self._volume_rows)
        return summary

    def write(self, evaluation: Evaluation, summary: Mapping[str, Any], config: str) -> None:
        """Write all files, the scores last; within the block of `open`.

        Args:
            evaluation: Of the cases that were seen.
            summary: The evaluation's, with the origin of the maps.
            config: Settings as YAML.
        """
        if self.has_report:
            self._write_report(evaluation, summary, config)
        write_rows(self.out / _CURVES, _curve_rows(evaluation))
        write_rows(self.out / _CASES, _ordered_rows(evaluation))
        if self.classes:
            write_rows(self.out / _CLASSES, self.classes.meter.rows)
            write_rows(self.out / _CONFUSION, self.classes.confusion_rows())
        if self.volumes:
            write_rows(self.out / _VOLUMES, self._volume_rows)
        write_json(self.out / _SCORES, summary)

    def _write_report(
        self, evaluation: Evaluation, summary: Mapping[str, Any], config: str
    ) -> None:
        charts = draw_charts(evaluation)
        if self.classes:
            names = ["background", *self.classes.classes]
            charts["confusion"] = draw_confusion(self.classes.confusion, names)
        save_figures(self.figures, {f"{name}.png": figure for name, figure in charts.items()})
        page = build_report(evaluation, summary, config, charts)
        write_report(self.out / "report.html", page, self._views)


def draw_charts(evaluation: Evaluation) -> dict[str, Figure]:
    """Threshold curves, histogram of Dice and Dice by lesion area, by file name."""
    rows, meter = evaluation.meter.rows, evaluation.meter
    curves = {key: evaluation.curves[key] for key in ("dice", "sensitivity", "precision")}
    dice, area = (np.array([row[key] for row in rows], float) for key in ("dice", "lesion_px"))
    return {
        "threshold_curves": draw_threshold_curves(curves, meter.threshold),
        "dice_histogram": draw_dice_histogram(dice, area),
        "dice_by_area": draw_dice_by_area(dice, area),
    }


def build_report(
    evaluation: Evaluation, summary: Mapping[str, Any], config: str, charts: Mapping[str, Figure]
) -> Report:
    """The content of report.html; arguments as EvaluationFiles.write."""
    protocol = PROTOCOLS[summary["protocol"]]
    origin = summary.get("checkpoint") or summary["maps"]
    more = (_CLASSES, _CONFUSION) if "classes" in summary else ()
    more += (_VOLUMES,) if "volumes" in summary else ()
    epoch = [f"epoch {summary['epoch']}"] if "epoch" in summary else []
    subtitle = [origin, *epoch, f"split {summary['split']}", f"protocol {protocol.name}"]
    return Report(
        title=f"{summary['run']} on {summary['data_set']}",
        subtitle=", ".join(subtitle),
        tables=score_tables(summary),
        conventions=[*conventions(summary), *protocol.notes],
        charts=[
            Chart(name.replace("_", " ").capitalize(), figure_to_svg(figure), _CAPTIONS[name])
            for name, figure in charts.items()
        ],
        columns=_columns(evaluation, summary),
        rows=evaluation.rows,
        config=config,
        run_info=json.dumps(summary["run_info"], indent=2),
        files={name: name for name in (_SCORES, _CASES, *more, _CURVES)},
        classes={name: outline_colour(k) for k, name in enumerate(summary.get("classes", ()), 1)},
    )


def _columns(evaluation: Evaluation, summary: Mapping[str, Any]) -> Sequence[Column]:
    """Name, patient where known, the protocol's metrics, areas."""
    heads = {"name": "Case", "patient": "Patient"}
    if summary["interval_unit"] != "patient":
        del heads["patient"]  # not known
    unit = summary.get("distance_unit", "px")
    columns = [Column(key, head) for key, head in heads.items()]
    for key in evaluation.meter.keys:
        metric = METRICS[key]
        head = f"{metric.head} {unit}" if metric.unit == "distance" else metric.head
        columns.append(Column(key, head, metric))
    if evaluation.lungs.rows:
        columns.append(Column("lung_dice", "Lung Dice", METRICS["dice"]))
    return [*columns, Column("lesion_px", "Lesion px"), Column("pred_px", "Predicted px")]


def _curve_rows(evaluation: Evaluation) -> list[dict[str, float]]:
    """The mean curves, a row per threshold."""
    curves = {"threshold": np.arange(NUM_THRESHOLDS) / (NUM_THRESHOLDS - 1)} | evaluation.curves
    points = zip(*curves.values(), strict=True)
    return [dict(zip(curves, map(float, point), strict=True)) for point in points]


def _ordered_rows(evaluation: Evaluation) -> list[dict[str, Any]]:
    """The rows, the protocol's own metrics first."""
    first = ("name", "patient", *evaluation.meter.keys)
    # The union keeps the place of what stands first.
    return [{key: row[key] for key in first} | row for row in evaluation.rows]
