"""The native protocol: every metric of this project, at each slice's own size, maps as they are."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from metrics.case import ScoredCase
from metrics.lesions import LesionCounts, lesion_f1, pool_lesion_counts
from metrics.meter import CurveMeter, confusion_of_row
from metrics.overlap import Confusion, pool_confusions
from metrics.protocols.protocol import Protocol
from metrics.registry import METRICS, main_metrics, native_metrics
from metrics.volume import volume_error


class NativeMeter(CurveMeter):
    """Pixels, surfaces, lesions and volume of every case, at one threshold; arguments as Meter."""

    @property
    def keys(self) -> tuple[str, ...]:
        """Every native metric of a single case."""
        return tuple(key for key in native_metrics() if METRICS[key].function)

    def summary(self) -> dict[str, Any]:
        """As Meter.summary, and what is known of distances, lesions and volumes.

        Returns:
            Besides: e_measure_max and f_measure_max, maxima of the mean curves; num_lesions,
            num_lesions_found, num_pred_lesions, num_pred_lesions_false, summed over the cases, and
            lesion_f1_pooled from them; volume_error_patient, mean over the patients of the size of
            the error of their slices' summed volume, without patients that have no lesion;
            distance_unit ("mm" or "px") and surface_tolerance.
        """
        summary = super().summary()
        curves = self.case_curves()
        lesions = pool_lesion_counts(_lesion_counts(row) for row in self._rows)
        return summary | {
            **{f"{key}_max": _maximum(curves[key]) for key in ("e_measure", "f_measure")},
            **lesions._asdict(),
            "lesion_f1_pooled": lesion_f1(lesions, empty_target=self.rules.empty_target),
            "volume_error_patient": self._volume_error_patient(),
            "distance_unit": "mm" if self.rules.in_mm else "px",
            "surface_tolerance": self.rules.tolerance,
        }

    def _volume_error_patient(self) -> float:
        """Mean size of the relative error of a patient's volume; NaN without a lesion."""
        slices: dict[str, list[Confusion]] = {}
        for row in self._rows:
            slices.setdefault(row["patient"], []).append(confusion_of_row(row))
        pooled = [pool_confusions(confusions) for confusions in slices.values()]
        errors = [
            abs(volume_error(counts, empty_target=self.rules.empty_target))
            for counts in pooled
            if counts.num_target
        ]
        return float(np.mean(errors)) if errors else float("nan")

    def _score(self, case: ScoredCase) -> dict[str, Any]:
        return case.lesions._asdict() | super()._score(case)


def _maximum(curves: NDArray[np.float64]) -> float:
    """Of the mean curve, without cases that have NaN; NaN where none is left."""
    kept = curves[~np.isnan(curves).any(axis=1)]
    return float(kept.mean(axis=0).max()) if len(kept) else float("nan")


def _lesion_counts(row: dict[str, Any]) -> LesionCounts:
    return LesionCounts(*(row[key] for key in LesionCounts._fields))


def _tables() -> dict[str, tuple[str, ...]]:
    main = main_metrics()
    more = tuple(key for key in native_metrics() if key not in main)
    return {"Pixels": main, "Surfaces, lesions and more": more}


NATIVE = Protocol(
    name="native",
    title="original resolution, maps as they are",
    notes=(
        "Probabilities are resized bilinearly to the slice as stored; a pixel is lesion from the "
        "threshold on.",
        "Dice, Sens., Prec., MAE, E_phi (mean over 256 thresholds), S_alpha: equations 7 to 12 of "
        "Hu et al., Pattern Recognition 124 (2022) 108452; maps are not stretched.",
        "HD95: the larger of the two directed 95th percentiles; ASD: mean over the pixels of both "
        "surfaces; Surf. Dice: share of both surfaces within the tolerance. A missed lesion and a "
        "false alarm have the slice's diagonal as distance.",
        "Lesion F1: a lesion (8-connected, within the slice) is found if one of its pixels is "
        "predicted; F_w: weighted F-measure (Margolin et al., CVPR 2014).",
        "F mean, F max: F-measure (beta^2 = 0.3, Achanta et al., CVPR 2009) at 256 thresholds, its "
        "mean, and the maximum of the slices' mean curve. Standard deviation: of the slices "
        "(n - 1).",
    ),
    at_network_size=False,
    tables=_tables,
    create_meter=lambda rules, from_files: NativeMeter(**vars(rules)),
    sets_policy=False,
)
