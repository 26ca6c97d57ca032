"""The .npy stacks of Kaggle's covid-segmentation competition."""

import pickle
from pathlib import Path

import numpy as np
import pytest
from image_files import zip_folder

from datasets.intensity import IntensityRule
from datasets.sources.file_tree import FileTree
from datasets.sources.kaggle_medseg import SOURCE
from datasets.sources.source import SourceCase
from utils.errors import UserError


def images(seed: int = 0, count: int = 5) -> np.ndarray:
    """(slices, H, W, 1) float32."""
    return np.random.default_rng(seed).normal(0, 100, (count, 12, 16, 1)).astype(np.float32)


def channels(seed: int = 0, count: int = 5) -> np.ndarray:
    """(slices, H, W, 4) int8, one of the channels set in every px."""
    chosen = np.random.default_rng(seed).integers(0, 4, (count, 12, 16))
    return (chosen[..., None] == np.arange(4)).astype(np.int8)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "covid-segmentation"
    root.mkdir()
    for seed, (part, count) in enumerate({"medseg": 5, "radiopedia": 7}.items()):
        np.save(root / f"images_{part}.npy", images(seed, count))
        np.save(root / f"masks_{part}.npy", channels(seed, count))
    np.save(root / "test_images_medseg.npy", images(9))
    return root


def cases_of(root: Path) -> dict[str, SourceCase]:
    return {case.name: case for case in SOURCE.find_cases(FileTree(root))}


def refusal(root: Path) -> str:
    with pytest.raises(UserError) as caught:
        [list(case.read(8)) for case in SOURCE.find_cases(FileTree(root))]
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("packed", [False, True])
def test_the_slices_stand_by_themselves_and_the_volumes_together(packed: bool, root: Path) -> None:
    cases = cases_of(zip_folder(root) if packed else root)
    singles = [f"medseg_{index:03d}" for index in range(5)]
    assert list(cases) == [*singles, "radiopaedia"]
    assert [case.patient for case in cases.values()] == list(cases)
    assert [cases[name].is_volume for name in cases] == [False] * 5 + [True]
    assert [item.index for item in cases["radiopaedia"].read(8)] == list(range(7))
    assert [item.index for name in singles for item in cases[name].read(8)] == list(range(5))


def test_channels_become_classes_and_lung(root: Path) -> None:
    items = list(cases_of(root)["radiopaedia"].read(8))
    one_hot = channels(1, 7)
    for item, expected in zip(items, one_hot, strict=True):
        np.testing.assert_array_equal(item.label == 1, expected[..., 0] == 1)
        np.testing.assert_array_equal(item.label == 2, expected[..., 1] == 1)
        np.testing.assert_array_equal(item.lung, expected[..., 3] == 0)
        assert item.label.dtype == np.uint8


def test_consolidation_is_kept_where_it_overlaps_ground_glass(root: Path) -> None:
    mask = np.zeros((5, 12, 16, 4), np.float32)
    mask[..., 3] = 1
    mask[2, 4, 5] = (1, 1, 0, 0)
    np.save(root / "masks_medseg.npy", mask)
    (item,) = cases_of(root)["medseg_002"].read(8)
    assert np.argwhere(item.label).tolist() == [[4, 5]]
    assert item.label[4, 5] == 2
    assert np.argwhere(item.lung).tolist() == [[4, 5]]


@pytest.mark.parametrize("bits", [8, 16])
def test_every_stack_has_one_window_of_percentiles(bits: int, root: Path) -> None:
    np.save(root / "images_medseg.npy", images()[..., 0] * 50)  # without the last axis, too
    cases = cases_of(root)
    for name, values in (("medseg_003", images()[..., 0] * 50), ("radiopaedia", images(1, 7))):
        low, high = np.percentile(values[:, ::4, ::4], (0.5, 99.5))
        rule = IntensityRule("arbitrary", float(low), float(high))
        for item in cases[name].read(bits):
            expected = rule.apply(values[item.index].reshape(12, 16), bits).astype(int)
            assert np.abs(item.image - expected).max() <= 1
    assert SOURCE.intensity is None


def test_one_of_the_pairs_will_do(root: Path) -> None:
    (root / "images_medseg.npy").unlink()
    (root / "masks_medseg.npy").unlink()
    assert list(cases_of(root)) == ["radiopaedia"]


@pytest.mark.parametrize("name", ["images_medseg.npy", "masks_radiopedia.npy"])
def test_half_a_pair_is_refused(name: str, root: Path) -> None:
    (root / name).unlink()
    partner = name.replace("images", "x").replace("masks", "images").replace("x", "masks")
    assert refusal(root).startswith(f"{root / partner}: its images or its masks are missing")


@pytest.mark.parametrize("packed", [False, True])
def test_a_pickle_is_refused(packed: bool, root: Path) -> None:
    (root / "images_medseg.npy").write_bytes(pickle.dumps(images()))
    message = refusal(zip_folder(root) if packed else root)
    assert "images_medseg.npy: not a whole .npy file" in message
    assert packed == ("covid-segmentation.zip:" in message)


def test_objects_are_refused(root: Path) -> None:
    np.save(root / "images_medseg.npy", np.array([{}, []], object), allow_pickle=True)
    assert "images_medseg.npy: not a whole .npy file" in refusal(root)


@pytest.mark.parametrize("num_bytes", [0, 50, 1000])
def test_a_truncated_file_is_refused(num_bytes: int, root: Path) -> None:
    path = root / "masks_radiopedia.npy"
    path.write_bytes(path.read_bytes()[:num_bytes])
    assert refusal(root).startswith(f"{path}: not a whole .npy file")


@pytest.mark.parametrize("shape", [(10**12,), (2**62, 2**62), (10**6, 512, 512, 1)])
def test_a_header_that_promises_too_much_is_refused(shape: tuple[int, ...], root: Path) -> None:
    path = root / "images_medseg.npy"
    with path.open("wb") as stream:
        header = {"descr": "<f4", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(stream, header)
    assert refusal(root).startswith(f"{path}: not a whole .npy file")


def test_an_npz_under_that_name_is_refused(root: Path) -> None:
    np.savez(root / "x.npz", a=images())
    (root / "x.npz").rename(root / "images_medseg.npy")
    assert "images_medseg.npy: not a whole .npy file" in refusal(root)


@pytest.mark.parametrize("array", [np.array(["a", "b"]), np.zeros((0, 12, 16, 1))])
def test_what_holds_no_numbers_is_refused(array: np.ndarray, root: Path) -> None:
    np.save(root / "images_medseg.npy", array)
    assert "images_medseg.npy: holds no array of numbers" in refusal(root)


@pytest.mark.parametrize("wrong", [channels(0, 4), channels()[..., :3], channels()[:, :6]])
def test_masks_of_another_shape_are_refused(wrong: np.ndarray, root: Path) -> None:
    np.save(root / "masks_medseg.npy", wrong)
    message = refusal(root)
    assert "masks_medseg.npy: does not fit" in message
    assert "5 x 12 x 16 and " in message or "and 5 x 6 x 16 x 4" in message


def test_other_mask_values_are_named_with_their_slice(root: Path) -> None:
    mask = channels()
    mask[3, 0, 0, 0] = 5
    np.save(root / "masks_medseg.npy", mask)
    assert "masks_medseg.npy: slice 3 holds 5; expected 0 and 1" in refusal(root)


def test_infinite_values_are_refused(root: Path) -> None:
    values = images()
    values[4, 0, 0] = np.inf
    np.save(root / "images_medseg.npy", values)
    assert "images_medseg.npy: slice 4 holds NaN or infinite" in refusal(root)


def test_another_folder_is_refused_with_what_is_there(tmp_path: Path) -> None:
    np.save(tmp_path / "other.npy", images())
    message = refusal(tmp_path)
    assert "other.npy" in message
    assert "images_medseg.npy with masks_medseg.npy" in message
