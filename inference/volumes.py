"""Scans: mask and probability as NIfTI, DICOM SEG, a sheet of slices, a report of severity."""

import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from datasets.crop import LUNGS
from datasets.intensity import IntensityRule
from datasets.volumes import (
    DicomVolume,
    Volume,
    check_geometry,
    describe_placeless,
    open_nifti,
    open_series,
    release_pages,
    write_nifti,
)
from inference.case_files import case_files
from inference.inputs import InputCase
from inference.intensity_options import HU, IntensityOptions, describe_rule
from inference.lung_masks import open_lung_mask
from inference.model import Model
from inference.output_names import MASK, PROB, SEG, SHEET, VOLUME_ENDINGS
from inference.pictures import Tile, pick_evenly, save_sheet
from inference.segmentation_object import Algorithm, find_patient, write_segmentation
from inference.slices import ReadLungs, predict_slices, to_levels
from severity import write_severity
from severity.lungs.lungs import NoLungs, open_lungs
from training.prediction import check_prediction
from utils.errors import UserError
from utils.progress import Progress

_MM3_PER_ML = 1000
_SLICES_IN_MEMORY = 16


class VolumeOptions(NamedTuple):
    """How volumes are read, and what is written of them.

    Attributes:
        levels: From stored values to grey levels.
        with_severity: Whether a report of severity is written, if the spacing is known.
        patient: PatientID of series that have none.
    """

    levels: IntensityOptions
    with_severity: bool = True
    patient: str | None = None


class VolumeLesions(NamedTuple):
    """What was found in a volume: lesion px of every slice, and classes beside the background."""

    areas: list[int]
    num_classes: int


def predict_volume(
    case: InputCase, model: Model, options: VolumeOptions, out: Path, lung: Path | None = None
) -> str:
    """Predict a scan slice by slice and write its files.

    Args:
        case: A NIfTI file or a DICOM series.
        model: What predicts.
        options: How.
        out: Output folder.
        lung: A lung mask, for the report; None finds the lungs by threshold.

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
        base = stack.enter_context(case_files(out, case.stem, VOLUME_ENDINGS))
        mask = stack.enter_context(write_nifti(_named(base, MASK), volume, np.uint8))
        prob = stack.enter_context(write_nifti(_named(base, PROB), volume, np.uint8, 1 / 255))
        start = time.perf_counter()
        read_lungs = None
        if model.config.data.crop == LUNGS:
            read_lungs = _lungs_for_crop(volume, mask, lungs, rule)
        lesions = fill_masks(volume, rule, model, mask, prob, options.levels.bits, read_lungs)
        rate = len(volume) / (time.perf_counter() - start)
        names = model.data_properties.name_classes(lesions.num_classes)
        tiles = _make_tiles(volume, rule, mask, lesions.areas)
        title = f"{volume.name} by {model.name}: {len(tiles)} of {len(volume)} slices"
        save_sheet(_named(base, SHEET), tiles, f"{title}; research only", tuple(names.values()))
        note = _write_object(volume, mask, names, model, patient, _named(base, SEG))
        if options.with_severity and volume.has_place:
            facts = {"unit_is_hu": rule.unit == HU, "title": str(case.stem), "class_names": names}
            write_severity(base, volume, mask, lungs, prob=prob, **facts)
    name = f"{volume.path} ({case.series.name})" if case.series else f"{volume.path}"
    found = f"{name}: {len(volume)} slices, {describe_rule(rule)}"
    found += f"; {describe_lesions(volume, lesions.areas)}; {rate:.1f} slices/s"
    return f"{found}; {note}" if note else found


def fill_masks(
    volume: Volume,
    rule: IntensityRule,
    model: Model,
    mask: np.ndarray,
    prob: np.ndarray,
    bits: int,
    read_lungs: ReadLungs | None = None,
) -> VolumeLesions:
    """Predict every slice of a volume, a few in memory at a time.

    Args:
        volume: The scan.
        rule: From its values to grey levels.
        model: What predicts.
        mask: (slices, H, W) uint8 to be filled with 0 and classes.
        prob: (slices, H, W) uint8 to be filled with probabilities, 255 being 1.
        bits: Of the grey levels, 8 or 16.
        read_lungs: Gives the lungs (H, W) of a slice, where the network sees them alone.

    Raises:
        UserError: A slice cannot be read.
        NonFiniteError: A prediction holds NaN.
    """
    areas, num_channels = [], 1
    reads = [partial(_read_levels, volume, rule, bits, index) for index in range(len(volume))]
    slices = predict_slices(
        model.predictor,
        reads,
        model.config.evaluation.batch_size,
        crop=model.config.data.crop,
        read_lungs=read_lungs,
    )
    with closing(slices):
        for predicted in Progress(slices, volume.name, total=len(volume)):
            lesion_prob = predicted.lesion_prob()
            check_prediction(lesion_prob, f"{volume.path}, slice {predicted.index}")
            label = predicted.label(model.threshold)
            mask[predicted.index] = label
            prob[predicted.index] = to_levels(lesion_prob)
            areas.append(int(np.count_nonzero(label)))
            num_channels = len(predicted.prob)
            if len(areas) % _SLICES_IN_MEMORY == 0:
                for array in (volume.stored, mask, prob):
                    release_pages(array)
    return VolumeLesions(areas, max(num_channels - 1, 1))


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


def _read_levels(volume: Volume, rule: IntensityRule, bits: int, index: int) -> np.ndarray:
    """A slice as the network's training data had it."""
    return rule.apply(volume.read_slice(index), bits)


def _lungs_for_crop(
    volume: Volume, no_lesion: np.ndarray, lung: np.ndarray | None, rule: IntensityRule
) -> ReadLungs:
    """The lungs of every slice, given or found."""
    try:
        lungs, _ = open_lungs(volume, no_lesion, lung, unit_is_hu=rule.unit == HU)
    except NoLungs as reason:
        raise UserError(
            f"{volume.path}: the network was trained on slices cropped to the lungs. {reason}"
        ) from reason
    none = np.zeros(volume.shape[1:], bool)
    return lambda index: lungs.read_slice(index, none)


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
