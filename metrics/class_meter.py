"""Several classes scored: each against the rest, by a meter of its own, and the mean of them."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metrics.case import Spacing
from metrics.checks import check_same_shape
from metrics.meter import Meter
from metrics.registry import METRICS

_VARIANTS = ("", "_nonempty", "_pooled")


class ClassMeter:
    """A meter per class; a row per class and case.

    A class is predicted where it is the likeliest of all, the background among them, whatever the
    threshold; the metrics of soft maps see the probability of the class.

    Args:
        meters: A new meter for every class by its name, in the order of the channels from 1.
    """

    def __init__(self, meters: Mapping[str, Meter]) -> None:
        self.meters = dict(meters)

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The meters' rows, class by class, each with its class."""
        return [{"class": name} | row for name, meter in self.meters.items() for row in meter.rows]

    def add_rows(self, rows: Iterable[dict[str, Any]]) -> None:
        """Take over the rows of another meter of the same classes and settings."""
        for row in rows:
            own = {key: value for key, value in row.items() if key != "class"}
            self.meters[row["class"]].add_rows([own])

    def update(
        self,
        prob: NDArray[np.floating],
        label: NDArray[np.integer],
        name: str,
        patient: str,
        spacing: Spacing | None = None,
    ) -> NDArray[np.intp]:
        """Score one case.

        Args:
            prob: (K, H, W) float, probabilities in [0, 1], background first.
            label: (H, W), 0 background, else classes from 1.
            name: As Meter.update.
            patient: As Meter.update.
            spacing: As Meter.update.

        Returns:
            (H, W): the predicted class of every px.

        Raises:
            ValueError: As Meter.update.
        """
        pred = prob.argmax(axis=0)
        for channel, meter in enumerate(self.meters.values(), 1):
            meter.update(
                *(prob[channel], label == channel, name, patient, spacing), pred=pred == channel
            )
        return pred

    def summary(self) -> dict[str, Any]:
        """What the classes come to.

        Returns:
            classes: Summary of every class by its name, as its meter has it. class_mean: the mean
            of every score of these over the classes that any case shows, over all where none
            does; a score that is NaN has no part in it.
        """
        classes = {name: meter.summary() for name, meter in self.meters.items()}
        shown = [s for s in classes.values() if s["num_empty_target"] < s["n"]]
        shown = shown or list(classes.values())
        keys = [key + variant for key in METRICS for variant in _VARIANTS]
        means = {key: _mean([s[key] for s in shown]) for key in keys if key in shown[0]}
        return {"classes": classes, "class_mean": means}


def count_classes(
    label: NDArray[np.integer], pred: NDArray[np.integer], num_channels: int
) -> NDArray[np.int64]:
    """The confusion matrix of one case.

    Args:
        label: (H, W), 0 background, else classes from 1.
        pred: (H, W), the predicted ones.
        num_channels: Classes with the background, K.

    Returns:
        (K, K) int64 px: rows by target, columns by prediction.

    Raises:
        ValueError: The shapes differ.
    """
    check_same_shape("pred", pred, label)
    cells = label.astype(np.int64) * num_channels + pred
    counts = np.bincount(cells.ravel(), minlength=num_channels**2)
    return counts.reshape(num_channels, num_channels)


def selection_dice(scores: Mapping[str, Any]) -> float:
    """The Dice by which epochs are compared.

    The mean over slices of a lesion that is not divided. Of classes, the mean of their Dice pooled
    over all pixels: many a slice lacks a class, and under empty_target "one" each of them would
    score 1 for a network that never predicts the class.

    Args:
        scores: Meter.summary, joined with ClassMeter.summary where there are classes.
    """
    return scores["class_mean"]["dice_pooled"] if "class_mean" in scores else scores["dice"]


def _mean(values: list[float]) -> float:
    """Without NaN; NaN if there is nothing else."""
    known = [value for value in values if not np.isnan(value)]
    return float(np.mean(known)) if known else float("nan")
