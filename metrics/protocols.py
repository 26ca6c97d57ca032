"""The protocols of test.py: what is scored at which size, and what the figures mean."""

from collections.abc import Mapping
from dataclasses import dataclass

from metrics.meter import CurveMeter
from metrics.native_meter import NativeMeter
from metrics.overlap import EmptyTarget
from metrics.protocol_meters import CosupMeter, InfNetMeter


@dataclass(frozen=True)
class Protocol:
    """One way to score.

    Attributes:
        name: As --protocol has it.
        title: One line.
        notes: Formula and source, a sentence each.
        at_network_size: Whether targets are resized to the network's size; else probabilities are
            resized to the slice's.
        columns: Keys of the table's columns.
        more_columns: Keys of a second table's, {} without one.
        sets_policy: Whether the protocol itself says how empty targets score, and the threshold.
    """

    name: str
    title: str
    notes: tuple[str, ...]
    at_network_size: bool
    columns: tuple[str, ...]
    more_columns: tuple[str, ...] = ()
    sets_policy: bool = True


NATIVE = Protocol(
    name="native",
    title="original resolution, maps as they are",
    notes=(
        "Probabilities are resized bilinearly to the slice as stored; a pixel is lesion from the "
        "threshold on.",
        "Dice, Sens., Prec., MAE, E_phi (mean over 256 thresholds), S_alpha: equations 7 to 12 of "
        "Hu et al., Pattern Recognition 124 (2022) 108452; maps are not stretched.",
        "HD95: the larger of the two directed 95th percentiles; ASD: mean over the pixels of both "
        "surfaces; Surf. Dice: share of both surfaces within the tolerance. A missed lesion and a "
        "false alarm have the slice's diagonal as distance.",
        "Lesion F1: a lesion (8-connected, within the slice) is found if one of its pixels is "
        "predicted; F_w: weighted F-measure (Margolin et al., CVPR 2014).",
    ),
    at_network_size=False,
    columns=("dice", "sensitivity", "precision", "mae", "e_measure_mean", "s_measure"),
    more_columns=(
        *("iou", "specificity", "weighted_f", "e_measure_adaptive", "e_measure_max"),
        *("hd95", "average_surface_distance", "surface_dice", "lesion_f1", "volume_error"),
    ),
    sets_policy=False,
)
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
    columns=NATIVE.columns,
)
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
    columns=(
        *("dice_mean", "sensitivity_mean", "specificity_mean", "s_measure", "e_measure_mean"),
        *("mae", "mae_raw", "dice_max", "e_measure_max"),
    ),
)
PROTOCOLS: Mapping[str, Protocol] = {p.name: p for p in (NATIVE, INFNET, COSUP)}


def create_meter(
    protocol: Protocol,
    *,
    empty_target: EmptyTarget,
    threshold: float,
    tolerance: float,
    in_mm: bool,
    from_files: bool = False,
) -> CurveMeter:
    """The protocol's meter.

    Args:
        protocol: Which.
        empty_target: As Meter; of the native protocol only.
        threshold: As Meter; of the native protocol only.
        tolerance: As NativeMeter.
        in_mm: As NativeMeter.
        from_files: As InfNetMeter.
    """
    if protocol is NATIVE:
        return NativeMeter(
            empty_target=empty_target, threshold=threshold, tolerance=tolerance, in_mm=in_mm
        )
    return CosupMeter() if protocol is COSUP else InfNetMeter(from_files=from_files)
