"""The metrics by key: table head, direction, unit. One spelling each, from CSV to web page."""

from typing import Literal, NamedTuple


class Metric(NamedTuple):
    """What a table says of a metric.

    Attributes:
        head: Name as printed.
        is_better: "higher", "lower", or "zero" for a signed error.
        unit: "fraction" is printed in per cent; "distance" in mm or px.
    """

    head: str
    is_better: Literal["higher", "lower", "zero"] = "higher"
    unit: Literal["fraction", "distance"] = "fraction"

    @property
    def title(self) -> str:
        """The head with its arrow."""
        return f"{self.head} {({'higher': '↑', 'lower': '↓', 'zero': '→0'})[self.is_better]}"


METRICS = {
    "dice": Metric("Dice"),
    "dice_mean": Metric("Dice mean"),
    "dice_max": Metric("Dice max"),
    "sensitivity": Metric("Sens."),
    "sensitivity_mean": Metric("Sens. mean"),
    "specificity_mean": Metric("Spec. mean"),
    "precision": Metric("Prec."),
    "mae": Metric("MAE", "lower"),
    "mae_raw": Metric("MAE raw", "lower"),
    "e_measure_mean": Metric("E_phi"),
    "e_measure_max": Metric("E_phi max"),
    "e_measure_adaptive": Metric("E_phi ad."),
    "s_measure": Metric("S_alpha"),
    "iou": Metric("IoU"),
    "specificity": Metric("Spec."),
    "weighted_f": Metric("F_w"),
    "hd95": Metric("HD95", "lower", "distance"),
    "average_surface_distance": Metric("ASD", "lower", "distance"),
    "surface_dice": Metric("Surf. Dice"),
    "lesion_f1": Metric("Lesion F1"),
    "volume_error": Metric("Vol. error", "zero"),
}
