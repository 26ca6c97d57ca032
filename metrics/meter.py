"""One row of metrics per case, and their summary."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metrics.case import Rules, ScoredCase, Spacing
from metrics.e_measure import e_measure_curve_of_counts
from metrics.overlap import Confusion, EmptyTarget, pool_confusions
from metrics.registry import METRICS, main_metrics
from metrics.threshold_counts import OverlapCurves, overlap_curves

_COUNTS = ("lesion_px", "pred_px", "hit_px", "num_px")


class Meter:
    """Scores cases one by one, keeps a row of each, and averages them.

    A case is one slice. A pixel is predicted as lesion if `prob >= threshold`, the same comparison
    as in the E-measure; a probability of exactly 0.5 counts, where rounding to even would drop it.

    This is the meter of a training run's validation; metrics.protocols has those of test.py.

    Args:
        empty_target: See metrics.case.Rules.
        threshold: The same.
        tolerance: The same.
        in_mm: The same.

    Raises:
        ValueError: Unknown policy, or a threshold outside [0, 1].
    """

    def __init__(
        self,
        *,
        empty_target: EmptyTarget,
        threshold: float = 0.5,
        tolerance: float = 2.0,
        in_mm: bool = False,
    ) -> None:
        self.rules = Rules(empty_target, float(threshold), tolerance, in_mm)
        self._rows: list[dict[str, Any]] = []

    @property
    def keys(self) -> tuple[str, ...]:
        """Metrics that are averaged, in the order of the row."""
        return main_metrics()

    @property
    def threshold(self) -> float:
        """Probability from which on a pixel is predicted as lesion."""
        return self.rules.threshold

    @property
    def rows(self) -> list[dict[str, Any]]:
        """A copy of the rows, in the order of the updates.

        Keys: name, patient; the metrics; lesion_px, pred_px, hit_px (of both), num_px.
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
        pred: NDArray[np.bool_] | None = None,
    ) -> ScoredCase:
        """Scores one case and adds its row; nothing is added if it raises.

        Args:
            prob: (H, W) float32 or float64, probabilities in [0, 1].
            target: (H, W) bool, True on the lesion.
            name: Name of the case, for the row and the messages.
            patient: The patient whom the case belongs to.
            spacing: Height and width of a px in mm, where known.
            pred: (H, W) bool, the prediction; None takes prob >= threshold.

        Returns:
            The case as it was scored.

        Raises:
            ValueError: Shapes that differ, another dtype, NaN, or values outside [0, 1]; the
                message names the case.
        """
        try:
            case = self._check(prob, target, spacing)
            if pred is not None:
                case.predict(pred)
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
            - <key>_std: standard deviation of the same values (n - 1); NaN for fewer than two.
            - <key>_nonempty: the same over the cases with lesion.
            - <key>_pooled, such as dice_pooled: from the pixel counts of all cases.
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
        pooled = pool_confusions(map(confusion_of_row, self._rows))
        return {
            "n": len(self._rows),
            "n_patients": len({row["patient"] for row in self._rows}),
            **_means(self._rows, self.keys),
            **{f"{key}_std": std for key, std in _deviations(self._rows, self.keys).items()},
            **{f"{key}_nonempty": mean for key, mean in _means(nonempty, self.keys).items()},
            **{
                f"{key}_pooled": self._score_counts(key, pooled)
                for key in self._row_keys()
                if METRICS[key].is_pooled
            },
            "num_empty_target": len(empty),
            "num_false_alarm": sum(row["pred_px"] > 0 for row in empty),
            "num_missed": sum(row["hit_px"] == 0 for row in nonempty),
            "empty_target": self.rules.empty_target,
            "threshold": self.rules.threshold,
        }

    def case_curves(self) -> dict[str, NDArray[np.float64]]:
        """Curves of each case over thresholds by metric; a CurveMeter has some."""
        return {}

    def _row_keys(self) -> tuple[str, ...]:
        """The main metrics, by which cases are sorted and drawn, and the meter's own."""
        return tuple(dict.fromkeys((*main_metrics(), *self.keys)))

    def _check(
        self, prob: NDArray[np.floating], target: NDArray[np.bool_], spacing: Spacing | None
    ) -> ScoredCase:
        return ScoredCase(prob, target, self.rules, spacing)

    def _score(self, case: ScoredCase) -> dict[str, Any]:
        """The row of a case but for its name and patient."""
        scores = {}
        for key in self._row_keys():
            metric = METRICS[key]
            is_pooled = metric.is_pooled
            scores[key] = (
                self._score_counts(key, case.confusion) if is_pooled else metric.function(case)
            )
        return scores | counts_row(case.confusion)

    def _score_counts(self, key: str, counts: Confusion) -> float:
        """A metric of the pixel counts of one case, or of pooled ones."""
        return METRICS[key].function(counts, empty_target=self.rules.empty_target)


class CurveMeter(Meter):
    """A Meter with the counts of each case at 256 thresholds: 2 KiB a case, whatever its size."""

    def __init__(self, **rules: Any) -> None:
        super().__init__(**rules)
        self._threshold_counts: list[NDArray[np.int32]] = []

    def case_curves(self) -> dict[str, NDArray[np.float64]]:
        """The overlap curves and the E-measure of each case, each (n, 256).

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
        return overlap_curves(counts, empty_target=self.rules.empty_target)

    def _score(self, case: ScoredCase) -> dict[str, Any]:
        row = super()._score(case)
        self._threshold_counts.append(case.soft.threshold_counts.astype(np.int32))
        return row


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
    values = {key: _known(rows, key) for key in keys}
    return {key: float(own.mean()) if own.size else float("nan") for key, own in values.items()}


def _deviations(rows: Sequence[dict[str, Any]], keys: Iterable[str]) -> dict[str, float]:
    """Standard deviations of the values that are not NaN; NaN if there are not two."""
    values = {key: _known(rows, key) for key in keys}
    return {
        key: float(own.std(ddof=1)) if own.size > 1 else float("nan") for key, own in values.items()
    }


def _known(rows: Sequence[dict[str, Any]], key: str) -> NDArray[np.float64]:
    """The values that are not NaN."""
    values = np.array([row[key] for row in rows], dtype=np.float64)
    return values[~np.isnan(values)]
