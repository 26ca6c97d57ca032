"""Whole scans: the metrics in three dimensions, and how many mL of lesion there are."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from evaluation.cases import Case, CaseSource
from evaluation.scoring import build_meter, score_intervals
from metrics.case import Rules, ScoredCase
from metrics.lesions import LesionCounts, count_lesions, lesion_f1, pool_lesion_counts
from metrics.meter import Meter, confusion_of_row, counts_row
from metrics.overlap import Confusion, pool_confusions
from metrics.protocols import NATIVE, Protocol
from metrics.registry import METRICS, native_metrics
from metrics.surface import surface_scores
from metrics.volume import volume_error
from utils.config import EvaluationConfig
from utils.errors import UserError

_MM3_PER_ML = 1000


def volume_metrics() -> tuple[str, ...]:
    """Keys of the metrics of a scan: every native metric of a single case."""
    return tuple(key for key in native_metrics() if METRICS[key].function)


class _VolumeMeter(Meter):
    """Rows of scans."""

    keys = property(lambda self: volume_metrics())


class _Scan:
    """The masks of one scan, a bit per voxel, and the voxels of every class."""

    def __init__(self, first: Case, num_classes: int) -> None:
        self.name, self.distance = first.scan
        self.patient, self.spacing, self.size = first.patient, first.spacing, first.target.shape
        self.num_slices = 0
        self.class_voxels = np.zeros((num_classes, 2), np.int64)  # of target and prediction
        self._bits: list[tuple[np.ndarray, np.ndarray]] = []

    def add(self, case: Case, pred: np.ndarray) -> None:
        """Take the next slice.

        Raises:
            UserError: It has another size.
        """
        if case.target.shape != self.size:
            raise UserError(f"{case.name}: another size than the slices before it")
        self.num_slices += 1
        self._bits.append((np.packbits(pred), np.packbits(case.target)))
        for channel, voxels in enumerate(self.class_voxels, 1):
            own = case.label == channel, case.class_prob.argmax(axis=0) == channel
            voxels += [np.count_nonzero(mask) for mask in own]

    def masks(self) -> tuple[np.ndarray, np.ndarray]:
        """Prediction and target, (slices, H, W) bool."""
        height, width = self.size
        bits = [
            np.unpackbits(np.stack(own), 1, height * width) for own in zip(*self._bits, strict=True)
        ]
        return tuple(own.view(bool).reshape(-1, height, width) for own in bits)


class VolumeScores:
    """Sees every slice that is scored, and keeps the masks of one scan at a time.

    Overlap, volume error, surfaces and lesions (26-connected) are those of the scan as a whole; all
    other metrics are defined for pictures, and are means over its slices.

    Args:
        rules: As the slices are scored; without a distance of slices, distances are in voxels.
        classes: Names of the classes that are told apart, in the order of the channels from 1.
    """

    def __init__(self, rules: Rules, classes: Sequence[str] = ()) -> None:
        self.rules, self.classes = rules, list(classes)
        self._scan: _Scan | None = None
        self._in_space: list[dict[str, Any]] = []  # a row per scan that was seen

    def view(self, case: Case, scored: ScoredCase) -> None:
        """Take the next slice; the slices of a scan come one after the other.

        Raises:
            UserError: Slices of a scan differ in size.
        """
        if self._scan is None or case.scan.name != self._scan.name:
            self._finish_scan()
            self._scan = _Scan(case, len(self.classes))
        self._scan.add(case, scored.pred)

    def rows(self, slice_rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """A row per scan, once all slices were seen.

        Args:
            slice_rows: The native meter's rows of the slices, in the order in which they were seen.

        Returns:
            As Meter.rows, with num_slices and the fields of LesionCounts; lesion_ml and
            pred_lesion_ml, and likewise of every class, "" where the spacing is unknown.
        """
        self._finish_scan()
        rows, start = [], 0
        for in_space in self._in_space:
            end = start + in_space["num_slices"]
            rows.append(self._row(in_space, slice_rows[start:end]))
            start = end
        return rows

    def summary(self, rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """Means over the scans with their intervals.

        Args:
            rows: Of `rows`.

        Returns:
            As Meter.summary and score_intervals; distance_unit and surface_tolerance; the fields of
            LesionCounts, summed; ml_difference, mean size of the difference of both volumes in mL,
            where it is known; rows: the volumes by scan.
        """
        meter = _VolumeMeter(**vars(self.rules))
        meter.add_rows(rows)
        summary = meter.summary()
        lesions = [LesionCounts(*(row[key] for key in LesionCounts._fields)) for row in rows]
        summary |= score_intervals(meter, summary) | pool_lesion_counts(lesions)._asdict()
        summary["distance_unit"] = "mm" if self.rules.in_mm else "voxels"
        summary["surface_tolerance"] = self.rules.tolerance
        if all(row["lesion_ml"] != "" for row in rows):
            difference = np.mean([abs(row["pred_lesion_ml"] - row["lesion_ml"]) for row in rows])
            summary["ml_difference"] = float(difference)
        kept = [key for key in rows[0] if key in ("name", "dice") or key.endswith("_ml")]
        summary["rows"] = [{key: row[key] for key in kept} for row in rows]
        return summary

    def _finish_scan(self) -> None:
        """Score the scan that is over in space, and let go of its masks."""
        if self._scan is None:
            return
        scan, self._scan = self._scan, None
        pred, target = scan.masks()
        voxel = (scan.distance, *scan.spacing) if self.rules.in_mm else (1.0, 1.0, 1.0)
        empty_target = self.rules.empty_target
        lesions = count_lesions(pred, target)
        surfaces = surface_scores(
            pred, target, spacing=voxel, tolerance=self.rules.tolerance, empty_target=empty_target
        )
        ml = np.prod(voxel) / _MM3_PER_ML if self.rules.in_mm else None
        counts = {"lesion": (np.count_nonzero(target), np.count_nonzero(pred))}
        counts |= dict(zip(self.classes, scan.class_voxels.tolist(), strict=True))
        volumes = {
            f"{prefix}{name}_ml": "" if ml is None else float(number * ml)
            for name, numbers in counts.items()
            for prefix, number in zip(("", "pred_"), numbers, strict=True)
        }
        self._in_space.append(
            {"name": scan.name, "patient": scan.patient, "num_slices": scan.num_slices}
            | surfaces
            | {"lesion_f1": lesion_f1(lesions, empty_target=empty_target)}
            | lesions._asdict()
            | volumes
        )

    def _row(
        self, in_space: Mapping[str, Any], slices: Sequence[Mapping[str, Any]]
    ) -> dict[str, Any]:
        """A scan's row of what is known of space and of its slices."""
        counts = pool_confusions(map(confusion_of_row, slices))
        scores = {
            key: in_space[key] if key in in_space else self._score(key, counts, slices)
            for key in volume_metrics()
        }
        first = {key: in_space[key] for key in ("name", "patient", "num_slices")}
        return first | scores | counts_row(counts) | in_space

    def _score(self, key: str, counts: Confusion, slices: Sequence[Mapping[str, Any]]) -> float:
        """Of the pooled voxels, else the mean over the slices without NaN."""
        if METRICS[key].is_pooled:
            return METRICS[key].function(counts, empty_target=self.rules.empty_target)
        if key == "volume_error":
            return volume_error(counts, empty_target=self.rules.empty_target)
        values = np.array([row[key] for row in slices], float)
        known = values[~np.isnan(values)]
        return float(known.mean()) if known.size else float("nan")


def create_volume_scores(
    source: CaseSource, protocol: Protocol, settings: EvaluationConfig
) -> VolumeScores | None:
    """What scores whole scans; None where the cases are of none."""
    if not source.has_scans:
        return None
    if protocol is not NATIVE:
        print(f"protocol {protocol.name} scores slices alone; native scores whole volumes, too")
        return None
    meter = build_meter(NATIVE, settings, has_spacing=source.has_spacing)
    return VolumeScores(meter.rules, list(source.classes))
