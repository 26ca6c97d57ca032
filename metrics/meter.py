"""One row of metrics per case, and their summary."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metrics.checks import check_case
from metrics.e_measure import e_measure_mean
from metrics.mae import mae
from metrics.overlap import (
    Confusion,
    EmptyTarget,
    check_empty_target,
    confusion,
    dice,
    pool_confusions,
    precision,
    sensitivity,
)
from metrics.s_measure import s_measure

_OVERLAP = {"dice": dice, "sensitivity": sensitivity, "precision": precision}


class Meter:
    """Scores cases one by one, keeps a row of each, and averages them.

    A case is one slice. A pixel is predicted as lesion if `prob >= threshold`, the same comparison
    as in the E-measure; a probability of exactly 0.5 counts, where rounding to even would drop it.
    """

    def __init__(
        self, *, empty_target: EmptyTarget, threshold: float = 0.5, structural: bool = True
    ) -> None:
        """Starts without a case.

        Args:
            empty_target: Score of Dice, sensitivity and precision where target and prediction are
                both empty: "one", "zero", or "nan", which leaves the case out of their means.
            threshold: Probability in [0, 1] from which on a pixel is predicted as lesion.
            structural: False skips E- and S-measure, and their keys: the cheap validation of an
                epoch.

        Raises:
            ValueError: Unknown policy, or a threshold outside [0, 1].
        """
        check_empty_target(empty_target)
        if not 0 <= threshold <= 1:
            raise ValueError(f"threshold must lie in [0, 1], got {threshold}")
        self.empty_target = empty_target
        self.threshold = float(threshold)
        self.structural = structural
        self._rows: list[dict[str, Any]] = []
        self._confusions: list[Confusion] = []

    @property
    def rows(self) -> list[dict[str, Any]]:
        """A copy of the rows, in the order of the updates.

        Keys: name, patient; dice, sensitivity, precision, mae, e_measure_mean, s_measure, all
        fractions; lesion_px, pred_px. The two structural ones are absent where switched off.
        """
        return [dict(row) for row in self._rows]

    def cases(self) -> list[tuple[dict[str, Any], tuple[int, ...]]]:
        """What is known of each case, as plain values: its row and its counts."""
        counts = [tuple(map(int, counts)) for counts in self._confusions]
        return list(zip(self._rows, counts, strict=True))

    def add_cases(self, cases: Iterable[tuple[dict[str, Any], tuple[int, ...]]]) -> None:
        """Take over what another meter of the same settings knows, in another process, say."""
        for row, counts in cases:
            self._rows.append(row)
            self._confusions.append(Confusion(*counts))

    def update(
        self, prob: NDArray[np.floating], target: NDArray[np.bool_], name: str, patient: str
    ) -> None:
        """Scores one case and adds its row; nothing is added if it raises.

        Args:
            prob: (H, W) float32 or float64, probabilities in [0, 1].
            target: (H, W) bool, True on the lesion.
            name: Name of the case, for the row and the messages.
            patient: The patient whom the case belongs to.

        Raises:
            ValueError: Shapes that differ, another dtype, NaN, or values outside [0, 1]; the
                message names the case.
        """
        try:
            check_case(prob, target)
            counts = confusion(prob >= self.threshold, target)
            row = {"name": name, "patient": patient} | self._scores(counts)
            row["mae"] = mae(prob, target)
            if self.structural:
                row["e_measure_mean"] = e_measure_mean(prob, target)
                row["s_measure"] = s_measure(prob, target)
        except ValueError as error:
            raise ValueError(f"case {name!r} of patient {patient!r}: {error}") from error
        self._rows.append(row | {"lesion_px": counts.num_target, "pred_px": counts.num_pred})
        self._confusions.append(counts)

    def summary(self) -> dict[str, Any]:
        """Means and counts over all cases; fractions, not per cent.

        Returns:
            - n, n_patients: cases, and different patients.
            - dice, sensitivity, precision, mae, e_measure_mean, s_measure: macro means over the
              cases, without NaN; NaN if nothing is left.
            - dice_nonempty: macro Dice over the cases with lesion; NaN if there is none.
            - dice_pooled, sensitivity_pooled, precision_pooled: from the counts of all cases.
            - num_empty_target; num_false_alarm, empty target and a prediction that is not;
              num_missed, a target that is not empty and not one px of it predicted.
            - empty_target, threshold: as given.

        Raises:
            ValueError: No case was added.
        """
        if not self._rows:
            raise ValueError("the meter has no case to summarise; call update first")
        keys = [*_OVERLAP, "mae"] + ["e_measure_mean", "s_measure"] * self.structural
        nonempty = [row for row in self._rows if row["lesion_px"]]
        empty = [row for row in self._rows if not row["lesion_px"]]
        pooled = self._scores(pool_confusions(self._confusions))
        return {
            "n": len(self._rows),
            "n_patients": len({row["patient"] for row in self._rows}),
            **{key: _mean(row[key] for row in self._rows) for key in keys},
            "dice_nonempty": _mean(row["dice"] for row in nonempty),
            **{f"{key}_pooled": value for key, value in pooled.items()},
            "num_empty_target": len(empty),
            "num_false_alarm": sum(row["pred_px"] > 0 for row in empty),
            "num_missed": sum(row["sensitivity"] == 0 for row in nonempty),
            "empty_target": self.empty_target,
            "threshold": self.threshold,
        }

    def _scores(self, counts: Confusion) -> dict[str, Any]:
        """The three overlap metrics under the meter's policy."""
        return {key: f(counts, empty_target=self.empty_target) for key, f in _OVERLAP.items()}


def _mean(values: Iterable[float]) -> float:
    """Mean of the values that are not NaN; NaN if there is none, without numpy's warning."""
    kept = np.array(list(values), dtype=np.float64)
    kept = kept[~np.isnan(kept)]
    return float(kept.mean()) if kept.size else float("nan")
