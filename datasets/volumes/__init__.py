"""CT scans and label volumes of NIfTI and DICOM, seen slice by slice as a radiologist sees them."""

from datasets.volumes.dicom import DicomVolume, find_padding, open_series
from datasets.volumes.dicom_disk import check_disk
from datasets.volumes.dicom_file import DICOM_ERRORS, is_dicom, read_dicom
from datasets.volumes.dicom_series import DicomSeries, find_series, list_files, search_series
from datasets.volumes.geometry import check_geometry, describe_mismatch, describe_placeless
from datasets.volumes.nifti import NiftiVolume, nifti_stem, open_nifti, read_nifti_shape
from datasets.volumes.nifti_writer import write_nifti
from datasets.volumes.scratch import release_pages
from datasets.volumes.volume import AxialView, Volume

__all__ = [
    "DICOM_ERRORS",
    "AxialView",
    "DicomSeries",
    "DicomVolume",
    "NiftiVolume",
    "Volume",
    "check_disk",
    "check_geometry",
    "describe_mismatch",
    "describe_placeless",
    "find_padding",
    "find_series",
    "is_dicom",
    "list_files",
    "nifti_stem",
    "open_nifti",
    "open_series",
    "read_dicom",
    "read_nifti_shape",
    "release_pages",
    "search_series",
    "write_nifti",
]
