"""METRICS: every metric by its key. A new one is a function and a line here; all else follows.

The native protocol scores every case by each of them, in this order. The meter's rows and summary,
the columns of per_case.csv, the tables of test.py and the report, the comparison of two runs and
the tables of results are made from the same entries.
"""

import math
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

from metrics.lesions import lesion_f1
from metrics.mae import mae
from metrics.overlap import dice, iou, precision, sensitivity, specificity
from metrics.volume import volume_error
from metrics.weighted_f import weighted_f

MISSING = "-"


class Metric(NamedTuple):
    """How a metric is computed and printed.

    Attributes:
        function: Of a ScoredCase; of a Confusion and the empty_target policy where `is_pooled`;
            None where only the summary of all cases has it.
        head: Name in a table.
        is_better: "higher", "lower", or "zero" for a signed error.
        unit: "fraction" is printed in per cent; "distance" in mm or px.
        digits: Decimals of a single case.
        is_main: Whether it stands in the first table, and is scored in validation.
        is_pooled: Whether it follows from the pixel counts of a case, and so from pooled ones.
        is_native: Whether the native protocol has it.
    """

    function: Callable[..., float] | None
    head: str
    is_better: Literal["higher", "lower", "zero"] = "higher"
    unit: Literal["fraction", "distance"] = "fraction"
    digits: int = 1
    is_main: bool = False
    is_pooled: bool = False
    is_native: bool = True

    @property
    def title(self) -> str:
        """The head with its arrow."""
        return f"{self.head} {({'higher': '↑', 'lower': '↓', 'zero': '→0'})[self.is_better]}"

    def label(self, distance_unit: str) -> str:
        """The title, with the unit of a distance."""
        return f"{self.title} {distance_unit}" if self.unit == "distance" else self.title

    def format(self, value: Any, digits: int = 2, sign: str = "") -> str:
        """A value as every table prints it; a dash for None and NaN."""
        if value is None or math.isnan(value):
            return MISSING
        scale = 1 if self.unit == "distance" else 100
        return f"{scale * value:{sign}.{digits}f}"


METRICS: dict[str, Metric] = {
    "dice": Metric(dice, "Dice", is_main=True, is_pooled=True),
    "sensitivity": Metric(sensitivity, "Sens.", is_main=True, is_pooled=True),
    "precision": Metric(precision, "Prec.", is_main=True, is_pooled=True),
    "mae": Metric(lambda case: case.soft.mae, "MAE", "lower", digits=2, is_main=True),
    "e_measure_mean": Metric(lambda case: case.soft.e_measure_mean, "E_phi", is_main=True),
    "s_measure": Metric(lambda case: case.soft.s_measure, "S_alpha", is_main=True),
    "iou": Metric(iou, "IoU", is_pooled=True),
    "specificity": Metric(specificity, "Spec.", is_pooled=True),
    "weighted_f": Metric(lambda case: weighted_f(case.prob, case.target), "F_w"),
    "e_measure_adaptive": Metric(lambda case: case.soft.e_measure_adaptive, "E_phi ad."),
    "e_measure_max": Metric(None, "E_phi max"),
    "f_measure_mean": Metric(lambda case: float(case.curves.f_measure.mean()), "F mean"),
    "f_measure_max": Metric(None, "F max"),
    "hd95": Metric(lambda case: case.surface["hd95"], "HD95", "lower", "distance"),
    "average_surface_distance": Metric(
        lambda case: case.surface["average_surface_distance"], "ASD", "lower", "distance"
    ),
    "surface_dice": Metric(lambda case: case.surface["surface_dice"], "Surf. Dice"),
    "lesion_f1": Metric(
        lambda case: lesion_f1(case.lesions, empty_target=case.rules.empty_target), "Lesion F1"
    ),
    "volume_error": Metric(
        lambda case: volume_error(case.confusion, empty_target=case.rules.empty_target),
        "Vol. error",
        "zero",
    ),
    # Of Inf-Net's evaluation: means and maxima over 256 thresholds of a stretched map.
    "dice_mean": Metric(
        lambda case: float(case.inf_net_curves.dice.mean()), "Dice mean", is_native=False
    ),
    "dice_max": Metric(None, "Dice max", is_native=False),
    "sensitivity_mean": Metric(
        lambda case: float(case.inf_net_curves.sensitivity.mean()), "Sens. mean", is_native=False
    ),
    "specificity_mean": Metric(
        lambda case: float(case.inf_net_curves.specificity.mean()), "Spec. mean", is_native=False
    ),
    "mae_raw": Metric(
        lambda case: mae(case.raw, case.target), "MAE raw", "lower", digits=2, is_native=False
    ),
}


_OF_DICE = {"dice_nonempty": "Dice, slices with lesion", "dice_pooled": "Dice, pooled"}


def dice_variants() -> tuple[str, ...]:
    """Keys of what stands beside the mean of Dice over all slices."""
    return tuple(_OF_DICE)


def column(key: str) -> Metric:
    """How a column of a table is headed and printed: of a metric, or of one of dice_variants().

    Raises:
        KeyError: Neither.
    """
    return METRICS["dice"]._replace(head=_OF_DICE[key]) if key in _OF_DICE else METRICS[key]


def main_metrics() -> tuple[str, ...]:
    """Keys of the first table: the six of Hu et al., unless others were added."""
    return tuple(key for key, metric in METRICS.items() if metric.is_main)


def native_metrics() -> tuple[str, ...]:
    """Keys that the native protocol shows; those without a function in its summary alone."""
    return tuple(key for key, metric in METRICS.items() if metric.is_native)
