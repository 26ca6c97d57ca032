from pathlib import Path

import cv2
import numpy as np
import pytest
from matplotlib.colors import to_rgb

from datasets.pairing import SliceFiles
from figures.palette import LUNG_OUTLINE, outline_colour
from preparation.overview import take_fingerprint
from preparation.overview.entries import SliceEntry
from preparation.overview.measure import SliceRow
from preparation.overview.montage import draw_tile, write_montage
from preparation.overview.selection import choose_slices
from tests.preparation.overview.conftest import SHAPE, images, labels


def make_row(split: str, patient: str, index: int, lesion_px: int) -> SliceRow:
    name = f"{patient}_z{index:03d}"
    files = SliceFiles(name, patient, Path(name), Path(name), None, None)
    entry = SliceEntry(files, None, split, patient, "drawn")
    return SliceRow(entry, (8, 8), lesion_px, None, {}, ())


def test_splits_and_patients_are_shown_alike_and_a_quarter_without_lesion() -> None:
    rows = [make_row("train", f"p{n}", z, z % 2) for n in range(4) for z in range(50)]
    rows += [make_row("val", f"q{n}", z, z % 2) for n in range(3) for z in range(10 * n + 4)]
    chosen = choose_slices(rows, 24)
    patients = [row.entry.files.patient for row in chosen]
    assert len({row.entry.files.name for row in chosen}) == 24
    assert sorted(patients.count(f"p{n}") for n in range(4)) == [2, 3, 3, 4]
    assert [patients.count(f"q{n}") for n in range(3)] == [3, 5, 4]  # q0 has two with lesion
    assert sum(row.lesion_px == 0 for row in chosen) == 6
    assert chosen == sorted(chosen, key=rows.index)


def test_more_patients_than_tiles_are_thinned_out_evenly() -> None:
    rows = [make_row("train", f"p{n:03d}", 0, 1) for n in range(240)]
    chosen = choose_slices(rows, 24)
    assert [rows.index(row) for row in chosen] == list(range(5, 240, 10))


@pytest.mark.parametrize("lesion_px", [0, 5])
def test_all_slices_of_a_small_folder_are_shown(lesion_px: int) -> None:
    rows = [make_row("test", "p", z, lesion_px) for z in range(5)]
    assert choose_slices(rows, 24) == rows


def test_a_tile_keeps_aspect_and_grey_levels_and_outlines_every_class(folder: Path) -> None:
    row = next(r for r in take_fingerprint(folder).rows if r.entry.files.name == "a_z001")
    tile = draw_tile(row, side=64)
    assert tile.shape == (*SHAPE, 3)
    far = np.s_[25:38, 12:50]
    assert np.abs(tile[far][..., 0] - images()["a_z001"][far] / 255).max() < 1e-6
    colours = {
        (10, 10): outline_colour(1),
        (13, 15): outline_colour(1),
        (15, 24): outline_colour(2),
    }
    for (y, x), colour in colours.items():
        assert tile[y, x] == pytest.approx(to_rgb(colour), abs=0.25)
    grey = images()["a_z001"][30, 8] / 255
    assert tile[30, 8] == pytest.approx(0.6 * np.array(to_rgb(LUNG_OUTLINE)) + 0.4 * grey, abs=0.1)


def test_an_outline_follows_the_mask_when_the_slice_is_made_smaller(folder: Path) -> None:
    row = next(r for r in take_fingerprint(folder).rows if r.entry.files.name == "c_z000")
    cv2.imwrite(str(row.entry.files.image), np.zeros(SHAPE, np.uint8))
    is_drawn = draw_tile(row, side=32)[..., 0] > 0.5
    y, x = np.nonzero(is_drawn)
    lesion = np.nonzero(labels()["c_z000"])
    # an outline through the middles of the outer px, on half the scale
    assert (y.min(), y.max()) == (lesion[0].min() // 2, lesion[0].max() // 2)
    assert (x.min(), x.max()) == (lesion[1].min() // 2, lesion[1].max() // 2)


def test_16_bit_slices_of_any_size_are_drawn_on_the_whole_scale(folder: Path) -> None:
    entry = next(r for r in take_fingerprint(folder).rows if r.entry.split == "val").entry
    for path, pixels in (
        (entry.files.image, np.full((30, 10), 32768, np.uint16)),
        (entry.files.mask, np.zeros((30, 10), np.uint8)),
        (entry.label, np.zeros((30, 10), np.uint8)),
    ):
        cv2.imwrite(str(path), pixels)
    row = next(r for r in take_fingerprint(folder).rows if r.entry.split == "val")
    tile = draw_tile(row, side=48)
    assert tile.shape == (48, 16, 3)
    assert tile == pytest.approx(0.5, abs=0.01)


def test_the_sheet_has_a_tile_per_slice_and_is_the_same_every_time(
    folder: Path, tmp_path: Path
) -> None:
    fingerprint = take_fingerprint(folder)
    for name in ("one.png", "two.png"):
        write_montage(tmp_path / name, fingerprint)
    sheet = cv2.imread(str(tmp_path / "one.png"))
    assert sheet.shape[1] == 4 * 256 + 3 * 10 + 2 * 14
    # the noise of the first slice, which is as wide as its tile and in the middle of its height
    assert sheet[14 + 48 : 14 + 208, 14 : 14 + 256].std() > 30
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()
