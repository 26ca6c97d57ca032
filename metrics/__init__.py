"""Metrics: pure numpy functions of (prob, target) for one case, and a meter with a row per case."""

from metrics.e_measure import e_measure_curve, e_measure_mean
from metrics.mae import mae
from metrics.meter import Meter
from metrics.overlap import (
    Confusion,
    EmptyTarget,
    confusion,
    dice,
    pool_confusions,
    precision,
    sensitivity,
)
from metrics.s_measure import s_measure

__all__ = [
    "Confusion",
    "EmptyTarget",
    "Meter",
    "confusion",
    "dice",
    "e_measure_curve",
    "e_measure_mean",
    "mae",
    "pool_confusions",
    "precision",
    "s_measure",
    "sensitivity",
]
