"""Scans: mask and probability as NIfTI, DICOM SEG, a sheet of slices, a report of severity."""

import sys
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np

from datasets.intensity import IntensityRule
from datasets.volumes import (
    DicomVolume,
    Volume,
    check_geometry,
    describe_placeless,
    open_nifti,
    open_series,
    write_nifti,
)
from inference.case_files import case_files
from inference.inputs import InputCase
from inference.intensity_options import HU, IntensityOptions, describe_rule
from inference.lung_masks import open_lung_mask
from inference.model import Model
from inference.output_names import MASK, PROB, SEG, SHEET, VOLUME_ENDINGS
from inference.pictures import Tile, pick_evenly, save_sheet
from inference.scan import LEARNED, LungSource, predict_scan
from inference.segmentation_object import Algorithm, find_patient, write_segmentation
from inference.smoothing import SMOOTHING_MM
from severity import write_severity
from severity.lungs.lobes import GivenLobes
from utils.errors import UserError

_MM3_PER_ML = 1000


class VolumeOptions(NamedTuple):
    """How volumes are read, and what is written of them.

    Attributes:
        levels: From stored values to grey levels.
        with_severity: Whether a report of severity is written, if the spacing is known.
        patient: PatientID of series that have none.
        lungs_by: LEARNED or THRESHOLD, see inference.scan.LungSource.
        are_lobes: Whether the masks of lungs that are given are lobe maps.
        smoothing_mm: See inference.scan.predict_scan.
    """

    levels: IntensityOptions
    with_severity: bool = True
    patient: str | None = None
    lungs_by: str = LEARNED
    are_lobes: bool = False
    smoothing_mm: float = SMOOTHING_MM


def predict_volume(
    case: InputCase, model: Model, options: VolumeOptions, out: Path, lung: Path | None = None
) -> str:
    """Predict a scan slice by slice and write its files.

    Args:
        case: A NIfTI file or a DICOM series.
        model: What predicts.
        options: How.
        out: Output folder.
        lung: A lung mask; None finds the lungs.

    Returns:
        What was done, for a line.

    Raises:
        UserError: The scan or the lung mask is unfit, or a file cannot be written.
    """
    with ExitStack() as stack:
        volume = stack.enter_context(_open(case))
        patient = find_patient(volume, options.patient) if case.series else ""
        rule = options.levels.rule_for(volume, is_dicom=case.series is not None)
        lungs = stack.enter_context(open_lung_mask(lung, volume)) if lung else None
        lobes = _open_lobes(lungs, lung) if options.are_lobes and lung else None
        base = stack.enter_context(case_files(out, case.stem, VOLUME_ENDINGS))
        packer = stack.enter_context(ThreadPoolExecutor(1, thread_name_prefix="pack"))
        files = stack.enter_context(ExitStack())
        mask = files.enter_context(write_nifti(_named(base, MASK), volume, np.uint8))
        prob = files.enter_context(write_nifti(_named(base, PROB), volume, np.uint8, 1 / 255))
        start = time.perf_counter()
        source = LungSource(lungs, options.lungs_by, options.with_severity)
        lesions = predict_scan(volume, rule, model, source, mask, prob, options.smoothing_mm)
        rate = len(volume) / (time.perf_counter() - start)
        # Both are complete; what follows reads them while they are compressed.
        packed = packer.submit(files.pop_all().close)
        names = model.data_properties.name_classes(lesions.num_classes)
        tiles = _make_tiles(volume, rule, mask, lesions.areas)
        title = f"{volume.name} by {model.name}: {len(tiles)} of {len(volume)} slices"
        save_sheet(_named(base, SHEET), tiles, f"{title}; research only", tuple(names.values()))
        note = _write_object(volume, mask, names, model, patient, _named(base, SEG))
        if options.with_severity and volume.has_place:
            facts = {"unit_is_hu": rule.unit == HU, "title": str(case.stem), "class_names": names}
            write_severity(base, volume, mask, lobes or lesions.lungs, prob=prob, **facts)
        packed.result()
    name = f"{volume.path} ({case.series.name})" if case.series else f"{volume.path}"
    found = f"{name}: {len(volume)} slices, {describe_rule(rule)}"
    found += f"; {describe_lesions(volume, lesions.areas)}; {rate:.1f} slices/s"
    return f"{found}; {note}" if note else found


def _open_lobes(values: np.ndarray, path: Path) -> GivenLobes:
    """The lobes of a map."""
    try:
        return GivenLobes(values)
    except ValueError as error:
        raise UserError(f"{path}: {error}") from error


def describe_lesions(volume: Volume, areas: list[int]) -> str:
    """Slices with lesion and their volume, in words; voxels where the spacing is unknown."""
    if not volume.has_place:
        return f"lesion in {sum(area > 0 for area in areas)} slices, {sum(areas):,} voxels"
    millilitres = sum(areas) * float(np.prod(volume.spacing)) / _MM3_PER_ML
    return f"lesion in {sum(area > 0 for area in areas)} slices, {millilitres:.1f} mL"


@contextmanager
def _open(case: InputCase) -> Iterator[Volume]:
    """A NIfTI file or a DICOM series."""
    with open_series(case.series) if case.series else open_nifti(case.path) as volume:
        check_geometry(volume)
        if warning := describe_placeless(volume):
            print(f"warning: {warning}", file=sys.stderr)
        yield volume


def _write_object(
    volume: Volume,
    mask: np.ndarray,
    segments: Mapping[int, str],
    model: Model,
    patient: str,
    path: Path,
) -> str | None:
    """The segmentation object of a DICOM series; why there is none, for a line."""
    if not isinstance(volume, DicomVolume):
        return None
    algorithm = Algorithm(model.name, model.version)
    return write_segmentation(path, volume, mask, segments, algorithm, patient)


def _make_tiles(
    volume: Volume, rule: IntensityRule, mask: np.ndarray, areas: list[int]
) -> list[Tile]:
    """Some slices with their masks, from feet to head."""
    px_cm2 = volume.spacing[1] * volume.spacing[2] / 100
    return [
        Tile(
            f"slice {index}, {areas[index] * px_cm2:.1f} cm²"
            if volume.has_place
            else f"slice {index}, {areas[index]:,} px",
            rule.apply(volume.read_slice(index)),
            np.asarray(mask[index]),
            volume.spacing[1:],
        )
        for index in pick_evenly(areas)
    ]


def _named(base: Path, ending: str) -> Path:
    """A file of a case."""
    return base.with_name(base.name + ending)
