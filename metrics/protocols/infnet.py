"""The protocol of the MATLAB evaluation of Inf-Net."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from metrics.case import ScoredCase, Spacing
from metrics.checks import check_case
from metrics.meter import CurveMeter
from metrics.protocols.protocol import Protocol
from metrics.stretch import as_saved, stretch
from metrics.threshold_counts import OverlapCurves, inf_net_curves

_MEANS = (
    *("dice_mean", "sensitivity_mean", "specificity_mean", "s_measure", "e_measure_mean"),
    *("mae", "mae_raw"),
)


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

    keys = _MEANS

    def __init__(self, *, from_files: bool = False) -> None:
        super().__init__(empty_target="zero", threshold=0.5)
        self.from_files = from_files

    def summary(self) -> dict[str, Any]:
        """As Meter.summary, with the maxima of the mean curves: dice_max, sensitivity_max, ..."""
        means = {key: curves.mean(axis=0) for key, curves in self.case_curves().items()}
        return super().summary() | {f"{key}_max": float(mean.max()) for key, mean in means.items()}

    def as_scored(self, prob: NDArray[np.floating]) -> NDArray[np.floating]:
        """The stretched map; in steps of 1 / 255 where it comes from a network."""
        stretched = stretch(prob)
        return stretched if self.from_files else as_saved(stretched)

    def _overlap_curves(self, counts: NDArray[np.integer]) -> OverlapCurves:
        return inf_net_curves(counts)

    def _check(
        self, prob: NDArray[np.floating], target: NDArray[np.bool_], spacing: Spacing | None
    ) -> ScoredCase:
        check_case(prob, target)
        return ScoredCase(self.as_scored(prob), target, self.rules, spacing, raw=prob)


INFNET = Protocol(
    name="infnet",
    title="as the MATLAB evaluation of Inf-Net",
    notes=(
        "Maps at the mask's size are stretched by minimum and maximum and thresholded with >= at "
        "256 levels; means over slices at each threshold, then mean or maximum of that curve "
        "(Fan et al., IEEE TMI 39, 2020).",
        "Without a hit Dice, Sens. and Spec. are 0 at a threshold, also where both masks are "
        "empty. MAE and S_alpha of the stretched map, MAE raw of the map as it was.",
        "The stretch turns faint noise on a healthy slice into an alarm, and threshold 0 marks "
        "every pixel: a perfect binary map has a Dice mean of 0.996 to 0.997, not 1.",
    ),
    at_network_size=False,
    tables=lambda: {"Pixels": (*_MEANS, "dice_max", "e_measure_max")},
    create_meter=lambda rules, from_files: InfNetMeter(from_files=from_files),
)
