"""DICOMDIR, the list of files on a disk."""

import warnings
from pathlib import Path

import pydicom

from datasets.volumes.dicom_file import DICOM_ERRORS, DicomStream
from utils.errors import UserError
from utils.messages import first_of


def check_disk(path: Path) -> None:
    """Refuse a list that names files which are not there, as where it was copied alone.

    Upper and lower case are one, as on the disk itself.

    Args:
        path: A DICOMDIR.

    Raises:
        UserError: Files are missing, or the list cannot be read.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # irregular values that nothing here depends on
            with DicomStream(path) as stream:
                records = pydicom.dcmread(stream).get("DirectoryRecordSequence") or ()
            names = [record.ReferencedFileID for record in records if "ReferencedFileID" in record]
    except DICOM_ERRORS as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{path}: damaged DICOMDIR ({reason}); name its folder instead") from error
    listed = ["/".join([name] if isinstance(name, str) else name) for name in names]
    there = {found.relative_to(path.parent).as_posix().lower() for found in path.parent.rglob("*")}
    missing = [name for name in listed if name.lower() not in there]
    if missing:
        raise UserError(
            f"{path}: names files that are not there, {first_of(missing)}; copy the whole disk"
        )
