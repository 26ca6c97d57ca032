"""One case as every metric sees it: checked once, and what several metrics need computed once."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from metrics.lesions import LesionCounts, count_lesions
from metrics.overlap import Confusion, EmptyTarget, check_empty_target, confusion
from metrics.soft_scores import SoftScores, score_soft
from metrics.surface import surface_scores
from metrics.threshold_counts import OverlapCurves, inf_net_curves, overlap_curves

Spacing = tuple[float, float]
_PX: Spacing = (1.0, 1.0)


@dataclass(frozen=True)
class Rules:
    """What the formulas leave open, and a protocol or the configuration settles.

    Attributes:
        empty_target: Score of the overlap metrics, surface distances, lesion F1 and volume error
            where target and prediction are both empty: "one", "zero", or "nan", which leaves the
            case out of their means.
        threshold: Probability in [0, 1] from which on a pixel is predicted as lesion.
        tolerance: Of the surface Dice, in mm or px.
        in_mm: Whether distances are in mm, which needs the spacing of every case, or in px.

    Raises:
        ValueError: Unknown policy, or a threshold outside [0, 1].
    """

    empty_target: EmptyTarget
    threshold: float = 0.5
    tolerance: float = 2.0
    in_mm: bool = False

    def __post_init__(self) -> None:
        check_empty_target(self.empty_target)
        if not 0 <= self.threshold <= 1:
            raise ValueError(f"threshold must lie in [0, 1], got {self.threshold}")


class ScoredCase:
    """A prediction with its target.

    Args:
        prob: (H, W) float32 or float64, probabilities in [0, 1], as they are scored.
        target: (H, W) bool, True on the lesion.
        rules: What the formulas leave open.
        spacing: Height and width of a px in mm, None where unknown.
        raw: The map as it was given, where a protocol changed it before.

    Raises:
        ValueError: Shapes that differ, another dtype, NaN, or values outside [0, 1].
    """

    def __init__(
        self,
        prob: NDArray[np.floating],
        target: NDArray[np.bool_],
        rules: Rules,
        spacing: Spacing | None = None,
        raw: NDArray[np.floating] | None = None,
    ) -> None:
        self.soft: SoftScores = score_soft(prob, target)  # checks the case
        self.prob, self.target, self.rules, self.spacing = prob, target, rules, spacing
        self.raw = prob if raw is None else raw
        self.pred: NDArray[np.bool_] = prob >= rules.threshold
        self.confusion: Confusion = confusion(self.pred, target)

    def predict(self, pred: NDArray[np.bool_]) -> None:
        """Take another prediction than that of the threshold, before anything is made of it.

        Args:
            pred: (H, W) bool.
        """
        self.pred, self.confusion = pred, confusion(pred, self.target)

    @cached_property
    def surface(self) -> dict[str, float]:
        """hd95, average_surface_distance and surface_dice, as metrics.surface.surface_scores.

        Raises:
            ValueError: Distances are taken in mm, and the spacing is unknown.
        """
        if self.rules.in_mm and self.spacing is None:
            raise ValueError("no spacing, and distances are taken in mm")
        return surface_scores(
            self.pred,
            self.target,
            spacing=self.spacing if self.rules.in_mm else _PX,
            tolerance=self.rules.tolerance,
            empty_target=self.rules.empty_target,
        )

    @cached_property
    def lesions(self) -> LesionCounts:
        """Lesions, 8-connected, and how many of them are found."""
        return count_lesions(self.pred, self.target)

    @cached_property
    def curves(self) -> OverlapCurves:
        """Overlap at 256 thresholds."""
        return overlap_curves(self.soft.threshold_counts, empty_target=self.rules.empty_target)

    @cached_property
    def inf_net_curves(self) -> OverlapCurves:
        """Overlap at 256 thresholds under the rule of Inf-Net's evaluation."""
        return inf_net_curves(self.soft.threshold_counts)
