"""Chest X-rays are read as they are shown: bone bright, air dark, whatever the file stores."""

from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from radiograph_files import write_radiograph

from datasets.image_io import write_png
from datasets.radiographs import is_radiograph, read_radiograph
from utils.errors import UserError

RAMP = np.arange(0, 4000, 50).reshape(8, 10)  # 0 to 3950
WHITE = 65535


def stretched(values: np.ndarray) -> np.ndarray:
    """Over 16 bits, by hand."""
    low, high = values.min(), values.max()
    return np.rint((values - low) * (WHITE / (high - low)))


def test_levels_without_a_window_are_stretched(tmp_path: Path) -> None:
    levels = read_radiograph(write_radiograph(tmp_path / "a", RAMP))
    assert levels.dtype == np.uint16
    np.testing.assert_array_equal(levels, stretched(RAMP))


def test_monochrome1_is_inverted(tmp_path: Path) -> None:
    path = write_radiograph(tmp_path / "a", 4095 - RAMP, PhotometricInterpretation="MONOCHROME1")
    np.testing.assert_array_equal(read_radiograph(path), stretched(RAMP))


@pytest.mark.parametrize("rescale", [{}, {"RescaleSlope": 2, "RescaleIntercept": -100}])
def test_the_window_is_applied_after_the_rescale(rescale: dict, tmp_path: Path) -> None:
    slope, intercept = rescale.get("RescaleSlope", 1), rescale.get("RescaleIntercept", 0)
    # LINEAR_EXACT: from 1000 to 3000 of what is stored.
    window = {
        "WindowCenter": 2000 * slope + intercept,
        "WindowWidth": 2000 * slope,
        "VOILUTFunction": "LINEAR_EXACT",
    }
    levels = read_radiograph(write_radiograph(tmp_path / "a", RAMP, **window, **rescale))
    np.testing.assert_allclose(levels, stretched(RAMP.clip(1000, 3000)), atol=1)


def test_a_voi_table_is_applied(tmp_path: Path) -> None:
    table = Dataset()
    table.LUTDescriptor = [4096, 0, 16]
    table.add_new(0x00283006, "US", (np.arange(4096) // 1024 * 100).tolist())
    path = write_radiograph(tmp_path / "a", RAMP, VOILUTSequence=Sequence([table]))
    np.testing.assert_array_equal(read_radiograph(path), stretched(RAMP // 1024))


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_padding_is_black_and_does_not_stretch(photometric: str, tmp_path: Path) -> None:
    stored = RAMP.clip(500, 3000)
    stored[0] = 4095
    path = write_radiograph(
        tmp_path / "a", stored, PixelPaddingValue=4095, PhotometricInterpretation=photometric
    )
    levels = read_radiograph(path)
    assert not levels[0].any()
    assert (levels[1:].min(), levels[1:].max()) == (0, WHITE)


def test_images_are_read_by_their_luma(tmp_path: Path) -> None:
    pixels = np.repeat((RAMP // 16).astype(np.uint8)[..., None], 3, 2)
    pixels[2, 3] = (0, 0, 255)
    write_png(tmp_path / "a.png", pixels)
    levels = read_radiograph(tmp_path / "a.png")
    assert (levels[0, 0], levels[2, 3], levels[7, 9]) == (0, 76, 246)


@pytest.mark.parametrize(
    ("fields", "part"),
    [
        ({"NumberOfFrames": 2, "PixelData": RAMP.astype("<u2").tobytes() * 2}, "2 frames"),
        ({"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB"}, "a coloured image"),
        ({"PixelData": b"1234"}, "cannot be decoded"),
    ],
)
def test_what_is_no_single_grey_image_is_refused(fields: dict, part: str, tmp_path: Path) -> None:
    path = write_radiograph(tmp_path / "a", RAMP, **fields)
    with pytest.raises(UserError) as caught:
        read_radiograph(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert part in str(caught.value)
    assert "\n" not in str(caught.value)


def test_modalities_are_told_by_the_header(tmp_path: Path) -> None:
    paths = [write_radiograph(tmp_path / kind, RAMP, modality=kind) for kind in ("CR", "DX", "OT")]
    assert [is_radiograph(path) for path in paths] == [True, True, False]
    assert is_radiograph(paths[2], any_modality=True)
    write_png(tmp_path / "a.png", RAMP.astype(np.uint8))
    assert not is_radiograph(tmp_path / "a.png", any_modality=True)
