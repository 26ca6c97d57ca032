"""One row of metrics per case, and their summary."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from metrics.e_measure import e_measure_curve_of_counts
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
from metrics.soft_scores import SoftScores, score_soft
from metrics.threshold_counts import OverlapCurves, overlap_curves

Spacing = tuple[float, float]
_SOFT = ("mae", "e_measure_mean", "s_measure")
_COUNTS = ("lesion_px", "pred_px", "hit_px", "num_px")


class ScoredCase(NamedTuple):
    """One checked case with what several metrics need of it.

    `prob` is what is scored; `raw` the map as it was given, where a protocol changes it before.
    """

    raw: NDArray[np.floating]
    prob: NDArray[np.floating]
    target: NDArray[np.bool_]
    pred: NDArray[np.bool_]
    spacing: Spacing | None
    soft: SoftScores
    confusion: Confusion


class Meter:
    """Scores cases one by one, keeps a row of each, and averages them.

    A case is one slice. A pixel is predicted as lesion if `prob >= threshold`, the same comparison
    as in the E-measure; a probability of exactly 0.5 counts, where rounding to even would drop it.

    This is the meter of a training run's validation; metrics.protocol_meters has those of test.py.
    """

    # Keys of a row that are averaged, in the order of the row; and those that can be pooled.
    keys: tuple[str, ...] = (
        *("dice", "sensitivity", "precision"),
        *_SOFT,
    )

    def __init__(self, *, empty_target: EmptyTarget, threshold: float = 0.5) -> None:
        """Starts without a case.

        Args:
            empty_target: Score of Dice, sensitivity and precision where target and prediction are
                both empty: "one", "zero", or "nan", which leaves the case out of their means.
            threshold: Probability in [0, 1] from which on a pixel is predicted as lesion.

        Raises:
            ValueError: Unknown policy, or a threshold outside [0, 1].
        """
        check_empty_target(empty_target)
        if not 0 <= threshold <= 1:
            raise ValueError(f"threshold must lie in [0, 1], got {threshold}")
        self.empty_target = empty_target
        self.threshold = float(threshold)
        self._rows: list[dict[str, Any]] = []

    @property
    def rows(self) -> list[dict[str, Any]]:
        """A copy of the rows, in the order of the updates.

        Keys: name, patient; `keys`, fractions; lesion_px, pred_px, hit_px (of both), num_px.
        """
        return [dict(row) for row in self._rows]

    def add_rows(self, rows: Iterable[dict[str, Any]]) -> None:
        """Take over the rows of another meter of the same settings, in another process, say."""
        self._rows.extend(rows)

    def update(
        self,
        prob: NDArray[np.floating],
        target: NDArray[np.bool_],
        name: str,
        patient: str,
        spacing: Spacing | None = None,
    ) -> ScoredCase:
        """Scores one case and adds its row; nothing is added if it raises.

        Args:
            prob: (H, W) float32 or float64, probabilities in [0, 1].
            target: (H, W) bool, True on the lesion.
            name: Name of the case, for the row and the messages.
            patient: The patient whom the case belongs to.
            spacing: Height and width of a px in mm, where known.

        Returns:
            The case as it was scored.

        Raises:
            ValueError: Shapes that differ, another dtype, NaN, or values outside [0, 1]; the
                message names the case.
        """
        try:
            case = self._look_at(prob, target, spacing)
            scores = self._score(case)
        except ValueError as error:
            raise ValueError(f"case {name!r} of patient {patient!r}: {error}") from error
        self._rows.append({"name": name, "patient": patient} | scores)
        return case

    def as_scored(self, prob: NDArray[np.floating]) -> NDArray[np.floating]:
        """The map that is scored for a predicted one; the same but where a protocol changes it."""
        return prob

    def summary(self) -> dict[str, Any]:
        """Means and counts over all cases; fractions, not per cent.

        Returns:
            - n, n_patients: cases, and different patients.
            - `keys`: macro means over the cases, without NaN; NaN if nothing is left.
            - <key>_nonempty: the same over the cases with lesion.
            - dice_pooled, sensitivity_pooled, precision_pooled: from the counts of all cases.
            - num_empty_target; num_false_alarm, empty target and a prediction that is not;
              num_missed, a target that is not empty and not one px of it predicted.
            - empty_target, threshold: as given.

        Raises:
            ValueError: No case was added.
        """
        if not self._rows:
            raise ValueError("the meter has no case to summarise; call update first")
        nonempty = [row for row in self._rows if row["lesion_px"]]
        empty = [row for row in self._rows if not row["lesion_px"]]
        return {
            "n": len(self._rows),
            "n_patients": len({row["patient"] for row in self._rows}),
            **_means(self._rows, self.keys),
            **{f"{key}_nonempty": mean for key, mean in _means(nonempty, self.keys).items()},
            **self._pooled(pool_confusions(map(confusion_of_row, self._rows))),
            "num_empty_target": len(empty),
            "num_false_alarm": sum(row["pred_px"] > 0 for row in empty),
            "num_missed": sum(row["hit_px"] == 0 for row in nonempty),
            "empty_target": self.empty_target,
            "threshold": self.threshold,
        }

    def _look_at(
        self, prob: NDArray[np.floating], target: NDArray[np.bool_], spacing: Spacing | None
    ) -> ScoredCase:
        """Check a case and take what several metrics share."""
        soft = score_soft(prob, target)  # checks the case
        pred = prob >= self.threshold
        return ScoredCase(prob, prob, target, pred, spacing, soft, confusion(pred, target))

    def _score(self, case: ScoredCase) -> dict[str, Any]:
        """The row of a case but for its name and patient."""
        soft = {key: getattr(case.soft, key) for key in _SOFT}
        return self._overlap(case.confusion) | soft | counts_row(case.confusion)

    def _overlap(self, counts: Confusion) -> dict[str, float]:
        """The overlap metrics of one case, or of pooled ones, under the meter's policy."""
        return {
            metric.__name__: metric(counts, empty_target=self.empty_target)
            for metric in (dice, sensitivity, precision)
        }

    def _pooled(self, counts: Confusion) -> dict[str, float]:
        """The pooled overlap metrics, their keys marked."""
        return {f"{key}_pooled": value for key, value in self._overlap(counts).items()}


def counts_row(counts: Confusion) -> dict[str, int]:
    """The counts of a confusion as a row has them."""
    values = (counts.num_target, counts.num_pred, counts.true_positive, sum(counts))
    return dict(zip(_COUNTS, values, strict=True))


def confusion_of_row(row: dict[str, Any]) -> Confusion:
    """The confusion back from a row's counts."""
    lesion, pred, hit, size = (row[key] for key in _COUNTS)
    return Confusion(hit, pred - hit, lesion - hit, size - lesion - pred + hit)


def _means(rows: Sequence[dict[str, Any]], keys: Iterable[str]) -> dict[str, float]:
    """Means of the values that are not NaN; NaN if there is none, without numpy's warning."""
    means = {}
    for key in keys:
        values = np.array([row[key] for row in rows], dtype=np.float64)
        kept = values[~np.isnan(values)]
        means[key] = float(kept.mean()) if kept.size else float("nan")
    return means


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
