"""The severity of a chest X-ray: the share of each lung, and of both, that shows a lesion.

A projection has no volume: shares are of areas as they are seen, and what the heart or the
diaphragm hides is in none of them.
"""

import csv
import json
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from figures.outlines import outline
from figures.page_template import load_template
from figures.palette import LUNG_OUTLINE, predicted_colours
from severity.lungs.sides import LEFT, RIGHT, SIDES, middle_column
from severity.report import DISCLAIMER, format_percent
from severity.views import picture_url
from utils.files import quote_cell, whole_file

LESION = "any lesion"
_TEMPLATE = Path(__file__).resolve().parent / "templates" / "radiograph.html.jinja"
_COLUMNS = ("image", "region", "lesion", "lung_px", "lesion_px", "involvement_percent")
_MOST_OF_A_SIDE = 0.2  # a lung of a turned patient reaches that far over the middle
_MUCH_OUTSIDE = 0.1
_LONG_SIDE_PX = 1024  # of the picture


class FieldShare(NamedTuple):
    """How much of a lung is lesion.

    Attributes:
        region: both lungs, right lung or left lung.
        lesion: LESION, or the name of a class.
        lung_px: Area of the lung, px.
        lesion_px: Area of the lesion within it, px.
        involvement_percent: Its share; None where there is no such lung.
    """

    region: str
    lesion: str
    lung_px: int
    lesion_px: int
    involvement_percent: float | None


class RadiographSeverity(NamedTuple):
    """What was measured.

    Attributes:
        title: Of the report.
        size: Rows and columns, px.
        lungs: Where the lungs are from; a sentence.
        shares: Of both lungs and of each, by any lesion and, where there are several, by class.
        lesion_outside_px: What of the lesions lies outside of the lungs, px.
        notes: What to mind when reading the figures, a sentence each.
        classes: Name of every class by value; empty where there is one alone.
    """

    title: str
    size: tuple[int, int]
    lungs: str
    shares: tuple[FieldShare, ...]
    lesion_outside_px: int
    notes: tuple[str, ...]
    classes: Mapping[int, str] = MappingProxyType({})


def part_lungs(lung: np.ndarray) -> NDArray[np.uint8]:
    """The patient's lungs told apart, the right one being on the image's left.

    A mask of 1 and 2 alone is LEFT and RIGHT as it stands. Of any other each piece is of the side
    that most of it lies on; lungs in one piece are cut in the middle between them.

    Args:
        lung: (H, W), > 0 is lung.

    Returns:
        (H, W): 0, LEFT and RIGHT.
    """
    inside = lung > 0
    if set(np.unique(lung[inside]).tolist()) == {LEFT, RIGHT}:
        return lung.astype(np.uint8)
    on_right = np.broadcast_to(np.arange(lung.shape[1]) < middle_column(inside[None]), lung.shape)
    num_pieces, pieces = cv2.connectedComponents(inside.astype(np.uint8))
    area, area_on_right = (
        np.bincount(pieces[where], minlength=num_pieces) for where in (inside, inside & on_right)
    )
    share = (area_on_right / np.maximum(area, 1))[pieces]
    is_joined = (share > _MOST_OF_A_SIDE) & (share < 1 - _MOST_OF_A_SIDE)
    is_right = np.where(is_joined, on_right, share >= 0.5)
    return np.where(inside, np.where(is_right, RIGHT, LEFT), 0).astype(np.uint8)


def measure_radiograph(
    title: str,
    label: np.ndarray,
    sides: NDArray[np.uint8],
    origin: str,
    names: Mapping[int, str],
) -> RadiographSeverity:
    """The figures of an X-ray.

    Args:
        title: Of the report.
        label: (H, W), 0 or a class of lesion.
        sides: (H, W) of part_lungs.
        origin: Where the lungs are from, a sentence.
        names: Name of every class of the label.

    Raises:
        ValueError: Label and lungs differ in shape.
    """
    if label.shape != sides.shape:
        raise ValueError(f"label is {label.shape}, the lungs are {sides.shape}")
    classes = dict(names) if len(names) > 1 else {}
    kinds = {LESION: label > 0} | {name: label == value for value, name in classes.items()}
    regions = {"both lungs": sides > 0} | {
        f"{name} lung": sides == side for side, name in SIDES.items()
    }
    shares = [
        _share(region, kind, inside, lesion)
        for kind, lesion in kinds.items()
        for region, inside in regions.items()
    ]
    outside = int(np.count_nonzero(kinds[LESION] & (sides == 0)))
    notes = [f"No {name} lung was found." for side, name in SIDES.items() if side not in sides]
    if outside > _MUCH_OUTSIDE * np.count_nonzero(label):
        percent = 100 * outside / np.count_nonzero(label)
        notes.append(
            f"{percent:.0f} % of the lesion area lies outside of the lungs and is in no share: "
            "check the outlines."
        )
    facts = (title, label.shape, origin, tuple(shares), outside, tuple(notes))
    return RadiographSeverity(*facts, classes)


def _share(
    region: str, kind: str, inside: NDArray[np.bool_], lesion: NDArray[np.bool_]
) -> FieldShare:
    lung_px = int(np.count_nonzero(inside))
    lesion_px = int(np.count_nonzero(inside & lesion))
    percent = 100 * lesion_px / lung_px if lung_px else None
    return FieldShare(region, kind, lung_px, lesion_px, percent)


def write_radiograph_severity(
    stem_path: Path,
    gray: np.ndarray,
    label: np.ndarray,
    sides: NDArray[np.uint8],
    severity: RadiographSeverity,
) -> None:
    """Write <stem_path>_severity.json, .csv and .html, all or none of them.

    Args:
        stem_path: Folder and beginning of the files' names.
        gray: (H, W) uint8 grey levels of the X-ray.
        label: (H, W), 0 or a class of lesion.
        sides: (H, W) of part_lungs.
        severity: Of measure_radiograph.

    Raises:
        UserError: The disk is full.
    """
    plain = severity._asdict() | {
        "disclaimer": DISCLAIMER,
        "shares": [share._asdict() for share in severity.shares],
    }
    page = _page(gray, label, sides, severity)
    with ExitStack() as files:
        json_path, csv_path, html_path = (
            files.enter_context(whole_file(stem_path.with_name(f"{stem_path.name}_severity{end}")))
            for end in (".json", ".csv", ".html")
        )
        text = json.dumps(plain, indent=2, ensure_ascii=False)
        json_path.write_text(text + "\n", encoding="utf-8")
        html_path.write_text(page, encoding="utf-8")
        with csv_path.open("w", newline="", encoding="utf-8") as stream:
            writer = csv.writer(stream)
            writer.writerow(_COLUMNS)
            writer.writerows([quote_cell(severity.title), *share] for share in severity.shares)


def _page(
    gray: np.ndarray,
    label: np.ndarray,
    sides: NDArray[np.uint8],
    severity: RadiographSeverity,
) -> str:
    """The page; it refers to nothing outside of itself."""
    height, width = gray.shape
    classes = severity.classes or {None: "lesions"}
    lesions = [label > 0 if value is None else label == value for value in classes]
    shares: dict[str, list[FieldShare]] = {}
    for share in severity.shares:
        shares.setdefault(share.lesion, []).append(share)
    colours = predicted_colours(len(severity.classes))
    return load_template(_TEMPLATE, like="severity", percent=format_percent).render(
        severity=severity,
        shares=shares,
        image=picture_url(gray, _LONG_SIDE_PX),
        width=width,
        height=height,
        lungs=[outline(sides == side)[0] for side in (RIGHT, LEFT)],
        lesions=list(
            zip(classes.values(), colours, (outline(own)[0] for own in lesions), strict=True)
        ),
        lung_colour=LUNG_OUTLINE,
        disclaimer=DISCLAIMER,
    )
