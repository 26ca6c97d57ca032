"""Where the slices of a DICOM series lie, and whether they make up one scan."""

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from datasets.volumes.dicom_header import BY_NUMBER, SliceHeader
from datasets.volumes.geometry import is_strip
from utils.errors import UserError

# Of direction cosines: 0.06 degrees, half a px at the far side of an image of 512 px.
_SAME_DIRECTION = 1e-3
# Two slices that close are the same one, mm; the thinnest of CT are 0.1 mm.
_SAME_PLACE = 0.01
# Positions are often written in tenths of a mm, so that steps seem to differ by as much, or are
# where a table has come to rest; a missing slice makes a step twice as long. What one step is
# allowed does not add up: every slice must lie at its place on the line, too.
_UNEVEN_MM, _UNEVEN = 0.11, 0.05


def arrange(headers: Sequence[SliceHeader]) -> list[SliceHeader]:
    """The slices of a series along the normal of their planes.

    Raises:
        UserError: A slice cannot be used, slices differ in patient, direction, size or spacing, one
            is there twice or is missing, or they are not even or not in line; names the files.
    """
    for header in headers:
        if header.problem is not None:
            raise UserError(f"{header.path}: {header.problem}")
    _refuse_mixture(headers)
    _refuse_one_place(headers)
    normal = np.cross(*headers[0].axes)
    ordered = sorted(headers, key=lambda header: (float(header.position @ normal), header.path))
    places = np.array([header.position @ normal for header in ordered])
    _refuse_uneven(ordered, places)
    _refuse_out_of_line(ordered)
    return ordered


def find_affine(ordered: Sequence[SliceHeader]) -> np.ndarray:
    """From column, row and slice to mm (RAS+).

    Args:
        ordered: As `arrange` returns them. The distance of a single slice to its neighbours is what
            its header says, else 1 mm.

    Returns:
        (4, 4) float64.
    """
    first, last = ordered[0], ordered[-1]
    affine = np.eye(4)
    affine[:3, 0] = first.axes[0] * first.spacing[1]
    affine[:3, 1] = first.axes[1] * first.spacing[0]
    if len(ordered) > 1:
        affine[:3, 2] = (last.position - first.position) / (len(ordered) - 1)
    else:
        affine[:3, 2] = np.cross(*first.axes) * (first.distance or 1.0)
    affine[:3, 3] = first.position
    return np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine


def is_axial(header: SliceHeader) -> bool:
    """Whether a slice lies across the patient, more than along."""
    return int(abs(np.cross(*header.axes)).argmax()) == 2


def is_flat(headers: Sequence[SliceHeader]) -> bool:
    """Whether slices are a few px or mm thin, seen from the head: a scout, some pictures, no scan.

    Their number from feet to head does not count, as single axial slices are sound; the slices of a
    coronal or sagittal stack do.
    """
    first = headers[0]
    normal = np.cross(*first.axes)
    places = np.array([header.position @ normal for header in headers])
    depth = float(np.ptp(places)) * len(headers) / max(len(headers) - 1, 1)
    axes = abs(np.array([first.axes[1], first.axes[0], normal]))
    num_px = np.array([*first.size, len(headers)])
    lengths = np.array([*(num_px[:2] * first.spacing), depth])
    seen = np.arange(3) != axes[:, 2].argmax()
    return is_strip(num_px[seen].tolist(), lengths[seen].tolist())


def place_by_number(headers: Sequence[SliceHeader]) -> list[SliceHeader]:
    """Slices whose places are lost, one above the other in the order of their InstanceNumber.

    They go from feet to head, front on top and the patient's right on the left, unless all have one
    orientation; their distance is the one of the header, mm.

    Raises:
        UserError: A number is missing, or is there twice, or the header has no distance.
    """
    for header in headers:
        if header.number is None:
            raise UserError(f"{header.path}: has no InstanceNumber; export the original series")
    ordered = sorted(headers, key=lambda header: (header.number, header.path))
    for former, header in pairwise(ordered):
        if header.number != former.number + 1:
            raise UserError(
                f"{header.path}: is slice {header.number} after {former.number} of {former.path}; "
                "slices are missing, or there twice, or two scans mixed"
            )
    first = ordered[0]
    distances = {header.distance for header in ordered}
    if len(distances) > 1 or first.distance is None:
        raise UserError(
            f"{first.path}: its series names no distance of slices (SpacingBetweenSlices, "
            "SliceThickness), or several; export the original series"
        )
    axes = np.array([header.axes for header in ordered])
    is_known = np.isfinite(axes).all() and np.ptp(axes, axis=0).max() < _SAME_DIRECTION
    directions = first.axes if is_known else np.eye(3)[:2]
    step = np.cross(*directions) * first.distance
    return [
        header._replace(axes=directions, position=step * index)
        for index, header in enumerate(ordered)
    ]


def have_places(headers: Sequence[SliceHeader]) -> bool:
    """Whether all slices have an orientation and a place, and not all the same one."""
    positions = np.array([header.position for header in headers])
    axes = np.array([header.axes for header in headers])
    if not (np.isfinite(positions).all() and np.isfinite(axes).all()):
        return False
    if abs(axes @ axes.transpose(0, 2, 1) - np.eye(2)).max() > _SAME_DIRECTION:
        return False
    return len(headers) == 1 or np.ptp(positions, axis=0).max() >= _SAME_PLACE


def _refuse_one_place(headers: Sequence[SliceHeader]) -> None:
    """Refuse numbered slices that all claim to lie in one place."""
    numbers = {header.number for header in headers}
    if not have_places(headers) and None not in numbers and len(numbers) == len(headers):
        first = min(headers, key=lambda header: header.path)
        place = ", ".join(f"{value:g}" for value in first.position)
        raise UserError(
            f"{first.path}: all {len(headers)} slices of its series have one "
            f"ImagePositionPatient ({place}): phases of one place, or their places are lost; "
            f"export the original series, or {BY_NUMBER}"
        )


def _refuse_mixture(headers: Sequence[SliceHeader]) -> None:
    """Compare all to one of the most common kind."""
    kinds = [
        (header.patient, header.size, *header.axes.ravel().round(3), *np.round(header.spacing, 3))
        for header in headers
    ]
    typical = headers[kinds.index(Counter(kinds).most_common(1)[0][0])]
    for header in headers:
        differing = [
            what
            for what, differs in (
                ("patient", header.patient != typical.patient),
                ("size", header.size != typical.size),
                ("orientation", abs(header.axes - typical.axes).max() > _SAME_DIRECTION),
                ("spacing", not np.allclose(header.spacing, typical.spacing, rtol=1e-3)),
            )
            if differs
        ]
        if differing:
            raise UserError(
                f"{header.path}: differs in {' and '.join(differing)} from {typical.path} of the "
                "same series; keep the slices of one scan"
            )


def _refuse_uneven(ordered: Sequence[SliceHeader], places: np.ndarray) -> None:
    """Refuse slices that are there twice, or that have a gap between them."""
    steps = np.diff(places)
    for index in np.flatnonzero(steps < _SAME_PLACE)[:1]:
        raise UserError(
            f"{ordered[index + 1].path}: lies where {ordered[index].path} does "
            f"({places[index]:.2f} mm); keep one copy, or one phase"
        )
    if not len(steps):
        return
    # The lower median: of two steps the shorter one is the usual, as slices go missing.
    usual = float(np.sort(steps)[(len(steps) - 1) // 2])
    index = int(abs(steps - usual).argmax())
    if abs(steps[index] - usual) > max(_UNEVEN_MM, _UNEVEN * usual):
        raise UserError(
            f"{ordered[index + 1].path}: lies {steps[index]:.2f} mm from {ordered[index].path} "
            f"({places[index + 1]:.2f} and {places[index]:.2f} mm), where slices are "
            f"{usual:.2f} mm apart; slices are missing, or two scans mixed"
        )


def _refuse_out_of_line(ordered: Sequence[SliceHeader]) -> None:
    """Refuse a drift of the steps, and slices that are shifted sideways.

    A gantry tilt shifts all of them evenly, which the affine keeps.
    """
    positions = np.array([header.position for header in ordered])
    shares = np.linspace(0, 1, len(ordered))[:, None]
    line = positions[0] * (1 - shares) + positions[-1] * shares
    errors = np.linalg.norm(positions - line, axis=1)
    step = np.linalg.norm(positions[-1] - positions[0]) / max(len(ordered) - 1, 1)
    worst = int(errors.argmax())
    # Beyond half a voxel another one would be nearer.
    if errors[worst] > max(2 * _UNEVEN_MM, min(step, *ordered[0].spacing) / 2):
        raise UserError(
            f"{ordered[worst].path}: lies {errors[worst]:.2f} mm beside the line through the other "
            "slices of its series; keep the slices of one scan"
        )
