import pytest
import torch

from losses.bce_dice import BceDiceLoss
from models.unetplusplus import UNetPlusPlus
from tests.models.fingerprint import FINGERPRINTS, num_parameters
from utils.errors import UserError

SMALL = {"width": 4}


def test_parameter_counts_are_the_published_ones() -> None:
    published = FINGERPRINTS["unetpp"]["params_live"]
    assert num_parameters(UNetPlusPlus(in_channels=3)) == published == 9_163_329
    # One input channel instead of three: 2 * 9 * 32 = 576 weights fewer.
    assert num_parameters(UNetPlusPlus()) == 9_163_329 - 576
    # Deep supervision: three more heads of 32 weights and a bias.
    assert num_parameters(UNetPlusPlus(in_channels=3, deep_supervision=True)) == 9_163_329 + 3 * 33


@pytest.mark.parametrize(("num_levels", "stride"), [(5, 16), (4, 8), (3, 4), (2, 2)])
@pytest.mark.parametrize("deep_supervision", [False, True])
def test_every_depth_gives_logits_at_the_input_size(
    num_levels: int, stride: int, deep_supervision: bool
) -> None:
    model = UNetPlusPlus(
        **SMALL, num_classes=2, num_levels=num_levels, deep_supervision=deep_supervision
    )
    assert (model.stride, model.min_size) == (stride, stride)
    output = model(torch.randn(2, 1, stride, 3 * stride))
    num_sides = num_levels - 2 if deep_supervision else 0
    shapes = [tuple(logits.shape) for logits in output.logits()]
    assert shapes == [(2, 2, stride, 3 * stride)] * (1 + num_sides)
    assert model.heads == ({"mask", "semantic"} if num_sides else {"mask"})
    assert BceDiceLoss(**model.own_loss_args).required_heads == model.heads


def test_with_deep_supervision_the_last_column_gives_the_mask() -> None:
    model = UNetPlusPlus(**SMALL, deep_supervision=True).eval()
    for column, head in enumerate(model.column_heads, start=1):
        torch.nn.init.zeros_(head.weight)
        torch.nn.init.constant_(head.bias, column)
    output = model(torch.randn(1, 1, 32, 16))
    assert [logits.mean().item() for logits in output.logits()] == [4, 1, 2, 3]


def test_side_output_of_column_1_is_the_mask_of_the_network_cut_to_two_levels() -> None:
    torch.manual_seed(0)
    whole = UNetPlusPlus(**SMALL, deep_supervision=True).eval()
    cut = UNetPlusPlus(**SMALL, num_levels=2).eval()
    for key, node in cut.nodes.items():
        node.load_state_dict(whole.nodes[key].state_dict())
    cut.column_heads[0].load_state_dict(whole.column_heads[0].state_dict())
    image = torch.randn(1, 1, 32, 48)
    assert torch.equal(cut(image).mask, whole(image).semantic[0])


def test_wrong_arguments_and_sizes_are_named() -> None:
    with pytest.raises(UserError, match=r"model\.args\.width"):
        UNetPlusPlus(width=5)
    with pytest.raises(UserError, match=r"model\.args\.num_levels: 1 is not one of 2, 3, 4, 5, 6"):
        UNetPlusPlus(num_levels=1)
    with pytest.raises(UserError, match="pad it to 32 x 48"):
        UNetPlusPlus(**SMALL)(torch.zeros(1, 1, 20, 33))
