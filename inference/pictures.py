"""Pictures of predictions to check by eye: a slice with outlines, and a sheet of many."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from figures.classes import class_handles
from figures.palette import predicted_colours
from figures.panels import NAME_POINTS, TITLE_POINTS

SHEET_TILES = 20
_CROSS = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
_WINDOW = (0.5, 99.5)  # percentiles of 16 bits: one bright px must not darken the slice
_COLUMNS = 5
_TILE, _GAP, _LINE, _TITLE = 240, 6, 16, 36  # px
_MAX_CHARACTERS = 30  # of a line below a tile
_DPI = 120  # for the size of letters


class Tile(NamedTuple):
    """A slice on a sheet.

    Attributes:
        caption: Below it, one line or two.
        gray: (H, W) uint8 or uint16.
        label: (H, W) uint8, 0 or a class.
        spacing: Height and width of a px in any one unit.
    """

    caption: str
    gray: np.ndarray
    label: np.ndarray
    spacing: tuple[float, float] = (1.0, 1.0)


def draw_overlay(gray: np.ndarray, label: np.ndarray, num_classes: int = 1) -> np.ndarray:
    """A slice at its own size with the outline of every class around what it encloses.

    Args:
        gray: (H, W) uint8 or uint16 grey levels.
        label: (H, W) uint8, 0 or a class.
        num_classes: Classes that there may be; one alone has the colour of predictions.

    Returns:
        (H, W, 3) uint8, red first. Outlines lie outside: px of the lesion stay as they are.
    """
    picture = np.repeat(to_bytes(gray)[..., None], 3, axis=2)
    colours = predicted_colours(num_classes)
    for value in np.unique(label[label > 0]):
        inside = (label == value).astype(np.uint8)
        line = cv2.dilate(inside, _CROSS) > inside
        picture[line] = [round(255 * part) for part in to_rgb(colours[value - 1])]
    return picture


def pick_evenly(areas: Sequence[int], count: int = SHEET_TILES) -> list[int]:
    """Indices of slices for a sheet, evenly among those with lesion; among all if there is none."""
    candidates = [index for index, area in enumerate(areas) if area] or list(range(len(areas)))
    places = np.linspace(0, len(candidates) - 1, min(count, len(candidates)))
    return [candidates[place] for place in places.round().astype(int)]


def save_sheet(path: Path, tiles: Sequence[Tile], title: str, names: Sequence[str] = ()) -> None:
    """Write a sheet of slices with outlines as a PNG.

    Args:
        path: Where to.
        tiles: From left to right, row by row.
        title: Above them.
        names: Of the classes from 1; two or more have a legend.

    Raises:
        OSError: The disk is full or read-only.
    """
    pictures = [_draw_tile(tile, len(names)) for tile in tiles]
    num_lines = max(tile.caption.count("\n") + 1 for tile in tiles)
    num_rows = -(-len(tiles) // _COLUMNS)
    across = _TILE + _GAP
    down = max(picture.shape[0] for picture in pictures) + num_lines * _LINE + _GAP
    page = (_COLUMNS * across + _GAP, _TITLE + num_rows * down)
    figure = Figure(figsize=(page[0] / _DPI, page[1] / _DPI), dpi=_DPI)
    for index, (tile, picture) in enumerate(zip(tiles, pictures, strict=True)):
        row, column = divmod(index, _COLUMNS)
        height, width = picture.shape[:2]
        left, bottom = _GAP + column * across, page[1] - _TITLE - row * down - height
        figure.figimage(picture, left + (_TILE - width) // 2, bottom)
        caption = "\n".join(_fit_line(line) for line in tile.caption.split("\n"))
        x, y = (left + _TILE / 2) / page[0], (bottom - _GAP / 2) / page[1]
        figure.text(x, y, caption, fontsize=NAME_POINTS, ha="center", va="top")
    top = 1 - _TITLE / 2 / page[1]
    figure.text(_GAP / page[0], top, title, fontsize=TITLE_POINTS, va="center")
    if len(names) > 1:
        figure.legend(
            handles=class_handles(names),
            loc="upper right",
            ncols=len(names),
            frameon=False,
            fontsize=TITLE_POINTS,
        )
    figure.savefig(path)


def _fit_line(line: str) -> str:
    """A line no wider than its tile; names differ at their ends."""
    return line if len(line) <= _MAX_CHARACTERS else f"…{line[1 - _MAX_CHARACTERS :]}"


def _draw_tile(tile: Tile, num_classes: int) -> np.ndarray:
    """A slice with outlines, its longer side as long as there is room on the sheet."""
    height, width = tile.gray.shape
    sides = height * tile.spacing[0], width * tile.spacing[1]
    tall, wide = (max(round(_TILE * side / max(sides)), 1) for side in sides)
    size, is_smaller = (wide, tall), wide < width
    gray = cv2.resize(
        to_bytes(tile.gray), size, interpolation=cv2.INTER_AREA if is_smaller else cv2.INTER_LINEAR
    )
    label = np.zeros(gray.shape, np.uint8)
    for value in np.unique(tile.label[tile.label > 0]):
        share = cv2.resize(
            (tile.label == value).astype(np.float32), size, interpolation=cv2.INTER_AREA
        )
        label[share > 0] = value  # nothing is too small to be seen
    return draw_overlay(gray, label, num_classes)


def to_bytes(gray: np.ndarray) -> np.ndarray:
    """Grey levels for the eye: 8 bits as they are, 16 bits between their extremes."""
    if gray.dtype == np.uint8:
        return gray
    low, high = np.percentile(gray, _WINDOW)
    scaled = (gray.astype(np.float32) - low) * (255 / max(high - low, 1))
    return scaled.clip(0, 255).astype(np.uint8)
