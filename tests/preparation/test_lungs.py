"""Lung masks found in the slices of a data folder: where they go, and when there are none."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from datasets.card import DataCard, read_card, write_card
from datasets.image_io import read_gray, write_png
from datasets.intensity import LUNG_WINDOW, UNIT_RANGE, IntensityRule
from datasets.pairing import find_slices
from tests.severity.chest import SPACING, dice, make_chest
from utils.errors import UserError

KEPT = range(4, 48, 3)  # of the chest's slices


def write_chest(root: Path, split: str, *, bits: int = 8, lung: bool = False) -> None:
    """Every third slice of a chest; those around the middle have a dense lesion in the lung."""
    chest = make_chest()
    for index in KEPT:
        hu, lesion = chest.hu[index].copy(), np.zeros(chest.hu[index].shape, bool)
        lesion[30:44, 84:98] = 20 < index < 30
        hu[lesion] = 30
        name = f"{split}_z{index:03d}.png"
        write_png(root / split / "image" / name, LUNG_WINDOW.apply(hu, bits))
        write_png(root / split / "mask" / name, lesion.astype(np.uint8) * 255)
        if lung:
            beside = np.roll(chest.lung[index] > 0, 2, axis=1)
            write_png(root / split / "lung" / name, beside.astype(np.uint8) * 255)


def write_folder(root: Path, rule: IntensityRule | None = LUNG_WINDOW, **options: object) -> None:
    for split in ("train", "test"):
        for kind in ("image", "mask", "lung"):
            (root / split / kind).mkdir(parents=True)
        write_chest(root, split, **options)
    spacing = f"{SPACING[1]:g}x{SPACING[2]:g}x{SPACING[0]:g}"
    lines = ["file,split,patient,case,slice,spacing_mm"]
    for split in ("train", "test"):
        lines += [f"{split}_z{i:03d}.png,{split},{split},{split},{i},{spacing}" for i in KEPT]
    (root / "manifest.csv").write_text("\n".join(lines) + "\n")
    write_card(root, DataCard((), rule, options.get("bits", 8), {}))


@pytest.mark.parametrize("bits", [8, 16])
def test_lungs_are_found_with_dense_lesions_and_lie_in_a_folder_of_their_own(
    run_script: Callable, tmp_path: Path, bits: int
) -> None:
    write_folder(tmp_path, bits=bits)
    finished = run_script("prepare.py", "lungs", tmp_path)
    assert finished.code == 0, finished.err
    assert f"{tmp_path / 'test' / 'lung_derived'}: {len(KEPT)} lung masks" in finished.out
    assert "Dice" not in finished.out  # with what?
    chest = make_chest()
    for split in ("train", "test"):
        for slices, wanted in (("derived", len(KEPT)), ("given", 0), ("none", 0)):
            found = find_slices(tmp_path, split, slices)
            assert sum(files.lung is not None for files in found) == wanted
        derived = find_slices(tmp_path, split, "derived")
        masks = np.stack([read_gray(files.lung) for files in derived])
        assert set(np.unique(masks)) == {0, 255}
        assert dice(masks > 0, chest.lung[KEPT] > 0) > 0.95
        lesions = np.stack([read_gray(files.mask) for files in derived]) > 0
        assert lesions.any()
        assert (masks[lesions] == 255).all()
    assert run_script("prepare.py", "lungs", tmp_path).code == 2


def test_the_agreement_with_given_masks_is_said(run_script: Callable, tmp_path: Path) -> None:
    write_folder(tmp_path, lung=True)
    finished = run_script("prepare.py", "lungs", tmp_path)
    assert f"with the {2 * len(KEPT)} lung masks of the data set" in finished.out
    assert "Dice 9" in finished.out


@pytest.mark.parametrize("rule", [None, UNIT_RANGE])
def test_an_unknown_window_is_asked_for_and_nothing_is_written(
    run_script: Callable, refused: Callable, tmp_path: Path, rule: IntensityRule | None
) -> None:
    write_folder(tmp_path, rule)
    refused(run_script("prepare.py", "lungs", tmp_path), str(tmp_path), "--window LOW HIGH")
    narrow = run_script("prepare.py", "lungs", tmp_path, "--window", "-600", "250")
    refused(narrow, "-600 to 250 HU is too narrow")
    assert not list(tmp_path.rglob("*lung_derived*"))
    assert run_script("prepare.py", "lungs", tmp_path, "--window", "-1250", "250").code == 0


def test_x_rays_are_refused_whatever_the_window(
    run_script: Callable, refused: Callable, tmp_path: Path
) -> None:
    write_folder(tmp_path)
    write_card(tmp_path, read_card(tmp_path)._replace(modality="DX"))
    finished = run_script("prepare.py", "lungs", tmp_path, "--window", "-1250", "250")
    refused(finished, str(tmp_path), "chest X-rays")


def test_a_scan_without_lungs_gets_no_masks(run_script: Callable, tmp_path: Path) -> None:
    write_folder(tmp_path)
    for path in (tmp_path / "test" / "image").iterdir():
        write_png(path, np.full_like(read_gray(path), 220))
    finished = run_script("prepare.py", "lungs", tmp_path)
    assert finished.code == 0, finished.err
    assert "no lungs in 1 scan of 2: test" in finished.out
    assert not any((tmp_path / "test" / "lung_derived").iterdir())


def test_a_damaged_slice_leaves_nothing_behind(
    run_script: Callable, refused: Callable, tmp_path: Path
) -> None:
    write_folder(tmp_path)
    last = sorted((tmp_path / "train" / "image").iterdir())[-1]
    last.write_bytes(last.read_bytes()[:60])
    refused(run_script("prepare.py", "lungs", tmp_path), str(last))
    assert not list(tmp_path.rglob("*lung_derived*"))


def test_derived_masks_that_were_never_made_are_asked_for(tmp_path: Path) -> None:
    write_folder(tmp_path)
    with pytest.raises(
        UserError, match=f"data.lung: no folder .* 'python prepare.py lungs {tmp_path}'"
    ):
        find_slices(tmp_path, "train", "derived")
