"""A synthetic set of chest CT slices with COVID-19 lesions: made in memory, or written to disk.

It serves where no patient data may be had: quick starts, tests, demonstrations. Anatomy, lesions
and vessels are drawn by the modules phantom, lesions and vessels; here they are scanned (blur,
noise, sharp kernel, window) and written. The ranges were tuned by eye and by these figures of
`python -m preparation.overview.statistics`: percentiles 5 25 50 75 95 or a mean, averaged over the
slices (areas: percentiles over slices with a lesion); 60 synthetic patients of 20 slices, 256 px,
seed 0.

    figure                        | synthetic (1200 slices)      | Coronacases, 6 patients (431)
    without lesion, %             | 24.2                         | 22
    lesion area, px               | 27 185 441 1055 2735         | 42.2 280 661.5 1170 3705
    image grey                    | 41 43.3 69.2 202.9 235.5     | 41.2 43.2 64.7 211.6 234.1
    body area, % of image         | 37.6                         | 38.3
    body centre x, y / %          | 50.4 44.6                    | 49.6 45.6
    lung area, % of image         | 15.8                         | 15.2
    components per slice          | 2.5                          | 3.5
    lung noise std                | 10                           | 9.7
    lung grey                     | 50.1 63.5 73.6 88.1 156.6    | 55.4 63.8 71.3 84.5 161.6
    lesion grey                   | 85 108.8 132.4 162 202.3     | 79.7 105.8 130.7 156.8 191.1
    lesion - lung median          | 58.9                         | 59.4
    lesion texture std            | 20.6                         | 23.4
    lesion grey std               | 36.8                         | 35.3
    slope on lesion border / px   | 13.9                         | 12.5

Unlike real scans: bones are plain, lesions do not follow the bronchi, dense ones are a little too
bright, and the couch has two shapes.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from datasets.card import DataCard, SourceFacts
from datasets.data_folder import DataFolderWriter, DataSlice, FolderSummary
from datasets.intensity import LUNG_WINDOW
from datasets.manifest import SPLITS
from datasets.synthetic.findings import Findings, make_findings
from datasets.synthetic.lesions import Disease, make_disease, paint_lesions
from datasets.synthetic.phantom import render_layers
from datasets.synthetic.scanner import Scanner
from datasets.synthetic.shapes import LUNG_HEIGHT, Anatomy, Frame, make_anatomy
from datasets.synthetic.textures import Textures
from datasets.synthetic.vessels import VesselTree, make_vessels
from utils.errors import UserError
from utils.files import whole_folder

_NUM_WRITERS = 2
FIELD_OF_VIEW_MM = 370.0  # common for an adult chest
LABELS = {1: "ground-glass opacity", 2: "consolidation", 3: "pleural effusion"}
_FACTS = SourceFacts("synthetic", "Synthetic chest CT", "that of this project", "this project")


class SyntheticSlice(NamedTuple):
    """One axial slice.

    Attributes:
        image: (H, W) uint8, LUNG_WINDOW mapped to 0..255.
        label: (H, W) uint8, 0 background, 1 ground-glass, 2 consolidation, 3 pleural effusion.
        lung: (H, W) uint8, 0/255, both lungs including the lesions inside them, without effusion.
    """

    image: np.ndarray
    label: np.ndarray
    lung: np.ndarray


class Patient(NamedTuple):
    """A patient, and the scanner that they lie in."""

    frame: Frame
    anatomy: Anatomy
    findings: Findings
    tree: VesselTree
    textures: Textures
    disease: Disease
    scanner: Scanner


def make_patient(rng: np.random.Generator, image_size: int, min_severity: float) -> Patient:
    """Draw a patient; anatomy and disease do not depend on the image's size."""
    offset = 38 * (rng.random() < 0.15)  # some patients lie low in the field of view
    center = (128 + rng.normal(0, 3), np.clip(rng.normal(99, 6), 87, 112) + offset)
    zoom = np.clip(rng.normal(1.03, 0.05), 0.9, 1.12)
    if rng.random() < 0.2:
        zoom = rng.uniform(0.76, 1.25)  # a field of view for the bed, or for the lungs alone
    frame = Frame.make(image_size, zoom, center)
    anatomy = make_anatomy(rng)
    scanner = Scanner.make(rng)
    tree = make_vessels(rng, anatomy)
    disease = make_disease(rng, anatomy, min_severity)
    findings = make_findings(rng, anatomy)
    textures = Textures.make(rng, image_size)
    return Patient(frame, anatomy, findings, tree, textures, disease, scanner)


def generate_patient(
    *,
    seed: int,
    patient: int,
    num_slices: int,
    image_size: int = 256,
    min_severity: float = 0.0,
) -> list[SyntheticSlice]:
    """Slices of one patient from apex to base; a function of its arguments alone.

    Args:
        seed: Seed of the whole set.
        patient: Number of the patient in the set.
        num_slices: Evenly spaced slices over the height of the lungs.
        image_size: Height and width, px.
        min_severity: Least severity of disease, 0 to 1; 0 matches the real set below.
    """
    rng = np.random.default_rng([seed, patient])
    person = make_patient(rng, image_size, min_severity)
    top, bottom = rng.uniform(0.0, 0.12), rng.uniform(0.92, 1.0)
    depths = np.linspace(top, bottom, num_slices) * LUNG_HEIGHT
    return [draw_slice(person, z, rng) for z in depths]


def draw_slice(person: Patient, z: float, rng: np.random.Generator) -> SyntheticSlice:
    """Scan a patient at depth z, units below the apex; `rng` draws what differs between slices."""
    parts = (person.frame, person.anatomy, person.findings, person.tree, person.textures)
    layers = render_layers(*parts, z, rng, person.scanner.thickness / 2)
    label, lung = paint_lesions(person.frame, person.disease, person.textures, layers, z)
    image = person.scanner.scan(person.frame, person.textures, layers, rng)
    return SyntheticSlice(image, label, lung.astype(np.uint8) * 255)


def _draw_patient(request: Mapping[str, Any], patient: int) -> list[SyntheticSlice]:
    """generate_patient in a form that another process can be asked for."""
    return generate_patient(patient=patient, **request)


def _data_slices(name: str, slices: list[SyntheticSlice]) -> Iterator[DataSlice]:
    """One patient's slices as a data folder takes them."""
    for index, item in enumerate(slices):
        side = FIELD_OF_VIEW_MM / item.image.shape[1]
        yield DataSlice(
            f"{name}_z{index:03d}", name, name, "synthetic", index,
            item.image, item.label, item.lung, spacing=(side, side),
        )  # fmt: skip


def write_synthetic_set(
    root: Path,
    *,
    num_patients: dict[str, int],
    num_slices: int,
    image_size: int,
    seed: int,
    min_severity: float = 0.0,
    progress: Callable[[Iterable], Iterable] | None = None,
    run: Callable[[Callable, Iterable], Iterable] = map,
) -> FolderSummary:
    """Write <root>/<split>/{image,mask,label,lung}/<patient>_z<NNN>.png and <root>/manifest.csv.

    Args:
        root: Folder to make; must not exist, or be empty.
        num_patients: Patients per split; patients are numbered on from train over val to test.
        num_slices: Slices per patient.
        image_size: Height and width, px.
        seed: Same seed, same bytes.
        min_severity: See generate_patient.
        progress: Wraps the iterable over patients, such as `tqdm.tqdm`.
        run: Draws patients in their order: map, or imap of a pool of processes.

    Raises:
        UserError: As write_patients.
    """
    request = {
        "seed": seed,
        "num_slices": num_slices,
        "image_size": image_size,
        "min_severity": min_severity,
    }

    def draw(numbers: Sequence[int]) -> Iterator[Iterable[DataSlice]]:
        drawn = run(partial(_draw_patient, request), numbers)
        for number, slices in zip(numbers, drawn, strict=True):
            yield _data_slices(patient_name(number), slices)

    card = DataCard((_FACTS,), LUNG_WINDOW, 8, LABELS)
    return write_patients(root, num_patients, draw, card, progress)


def patient_name(number: int) -> str:
    """Of a synthetic patient; the same in CT and X-rays."""
    return f"synthetic_{number:04d}"


def write_patients(
    root: Path,
    num_patients: dict[str, int],
    draw: Callable[[Sequence[int]], Iterable[Iterable[DataSlice]]],
    card: DataCard,
    progress: Callable[[Iterable], Iterable] | None = None,
) -> FolderSummary:
    """Write a data folder of drawn patients.

    All is written beside `root` under a temporary name and renamed at the end, so a set which was
    interrupted never looks like a whole one.

    Args:
        root: See write_synthetic_set.
        num_patients: Likewise.
        draw: Yields the slices of each of the patients with these numbers, in their order.
        card: Of the folder.
        progress: See write_synthetic_set.

    Raises:
        UserError: `root` is not empty, or a split is unknown.
    """
    unknown = sorted(set(num_patients) - set(SPLITS))
    if unknown:
        raise UserError(f"unknown split {unknown[0]!r}: choose from {', '.join(SPLITS)}")
    jobs: Iterable = [split for split in SPLITS for _ in range(num_patients.get(split, 0))]
    numbers = range(1, len(jobs) + 1)
    splits = {}
    with whole_folder(Path(root)) as draft, ThreadPoolExecutor(_NUM_WRITERS) as writers:
        writer = DataFolderWriter(draft, writers)
        for split, slices in zip(progress(jobs) if progress else jobs, draw(numbers), strict=True):
            for item in slices:
                writer.add(item)
                splits[item.name] = split
        return writer.finish(splits, card)
