"""Slices with the outlines of lesion and lung, to check orientation, window and masks by eye."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from datasets.image_io import read_gray
from datasets.stored import read_slice
from figures.palette import LUNG_OUTLINE, outline_colour
from preparation.overview.fingerprint import Fingerprint
from preparation.overview.measure import SliceRow
from preparation.overview.selection import choose_slices
from utils.files import whole_file

_COLUMNS, _ROWS = 6, 4
_LEAST_COLUMNS = 3  # as wide as the legend
_TILE, _GAP, _CAPTION, _LEGEND, _MARGIN = 256, 10, 36, 44, 14  # px
_DPI = 100
_PNG = {"compress_level": 3}  # a third of the time of the default, on noise no larger
_TEXT_PX, _LEGEND_PX = 13, 15
_CHARACTER = 0.58  # mean width of a letter in heights
_GROUND, _TEXT, _SOFT = "#14171a", "#e6e9ec", "#a3adb7"
_SHIFT = 4  # binary digits of a contour's place behind the px
_LUNG_STRENGTH = 0.6  # the lung is told by its look alone, so its line is faint


class _Outline(NamedTuple):
    """A line around a region; strength and rim are 1 where they hide what is beneath."""

    region: np.ndarray
    colour: str
    strength: float = 1.0
    rim: float = 0.35


def write_montage(path: Path, fingerprint: Fingerprint) -> None:
    """Draw up to 24 slices as PNG, their names below; reads only those.

    Grey levels are shown as they are stored, black to white over the whole scale.

    Raises:
        UserError: A file is damaged by now, or the disk is full.
    """
    rows = choose_slices(fingerprint.rows, _COLUMNS * _ROWS)
    tiles = [draw_tile(row) for row in rows]
    figure = _lay_out(rows, tiles, _legend(fingerprint, rows))
    with whole_file(path) as temporary:
        figure.savefig(temporary, dpi=_DPI, metadata={"Software": None}, pil_kwargs=_PNG)


def draw_tile(row: SliceRow, side: int = _TILE) -> np.ndarray:
    """A slice as large as fits into a square, and its outlines.

    Returns:
        (H, W, 3) float32 colours in [0, 1], the longer of H and W being side.
    """
    stored = read_slice(row.entry.files)
    scale = side / max(stored.image.shape)
    size = tuple(max(1, round(length * scale)) for length in stored.image.shape[::-1])
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    grey = cv2.resize(stored.image, size, interpolation=method).astype(np.float32)
    tile = np.repeat((grey / np.iinfo(stored.image.dtype).max)[..., None], 3, 2)
    outlines = []
    if stored.lung is not None:
        outlines.append(_Outline(stored.lung > 0, LUNG_OUTLINE, _LUNG_STRENGTH, rim=0))
    label = stored.mask > 0 if row.entry.label is None else read_gray(row.entry.label)
    for value in np.unique(label)[::-1]:
        if value:
            outlines.append(_Outline(label == value, outline_colour(int(value))))
    for outline in outlines:
        _draw_outline(tile, outline, scale)
    return tile


def _draw_outline(tile: np.ndarray, outline: _Outline, scale: float) -> None:
    """A line in a dark rim around every component and hole, to a fraction of a px."""
    region = outline.region.astype(np.uint8)
    contours = cv2.findContours(region, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)[0]
    places = [
        np.rint(np.maximum((contour + 0.5) * scale - 0.5, 0) * 2**_SHIFT).astype(np.int32)
        for contour in contours
    ]
    for colour, strength, width in (
        ("#000000", outline.rim, 3),
        (outline.colour, outline.strength, 1),
    ):
        line = np.zeros(tile.shape[:2], np.uint8)
        cv2.polylines(line, places, True, 255, width, cv2.LINE_AA, _SHIFT)
        weight = line[..., None] * np.float32(strength / 255)
        tile += weight * (np.array(to_rgb(colour), np.float32) - tile)


def _legend(fingerprint: Fingerprint, rows: Sequence[SliceRow]) -> dict[str, str]:
    """Colours by what they outline in the chosen slices."""
    values = sorted({value for row in rows for value in row.class_px})
    legend = {fingerprint.labels[value]: outline_colour(value) for value in values}
    if any(row.lesion_px and row.entry.label is None for row in rows):
        legend["lesion"] = outline_colour(1)
    if any(row.lung_px is not None for row in rows):
        legend["lung"] = LUNG_OUTLINE
    return legend


def _lay_out(
    rows: Sequence[SliceRow], tiles: Sequence[np.ndarray], legend: dict[str, str]
) -> Figure:
    """The tiles on one canvas, px by px, with text below them and the legend at the bottom."""
    num_columns = max(_LEAST_COLUMNS, min(_COLUMNS, len(tiles)))
    num_rows = -(-len(tiles) // num_columns)
    step = (_TILE + _CAPTION + _GAP, _TILE + _GAP)
    width = 2 * _MARGIN + num_columns * step[1] - _GAP
    height = 2 * _MARGIN + num_rows * step[0] - _GAP + _LEGEND
    canvas = np.full((height, width, 3), to_rgb(_GROUND), np.float32)
    figure = Figure(figsize=(width / _DPI, height / _DPI), dpi=_DPI)
    for index, (row, tile) in enumerate(zip(rows, tiles, strict=True)):
        top = _MARGIN + index // num_columns * step[0]
        left = _MARGIN + index % num_columns * step[1]
        y, x = top + (_TILE - tile.shape[0]) // 2, left + (_TILE - tile.shape[1]) // 2
        canvas[y : y + tile.shape[0], x : x + tile.shape[1]] = tile
        _write(figure, left, top + _TILE + 3, _shorten(row.entry.files.name), _TEXT)
        _write(figure, left, top + _TILE + 3 + _TEXT_PX + 3, _describe(row), _SOFT)
    figure.figimage(canvas)
    x = _MARGIN
    for name, colour in legend.items():
        _write(figure, x, height - _LEGEND, f"— {name}", colour, _LEGEND_PX)
        x += int((len(name) + 5) * _LEGEND_PX * _CHARACTER)
    return figure


def _write(
    figure: Figure, x: float, y: float, text: str, colour: str, size: int = _TEXT_PX
) -> None:
    """A line whose upper left corner is at a px of the canvas."""
    width, height = figure.get_size_inches() * _DPI
    style = {"fontsize": size * 72 / _DPI, "color": colour, "parse_math": False}
    figure.text(x / width, 1 - y / height, text, va="top", **style)


def _shorten(name: str) -> str:
    """A name that fits below a tile, without its middle."""
    room = int(_TILE / (_TEXT_PX * _CHARACTER))
    if len(name) <= room:
        return name
    return f"{name[: room // 3]}…{name[len(name) - room + room // 3 + 1 :]}"


def _describe(row: SliceRow) -> str:
    lesion = f"lesion {row.lesion_px:,} px" if row.lesion_px else "no lesion"
    return f"{row.entry.split} · {row.size[0]} × {row.size[1]} · {lesion}"
