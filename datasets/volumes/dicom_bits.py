"""How many bits a DICOM image says its values have, against what it stores."""

import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

_NATIVE = (ImplicitVRLittleEndian, ExplicitVRLittleEndian)
_OVERLAYS = range(0x6000, 0x6020, 2)
_MOST_BEYOND = 0.001  # of the pixels: a few that are beyond leave the image as it is


def lost_bits(dataset: Dataset) -> str | None:
    """What is wrong where values have more bits than BitsStored names: a decoder cuts them off.

    Bits of overlays, sign extensions and padding are no values. Compressed files are not looked
    into: their own headers say how many bits they have.

    Args:
        dataset: Of a file with one channel of pixels.

    Source: DICOM PS3.5, 8.1.1 (Pixel Data Encoding of Related Data Elements).
    """
    bits = dataset.get("BitsStored")
    if dataset.file_meta.get("TransferSyntaxUID") not in _NATIVE:
        return None
    if dataset.get("BitsAllocated") != 16 or not isinstance(bits, int) or not 0 < bits < 16:
        return None
    if any((group, 0x0010) in dataset for group in _OVERLAYS):
        return None
    words = np.frombuffer(dataset.PixelData[: 2 * dataset.Rows * dataset.Columns], "<u2")
    high = words >> bits
    is_beyond = high != 0
    if not is_beyond.any():
        return None
    if dataset.get("PixelRepresentation"):
        is_beyond &= (high != (1 << (16 - bits)) - 1) | ((words >> (bits - 1)) & 1 == 0)
    if (padding := dataset.get("PixelPaddingValue")) is not None:
        is_beyond &= words != int(padding) & 0xFFFF
    if np.count_nonzero(is_beyond) <= _MOST_BEYOND * words.size:
        return None
    return (
        f"its values have more than the {bits} bits of BitsStored, which would be cut off; correct "
        "BitsStored, or export it again"
    )
