"""The meters of the two protocols that reproduce the scores of published code."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from metrics.checks import check_case
from metrics.mae import mae
from metrics.meter import CurveMeter, ScoredCase, Spacing
from metrics.overlap import Confusion
from metrics.stretch import as_saved, stretch
from metrics.threshold_counts import OverlapCurves, inf_net_curves

_SMOOTHING = 1e-8  # of the released code's Dice
# Rounding sends a probability of 0.5 to 0, so the least one that counts is the next float32.
_ABOVE_HALF = float(np.nextafter(np.float32(0.5), np.float32(1)))


class CosupMeter(CurveMeter):
    """Dice as the released code of the co-supervision paper averages and pools it.

    `dice` of a slice is (2 |P & G| + 1e-8) / (|P| + |G| + 1e-8), its mean over the slices is that
    code's mean_dice (validation in batches of one), and `dice_pooled`, of the sums over all slices,
    its sum_dice. A blank prediction on a slice without lesion scores 1. Probabilities are rounded,
    0.5 to 0.

    Deviation: that code prints precision under the name of recall and the reverse; here each has
    its own name.
    """

    def __init__(self) -> None:
        super().__init__(empty_target="one", threshold=_ABOVE_HALF)

    def _overlap(self, counts: Confusion) -> dict[str, float]:
        both = counts.num_pred + counts.num_target
        smoothed = (2 * counts.true_positive + _SMOOTHING) / (both + _SMOOTHING)
        return super()._overlap(counts) | {"dice": smoothed}


class InfNetMeter(CurveMeter):
    """Scores as the MATLAB evaluation of Inf-Net makes them of a folder of maps.

    The map is stretched by its minimum and maximum, and thresholded with `>=` at k / 255 for
    k = 0 .. 255. At each threshold the cases are averaged; the *_mean of a metric is the mean of
    that curve, the *_max its maximum. Without a hit, Dice, sensitivity and specificity of a case
    are 0 at a threshold, also where both masks are empty. S-measure and MAE are of the stretched
    map; mae_raw of the map as it was.

    Inf-Net's test script stretches a network's map and saves it as an image of 256 grey levels;
    maps of a network are rounded in the same way here.

    lesion_px, pred_px and the counts of false alarms and missed lesions are at 0.5 of the
    stretched map, on which every map that is not constant marks at least one px.

    Args:
        from_files: Whether the maps come from image files, so that nothing is to be rounded.
    """

    keys = (
        *("dice_mean", "sensitivity_mean", "specificity_mean"),
        *("s_measure", "e_measure_mean", "mae", "mae_raw"),
    )

    def __init__(self, *, from_files: bool = False) -> None:
        super().__init__(empty_target="zero", threshold=0.5)
        self.from_files = from_files

    def summary(self) -> dict[str, Any]:
        """As Meter.summary, with the maxima of the mean curves: dice_max, sensitivity_max, ..."""
        means = {key: curves.mean(axis=0) for key, curves in self.case_curves().items()}
        return super().summary() | {f"{key}_max": float(mean.max()) for key, mean in means.items()}

    def _overlap_curves(self, counts: NDArray[np.integer]) -> OverlapCurves:
        return inf_net_curves(counts)

    def as_scored(self, prob: NDArray[np.floating]) -> NDArray[np.floating]:
        """The stretched map; in steps of 1 / 255 where it comes from a network."""
        stretched = stretch(prob)
        return stretched if self.from_files else as_saved(stretched)

    def _look_at(
        self, prob: NDArray[np.floating], target: NDArray[np.bool_], spacing: Spacing | None
    ) -> ScoredCase:
        check_case(prob, target)
        return super()._look_at(self.as_scored(prob), target, spacing)._replace(raw=prob)

    def _score(self, case: ScoredCase) -> dict[str, Any]:
        curves = self._overlap_curves(case.soft.threshold_counts)
        return super()._score(case) | {
            "dice_mean": float(curves.dice.mean()),
            "sensitivity_mean": float(curves.sensitivity.mean()),
            "specificity_mean": float(curves.specificity.mean()),
            "mae_raw": mae(case.raw, case.target),
        }
