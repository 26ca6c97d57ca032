"""Lungs of a CT scan by a threshold and morphology.

The steps are those of Hu, Hoffman and Reinhardt, "Automatic lung segmentation for accurate
quantitation of volumetric X-ray CT images", IEEE Trans. Med. Imaging 20(6), 2001,
doi:10.1109/42.929615: air within the body by a threshold, the large airways taken out, left and
right parted, the border smoothed. It differs where that method was made for healthy lungs: the
threshold is fixed, as an optimal one drifts with disease, and lesions that touch a lung are added.
"""

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.morphology import disk

from severity.lungs.airways import find_airways
from severity.lungs.grid import AIR_HU, Grid
from severity.lungs.gut import find_gut_gas
from severity.lungs.sides import LEFT, RIGHT, right_of_patient, without_sliver

CLOSING_MM = 10.0  # bridges vessels, and small lesions at the pleura
_CHEST_WALL_MM = 10.0  # skin, muscle and ribs are thicker
# A lung of an adult measures 100 cm2 and more in its middle slices; less is gut or a sinus.
LEAST_AREA_CM2 = 10.0
# The smaller lung, or what disease has cut off a lung, as a share of the largest part.
_LEAST_SHARE = 0.05
# Gas in the gut has no tissue in it; the median of emphysematous lung still has.
_GAS_HU = -960


class CoarseLungs(NamedTuple):
    """Lungs on the grid.

    Attributes:
        labels: (z, h, w) uint8: 0, LEFT or RIGHT.
        right: (z, h, w) bool: the patient's right side.
        chest: (z, h, w) bool: the body without its wall.
    """

    labels: NDArray[np.uint8]
    right: NDArray[np.bool_]
    chest: NDArray[np.bool_]


def segment_lungs(hu: NDArray[np.int16], grid: Grid) -> CoarseLungs | None:
    """Both lungs with vessels, without trachea and main bronchi.

    Args:
        hu: (z, h, w) HU of the blocks, slices from feet to head, columns from right to left.
        grid: Of the blocks.

    Returns:
        None where there is no lung.
    """
    body = _find_body(hu)
    air = (hu < AIR_HU) & body
    air &= ~find_airways(hu, body, grid)
    air &= ~find_gut_gas(hu, body, grid)
    lung = _lung_parts(air, hu, grid)
    if lung is None:
        return None
    columns = np.flatnonzero(body.any((0, 1)))
    del air
    right = right_of_patient(lung, hu, (columns[0] + columns[-1] + 1) / 2)
    labels = np.where(lung, np.where(right, np.uint8(RIGHT), np.uint8(LEFT)), np.uint8(0))
    labels = _closed(without_sliver(labels), grid)
    return CoarseLungs(labels, right, _chest(body, grid))


def _find_body(hu: NDArray[np.int16]) -> NDArray[np.bool_]:
    """Per slice the largest piece of tissue with all that it encloses.

    The opening parts it from couch and clothes.
    """
    body = np.zeros(hu.shape, bool)
    for plane, inside in zip(hu, body, strict=True):
        tissue = cv2.morphologyEx(
            (plane >= AIR_HU).astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8)
        )
        _, parts, stats, _ = cv2.connectedComponentsWithStats(tissue, connectivity=4)
        if len(stats) > 1:
            largest = 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())
            inside[:] = _filled(parts == largest)
    return body


def _lung_parts(
    air: NDArray[np.bool_], hu: NDArray[np.int16], grid: Grid
) -> NDArray[np.bool_] | None:
    """The large parts of the air that hold tissue; None where there are none."""
    parts, num_parts = ndimage.label(air)
    sizes = np.bincount(parts.ravel(), minlength=num_parts + 1)
    sizes[0] = 0
    kept = np.zeros(num_parts + 1, bool)
    largest = 0
    for part in np.argsort(sizes)[::-1]:
        if sizes[part] == 0 or sizes[part] < _LEAST_SHARE * largest:
            break
        own = parts == part
        area_cm2 = own.sum((1, 2)).max() * grid.pixel_mm2 / 100
        if area_cm2 >= LEAST_AREA_CM2 and np.median(hu[own]) > _GAS_HU:
            kept[part] = True
            largest = largest or sizes[part]
    return kept[parts] if largest else None


def _closed(labels: NDArray[np.uint8], grid: Grid) -> NDArray[np.uint8]:
    """Each lung closed and filled slice by slice, in place; what both claim is left as it was."""
    radius = grid.pixels(CLOSING_MM)
    ball = disk(radius)
    for plane in labels:
        if not plane.any():
            continue
        framed = np.pad(plane, radius)  # the closing must not see the image's border
        grown = [
            _filled(cv2.morphologyEx((framed == side).astype(np.uint8), cv2.MORPH_CLOSE, ball) > 0)
            for side in (LEFT, RIGHT)
        ]
        free = framed == 0
        framed[free & grown[0] & ~grown[1]] = LEFT
        framed[free & grown[1] & ~grown[0]] = RIGHT
        plane[:] = framed[radius:-radius, radius:-radius]
    return labels


def _chest(body: NDArray[np.bool_], grid: Grid) -> NDArray[np.bool_]:
    """The body without its wall, in place."""
    disc = disk(grid.pixels(_CHEST_WALL_MM))
    for plane in body:
        plane[:] = cv2.erode(plane.astype(np.uint8), disc) > 0
    return body


def lesions_of_lungs(lungs: CoarseLungs, lesion: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """The lung of every lesion in the chest that touches one.

    Consolidation is as dense as the chest wall, so the threshold leaves it out and the mask has to
    tell.

    Args:
        lungs: Of the scan.
        lesion: (z, h, w) blocks that hold lesion.

    Returns:
        (z, h, w) uint8: the lung that each block with lesion belongs to, 0 for none.
    """
    labels = lungs.labels
    parts, num_parts = ndimage.label(lesion & lungs.chest, np.ones((3, 3, 3)))
    touching = np.zeros(num_parts + 1, bool)
    for own, plane in zip(parts, labels, strict=True):
        near = cv2.dilate(plane, np.ones((3, 3), np.uint8)) > 0
        touching[own[near]] = True
    touching[0] = False
    found = np.where(lungs.right, np.uint8(RIGHT), np.uint8(LEFT))
    for side in (LEFT, RIGHT):
        if not (labels == side).any():
            found[found == side] = LEFT + RIGHT - side
    return np.where(touching[parts], found, np.uint8(0))


def _filled(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """A slice's mask with its holes."""
    outlines, _ = cv2.findContours(
        mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE
    )
    filled = np.zeros(mask.shape, np.uint8)
    cv2.drawContours(filled, outlines, -1, 1, cv2.FILLED)
    return filled > 0
