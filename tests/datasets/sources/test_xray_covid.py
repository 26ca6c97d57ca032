"""COVID-19 Chest X-ray Segmentations: crops in their places, classes, patients, what is refused."""

from pathlib import Path

import numpy as np
import pytest
from image_files import SHAPE, grey, only, write, zip_folder
from radiographs import LEFT_LUNG, RIGHT_LUNG, write_covid

from datasets.card import X_RAY
from datasets.data_folder import UNLABELLED
from datasets.sources.file_tree import FileTree
from datasets.sources.source import SourceCase
from datasets.sources.xray_covid import SOURCE
from utils.errors import UserError

LUNGS = (LEFT_LUNG, RIGHT_LUNG)


def cases_of(root: Path) -> dict[str, SourceCase]:
    return {case.name: case for case in SOURCE.find_cases(FileTree(root))}


def box_of(left: int, top: int, width: int, height: int) -> np.ndarray:
    """Where a crop of the miniature is painted: all but its first px."""
    painted = np.zeros(SHAPE, bool)
    painted[top : top + height, left : left + width] = True
    painted[top, left] = False
    return painted


@pytest.mark.parametrize("packed", [False, True])
def test_crops_lie_in_their_places_and_denser_classes_on_top(packed: bool, tmp_path: Path) -> None:
    drawn = [
        ("Consolidation", (6, 8, 4, 4)),
        ("Ground Glass Opacities", (5, 6, 8, 9)),
        ("Pleural Effusion", (19, 15, 5, 4)),
        ("Endotracheal Tube", (14, 0, 3, 12)),
        ("Monitoring Probes", None),
        *LUNGS,
    ]
    root = write_covid(tmp_path / "set", {"a.1-PA.png": grey(1)}, {"a.1-PA.png": drawn})
    case = cases_of(zip_folder(root) if packed else root)["a.1-PA"]
    item = only(case)
    expected = box_of(5, 6, 8, 9).astype(np.uint8)
    expected[box_of(6, 8, 4, 4)] = 2
    expected[box_of(19, 15, 5, 4)] = 3
    np.testing.assert_array_equal(item.label, expected)
    np.testing.assert_array_equal(item.lung, box_of(*LEFT_LUNG[1]) | box_of(*RIGHT_LUNG[1]))
    np.testing.assert_array_equal(item.image, grey(1))
    assert (case.split, case.is_volume, SOURCE.modality) == (None, False, X_RAY)


def test_coloured_and_see_through_images_become_grey(tmp_path: Path) -> None:
    stored = np.repeat(grey(2)[..., None], 4, 2)
    stored[..., 3] = 255
    stored[3, 4] = (0, 0, 255, 255)  # a red mark: luma 76
    stored[5, 6, 3] = 0
    root = write_covid(tmp_path, {"a.png": stored}, {"a.png": LUNGS})
    expected = grey(2)
    expected[3, 4], expected[5, 6] = 76, 0
    np.testing.assert_array_equal(only(cases_of(root)["a"]).image, expected)


def test_healthy_unlabelled_and_half_drawn_images_are_told_apart(tmp_path: Path) -> None:
    lesion = ("Ground Glass Opacities", (5, 6, 8, 9))
    drawings = {
        "healthy.png": LUNGS,
        "heart.png": [("Cardiomediastinum", (9, 9, 9, 9))],
        "undrawn.png": [lesion, ("Consolidation", None), *LUNGS],
        "one_lung.png": [lesion, LEFT_LUNG, LEFT_LUNG],
    }
    names = [*drawings, "no_row.png"]
    cases = cases_of(write_covid(tmp_path, {name: grey() for name in names}, drawings))
    read = {name: only(case) for name, case in cases.items()}
    labels = {name: None if item.label is None else item.label.any() for name, item in read.items()}
    assert labels == {
        "healthy": False, "heart": None, "undrawn": None, "one_lung": True, "no_row": None,
    }  # fmt: skip
    assert {name for name, item in read.items() if item.lung is not None} == {"healthy", "undrawn"}
    unlabelled = {name for name, case in cases.items() if case.split == UNLABELLED}
    assert unlabelled == {"heart", "undrawn", "no_row"}


def test_patients_come_from_the_metadata(tmp_path: Path) -> None:
    images = {f"{name}.png": grey() for name in "abc"}
    cases = cases_of(write_covid(tmp_path, images, dict.fromkeys(images, LUNGS)))
    assert {name: case.patient for name, case in cases.items()} == {
        "a": "patient_0", "b": "patient_0", "c": "patient_1",
    }  # fmt: skip


def refusal(root: Path, name: str = "a") -> str:
    with pytest.raises(UserError) as caught:
        only(cases_of(root)[name])
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("box", [(25, 4, 8, 8), (-1, 4, 8, 8), (4, 17, 8, 8), (4, -2, 8, 8)])
def test_a_crop_that_leaves_its_image_is_refused(
    box: tuple[int, int, int, int], tmp_path: Path
) -> None:
    drawn = [*LUNGS, ("Consolidation", box)]
    message = refusal(write_covid(tmp_path, {"a.png": grey()}, {"a.png": drawn}))
    assert f"8 x 8 px at ({box[0]}, {box[1]}), leaves {tmp_path}/images/a.png" in message
    assert f"{tmp_path}/structure.csv:4: {tmp_path}/masks/a.png_2.png" in message
    assert "32 x 24 px; correct Left and Top" in message


def test_what_does_not_fit_together_is_named(tmp_path: Path) -> None:
    images = {f"{name}.png": grey() for name in "abcd"}
    root = write_covid(tmp_path, images, dict.fromkeys(images, LUNGS))
    write(root / "masks/a.png_0.png", grey()[:5, :6])
    (root / "masks/b.png_1.png").unlink()
    (root / "images/c.png").unlink()
    table = root / "metadata.csv"
    table.write_text(table.read_text().replace("d.png", "e.png"))
    assert "has 6 x 5 px, but its row says 10 x 16" in refusal(root, "a")
    assert "structure.csv:5: there is no masks/b.png_1.png" in refusal(root, "b")
    assert "structure.csv:6: there is no images/c.png" in refusal(root, "c")
    assert "metadata.csv does not say whose it is" in refusal(root, "d")
    structure = root / "structure.csv"
    structure.write_text(structure.read_text().replace("Filename", "File"))
    assert "structure.csv: no column Filename" in refusal(root)
    structure.unlink()
    assert "holds 0 files structure.csv" in refusal(root)
