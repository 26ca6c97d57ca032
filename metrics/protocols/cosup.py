"""The protocol of the released code of the co-supervision paper."""

import numpy as np

from metrics.meter import CurveMeter
from metrics.overlap import Confusion
from metrics.protocols.protocol import Protocol
from metrics.registry import main_metrics

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

    def _score_counts(self, key: str, counts: Confusion) -> float:
        if key != "dice":
            return super()._score_counts(key, counts)
        both = counts.num_pred + counts.num_target
        return (2 * counts.true_positive + _SMOOTHING) / (both + _SMOOTHING)


COSUP = Protocol(
    name="cosup",
    title="network size, as the released code of the co-supervision paper",
    notes=(
        "mean_dice: mean over slices of (2 |P & G| + 1e-8) / (|P| + |G| + 1e-8); sum_dice: the "
        "same of the sums over all slices (pooled); probabilities rounded, 0.5 to 0.",
        "Targets are resized by nearest neighbour to the network's size. Sens. and Prec. have "
        "their own names, which that code exchanges. MAE, E_phi and S_alpha of the maps as they "
        "are.",
    ),
    at_network_size=True,
    tables=lambda: {"Pixels": main_metrics()},
    create_meter=lambda rules, from_files: CosupMeter(),
)
