"""A patient or a slice that stands in two splits is named."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from datasets.synthetic.generate import write_synthetic_set
from preparation.checks.leaks import Leaks, check_leaks
from tests.preparation.conversion.drawn_cases import draw
from utils.errors import UserError


def put(root: Path, place: str, image: np.ndarray) -> None:
    """Write an image and an empty mask as <split>/<name>."""
    split, name = place.split("/")
    for kind, pixels in {"image": image, "mask": np.zeros_like(image)}.items():
        (root / split / kind).mkdir(parents=True, exist_ok=True)
        assert cv2.imwrite(str(root / split / kind / f"{name}.png"), pixels)


def test_a_set_that_is_split_by_patient_passes(tmp_path: Path) -> None:
    counts = {"train": 4, "val": 2, "test": 2}
    root = tmp_path / "synthetic"
    write_synthetic_set(root, num_patients=counts, num_slices=4, image_size=128, seed=0)
    assert check_leaks(root) is None


def test_a_patient_in_two_splits_is_named(tmp_path: Path) -> None:
    for number, place in enumerate(["train/p1_z000", "train/p2_z000", "val/p1_z001"]):
        put(tmp_path, place, draw(number))
    with pytest.raises(UserError) as caught:
        check_leaks(tmp_path)
    assert str(caught.value).startswith(
        f"{tmp_path}: 1 patient in two splits: p1 in train and val; "
    )


def test_a_slice_that_was_saved_anew_is_named_with_its_original(tmp_path: Path) -> None:
    jpeg = cv2.imencode(".jpg", cv2.resize(draw(1, 200), None, fx=0.9, fy=0.9))[1]
    put(tmp_path, "train/p1_z000", draw(1, 200))
    put(tmp_path, "train/p2_z000", draw(2))
    put(tmp_path, "test/x7_z003", cv2.imdecode(jpeg, cv2.IMREAD_GRAYSCALE))
    with pytest.raises(UserError) as caught:
        check_leaks(tmp_path)
    message = str(caught.value)
    assert "1 pair of near-duplicate slices in two splits: " in message
    assert "train/p1_z000 = test/x7_z003" in message
    assert "\n" not in message


def test_the_same_slice_twice_in_a_split_is_no_leak(tmp_path: Path) -> None:
    put(tmp_path, "train/p1_z000", draw(1))
    put(tmp_path, "train/p2_z000", draw(1))
    put(tmp_path, "val/p3_z000", draw(3))
    assert check_leaks(tmp_path) is None


def test_an_allowed_leak_is_a_warning(tmp_path: Path) -> None:
    put(tmp_path, "train/p1_z000", draw(1))
    put(tmp_path, "val/p1_z001", draw(2))
    warning = check_leaks(tmp_path, allow=True)
    assert warning == "leak, allowed: 1 patient in two splits: p1 in train and val"


def test_a_single_split_cannot_leak(tmp_path: Path) -> None:
    put(tmp_path, "test/p1_z000", draw(1))
    put(tmp_path, "test/p2_z000", draw(1))
    assert check_leaks(tmp_path) is None


def test_the_first_ones_of_many_are_named_and_the_rest_counted() -> None:
    patients = {f"p{number}": ("train", "val") for number in range(5)}
    pairs = tuple((f"train/a{number}", f"val/b{number}") for number in range(4))
    text = Leaks(patients, pairs).describe()
    assert text == (
        "5 patients in two splits: p0 in train and val, p1 in train and val, p2 in train and val "
        "and 2 more; 4 pairs of near-duplicate slices in two splits: train/a0 = val/b0, "
        "train/a1 = val/b1, train/a2 = val/b2 and 1 more"
    )
    assert Leaks({}, ()).describe() == ""
