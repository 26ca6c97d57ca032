"""Pictures: cases, the paper's figures 6 to 8, curves and distributions of scores.

`python -m utils.figures` draws the paper's figures of any checkpoint.
"""

from utils.figures.cases import case_panels, draw_cases, save_overlay
from utils.figures.curves import draw_run_curves, draw_threshold_curves
from utils.figures.histogram import draw_dice_by_area, draw_dice_histogram
from utils.figures.svg import figure_to_svg

__all__ = [
    "case_panels",
    "draw_cases",
    "draw_dice_by_area",
    "draw_dice_histogram",
    "draw_run_curves",
    "draw_threshold_curves",
    "figure_to_svg",
    "save_overlay",
]
