"""A meter that keeps what threshold curves need of each case."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from metrics.e_measure import e_measure_curve_of_counts
from metrics.meter import Meter, ScoredCase
from metrics.overlap import EmptyTarget
from metrics.threshold_counts import OverlapCurves, overlap_curves


class CurveMeter(Meter):
    """A Meter with the counts of each case at 256 thresholds: 2 KiB a case, whatever its size."""

    def __init__(self, *, empty_target: EmptyTarget, threshold: float = 0.5) -> None:
        super().__init__(empty_target=empty_target, threshold=threshold)
        self._threshold_counts: list[NDArray[np.int32]] = []

    def case_curves(self) -> dict[str, NDArray[np.float64]]:
        """Dice, sensitivity, specificity, precision and E-measure of each case, each (n, 256).

        In the order of rising thresholds k / 255, `prob >= threshold`, in the rows' order of cases;
        NaN where the policy says so.
        """
        overlaps = [self._overlap_curves(counts) for counts in self._threshold_counts]
        curves = {
            key: np.stack([getattr(overlap, key) for overlap in overlaps])
            for key in OverlapCurves._fields
        }
        e_measure = [e_measure_curve_of_counts(counts) for counts in self._threshold_counts]
        return curves | {"e_measure": np.stack(e_measure)}

    def _overlap_curves(self, counts: NDArray[np.integer]) -> OverlapCurves:
        """The curves of one case under the meter's convention of empty denominators."""
        return overlap_curves(counts, empty_target=self.empty_target)

    def _score(self, case: ScoredCase) -> dict[str, Any]:
        row = super()._score(case)
        self._threshold_counts.append(case.soft.threshold_counts.astype(np.int32))
        return row
