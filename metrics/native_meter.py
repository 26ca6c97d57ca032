"""The meter of the native protocol: every metric of this project, maps as they are."""

from typing import Any

import numpy as np

from metrics.lesions import LesionCounts, count_lesions, lesion_f1, pool_lesion_counts
from metrics.meter import CurveMeter, ScoredCase, Spacing, confusion_of_row
from metrics.overlap import Confusion, EmptyTarget, iou, pool_confusions, specificity
from metrics.surface import surface_scores
from metrics.volume import volume_error
from metrics.weighted_f import weighted_f

_PX: Spacing = (1.0, 1.0)


class NativeMeter(CurveMeter):
    """Pixels, surfaces, lesions and volume of every case, at one threshold.

    Args:
        empty_target: As Meter; also settles surface distances, lesion F1 and volume error where
            both masks are empty.
        threshold: As Meter.
        tolerance: Of the surface Dice, in mm or px.
        in_mm: Whether distances are in mm, which needs the spacing of every case, or in px.
    """

    keys = (
        *("dice", "sensitivity", "precision", "mae", "e_measure_mean", "s_measure"),
        *("iou", "specificity", "weighted_f", "e_measure_adaptive"),
        *("hd95", "average_surface_distance", "surface_dice", "lesion_f1", "volume_error"),
    )

    def __init__(
        self,
        *,
        empty_target: EmptyTarget,
        threshold: float = 0.5,
        tolerance: float,
        in_mm: bool = False,
    ) -> None:
        super().__init__(empty_target=empty_target, threshold=threshold)
        self.tolerance, self.in_mm = tolerance, in_mm

    def summary(self) -> dict[str, Any]:
        """As Meter.summary, and what is known of distances, lesions and volumes.

        Returns:
            Besides: e_measure_max, maximum of the mean curve; num_lesions, num_lesions_found,
            num_pred_lesions, num_pred_lesions_false, summed over the cases, and lesion_f1_pooled
            from them; volume_error_patient, mean over the patients of the size of the error of
            their slices' summed volume, without patients that have no lesion; distance_unit ("mm"
            or "px") and surface_tolerance.
        """
        summary = super().summary()
        lesions = pool_lesion_counts(_lesion_counts(row) for row in self._rows)
        return summary | {
            "e_measure_max": float(self.case_curves()["e_measure"].mean(axis=0).max()),
            **lesions._asdict(),
            "lesion_f1_pooled": lesion_f1(lesions, empty_target=self.empty_target),
            "volume_error_patient": self._volume_error_patient(),
            "distance_unit": "mm" if self.in_mm else "px",
            "surface_tolerance": self.tolerance,
        }

    def _volume_error_patient(self) -> float:
        """Mean size of the relative error of a patient's volume; NaN without a lesion."""
        slices: dict[str, list[Confusion]] = {}
        for row in self._rows:
            slices.setdefault(row["patient"], []).append(confusion_of_row(row))
        pooled = [pool_confusions(confusions) for confusions in slices.values()]
        errors = [
            abs(volume_error(counts, empty_target=self.empty_target))
            for counts in pooled
            if counts.num_target
        ]
        return float(np.mean(errors)) if errors else float("nan")

    def _overlap(self, counts: Confusion) -> dict[str, float]:
        return super()._overlap(counts) | {
            "iou": iou(counts, empty_target=self.empty_target),
            "specificity": specificity(counts, empty_target=self.empty_target),
        }

    def _score(self, case: ScoredCase) -> dict[str, Any]:
        if self.in_mm and case.spacing is None:
            raise ValueError("no spacing, and distances are taken in mm")
        lesions = count_lesions(case.pred, case.target)
        more = {
            "weighted_f": weighted_f(case.prob, case.target),
            "e_measure_adaptive": case.soft.e_measure_adaptive,
            **surface_scores(
                case.pred,
                case.target,
                spacing=case.spacing if self.in_mm else _PX,
                tolerance=self.tolerance,
                empty_target=self.empty_target,
            ),
            "lesion_f1": lesion_f1(lesions, empty_target=self.empty_target),
            "volume_error": volume_error(case.confusion, empty_target=self.empty_target),
        }
        return more | lesions._asdict() | super()._score(case)


def _lesion_counts(row: dict[str, Any]) -> LesionCounts:
    return LesionCounts(*(row[key] for key in LesionCounts._fields))
