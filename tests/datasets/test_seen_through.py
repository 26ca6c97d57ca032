"""A blur and a gamma through which every slice is seen."""

import numpy as np
import torch
from scipy.ndimage import gaussian_filter

from datasets.blur import gaussian_blur
from datasets.transforms import SliceTransform, z_score


def test_a_blur_is_that_of_a_gaussian_before_the_z_score_and_leaves_the_masks() -> None:
    levels = torch.rand(1, 20, 24, generator=torch.Generator().manual_seed(0)) * 255
    masks = (levels > 128).to(torch.uint8)
    image, kept = SliceTransform((20, 24), blur=0.6)(levels, masks)
    seen = gaussian_filter(levels[0].double().numpy(), 0.6, mode="mirror", radius=2)
    wanted = (seen - seen.mean()) / seen.std()
    np.testing.assert_allclose(image[0].numpy(), wanted, atol=1e-5)
    assert kept.equal(masks)


def test_a_gamma_bends_the_levels_between_the_darkest_and_the_brightest() -> None:
    levels = torch.tensor([[[10.0, 60.0], [110.0, 210.0]]])
    masks = torch.empty(0, 2, 2, dtype=torch.uint8)
    image, _ = SliceTransform((2, 2), gamma=0.5)(levels, masks)
    wanted = torch.tensor([[[0, 0.25], [0.5, 1]]]).sqrt()
    torch.testing.assert_close(image, z_score(wanted), rtol=0, atol=1e-5)
    constant, _ = SliceTransform((2, 2), gamma=0.5)(torch.full((1, 2, 2), 9.0), masks)
    assert not constant.any()


def test_a_blur_leaves_the_guide_and_slices_of_a_px_as_they_are() -> None:
    image = torch.rand(2, 16, 16)
    masks = torch.empty(0, 16, 16, dtype=torch.uint8)
    assert SliceTransform((16, 16), blur=2.0)(image, masks)[0][1].equal(image[1])
    one = torch.full((1, 1, 1), 7.0)
    assert gaussian_blur(one, 2.0).equal(one)
