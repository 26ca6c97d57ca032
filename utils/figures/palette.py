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
