"""From the rows of slices to figures of a set of them."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from preparation.overview.grey_levels import PERCENTILES
from preparation.overview.measure import SliceRow

_PERCENTILES = (0, *PERCENTILES, 100)
_SIDES = ("height", "width", "slice_distance")


def summarise_rows(rows: Sequence[SliceRow], labels: Mapping[int, str]) -> dict[str, Any]:
    """Counts, sizes, spacing, lesions, components and classes of a set of slices.

    Areas are of the slices with lesion; lung_share is lesion over lung and lesion together.

    Args:
        rows: Of the slices.
        labels: Name of every class.

    Returns:
        Plain values for JSON; a set of figures is None where nothing is known.
    """
    ill = [row for row in rows if row.lesion_px]
    return {
        "num_slices": len(rows),
        "num_patients": len({row.entry.files.patient for row in rows}),
        "num_cases": len({(row.entry.source, row.entry.case) for row in rows}),
        "num_with_lesion": len(ill),
        "num_without_lesion": len(rows) - len(ill),
        "num_with_lung": sum(row.lung_px is not None for row in rows),
        "slices_per_source": _count(row.entry.source for row in rows),
        "slices_per_size": _count(f"{row.size[0]}x{row.size[1]}" for row in rows),
        "spacing_mm": _summarise_spacing(rows),
        "lesion_share_of_px": _share(
            sum(row.lesion_px for row in rows), sum(row.size[0] * row.size[1] for row in rows)
        ),
        "lesion_area": {
            "px": percentiles(row.lesion_px for row in ill),
            "mm2": percentiles(row.lesion_px * row.px_mm2 for row in ill if row.px_mm2),
            "lung_share": percentiles(row.lesion_px / row.lung_px for row in ill if row.lung_px),
        },
        "components": _summarise_components(rows),
        "classes": _summarise_classes(rows, labels),
    }


def summarise_patients(rows: Iterable[SliceRow]) -> list[dict[str, Any]]:
    """A record per patient and split, by split and name.

    Returns:
        Dictionaries: lesion_px over all slices, and lung_share of those with a lung mask, which is
        None without any.
    """
    groups: dict[tuple[str, str], list[SliceRow]] = {}
    for row in rows:
        groups.setdefault((row.entry.split, row.entry.files.patient), []).append(row)
    return [
        {
            "split": split,
            "patient": patient,
            "num_cases": len({(row.entry.source, row.entry.case) for row in own}),
            "num_slices": len(own),
            "num_with_lesion": sum(row.lesion_px > 0 for row in own),
            "lesion_px": sum(row.lesion_px for row in own),
            "image_share": _share(
                sum(row.lesion_px for row in own), sum(row.size[0] * row.size[1] for row in own)
            ),
            "lung_share": _share(
                sum(row.lesion_px for row in own if row.lung_px is not None),
                sum(row.lung_px or 0 for row in own),
            ),
        }
        for (split, patient), own in groups.items()
    ]


def percentiles(values: Iterable[float]) -> dict[str, float] | None:
    """Least value, percentiles 5, 25, 50, 75 and 95, greatest value; None without a value."""
    array = np.fromiter(values, float)
    if not array.size:
        return None
    found = np.percentile(array, _PERCENTILES).tolist()
    return {
        f"{percent:g}": _short(value) for percent, value in zip(_PERCENTILES, found, strict=True)
    }


def _summarise_spacing(rows: Sequence[SliceRow]) -> dict[str, dict[str, float]] | None:
    """Least, median and greatest of each side of a voxel, of the slices that have it."""
    known = [
        (*row.entry.files.spacing, row.entry.files.distance)
        for row in rows
        if row.entry.files.spacing is not None
    ]
    sides = {
        side: np.array([spacing[i] for spacing in known if spacing[i] is not None])
        for i, side in enumerate(_SIDES)
    }
    return {
        side: {
            "num_slices": values.size,
            "min": _short(values.min()),
            "median": _short(np.median(values)),
            "max": _short(values.max()),
        }
        for side, values in sides.items()
        if values.size
    } or None


def _summarise_components(rows: Sequence[SliceRow]) -> dict[str, Any]:
    """How many slices have how many components, and the components' areas."""
    per_slice = Counter(len(row.component_px) for row in rows)
    return {
        "slices_per_number": {str(number): per_slice[number] for number in sorted(per_slice)},
        "px": percentiles(area for row in rows for area in row.component_px),
        "mm2": percentiles(
            area * row.px_mm2 for row in rows if row.px_mm2 for area in row.component_px
        ),
    }


def _summarise_classes(
    rows: Sequence[SliceRow], labels: Mapping[int, str]
) -> dict[str, dict[str, Any]]:
    """Pixels and slices of every class, and its share of all pixels of lesion."""
    total = sum(sum(row.class_px.values()) for row in rows)
    return {
        str(value): {
            "name": name,
            "px": (area := sum(row.class_px.get(value, 0) for row in rows)),
            "lesion_share": _share(area, total),
            "num_slices": sum(value in row.class_px for row in rows),
        }
        for value, name in labels.items()
    }


def _count(values: Iterable[str]) -> dict[str, int]:
    """How often each occurs, the most common first, then by name."""
    return dict(sorted(Counter(values).items(), key=lambda item: (-item[1], item[0])))


def _share(part: float, whole: float) -> float | None:
    return _short(part / whole) if whole else None


def _short(value: float) -> float:
    """Six significant digits."""
    return float(f"{value:.6g}")
