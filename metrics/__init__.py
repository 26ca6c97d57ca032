"""Metrics: pure functions of one case's numpy arrays, METRICS, and meters with a row per case."""

from metrics.class_meter import ClassMeter, selection_dice
from metrics.confidence import (
    Bootstrap,
    Interval,
    maximum_interval,
    mean_intervals,
    pooled_intervals,
    ratio_intervals,
    resampling_units,
    row_intervals,
)
from metrics.e_measure import (
    e_measure_adaptive,
    e_measure_curve,
    e_measure_curve_of_counts,
    e_measure_max,
    e_measure_mean,
)
from metrics.lesions import LesionCounts, count_lesions, lesion_f1, pool_lesion_counts
from metrics.mae import mae
from metrics.meter import Meter
from metrics.overlap import (
    Confusion,
    EmptyTarget,
    confusion,
    dice,
    iou,
    pool_confusions,
    precision,
    sensitivity,
    specificity,
)
from metrics.paired_tests import PairedComparison, compare_paired, smallest_permutation_p
from metrics.registry import METRICS, Metric
from metrics.s_measure import s_measure
from metrics.soft_scores import SoftScores, score_soft
from metrics.stretch import as_saved, stretch
from metrics.surface import (
    SurfaceDistances,
    average_surface_distance,
    hd95,
    surface_dice,
    surface_distances,
    surface_scores,
)
from metrics.threshold_counts import OverlapCurves, inf_net_curves, overlap_curves, threshold_counts
from metrics.volume import volume_error
from metrics.weighted_f import weighted_f

__all__ = [
    "METRICS",
    "Bootstrap",
    "ClassMeter",
    "Confusion",
    "EmptyTarget",
    "Interval",
    "LesionCounts",
    "Meter",
    "Metric",
    "OverlapCurves",
    "PairedComparison",
    "SoftScores",
    "SurfaceDistances",
    "as_saved",
    "average_surface_distance",
    "compare_paired",
    "confusion",
    "count_lesions",
    "dice",
    "e_measure_adaptive",
    "e_measure_curve",
    "e_measure_curve_of_counts",
    "e_measure_max",
    "e_measure_mean",
    "hd95",
    "inf_net_curves",
    "iou",
    "lesion_f1",
    "mae",
    "maximum_interval",
    "mean_intervals",
    "overlap_curves",
    "pool_confusions",
    "pool_lesion_counts",
    "pooled_intervals",
    "precision",
    "ratio_intervals",
    "resampling_units",
    "row_intervals",
    "s_measure",
    "score_soft",
    "selection_dice",
    "sensitivity",
    "smallest_permutation_p",
    "specificity",
    "stretch",
    "surface_dice",
    "surface_distances",
    "surface_scores",
    "threshold_counts",
    "volume_error",
    "weighted_f",
]
