"""The colours of every figure, by what they stand for.

Blue against orange or vermilion is told apart under every common colour blindness; the colours are
near those of M. Okabe and K. Ito, "Color universal design", 2008.
"""

# On CT slices and masks: what is target alone, prediction alone, and both.
TARGET = "#56b4e9"
PREDICTION = "#e69f00"
MISSED = TARGET
FALSE_POSITIVE = PREDICTION
TRUE_POSITIVE = "#ffffff"

# Text, axes and medians: black to the eye, and still found in an SVG, which leaves out pure black.
INK = "#010101"

# On a light and on a dark page: each has a contrast of at least 3 with white and with #111111.
METRICS = {
    "dice": "#1f84c6",
    "sensitivity": "#009e73",
    "precision": "#d55e00",
    "specificity": "#b5669a",
    "iou": "#808080",
}
SERIES = tuple(METRICS.values())

# Of regions, splits and classes, on the page and on CT slices.
_BLUE, _VERMILION, _GREEN = METRICS["dice"], METRICS["precision"], METRICS["sensitivity"]
_PINK, _GREY = METRICS["specificity"], METRICS["iou"]

LESION, ALL_PX, LUNG, OTHER = _BLUE, _GREY, _VERMILION, _GREY
# Marker and colour: a point is told by its shape, too.
SPLIT_STYLES = {"train": ("o", _BLUE), "val": ("s", _VERMILION), "test": ("^", _GREEN)}
# On the page and, brighter, on the dark of a slice; a class keeps its hue.
_CLASSES = ((_BLUE, TARGET), (_VERMILION, PREDICTION), (_GREEN, "#009e73"), (_PINK, "#cc79a7"))
LUNG_OUTLINE = "#fef08a"  # a pale yellow, which no class has


def class_colour(value: int) -> str:
    """Of a class from 1 on the page; they come again after the fourth."""
    return _CLASSES[(value - 1) % len(_CLASSES)][0]


def outline_colour(value: int) -> str:
    """Of a class from 1 on a slice."""
    return _CLASSES[(value - 1) % len(_CLASSES)][1]


def predicted_colours(num_classes: int) -> list[str]:
    """On a slice, of predicted classes from 1; one alone is the prediction."""
    if num_classes < 2:
        return [PREDICTION]
    return [outline_colour(value) for value in range(1, num_classes + 1)]
