"""CT scans and label volumes of NIfTI and DICOM, seen slice by slice as a radiologist sees them."""

from datasets.volumes.dicom import DicomVolume, open_series
from datasets.volumes.dicom_series import DicomSeries, find_series
from datasets.volumes.geometry import check_geometry, describe_placeless
from datasets.volumes.nifti import NiftiVolume, nifti_stem, open_nifti
from datasets.volumes.nifti_writer import write_nifti
from datasets.volumes.scratch import release_pages
from datasets.volumes.volume import AxialView, Volume

__all__ = [
    "AxialView",
    "DicomSeries",
    "DicomVolume",
    "NiftiVolume",
    "Volume",
    "check_geometry",
    "describe_placeless",
    "find_series",
    "nifti_stem",
    "open_nifti",
    "open_series",
    "release_pages",
    "write_nifti",
]
