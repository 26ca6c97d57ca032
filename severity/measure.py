"""The figures of a scan, from one pass over its slices."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from datasets.volumes.volume import Volume
from severity.classes import ClassTally, LesionClass
from severity.lesions import Lesion, LesionTally, percentiles
from severity.lungs.grid import read_label
from severity.lungs.lobes import GivenLobes
from severity.lungs.lungs import Lungs, NoLungs, open_lungs
from severity.lungs.sides import LEFT, RIGHT, SIDES
from severity.regions import Region, SliceCounts, describe_lobes, describe_regions, score_of

# Index, values, label and, where they are known, lungs of a slice.
Watcher = Callable[[int, NDArray[np.float32], np.ndarray, NDArray[np.uint8] | None], None]

# Where the best of eight thresholds parted ground-glass opacity from consolidation in
# "Quantitative CT for detecting COVID-19 pneumonia in suspected cases", BMC Infect. Dis. 21, 2021,
# doi:10.1186/s12879-021-06556-z.
DENSE_HU = -300
# A lung that ends within the scan tapers off; one with more in the outermost slice goes on.
_CUT_CM2 = 5.0
_MUCH_OUTSIDE = 0.1


@dataclass(frozen=True)
class Severity:
    """What was measured.

    Attributes:
        title: Of the report.
        shape: Slices, rows, columns.
        spacing_mm: Distances of slices, rows, columns, mm.
        lungs: Where the lungs are from, or why there are none; a sentence.
        lesion_ml: Volume of all lesions, mL.
        lesion_outside_ml: What of it lies outside of the lungs, mL; None without lungs.
        num_lesions: Components with 26 neighbours.
        lesion_sizes_ml: Smallest, quartiles and largest, mL; empty without a lesion.
        lesions: All, the largest first.
        mean_hu: Mean of all lesions; None without lesion or where the scan is not in HU.
        dense_percent: Share of the lesions above -300 HU, %; None likewise.
        regions: Parts of the lungs; empty without lungs.
        involvement_percent: Share of both lungs that is lesion, %; None without lungs.
        classes: Every class of lesion; empty where there is one alone.
        score: 0 to 25; None unless all five regions that stand for lobes are in the scan.
        notes: What to mind when reading the figures, a sentence each.
    """

    title: str
    shape: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]
    lungs: str
    lesion_ml: float
    lesion_outside_ml: float | None
    num_lesions: int
    lesion_sizes_ml: dict[str, float]
    lesions: tuple[Lesion, ...]
    mean_hu: float | None
    dense_percent: float | None
    regions: tuple[Region, ...]
    involvement_percent: float | None
    classes: tuple[LesionClass, ...]
    score: int | None
    notes: tuple[str, ...]


class _Density(NamedTuple):
    """Mean of all lesions, HU, and their share above DENSE_HU, %; None where not known."""

    mean_hu: float | None
    dense_percent: float | None


def measure_scan(
    title: str,
    volume: Volume,
    mask: np.ndarray,
    lung: np.ndarray | Lungs | None,
    unit_is_hu: bool,
    class_names: Mapping[int, str],
    watch: Watcher,
) -> tuple[Severity, SliceCounts, Lungs | None]:
    """The figures of a scan, once its lungs are opened; arguments as write_severity has them.

    Returns:
        What `measure` returns, and the lungs, None where they are not known.

    Raises:
        ValueError: Mask and scan differ in shape.
    """
    if mask.shape != volume.shape:
        raise ValueError(f"mask is {mask.shape}, the scan is {volume.shape}")
    try:
        lungs, origin = open_lungs(volume, mask, lung, unit_is_hu)
    except NoLungs as reason:
        lungs, origin = None, str(reason)
    measured = measure(title, volume, mask, lungs, origin, unit_is_hu, class_names, watch)
    return *measured, lungs


def measure(
    title: str,
    volume: Volume,
    mask: np.ndarray,
    lungs: Lungs | None,
    origin: str,
    unit_is_hu: bool,
    class_names: Mapping[int, str],
    watch: Watcher,
) -> tuple[Severity, SliceCounts]:
    """Everything of a scan that a report tells.

    Args:
        title: Of the report.
        volume: The scan.
        mask: (slices, H, W) uint8, or a memory map; > 0 is lesion.
        lungs: Of the scan; None where they are not known.
        origin: Where the lungs are from, or why there are none.
        unit_is_hu: Whether the scan is in HU.
        class_names: By value in the mask; less than two are no classes.
        watch: Is shown every slice on the way.

    Returns:
        - The figures.
        - Voxels per slice, the lesion's without lungs in column 0.
    """
    voxel_ml = float(np.prod(volume.spacing)) / 1000
    tally, classes = LesionTally(), ClassTally()
    counts, density = _look_through(volume, mask, lungs, unit_is_hu, (tally, classes), watch)
    lesions = tally.lesions(voxel_ml)
    regions = [] if lungs is None else _regions(lungs, counts, mask, voxel_ml)
    severity = Severity(
        title=title,
        shape=volume.shape,
        spacing_mm=volume.spacing,
        lungs=origin,
        lesion_ml=int(counts.lesion.sum()) * voxel_ml,
        lesion_outside_ml=None if lungs is None else int(counts.lesion[:, 0].sum()) * voxel_ml,
        num_lesions=len(lesions),
        lesion_sizes_ml=percentiles(lesions),
        lesions=tuple(lesions),
        mean_hu=density.mean_hu,
        dense_percent=density.dense_percent,
        regions=tuple(regions),
        involvement_percent=regions[0].involvement_percent if regions else None,
        classes=tuple(classes.classes(class_names, voxel_ml)) if len(class_names) > 1 else (),
        score=score_of(regions) if regions else None,
        notes=() if lungs is None else tuple(_notes(counts, volume.spacing)),
    )
    return severity, counts


def _regions(lungs: Lungs, counts: SliceCounts, mask: np.ndarray, voxel_ml: float) -> list[Region]:
    """Parts of the lungs by height; the score is that of lobes, where these are given."""
    regions = describe_regions(counts, voxel_ml)
    if not isinstance(lungs, GivenLobes):
        return regions
    heights = [one._replace(points=None, is_lobe=False) for one in regions]
    return heights + describe_lobes(lungs.count(mask), voxel_ml)


def _look_through(
    volume: Volume,
    mask: np.ndarray,
    lungs: Lungs | None,
    unit_is_hu: bool,
    tallies: tuple[LesionTally, ClassTally],
    watch: Watcher,
) -> tuple[SliceCounts, _Density]:
    """Everything that takes the voxels themselves, slice by slice; fills the tallies."""
    components, classes = tallies
    counts = SliceCounts(*(np.zeros((len(volume), 3), np.int64) for _ in range(2)))
    hu_sum, num_dense = 0.0, 0
    for index in range(len(volume)):
        label = read_label(mask, index)
        lesion = label > 0
        values = volume.read_slice(index)
        hu = values if unit_is_hu and lesion.any() else None
        lung = None if lungs is None else lungs.read_slice(index, lesion)
        watch(index, values, label, lung)
        components.add(index, lesion, hu, lung)
        classes.add(label, hu, lung)
        _count(counts, index, lesion, lung)
        if hu is not None:
            hu_sum += float(hu[lesion].sum(dtype=np.float64))
            num_dense += int(np.count_nonzero(hu[lesion] > DENSE_HU))
    voxels = int(counts.lesion.sum())
    known = unit_is_hu and voxels > 0
    density = _Density(hu_sum / voxels, 100 * num_dense / voxels) if known else _Density(None, None)
    return counts, density


def _count(
    counts: SliceCounts,
    index: int,
    lesion: NDArray[np.bool_],
    lung: NDArray[np.uint8] | None,
) -> None:
    """Adds a slice to the counts."""
    if lung is None:
        counts.lesion[index, 0] = np.count_nonzero(lesion)
    else:
        counts.lung[index] = np.bincount(lung.ravel(), minlength=3)
        counts.lesion[index] = np.bincount(lung[lesion], minlength=3)


def _notes(counts: SliceCounts, spacing: tuple[float, float, float]) -> list[str]:
    """What to mind about these lungs."""
    notes = []
    sides = counts.lung[:, (LEFT, RIGHT)]
    missing = [name for side, name in SIDES.items() if not counts.lung[:, side].any()]
    if missing:
        notes.append(
            f"No {missing[0]} lung was found. It may be missing, or so dense that it does not look "
            "like lung: no score is given."
        )
    cut_px = _CUT_CM2 * 100 / (spacing[1] * spacing[2])
    ends = {"lowest": sides[0], "highest": sides[-1]}
    cut = [name for name, areas in ends.items() if areas.sum() >= cut_px]
    if cut:
        notes.append(
            f"The lungs reach the {' and the '.join(cut)} slice, so part of them is not in the "
            "scan: thirds, halves and score are those of what is."
        )
    total, outside = int(counts.lesion.sum()), int(counts.lesion[:, 0].sum())
    if outside > _MUCH_OUTSIDE * total:
        notes.append(
            f"{100 * outside / total:.0f} % of the lesion volume lies outside of the lungs and is "
            "left out of involvement and score: check the outlines."
        )
    return notes
