"""The lungs of slices of a data folder: grey levels, of a scan as much as was kept."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from datasets.intensity import IntensityRule
from datasets.volumes.volume import Volume
from severity.lungs.lungs import NoLungs, open_lungs


def lungs_of_slices(
    levels: NDArray[np.unsignedinteger],
    lesion: NDArray[np.bool_],
    rule: IntensityRule,
    spacing: tuple[float, float, float],
) -> NDArray[np.bool_] | None:
    """Both lungs with the lesions that touch them, as severity.lungs finds them in a scan.

    Slices may be missing; the fewer there are, the less is known of airways and gut.

    Args:
        levels: (n, H, W) uint8 or uint16 slices of one scan in their order from feet to head, rows
            from front to back.
        lesion: Same shape.
        rule: The window in HU that they were made with; it reaches from below -960 to above -320.
        spacing: Distance of the slices, height and width of a px, mm.

    Returns:
        Same shape; None where no lung was found.
    """
    slope = (rule.high - rule.low) / np.iinfo(levels.dtype).max
    rise, down, right = spacing
    # Axes to the right, to the front and to the head, as of a NIfTI file.
    affine = np.diag([-right, -down, rise, 1.0])
    volume = Volume("slices", Path("slices"), levels.transpose(2, 1, 0), affine, slope, rule.low)
    try:
        lungs, _ = open_lungs(volume, lesion, None, unit_is_hu=True)
    except NoLungs:
        return None
    return np.stack([lungs.read_slice(i, own) > 0 for i, own in enumerate(lesion)])
