"""The same slice is found again whatever was done to the file, and no other one is."""

from collections.abc import Callable

import cv2
import numpy as np
import pytest

from datasets.synthetic.generate import generate_patient
from preparation.checks.near_duplicates import find_near_duplicates, make_thumbnail


@pytest.fixture(scope="module")
def slices() -> list[np.ndarray]:
    """Six synthetic patients of three slices, 256 px."""
    return [
        item.image
        for patient in range(6)
        for item in generate_patient(seed=0, patient=patient, num_slices=3)
    ]


def as_jpeg(image: np.ndarray) -> np.ndarray:
    return cv2.imdecode(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 50])[1], 0)


def resized(factor: float) -> Callable[[np.ndarray], np.ndarray]:
    return lambda image: cv2.resize(image, None, fx=factor, fy=factor)


def brightened(image: np.ndarray) -> np.ndarray:
    return np.clip(1.2 * image.astype(float) + 20, 0, 255).astype(np.uint8)


def windowed(image: np.ndarray) -> np.ndarray:
    return np.clip((image.astype(float) - 60) * 1.5, 0, 255).astype(np.uint8)


def with_noise(image: np.ndarray) -> np.ndarray:
    noise = np.random.default_rng(0).normal(0, 10, image.shape)
    return np.clip(image + noise, 0, 255).astype(np.uint8)


CHANGES = {
    "none": lambda image: image,
    "jpeg": as_jpeg,
    "resized to 0.9": resized(0.9),
    "resized to 0.5": resized(0.5),
    "brightened": brightened,
    "another window": windowed,
    "noise": with_noise,
    "shifted by 2 px": lambda image: np.roll(image, (2, 2), (0, 1)),
    "shifted by -1 and 2 px": lambda image: np.roll(image, (-1, 2), (0, 1)),
    "16 bits": lambda image: image.astype(np.uint16) * 257,
    "left-right": lambda image: image[:, ::-1],
    "upside down": lambda image: image[::-1],
    "transposed": lambda image: image.T,
    "turned by 90 degrees": np.rot90,
    "turned by 270 degrees": lambda image: np.rot90(image, 3),
    "left-right, as JPEG": lambda image: as_jpeg(np.ascontiguousarray(image[:, ::-1])),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_copy_is_found(change: str, slices: list[np.ndarray]) -> None:
    changed = [np.ascontiguousarray(CHANGES[change](image)) for image in slices]
    thumbnails = np.stack([make_thumbnail(image) for image in slices + changed])
    owner = ["original"] * len(slices) + ["copy"] * len(slices)
    pairs = find_near_duplicates(thumbnails, owner)
    assert {(index, index + len(slices)) for index in range(len(slices))} <= set(pairs)
    patients = {(first // 3, (second - len(slices)) // 3) for first, second in pairs}
    assert all(first == second for first, second in patients)  # only slices of the same patient


def test_slices_of_different_patients_are_not_alike(slices: list[np.ndarray]) -> None:
    thumbnails = np.stack([make_thumbnail(image) for image in slices])
    assert find_near_duplicates(thumbnails, [str(index // 3) for index in range(18)]) == []


def test_pairs_of_an_equal_key_are_left_out(slices: list[np.ndarray]) -> None:
    thumbnails = np.stack([make_thumbnail(slices[0])] * 4)
    splits, patients = ["train", "train", "test", "test"], ["a", "b", "a", "b"]
    assert find_near_duplicates(thumbnails, splits, patients) == [(0, 3), (1, 2)]


def test_constant_slices_are_like_no_other() -> None:
    levels = (0, 7, 7)
    thumbnails = np.stack([make_thumbnail(np.full((80, 90), level, np.uint8)) for level in levels])
    assert not thumbnails.any()
    assert find_near_duplicates(thumbnails, ["a", "b", "c"]) == []


def test_no_slice_has_no_duplicate() -> None:
    assert find_near_duplicates(np.zeros((0, 64, 64), np.uint8), []) == []


def test_small_images_have_thumbnails_too() -> None:
    image = np.arange(20 * 30, dtype=np.uint16).reshape(20, 30)
    thumbnail = make_thumbnail(image)
    assert thumbnail.shape == (64, 64)
    assert (thumbnail.min(), thumbnail.max()) == (0, 255)
