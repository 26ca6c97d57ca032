"""The colours of regions, splits and classes, on the page and on CT slices."""

from utils.figures.palette import METRICS, PREDICTION, TARGET

_BLUE, _VERMILION, _GREEN = METRICS["dice"], METRICS["precision"], METRICS["sensitivity"]
_PINK, _GREY = METRICS["specificity"], METRICS["iou"]

LESION, ALL_PX, LUNG, OTHER = _BLUE, _GREY, _VERMILION, _GREY
# Marker and colour: a point is told by its shape, too.
SPLIT_STYLES = {"train": ("o", _BLUE), "val": ("s", _VERMILION), "test": ("^", _GREEN)}
# On the page and, brighter, on the dark of a slice; a class keeps its hue.
_CLASSES = ((_BLUE, TARGET), (_VERMILION, PREDICTION), (_GREEN, "#6ee7b7"), (_PINK, "#f9a8d4"))
LUNG_OUTLINE = "#fef08a"  # a pale yellow, which no class has


def class_colour(value: int) -> str:
    """Of a class from 1 on the page; they come again after the fourth."""
    return _CLASSES[(value - 1) % len(_CLASSES)][0]


def outline_colour(value: int) -> str:
    """Of a class from 1 on a slice."""
    return _CLASSES[(value - 1) % len(_CLASSES)][1]
