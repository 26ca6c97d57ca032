"""DICOM files with and without preamble, told by their first bytes."""

import io
import os
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path

import pydicom
from pydicom.dataset import FileDataset
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pydicom.valuerep import VR

from utils.errors import UserError

# Whatever pydicom and its decoders raise on damaged files; they have no class in common.
DICOM_ERRORS = (
    ArithmeticError, AttributeError, BytesLengthException, EOFError, InvalidDicomError, LookupError,
    OSError, RuntimeError, TypeError, ValueError, struct.error, zlib.error,
)  # fmt: skip

_PREAMBLE, _MAGIC = 128, b"DICM"
# A data set without preamble begins with its lowest tag: meta information, or the SOP common group
# up to the SOPInstanceUID, whose values are short.
_FIRST_GROUPS, _LAST_ELEMENT, _LONGEST_VALUE = (0x0002, 0x0008), 0x0018, 256
_LITTLE = 1 << 16
_VRS = frozenset(vr.value.encode() for vr in VR if len(vr.value) == 2)


def is_dicom(path: Path) -> bool:
    """Whether a file begins as DICOM files do, or as their data sets where the preamble is lost.

    Raises:
        UserError: The file cannot be read.
    """
    try:
        with path.open("rb") as stream:
            start = stream.read(_PREAMBLE + len(_MAGIC))
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); restore the file") from error
    return start[_PREAMBLE:] == _MAGIC or _begins_as_data_set(start)


def _begins_as_data_set(start: bytes) -> bool:
    """Whether bytes are a tag as it stands first, with a VR or a likely length."""
    if len(start) < 8:
        return False
    for order in "<>":
        group, element = struct.unpack(f"{order}HH", start[:4])
        if group in _FIRST_GROUPS and element <= _LAST_ELEMENT:
            length = struct.unpack(f"{order}I", start[4:8])[0]
            return start[4:6] in _VRS or 0 < length <= _LONGEST_VALUE
    return False


class DicomStream(io.BufferedReader):
    """A file, of which no more is read than it holds, whatever length an element claims.

    Python takes the memory for so many bytes before it reads the first one.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(io.FileIO(path))
        self._num_bytes = os.fstat(self.fileno()).st_size

    def read(self, size: int | None = -1) -> bytes:
        """See io.BufferedReader."""
        if size is not None and 0 <= size <= _LITTLE:
            return super().read(size)
        left = max(self._num_bytes - self.tell(), 0)
        return super().read(left if size is None or size < 0 else min(size, left))


def read_dicom(
    path: Path, tags: Sequence[str] | None = None, *, with_pixels: bool = True
) -> FileDataset:
    """A data set with its transfer syntax, also where the file does not name it.

    Args:
        path: A file of which `is_dicom` holds.
        tags: Keywords that are wanted; None reads all.
        with_pixels: Whether pixels are read, too.

    Raises:
        DICOM_ERRORS: The file is damaged, or holds compressed pixels and does not say how.
    """
    with DicomStream(path) as stream:
        is_bare = stream.read(_PREAMBLE + len(_MAGIC))[_PREAMBLE:] != _MAGIC
        stream.seek(0)
        dataset = pydicom.dcmread(
            stream, force=is_bare, stop_before_pixels=not with_pixels, specific_tags=tags
        )
    if "TransferSyntaxUID" not in dataset.file_meta:
        if "PixelData" in dataset and dataset["PixelData"].is_undefined_length:
            raise ValueError("compressed pixels without a transfer syntax that says how")
        is_implicit, is_little = dataset.original_encoding
        explicit = ExplicitVRLittleEndian if is_little else ExplicitVRBigEndian
        dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian if is_implicit else explicit
    return dataset
