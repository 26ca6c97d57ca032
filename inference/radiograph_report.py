"""Reports of severity for X-rays: the lungs are given, or found by the network itself."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from datasets.image_io import IMAGE_SUFFIXES, read_gray
from inference.inputs import InputCase
from inference.lung_masks import find_lung_mask
from inference.pictures import to_bytes
from inference.slices import PredictedSlice
from severity import measure_radiograph, part_lungs, write_radiograph_severity
from utils.errors import UserError

_LUNG_PROB = 0.5


class LungFields(NamedTuple):
    """Where lungs are from.

    Attributes:
        masks: A mask, or a folder of them, called as the X-rays are; None takes those that the
            network finds.
        num_cases: How many X-rays there are.
    """

    masks: Path | None
    num_cases: int


def write_report(
    base: Path,
    case: InputCase,
    predicted: PredictedSlice,
    label: np.ndarray,
    names: Mapping[int, str],
    fields: LungFields,
) -> bool:
    """Write the report of an X-ray, where its lungs are known.

    Args:
        base: Folder and beginning of the files' names.
        case: The X-ray.
        predicted: What the network makes of it.
        label: (H, W), 0 or a class of lesion.
        names: Name of every class.
        fields: Where lungs are from.

    Returns:
        Whether they are known.

    Raises:
        UserError: The lung mask is missing or unfit, or the disk is full.
    """
    if fields.masks is not None:
        path = find_lung_mask(fields.masks, case.stem.name, fields.num_cases, IMAGE_SUFFIXES)
        lung, origin = read_gray(path), f"Lungs as given by {path.name}."
        if lung.shape != label.shape:
            sizes = " against ".join(f"{one.shape[1]} x {one.shape[0]}" for one in (lung, label))
            raise UserError(
                f"{path}: another size than {case.path} ({sizes} px); give the mask of this X-ray"
            )
    elif predicted.lung is not None:
        lung, origin = predicted.lung >= _LUNG_PROB, "Lungs as found by the network."
    else:
        return False
    sides = part_lungs(lung)
    severity = measure_radiograph(str(case.stem), label, sides, origin, names)
    write_radiograph_severity(base, to_bytes(predicted.gray), label, sides, severity)
    return True
