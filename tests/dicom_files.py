"""CT series in miniature, whole enough for a viewer and for highdicom."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

# Directions of columns and rows in the patient (LPS+), as ImageOrientationPatient has them.
AXIAL = (1, 0, 0, 0, 1, 0)
CORONAL = (1, 0, 0, 0, 0, -1)
SAGITTAL = (0, 1, 0, 0, 0, -1)


def write_series(
    folder: Path,
    hounsfield: np.ndarray,
    *,
    spacing: tuple[float, float, float] = (2.5, 0.7, 0.8),
    orientation: tuple[float, ...] = AXIAL,
    origin: tuple[float, float, float] = (-120.0, -130.0, 40.0),
    patient: str | None = "P1",
    number: int = 2,
    description: str = "Thorax 1.0 B70f",
    seed: str = "series",
    names: Callable[[int], str] = "IM{:04d}".format,
    change: Callable[[int, Dataset], object] = lambda index, dataset: None,
) -> list[Path]:
    """Write a series, one file per slice, along the normal of its slices.

    Args:
        folder: Made where it is missing.
        hounsfield: (slices, rows, columns) whole HU from -1024.
        spacing: Distance of slices, of rows and of columns, mm.
        orientation: See above.
        origin: Of the first slice, mm (LPS+).
        patient: PatientID; None leaves it out.
        number: SeriesNumber; description likewise.
        seed: Series of equal seeds have equal UIDs.
        names: Of the file of a slice.
        change: Called with every index and dataset before it is written.

    Returns:
        The files in the order of the slices.
    """
    folder.mkdir(parents=True, exist_ok=True)
    normal = np.cross(orientation[:3], orientation[3:])
    paths = []
    for index, values in enumerate(hounsfield):
        dataset = _image(values)
        _set_uids(dataset, seed, index)
        dataset.SeriesNumber, dataset.SeriesDescription = number, description
        dataset.InstanceNumber = index + 1
        if patient is not None:
            dataset.PatientID = patient
        position = np.asarray(origin, float) + normal * index * spacing[0]
        dataset.ImagePositionPatient = [f"{value:.6g}" for value in position]
        dataset.ImageOrientationPatient = [f"{value:.10g}" for value in orientation]
        dataset.PixelSpacing = [spacing[1], spacing[2]]
        dataset.SliceThickness = spacing[0]
        change(index, dataset)
        paths.append(folder / names(index))
        dataset.save_as(paths[-1], enforce_file_format=True)
    return paths


def _set_uids(dataset: Dataset, seed: str, index: int) -> None:
    """Of an image of a series, and of the series, the study and the frame of reference."""
    dataset.SOPInstanceUID = generate_uid(entropy_srcs=[seed, str(index)])
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.SeriesInstanceUID = generate_uid(entropy_srcs=[seed])
    dataset.StudyInstanceUID = generate_uid(entropy_srcs=["study"])
    dataset.FrameOfReferenceUID = generate_uid(entropy_srcs=["frame of reference"])


def at(place: int, **fields: object) -> Callable[[int, Dataset], None]:
    """A change of some fields of one slice, None for leaving them out; of every slice for -1."""

    def change(index: int, dataset: Dataset) -> None:
        for name, value in fields.items():
            if place in (index, -1):
                if value is None:
                    delattr(dataset, name)
                else:
                    setattr(dataset, name, value)

    return change


def _image(hounsfield: np.ndarray) -> Dataset:
    """A CT image without its place in a series."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID = CTImageStorage
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    dataset.Modality = "CT"
    dataset.PatientName = "Doe^Jo"
    dataset.PatientBirthDate = dataset.PatientSex = dataset.AccessionNumber = ""
    dataset.PatientPosition = "HFS"
    dataset.StudyID, dataset.ReferringPhysicianName = "1", ""
    dataset.StudyDate = dataset.SeriesDate = dataset.ContentDate = "20200401"
    dataset.StudyTime = dataset.SeriesTime = dataset.ContentTime = "120000"
    dataset.Manufacturer = dataset.ManufacturerModelName = "Phantom"
    dataset.AcquisitionNumber, dataset.KVP = 1, 120
    dataset.PositionReferenceIndicator = ""
    dataset.Rows, dataset.Columns = hounsfield.shape
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 12, 11
    dataset.PixelRepresentation = 0
    dataset.RescaleSlope, dataset.RescaleIntercept, dataset.RescaleType = 1, -1024, "HU"
    dataset.PixelData = (np.asarray(hounsfield) + 1024).astype("<u2").tobytes()
    return dataset
