"""Series of DICOM files as volumes."""

import random
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest
from dicom_files import AXIAL, CORONAL, SAGITTAL, at, write_series
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRBigEndian, ImplicitVRLittleEndian, RLELossless

from datasets.volumes import DicomSeries, find_series, open_series, write_nifti

# Columns to the head, rows to the left, not at right angles to the patient: a turned head.
OBLIQUE = (0.96, 0.28, 0.0, -0.168, 0.576, -0.8)
# On the belly, with the feet first: slices from head to feet.
PRONE_FEET_FIRST = (1, 0, 0, 0, -1, 0)


def hounsfield(shape: tuple[int, int, int] = (5, 6, 7)) -> np.ndarray:
    """Whole HU of 12 bits."""
    return np.random.default_rng(0).integers(-1000, 3000, shape)


def find_one(folder: Path) -> DicomSeries:
    """The only series there."""
    (series,) = find_series(folder)
    return series


def test_an_axial_series_is_shown_as_it_was_acquired(tmp_path: Path) -> None:
    values = hounsfield()
    paths = write_series(tmp_path, values)
    series = find_one(tmp_path)
    assert series.files == tuple(paths)
    assert (series.patient, series.folder, series.problem) == ("P1", tmp_path, None)
    with open_series(series) as volume:
        np.testing.assert_array_equal(volume.axial, values)
        np.testing.assert_array_equal(volume.read_slice(2), values[2].astype(np.float32))
        assert volume.spacing == (2.5, 0.7, 0.8)
        assert volume.axial_files == tuple(paths)
        assert volume.name == series.name


def test_the_affine_takes_voxels_to_the_right_front_and_head(tmp_path: Path) -> None:
    write_series(tmp_path, hounsfield(), origin=(-120, -130, 40))
    with open_series(find_one(tmp_path)) as volume:
        # DICOM counts to the left and the back: -120 mm is on the right.
        expected = [[-0.8, 0, 0, 120], [0, -0.7, 0, 130], [0, 0, 2.5, 40], [0, 0, 0, 1]]
        np.testing.assert_allclose(volume.view.affine, expected, atol=1e-9)
        assert volume.view.stored_shape == (7, 6, 5)


@pytest.mark.parametrize(
    "orientation", [AXIAL, PRONE_FEET_FIRST, (-1, 0, 0, 0, -1, 0), CORONAL, SAGITTAL, OBLIQUE]
)
def test_every_direction_is_shown_upright_and_goes_back_to_its_files(
    tmp_path: Path, orientation: tuple[float, ...]
) -> None:
    values = hounsfield()
    paths = write_series(tmp_path, values, orientation=orientation)
    with open_series(find_one(tmp_path)) as volume:
        with write_nifti(tmp_path / "scan.nii", volume, np.int16) as written:
            written[:] = volume.axial
        canonical = nib.as_closest_canonical(nib.load(tmp_path / "scan.nii")).dataobj
        shown = np.asarray(canonical).transpose(2, 1, 0)[:, ::-1, ::-1]
        np.testing.assert_array_equal(volume.axial, shown)
        np.testing.assert_array_equal(volume.frames_of(volume.axial), values)
        assert volume.series.files == tuple(paths)


def test_a_voxel_lies_where_its_header_says(tmp_path: Path) -> None:
    values = np.zeros((4, 6, 7), int)
    values[3, 2, 5] = 1000
    write_series(tmp_path, values, orientation=OBLIQUE, origin=(10, 20, 30))
    with open_series(find_one(tmp_path)) as volume:
        found = np.argwhere(volume.view.back(volume.axial) == 1000)[0]
        right, front, head = (volume.view.affine @ [*found, 1])[:3]
    row, column = np.array(OBLIQUE[:3]), np.array(OBLIQUE[3:])
    # Equation C.7.6.2.1-1 of DICOM PS3.3: columns go along the row direction.
    expected = np.array([10, 20, 30]) + 5 * 0.8 * row + 2 * 0.7 * column
    expected += 3 * 2.5 * np.cross(row, column)
    np.testing.assert_allclose((-right, -front, head), expected, atol=1e-3)


def test_directions_that_were_rounded_do_not_change_the_spacing(tmp_path: Path) -> None:
    write_series(tmp_path, hounsfield(), orientation=(0.9998, 0, 0, 0, 1.0002, 0))
    with open_series(find_one(tmp_path)) as volume:
        assert volume.spacing[1:] == (0.7, 0.8)


def test_slices_from_head_to_feet_name_their_files(tmp_path: Path) -> None:
    paths = write_series(tmp_path, hounsfield(), orientation=PRONE_FEET_FIRST)
    with open_series(find_one(tmp_path)) as volume:
        assert volume.axial_files == tuple(reversed(paths))


@pytest.mark.parametrize("orientation", [CORONAL, SAGITTAL])
def test_files_across_axial_slices_are_not_named(
    tmp_path: Path, orientation: tuple[float, ...]
) -> None:
    write_series(tmp_path, hounsfield((6, 6, 7)), orientation=orientation)
    with open_series(find_one(tmp_path)) as volume:
        assert volume.axial_files is None
        assert volume.shape[0] == 6


def test_names_and_numbers_of_files_do_not_matter(tmp_path: Path) -> None:
    values, order = hounsfield(), list(range(5))
    random.Random(0).shuffle(order)

    def renumber(index: int, dataset: Dataset) -> None:
        dataset.InstanceNumber = 9 - order[index]

    paths = write_series(
        tmp_path, values, names=lambda index: f"sub{order[index] % 2}_{order[index]}.bin",
        change=renumber,
    )  # fmt: skip
    with open_series(find_one(tmp_path)) as volume:
        np.testing.assert_array_equal(volume.axial, values)
        assert volume.axial_files == tuple(paths)


def test_each_slice_has_its_own_rescaling(tmp_path: Path) -> None:
    values = np.zeros((3, 4, 5), int)  # stored 1024

    def rescale(index: int, dataset: Dataset) -> None:
        dataset.RescaleSlope, dataset.RescaleIntercept = 0.5 + index, -1000.25

    write_series(tmp_path, values, change=rescale)
    with open_series(find_one(tmp_path)) as volume:
        expected = [1024 * slope - 1000.25 for slope in (0.5, 1.5, 2.5)]
        assert volume.axial[:, 0, 0].tolist() == expected
        assert volume.read_slice(1)[0, 0] == expected[1]


def _signed(dataset: Dataset, values: list[int]) -> None:
    """Store signed values with an intercept of 0, as some scanners do."""
    dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 15, 1
    dataset.RescaleIntercept = 0
    dataset.PixelData = np.array(values, "<i2").tobytes()


@pytest.mark.parametrize("padding", [-2000, 63536])
def test_padding_becomes_air(tmp_path: Path, padding: int) -> None:
    def pad(index: int, dataset: Dataset) -> None:
        _signed(dataset, [-2000, -1024, 0, 500])
        dataset.add_new("PixelPaddingValue", "SS" if padding < 0 else "US", padding)

    write_series(tmp_path, np.zeros((1, 1, 4), int), change=pad)
    with open_series(find_one(tmp_path)) as volume:
        assert volume.read_slice(0).tolist() == [[-1024, -1024, 0, 500]]


def test_a_range_of_padding_becomes_air(tmp_path: Path) -> None:
    def pad(index: int, dataset: Dataset) -> None:
        _signed(dataset, [-3000, -2500, -2000, -1999])
        dataset.add_new("PixelPaddingValue", "SS", -2000)
        dataset.add_new("PixelPaddingRangeLimit", "SS", -3000)

    write_series(tmp_path, np.zeros((1, 1, 4), int), change=pad)
    with open_series(find_one(tmp_path)) as volume:
        assert volume.read_slice(0).tolist() == [[-1024, -1024, -1024, -1999]]


@pytest.mark.parametrize("keyword", ["SpacingBetweenSlices", "SliceThickness", None])
def test_a_single_slice_has_the_distance_of_its_header(tmp_path: Path, keyword: str | None) -> None:
    def thicken(index: int, dataset: Dataset) -> None:
        dataset.SliceThickness = None
        if keyword:
            setattr(dataset, keyword, 4)

    write_series(tmp_path, hounsfield((1, 6, 7)), change=thicken)
    with open_series(find_one(tmp_path)) as volume:
        assert volume.spacing == (4 if keyword else 1, 0.7, 0.8)


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian, RLELossless])
def test_other_transfer_syntaxes_are_decoded(tmp_path: Path, syntax: str) -> None:
    values = hounsfield()
    for path in write_series(tmp_path, values):
        dataset = pydicom.dcmread(path)
        if syntax == RLELossless:
            dataset.compress(syntax)
        else:
            if syntax == ExplicitVRBigEndian:
                dataset.PixelData = dataset.pixel_array.astype(">u2").tobytes()
            dataset.file_meta.TransferSyntaxUID = syntax
            endian = syntax != ExplicitVRBigEndian
            dataset = _reencode(dataset, endian, syntax == ImplicitVRLittleEndian)
        dataset.save_as(path, enforce_file_format=True)
    with open_series(find_one(tmp_path)) as volume:
        np.testing.assert_array_equal(volume.axial, values)


def _reencode(dataset: Dataset, little: bool, implicit: bool) -> Dataset:
    """A copy without the memory of how it was read, which pydicom would keep to."""
    copy = Dataset(dataset)
    copy.file_meta = dataset.file_meta
    copy.set_original_encoding(implicit, little)
    return copy


def test_positions_in_tenths_of_a_mm_are_even_enough(tmp_path: Path) -> None:
    def round_off(index: int, dataset: Dataset) -> None:
        dataset.ImagePositionPatient[2] = f"{index * 0.625:.1f}"  # steps of 0.6 and 0.7

    write_series(tmp_path, hounsfield((40, 2, 3)), spacing=(0.625, 0.7, 0.7), change=round_off)
    with open_series(find_one(tmp_path)) as volume:
        np.testing.assert_allclose(volume.spacing[0], 0.625, atol=0.003)


def test_a_gantry_tilt_is_kept(tmp_path: Path) -> None:
    def tilt(index: int, dataset: Dataset) -> None:
        dataset.ImagePositionPatient = [0, 1.5 * index, 2 * index]

    write_series(tmp_path, hounsfield(), change=tilt)
    with open_series(find_one(tmp_path)) as volume:
        np.testing.assert_allclose(volume.view.affine[:3, 2], (0, -1.5, 2))
        assert volume.spacing[0] == pytest.approx(2)


def test_no_series_is_decoded_by_finding_it(tmp_path: Path) -> None:
    def drop_pixels(index: int, dataset: Dataset) -> None:
        del dataset.PixelData

    write_series(tmp_path, hounsfield(), change=drop_pixels)
    assert find_one(tmp_path).problem is None


@pytest.mark.parametrize("unit", [None, "", "HU", "hu ", "[HU]", "US", "Hounsfield Units"])
def test_a_series_is_in_hounsfield_units_where_its_rescale_type_says_nothing_else(
    tmp_path: Path, unit: str | None
) -> None:
    write_series(tmp_path, np.full((3, 4, 5), -700), change=at(-1, RescaleType=unit))
    (series,) = find_series(tmp_path)
    with open_series(series) as volume:
        assert np.unique(volume.read_slice(1)).tolist() == [-700]
