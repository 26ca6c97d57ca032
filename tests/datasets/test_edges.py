"""Edges from masks, by hand and against OpenCV."""

import cv2
import numpy as np
import pytest
import torch

from datasets.edges import edge_of_mask

# In edges, rows and columns count from 0. A window of width + 1 px slides over the mask: an edge
# pixel is one whose window holds lesion and background. An even window reaches one px further up
# and left than down and right.
CASES = {
    # The windows that hold the pixel (2, 2): 2 x 2, 3 x 3 and 4 x 4 of them.
    "pixel, width 1": (["     ", "     ", "  #  ", "     ", "     "], 1,
                       ["     ", "     ", "  ## ", "  ## ", "     "]),
    "pixel, width 2": (["     ", "     ", "  #  ", "     ", "     "], 2,
                       ["     ", " ### ", " ### ", " ### ", "     "]),
    "pixel, width 3": (["     ", "     ", "  #  ", "     ", "     "], 3,
                       ["     ", " ####", " ####", " ####", " ####"]),
    # Rows 2..4. Width 1: windows (y - 1, y) touch for y in 2..5, lie inside for y in 3..4.
    "square, width 1": (["       "] * 2 + ["  ###  "] * 3 + ["       "] * 2, 1,
                        ["       "] * 2 + ["  #### ", "  #  # ", "  #  # ", "  #### "]
                        + ["       "]),
    # Width 2: windows (y - 1 .. y + 1) touch for y in 1..5, lie inside for y = 3.
    "square, width 2": (["       "] * 2 + ["  ###  "] * 3 + ["       "] * 2, 2,
                        ["       "] + [" ##### "] * 2 + [" ## ## "] + [" ##### "] * 2
                        + ["       "]),
    # Rows 1..5. Width 3: windows (y - 2 .. y + 1) touch for all y, lie inside for y in 3..4.
    "square, width 3": (["       "] + [" ##### "] * 5 + ["       "], 3,
                        ["#######"] * 3 + ["###  ##"] * 2 + ["#######"] * 2),
    # The frame is no edge: only the boundary between columns 2 and 3 is, one px to either side.
    "at the frame, width 2": (["###  "] * 5, 2, ["  ## "] * 5),
    # A hole has an edge like a blob.
    "hole, width 2": (["#####", "#####", "## ##", "#####", "#####"], 2,
                      ["     ", " ### ", " ### ", " ### ", "     "]),
}  # fmt: skip


def drawn(rows: list[str]) -> torch.Tensor:
    return torch.tensor([[pixel == "#" for pixel in row] for row in rows], dtype=torch.uint8)


@pytest.mark.parametrize(("mask", "width", "edge"), CASES.values(), ids=CASES)
def test_edges_equal_those_worked_by_hand(mask: list[str], width: int, edge: list[str]) -> None:
    found = edge_of_mask(drawn(mask), width)
    assert found.dtype == torch.uint8
    assert found.tolist() == drawn(edge).tolist()


@pytest.mark.parametrize("width", range(1, 10))
@pytest.mark.parametrize("shape", [(64, 64), (33, 20), (5, 7), (1, 1)])
def test_edges_equal_opencvs_morphological_gradient(width: int, shape: tuple[int, int]) -> None:
    generator = np.random.default_rng(width)
    element = np.ones((width + 1, width + 1), np.uint8)
    for smoothing in (0.5, 2, 5):
        noise = cv2.GaussianBlur(generator.normal(size=shape), (0, 0), smoothing)
        mask = (noise > 0).astype(np.uint8)
        expected = cv2.morphologyEx(mask, cv2.MORPH_GRADIENT, element)
        found = edge_of_mask(torch.from_numpy(mask), width)
        np.testing.assert_array_equal(found.numpy(), expected)


@pytest.mark.parametrize("width", [1, 2, 3, 4])
@pytest.mark.parametrize("value", [0, 1])
def test_an_empty_and_a_full_mask_have_no_edge(width: int, value: int) -> None:
    assert not edge_of_mask(torch.full((7, 9), value, dtype=torch.uint8), width).any()


@pytest.mark.parametrize("width", [1, 2, 3, 4, 5])
def test_a_straight_boundary_is_as_wide_as_asked_for(width: int) -> None:
    mask = torch.zeros(12, 20, dtype=torch.uint8)
    mask[:, 10:] = 1
    for straight in (mask, 1 - mask, mask.T):
        edge = edge_of_mask(straight, width)
        along = edge if straight.shape == (12, 20) else edge.T
        assert along.sum(1).tolist() == [width] * 12
        columns = along.any(0).nonzero().float()
        # centred on the boundary between columns 9 and 10, to half a px
        assert abs(columns.mean() - 9.5) <= 0.5


def test_the_mask_is_left_as_it_is() -> None:
    mask = drawn([" ## ", " ## ", "    "])
    before = mask.clone()
    edge_of_mask(mask, 2)
    assert torch.equal(mask, before)
