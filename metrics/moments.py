"""Means and spreads of the probabilities of one case: background and lesion, by quadrant.

MAE, S-measure and the mean probability follow from them without another look at the image.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Spread(NamedTuple):
    """Probabilities of a set of pixels.

    Attributes:
        num_px: How many; the others are 0 for none.
        mean: Their mean.
        squares: Sum of their squared deviations from it; exactly 0 if all of them are equal.
    """

    num_px: int
    mean: float
    squares: float


class Group(NamedTuple):
    """The background, or the lesion.

    Attributes:
        whole: All of it.
        parts: What lies in the upper left and upper right quadrant; in the lower left and right.
    """

    whole: Spread
    parts: list[list[Spread]]


class CaseMoments(NamedTuple):
    """What case_moments gives.

    Attributes:
        top: Rows of the upper two quadrants, up to and with the lesion's rounded centroid.
        left: Columns of the left two. Without lesion the first quadrant is the whole image.
        background: Px off the lesion.
        lesion: Px on it.
    """

    top: int
    left: int
    background: Group
    lesion: Group

    def mean(self) -> float:
        """Mean probability."""
        background, lesion = self.background.whole, self.lesion.whole
        total = background.num_px * background.mean + lesion.num_px * lesion.mean
        return total / (background.num_px + lesion.num_px)

    def mean_error(self) -> float:
        """Mean of |P - G|: of P off the lesion, and of 1 - P on it."""
        background, lesion = self.background.whole, self.lesion.whole
        total = background.num_px * background.mean + lesion.num_px * (1 - lesion.mean)
        return total / (background.num_px + lesion.num_px)


def case_moments(prob: NDArray[np.floating], target: NDArray[np.bool_]) -> CaseMoments:
    """Sum up a case that check_case has passed.

    The sums start from one px of the background, or of the lesion: those of a constant group are
    exactly 0, and those of an almost constant one lose no digits.

    Args:
        prob: (H, W) float32 or float64, probabilities in [0, 1].
        target: (H, W) bool, True on the lesion.
    """
    height, width = target.shape
    indices = np.flatnonzero(target)
    short = indices.astype(np.int32)  # which is divided in half the time
    rows = short // width
    columns = short - rows * width
    top, left = _split(rows, height), _split(columns, width)
    values = prob.astype(np.float64).reshape(-1)
    on_lesion = values[indices]
    lesion_sums = _lesion_sums(on_lesion - on_lesion[:1], rows < top, columns < left)

    origin = float(values[target.argmin()])
    values -= origin
    values[indices] = 0
    num_px = np.outer((top, height - top), (left, width - left)) - lesion_sums[0]
    background_sums = _background_sums(values.reshape(target.shape), num_px, top, left)
    return CaseMoments(
        top,
        left,
        _group(origin, background_sums),
        _group(float(on_lesion[0]) if indices.size else 0.0, lesion_sums),
    )


def _split(indices: NDArray[np.int32], size: int) -> int:
    """Rows (columns) up to and with the rounded centroid, from those of the lesion px.

    Halves round to the even index, as in the common Python ports; the toolbox rounds them up.
    """
    return round(int(indices.sum()) / indices.size) + 1 if indices.size else size


def _lesion_sums(
    values: NDArray[np.float64], is_upper: NDArray[np.bool_], is_left: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """(3, 2, 2): px, sums and sums of squares by quadrant, of the lesion px in their order."""
    num_upper = np.count_nonzero(is_upper)  # the px are sorted by rows
    sides = np.stack([is_left, ~is_left]).astype(np.float64)
    powers = np.ones((3, values.size))
    powers[1:] = values
    powers[2] *= values
    upper, lower = slice(0, num_upper), slice(num_upper, None)
    return np.stack([powers[:, part] @ sides[:, part].T for part in (upper, lower)], axis=1)


def _background_sums(
    values: NDArray[np.float64], num_px: NDArray[np.float64], top: int, left: int
) -> NDArray[np.float64]:
    """(3, 2, 2): num_px, sums and sums of squares by quadrant; the (H, W) values are squared."""
    height, width = values.shape
    rows, columns = np.zeros((2, height)), np.zeros((width, 2))
    rows[0, :top] = rows[1, top:] = columns[:left, 0] = columns[left:, 1] = 1
    totals = rows @ values @ columns  # far faster than the sums of four slices
    np.square(values, out=values)
    return np.stack([num_px, totals, rows @ values @ columns])


def _group(origin: float, sums: NDArray[np.float64]) -> Group:
    """Means and deviations from (3, 2, 2) sums of `prob - origin`."""
    parts = sums.reshape(3, 4).T.tolist()
    whole = (sum(numbers) for numbers in zip(*parts, strict=True))
    first, *others = (_spread(origin, *numbers) for numbers in (whole, *parts))
    return Group(first, [others[:2], others[2:]])


def _spread(origin: float, num_px: float, total: float, square: float) -> Spread:
    """Mean and squared deviations from sums of `prob - origin`."""
    if num_px == 0:
        return Spread(0, 0.0, 0.0)
    offset = total / num_px
    return Spread(int(num_px), origin + offset, max(0.0, square - total * offset))
