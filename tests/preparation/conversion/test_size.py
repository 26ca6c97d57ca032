"""Slices made smaller: every layer by its own rule."""

import numpy as np
import pytest

from datasets.sources.source import CaseSlice
from preparation.conversion.size import shrink_slice


def make_slice() -> CaseSlice:
    """8 x 4 px: of the four px that become one, 3 are class 2 here, 2 lung, 1 edge."""
    label, lung, edge = np.zeros((3, 8, 4), np.uint8)
    label[0, 0], label[0, 1], label[1, 0] = 2, 2, 2
    label[4, 2] = 1
    lung[0, :2], lung[2, 0] = 1, 1
    edge[6, 2] = 1
    image = np.arange(32, dtype=np.uint8).reshape(8, 4)
    return CaseSlice(0, image, label, lung > 0, edge > 0)


def test_grey_levels_are_averaged_and_masks_go_by_their_share() -> None:
    small = shrink_slice(make_slice(), 4)
    # The first px: (0 + 1 + 4 + 5) / 4 = 2.5, rounded by OpenCV to the even or the upper one.
    assert small.image.shape == (4, 2)
    assert small.image[0, 0] in (2, 3)
    assert small.image[3, 1] in (28, 29)  # (26 + 27 + 30 + 31) / 4 = 28.5
    np.testing.assert_array_equal(small.label, [[2, 0], [0, 0], [0, 0], [0, 0]])
    np.testing.assert_array_equal(small.lung, [[1, 0], [0, 0], [0, 0], [0, 0]])
    np.testing.assert_array_equal(small.edge, [[0, 0], [0, 0], [0, 0], [0, 1]])


@pytest.mark.parametrize("max_side", [None, 0, 8, 100])
def test_what_is_small_enough_stays_as_it_is(max_side: int | None) -> None:
    item = make_slice()
    assert shrink_slice(item, max_side) is item


def test_slices_without_layers_have_none_when_small() -> None:
    small = shrink_slice(CaseSlice(0, make_slice().image, None), 4)
    assert (small.label, small.lung, small.edge) == (None, None, None)
