"""The five lobes of a scan, given as a map: lungs whose score is that of real lobes."""

import numpy as np
from numpy.typing import NDArray

from severity.lungs.grid import read_label
from severity.lungs.sides import LEFT, RIGHT

# In the order that common tools number them in, from 1 or from 10.
LOBES = (
    ("left lung, upper lobe", LEFT),
    ("left lung, lower lobe", LEFT),
    ("right lung, upper lobe", RIGHT),
    ("right lung, middle lobe", RIGHT),
    ("right lung, lower lobe", RIGHT),
)
_FIRST_OF_TEN = 10
_KNOWN = ({*range(1, 6)}, {*range(_FIRST_OF_TEN, _FIRST_OF_TEN + 5)})


class GivenLobes:
    """Lungs of a lobe map.

    Attributes:
        origin: As Lungs.

    Args:
        lobes: (slices, H, W) uint8, or a memory map: 0 outside, and 1 to 5 or 10 to 14 in the order
            of LOBES.

    Raises:
        ValueError: Other values, or none of these.
    """

    origin = "Lungs and lobes are those of the lobe map given with the scan."

    def __init__(self, lobes: np.ndarray) -> None:
        self._lobes = lobes
        found = {int(v) for i in range(len(lobes)) for v in np.unique(read_label(lobes, i))} - {0}
        if not found or not any(found <= known for known in _KNOWN):
            listed = ", ".join(map(str, sorted(found)[:8])) or "0 alone"
            raise ValueError(
                f"has the values {listed}; a lobe map has 1 to 5, or 10 to 14 (left upper and "
                "lower lobe, right upper, middle and lower lobe), and 0 outside of the lungs"
            )
        first = 1 if found <= _KNOWN[0] else _FIRST_OF_TEN
        self._numbers = np.zeros(256, np.uint8)
        self._numbers[first : first + len(LOBES)] = np.arange(1, len(LOBES) + 1)
        self._sides = np.array([0, *(side for _, side in LOBES)], np.uint8)

    def attach(self, mask: np.ndarray) -> None:
        """Lobes that are given stay as they are."""

    def read_slice(self, index: int, lesion: NDArray[np.bool_]) -> NDArray[np.uint8]:
        """See Lungs."""
        return self._sides[self._read(index)]

    def count(self, mask: np.ndarray) -> NDArray[np.int64]:
        """Voxels of every lobe, in the order of LOBES: (5, 2), of the lobe and of lesion in it.

        Args:
            mask: (slices, H, W), or a memory map; > 0 is lesion.
        """
        total = np.zeros((len(LOBES) + 1, 2), np.int64)
        for index in range(len(mask)):
            lobe = self._read(index)
            inside = lobe[read_label(mask, index) > 0]
            for column, values in enumerate((lobe.ravel(), inside)):
                total[:, column] += np.bincount(values, minlength=len(LOBES) + 1)
        return total[1:]

    def _read(self, index: int) -> NDArray[np.uint8]:
        """Number of the lobe, (H, W), from 1; 0 outside."""
        return self._numbers[read_label(self._lobes, index)]
