"""Single slices as image files: probability, mask and overlay of each, a sheet of all."""

import time
from collections.abc import Callable, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from datasets.image_io import read_gray, write_png
from datasets.radiographs import read_radiograph
from inference.case_files import case_files
from inference.failures import Failures
from inference.inputs import InputCase
from inference.model import Model
from inference.output_names import CONTACT_SHEET, IMAGE_ENDINGS, IMAGE_MASK, X_RAY_ENDINGS
from inference.pictures import Tile, draw_overlay, pick_evenly, save_sheet
from inference.radiograph_report import LungFields, write_report
from inference.slices import PredictedSlice, predict_slices, to_levels
from training.prediction import check_prediction
from utils.files import whole_file
from utils.progress import Progress


class _Done(NamedTuple):
    """An image that was predicted.

    Attributes:
        case: What it is.
        area: Its lesion px.
        classes: Names of the classes that its mask holds; () where it is black and white.
        has_report: Whether there is a report of severity.
    """

    case: InputCase
    area: int
    classes: tuple[str, ...]
    has_report: bool


def predict_images(
    cases: Sequence[InputCase],
    model: Model,
    out: Path,
    failures: Failures,
    fields: LungFields | None = None,
) -> str:
    """Predict images, batch by batch, whatever their sizes.

    Args:
        cases: At least one.
        model: What predicts.
        out: Output folder.
        failures: Gets those that cannot be read or written.
        fields: Where lungs of X-rays are from, for their reports of severity; None writes none.

    Returns:
        What was done, for a line.

    Raises:
        UserError: The first failure, unless others are to go on.
    """
    done: list[_Done] = []
    read = read_radiograph if model.data_properties.is_x_ray else read_gray
    start = time.perf_counter()
    slices = predict_slices(
        model.predictor,
        [partial(read, case.path) for case in cases],
        model.config.evaluation.batch_size,
        on_error=(lambda i, error: failures.add(cases[i], error)) if failures.keep_going else None,
        transform=model.transform,
    )
    with closing(slices):
        for predicted in Progress(slices, "images", total=len(cases)):
            case = cases[predicted.index]
            with failures.of(case):
                done.append(_write(case, predicted, model, out, fields))
    rate = len(cases) / (time.perf_counter() - start)
    if len(done) > 1:
        _write_sheet(done, model.name, out / CONTACT_SHEET, read)
    num_lesion = sum(item.area > 0 for item in done)
    note = ""
    if fields and not any(item.has_report for item in done):
        note = "; no report of severity, as the network finds no lungs: give them by --lung"
    return f"{len(done)} images: lesion in {num_lesion}; {rate:.1f} images/s{note}"


def _write(
    case: InputCase,
    predicted: PredictedSlice,
    model: Model,
    out: Path,
    fields: LungFields | None,
) -> _Done:
    """All files of an image."""
    prob = predicted.lesion_prob()
    check_prediction(prob, str(case.path))
    label = predicted.label(model.threshold)
    has_classes = len(predicted.prob) > 1
    names = model.data_properties.name_classes(max(len(predicted.prob) - 1, 1))
    overlay = draw_overlay(predicted.gray, label, len(names))
    endings = X_RAY_ENDINGS if model.data_properties.is_x_ray else IMAGE_ENDINGS
    with case_files(out, case.stem, endings) as base:
        pictures = (label if has_classes else label * 255, to_levels(prob), overlay[..., ::-1])
        for ending, picture in zip(IMAGE_ENDINGS, pictures, strict=True):
            write_png(base.with_name(base.name + ending), picture)
        has_report = bool(fields) and write_report(base, case, predicted, label, names, fields)
    classes = tuple(names.values()) if has_classes else ()
    return _Done(case, int(np.count_nonzero(label)), classes, has_report)


def _write_sheet(
    done: Sequence[_Done], name: str, path: Path, read: Callable[[Path], np.ndarray]
) -> None:
    """Some of the images with their masks, read again: no picture is ever kept in memory."""
    tiles = []
    for index in pick_evenly([item.area for item in done]):
        case, area, classes, _ = done[index]
        mask = read_gray(path.parent / f"{case.stem}{IMAGE_MASK}")
        label = mask if classes else (mask > 0).astype(np.uint8)
        tiles.append(Tile(f"{case.stem}\n{area:,} px", read(case.path), label))
    with whole_file(path) as file:
        title = f"{name}: {len(tiles)} of {len(done)} images; research only"
        save_sheet(file, tiles, title, done[0].classes)
