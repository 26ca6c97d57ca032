"""The synthetic X-rays: the patients of the CT set, projected; masks that can be seen."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from datasets.card import read_card
from datasets.synthetic.generate import generate_patient, make_patient
from datasets.synthetic.lesions import Disease
from datasets.synthetic.projection import MIN_VISIBLE_MM, Projection, draw_masks, project
from datasets.synthetic.radiographs import generate_radiograph, write_synthetic_radiographs
from preparation.checks.folder import inspect_folder

SIZE = 96


def projected(number: int, healthy: bool = False, min_severity: float = 0.6) -> Projection:
    """A patient, on request without the disease that they have."""
    rng = np.random.default_rng([0, number])
    person = make_patient(rng, SIZE, min_severity)
    disease = person.disease
    if healthy:
        disease = Disease(np.empty((0, 12), np.float32), 0.0, 0.3, 65.0, np.zeros(2))
    parts = (person.frame, person.anatomy, person.findings, person.tree, person.textures)
    return project(*parts, disease, rng)


@pytest.fixture(scope="module")
def pair() -> tuple[Projection, Projection]:
    return projected(4), projected(4, healthy=True)


def test_a_patient_is_a_function_of_seed_and_number() -> None:
    first, again = (generate_radiograph(seed=1, patient=2, image_size=64) for _ in range(2))
    other = generate_radiograph(seed=2, patient=2, image_size=64)
    assert [np.array_equal(*pair) for pair in zip(first, again, strict=True)] == [True] * 3
    assert (first.image != other.image).any()


def test_lesions_add_what_is_drawn_of_them(pair: tuple[Projection, Projection]) -> None:
    ill, healthy = pair
    assert not healthy.lesion_mm.any()
    added = ill.body_mm - healthy.body_mm
    # The same rays through the same body: what is more is lesion, but for clothes and texture.
    assert np.abs(added - ill.lesion_mm.sum(0)).mean() < 0.1 * added[added > MIN_VISIBLE_MM].mean()
    label, lung = draw_masks(ill, SIZE / 256)
    assert label.any()
    assert not label[~lung].any()
    assert added[label > 0].mean() > MIN_VISIBLE_MM > added[lung & (label == 0)].mean()
    assert not draw_masks(healthy, SIZE / 256)[0].any()


def test_the_class_is_the_one_that_adds_most() -> None:
    shape = (64, 64)
    lesion = np.zeros((3, *shape), np.float32)
    lesion[0, 10:50, 10:50], lesion[1, 30:50, 10:50] = 6, 9
    lesion[0, :, 52:], lesion[2, 52:] = MIN_VISIBLE_MM - 1, MIN_VISIBLE_MM - 1
    depth = np.full(shape, 100.0, np.float32)
    label, lung = draw_masks(Projection(depth, lesion, depth, depth), 0.5)
    assert lung.all()
    assert (label[15, 30], label[45, 30], label[5, 5], label[15, 62]) == (1, 2, 0, 0)


def test_lung_fields_are_dark_and_one_lies_on_either_side() -> None:
    item = generate_radiograph(seed=0, patient=4, image_size=128)
    lung = item.lung > 0
    num, _, stats, centres = cv2.connectedComponentsWithStats(lung.astype(np.uint8))
    assert num == 3
    assert sorted(centres[1:, 0] < 64) == [False, True]
    assert stats[1:, cv2.CC_STAT_AREA].min() > 0.05 * lung.size
    rows = np.flatnonzero(lung.any(1))
    assert (rows[0] > 2, rows[-1] < 126) == (True, True)  # from tip to base
    middle = item.image[32:110, 56:72]
    assert item.image[lung].mean() < middle.mean() - 30  # spine, heart and liver are bright
    assert item.image[:, 0].mean() < item.image[lung].mean() + 60
    assert set(np.unique(item.label[~lung])) == {0}


@pytest.mark.slow
def test_x_rays_and_ct_show_the_same_disease() -> None:
    """The more lesion a patient has on CT, the more on the X-ray."""
    volumes, areas = [], []
    for patient in range(1, 9):
        slices = generate_patient(seed=0, patient=patient, num_slices=10, image_size=64)
        volumes.append(sum(np.count_nonzero(item.label) for item in slices))
        radiograph = generate_radiograph(seed=0, patient=patient, image_size=64)
        areas.append(np.count_nonzero(radiograph.label))
    ranks = [np.argsort(np.argsort(one)) for one in (volumes, areas)]
    assert np.corrcoef(ranks)[0, 1] > 0.8


def write_set(root: Path) -> dict[Path, bytes]:
    counts = {"train": 1, "val": 1, "test": 1}
    request = {"image_size": 64, "seed": 4, "min_severity": 0.6}
    write_synthetic_radiographs(root, num_patients=counts, **request)
    return {path.relative_to(root): path.read_bytes() for path in root.rglob("*.*")}


def test_a_set_is_a_data_folder_of_x_rays(tmp_path: Path) -> None:
    files = write_set(tmp_path / "set")
    assert Path("test/label/synthetic_0003.png") in files
    assert read_card(tmp_path / "set").modality == "DX"
    found = inspect_folder(tmp_path / "set")
    assert (found.problems, found.notes) == ([], [])


@pytest.mark.slow
def test_the_number_of_processes_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = write_set(tmp_path / "alone")
    monkeypatch.setattr("datasets.synthetic.radiographs._LEAST_PER_PROCESS", 1)
    assert write_set(tmp_path / "together") == alone
