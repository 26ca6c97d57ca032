"""A synthetic set of chest X-rays: the patients of the synthetic CT, one image of each.

For tests and demonstrations, where no patient data may be had. Unlike real X-rays: rays are
parallel, arms are raised, soft tissue is nearly uniform, there are no tubes, lines or letters.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import cv2
import numpy as np

from datasets.card import X_RAY, DataCard, SourceFacts
from datasets.data_folder import DataSlice, FolderSummary
from datasets.synthetic.detector import Detector
from datasets.synthetic.generate import (
    FIELD_OF_VIEW_MM,
    LABELS,
    SyntheticSlice,
    make_patient,
    patient_name,
    write_patients,
)
from datasets.synthetic.projection import draw_masks, project

_FACTS = SourceFacts(
    "synthetic-xray", "Synthetic chest X-rays", "that of this project", "this project"
)
_LEAST_PER_PROCESS = 8  # patients, for which it is worth while to start one


def generate_radiograph(
    *, seed: int, patient: int, image_size: int = 256, min_severity: float = 0.0
) -> SyntheticSlice:
    """The X-ray of one patient; a function of its arguments alone.

    Args:
        seed: Of the whole set; with the same one as a CT set, the same patients and lesions.
        patient: Number of the patient in the set.
        image_size: Height and width, px.
        min_severity: See datasets.synthetic.generate.generate_patient.

    Returns:
        Image, label and lung fields as datasets.synthetic.projection.draw_masks draws them.
    """
    rng = np.random.default_rng([seed, patient])
    person = make_patient(rng, image_size, min_severity)
    parts = (person.frame, person.anatomy, person.findings, person.tree, person.textures)
    projection = project(*parts, person.disease, rng)
    label, lung = draw_masks(projection, person.frame.scale)
    image = Detector.make(rng).expose(projection, person.frame.scale, rng)
    return SyntheticSlice(image, label, lung.astype(np.uint8) * 255)


def write_synthetic_radiographs(
    root: Path,
    *,
    num_patients: dict[str, int],
    image_size: int,
    seed: int,
    min_severity: float = 0.0,
    progress: Callable[[Iterable], Iterable] | None = None,
) -> FolderSummary:
    """Write <root>/<split>/{image,mask,label,lung}/<patient>.png and <root>/manifest.csv.

    Args:
        root: Folder to make; must not exist, or be empty.
        num_patients: Patients per split, numbered as those of a CT set.
        image_size: Height and width, px.
        seed: Same seed, same bytes, whatever the number of processes.
        min_severity: See generate_radiograph.
        progress: Wraps the iterable over patients, such as `tqdm.tqdm`.

    Raises:
        UserError: As datasets.synthetic.generate.write_patients.
    """
    draw = partial(_draw, seed=seed, image_size=image_size, min_severity=min_severity)
    card = DataCard((_FACTS,), None, 8, LABELS, X_RAY)
    return write_patients(root, num_patients, partial(_draw_all, draw), card, progress)


def _draw(number: int, *, seed: int, image_size: int, min_severity: float) -> list[DataSlice]:
    """One patient as a data folder takes it."""
    item = generate_radiograph(
        seed=seed, patient=number, image_size=image_size, min_severity=min_severity
    )
    name, side = patient_name(number), FIELD_OF_VIEW_MM / image_size
    slices = DataSlice(
        name, name, name, _FACTS.name, 0, item.image, item.label, item.lung, spacing=(side, side)
    )
    return [slices]


def _draw_all(
    draw: Callable[[int], list[DataSlice]], numbers: Sequence[int]
) -> Iterator[list[DataSlice]]:
    """All patients in their order, by several processes where there are many."""
    num_processes = min(os.cpu_count() or 1, len(numbers) // _LEAST_PER_PROCESS)
    if num_processes < 2:
        yield from map(draw, numbers)
        return
    with ProcessPoolExecutor(
        num_processes, get_context("spawn"), initializer=cv2.setNumThreads, initargs=(1,)
    ) as pool:
        yield from pool.map(draw, numbers)
