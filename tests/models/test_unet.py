import pytest
import torch

from models.unet import UNet
from tests.models.fingerprint import FINGERPRINTS, num_parameters
from utils.errors import UserError

SMALL = {"width": 4}


def test_parameter_counts_are_the_published_ones() -> None:
    assert num_parameters(UNet(in_channels=3)) == FINGERPRINTS["unet"]["params_live"] == 31_037_633
    # One input channel instead of three: 2 * 9 * 64 = 1,152 weights fewer.
    assert num_parameters(UNet()) == 31_037_633 - 1_152
    assert num_parameters(UNet(in_channels=3, bilinear=True)) == 17_262_977


@pytest.mark.parametrize("bilinear", [False, True])
@pytest.mark.parametrize(
    ("num_levels", "height", "width"),
    [(5, 48, 80), (5, 37, 50), (5, 16, 31), (3, 21, 4), (2, 2, 7)],
)
def test_any_size_gives_logits_of_that_size(
    bilinear: bool, num_levels: int, height: int, width: int
) -> None:
    model = UNet(**SMALL, num_classes=2, num_levels=num_levels, bilinear=bilinear)
    output = model(torch.randn(2, 1, height, width))
    assert output.mask.shape == (2, 2, height, width)
    assert (output.edge, output.semantic, output.lung, output.maps) == ((), (), None, {})


def test_an_odd_side_is_padded_after_its_content_and_the_skip_comes_first() -> None:
    # Upsampling (all ones here) gives 2 x 2 px where the skip (all twos) has 3 x 3.
    block, joined = UNet(**SMALL, num_levels=2).decoder[0].eval(), []
    torch.nn.init.zeros_(block.up.weight)
    torch.nn.init.ones_(block.up.bias)
    block.conv.register_forward_pre_hook(lambda _, inputs: joined.append(inputs[0]))
    block(torch.zeros(1, 8, 1, 1), torch.full((1, 4, 3, 3), 2.0))
    assert (joined[0][:, :4] == 2).all()
    for channel in joined[0][0, 4:]:
        assert channel.tolist() == [[1, 1, 0], [1, 1, 0], [0, 0, 0]]


def test_wrong_arguments_and_sizes_are_named() -> None:
    with pytest.raises(UserError, match=r"model\.args\.width"):
        UNet(width=5)
    with pytest.raises(UserError, match=r"model\.args\.num_levels: 7 is not one of 2, 3, 4, 5, 6"):
        UNet(num_levels=7)
    with pytest.raises(UserError, match=r"15 x 32 px .* at least 16 px"):
        UNet(**SMALL)(torch.zeros(1, 1, 15, 32))
