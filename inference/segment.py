"""The Python call: a scan as an array in, lesions, lungs and severity as arrays and figures out.

It goes through the same functions as predict.py and gives the same voxels and figures.
"""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from datasets.volumes import Volume, check_geometry
from inference.intensity_options import AUTO, HU, IntensityOptions
from inference.model import Model, open_model
from inference.scan import LEARNED, LungSource, predict_scan
from inference.smoothing import SMOOTHING_MM
from inference.weights import shipped_weights
from severity import Severity, measure_scan
from severity.lungs.lobes import GivenLobes
from severity.lungs.lungs import Lungs
from utils.errors import UserError

_NUM_AXES = 3


class Segmentation(NamedTuple):
    """What was found in a scan.

    Attributes:
        mask: (slices, H, W) uint8, 0 or 1; classes from 1 of a network that tells them apart.
        probability: (slices, H, W) float32 in [0, 1], of any lesion; in steps of 1/255, as
            predict.py stores it.
        lungs: (slices, H, W) uint8: 0, 1 the left or 2 the right lung; None where none are known.
        severity: Volumes, involvement, score; see severity.Severity.
    """

    mask: NDArray[np.uint8]
    probability: NDArray[np.float32]
    lungs: NDArray[np.uint8] | None
    severity: Severity


def segment(
    volume: np.ndarray,
    spacing: tuple[float, float, float],
    *,
    model: Model | None = None,
    lungs: np.ndarray | None = None,
    lungs_by: str = LEARNED,
    lobes: np.ndarray | None = None,
    unit: str = AUTO,
    window: tuple[float, float] | None = None,
    smoothing_mm: float = SMOOTHING_MM,
    name: str = "scan",
) -> Segmentation:
    """Segment a CT scan.

    Args:
        volume: (slices, H, W), HU or as `unit` says; slices from feet to head, rows from front to
            back, columns from the patient's right to the left: as a series of axial DICOM images.
        spacing: Distance of slices, height and width of a px, mm.
        model: As open_model gives it, to open a checkpoint once for many scans; None: the weights
            that ship.
        lungs: (slices, H, W), > 0 is lung; None finds them.
        lungs_by: "learned" takes the network's, where it has learnt lungs; or "threshold".
        lobes: As --lobes of predict.py, in the place of lungs.
        unit: What the volume stores, see inference.intensity_options.INTENSITIES.
        window: As --window of predict.py.
        smoothing_mm: As --smoothing of predict.py.
        name: For messages, and the title of the severity.

    Raises:
        UserError: The volume or its spacing is unfit, as predict.py would say.
    """
    scan = _as_volume(np.asarray(volume), spacing, name)
    check_geometry(scan)
    given = lungs if lobes is None else lobes
    if given is not None and given.shape != scan.shape:
        raise UserError(f"lungs: {given.shape} voxels, the volume has {scan.shape}")
    known = None if lobes is None else _open_lobes(lobes)
    model = model or _shipped_model()
    trained = model.data_properties
    options = IntensityOptions(trained.intensity, trained.bits, unit, window)
    rule = options.rule_for(scan, is_dicom=False)
    mask, prob = np.zeros(scan.shape, np.uint8), np.zeros(scan.shape, np.uint8)
    source = LungSource(given, lungs_by)
    found = predict_scan(scan, rule, model, source, mask, prob, smoothing_mm)
    names = trained.name_classes(found.num_classes)
    lungs = known or found.lungs
    severity, sides = _measure(name, scan, mask, lungs, rule.unit == HU, names)
    return Segmentation(mask, prob / np.float32(255), sides, severity)


def _measure(
    name: str,
    scan: Volume,
    mask: NDArray[np.uint8],
    lungs: np.ndarray | Lungs | None,
    is_hu: bool,
    names: Mapping[int, str],
) -> tuple[Severity, NDArray[np.uint8] | None]:
    """The severity, and the lungs as they were seen for it."""
    sides: list[NDArray[np.uint8]] = []

    def keep(_index: int, _values: np.ndarray, _label: np.ndarray, lung: np.ndarray | None) -> None:
        if lung is not None:
            sides.append(lung)

    severity, _, _ = measure_scan(name, scan, mask, lungs, is_hu, names, keep)
    return severity, np.stack(sides) if sides else None


def _open_lobes(lobes: np.ndarray) -> GivenLobes:
    try:
        return GivenLobes(lobes)
    except ValueError as error:
        raise UserError(f"lobes: {error}") from error


def _as_volume(axial: np.ndarray, spacing: tuple[float, float, float], name: str) -> Volume:
    """A volume as a file would give it.

    Raises:
        UserError: Not three axes of real numbers, or a spacing that is none.
    """
    if axial.ndim != _NUM_AXES or axial.dtype.kind not in "iuf":
        raise UserError(
            f"volume: must be numbers of shape (slices, H, W), not {axial.dtype} of {axial.shape}"
        )
    sides = np.asarray(spacing, float)
    if sides.shape != (_NUM_AXES,) or not (sides > 0).all():
        raise UserError(f"spacing: must be three lengths in mm (slices, rows, columns): {spacing}")
    rise, down, right = sides
    affine = np.diag([-right, -down, rise, 1.0])  # of axes to the right, to the front, to the head
    return Volume(name, Path(name), axial.transpose(2, 1, 0), affine)


@cache
def _shipped_model() -> Model:
    return open_model(shipped_weights())
