import pytest
import torch

from models.attention_unet import AttentionUNet
from tests.models.fingerprint import FINGERPRINTS, num_parameters
from utils.errors import UserError

SMALL = {"width": 4}


def test_parameter_counts_are_the_published_ones() -> None:
    published = FINGERPRINTS["attunet"]["params_live"]
    assert num_parameters(AttentionUNet(in_channels=3)) == published == 34_878_573
    # One input channel instead of three: 2 * 9 * 64 = 1,152 weights fewer.
    assert num_parameters(AttentionUNet()) == 34_878_573 - 1_152


@pytest.mark.parametrize(("num_levels", "stride"), [(5, 16), (4, 8), (2, 2)])
def test_every_depth_gives_logits_at_the_input_size(num_levels: int, stride: int) -> None:
    model = AttentionUNet(**SMALL, num_classes=2, num_levels=num_levels)
    assert (model.stride, model.min_size) == (stride, stride)
    output = model(torch.randn(2, 1, stride, 3 * stride))
    assert [tuple(x.shape) for x in output.logits()] == [(2, 2, stride, 3 * stride)]


def test_attention_maps_come_on_request_and_change_nothing() -> None:
    torch.manual_seed(1)  # with some weights a gate's ReLU is 0 everywhere
    model = AttentionUNet(**SMALL).eval()
    image = torch.randn(2, 1, 32, 48)
    output = model(image, with_maps=True)
    assert set(output.maps) == {"alpha_1", "alpha_2", "alpha_3", "alpha_4"}
    for alpha in output.maps.values():
        assert alpha.shape == (2, 1, 32, 48)
        assert 0 <= alpha.min() <= alpha.max() <= 1
    # alpha_1 is the finest: neighbours differ; alpha_3 has 4 x 4 px blocks.
    assert not torch.equal(output.maps["alpha_1"][..., 0], output.maps["alpha_1"][..., 1])
    blocks = output.maps["alpha_3"].unflatten(-1, (12, 4)).unflatten(-3, (8, 4))
    assert (blocks.amax(dim=(-3, -1)) == blocks.amin(dim=(-3, -1))).all()
    plain = model(image)
    assert torch.equal(output.mask, plain.mask)
    assert plain.maps == {}


def test_a_closed_gate_hides_the_skip() -> None:
    model = AttentionUNet(**SMALL, num_levels=2).eval()
    block = model.decoder[0]
    torch.nn.init.constant_(block.attention.psi[1].bias, -200.0)  # sigmoid gives 0
    features, skip = torch.randn(1, 8, 4, 4), torch.randn(1, 4, 8, 8)
    closed, alpha = block(features, skip)
    assert alpha.max() < 1e-30
    torch.testing.assert_close(closed, block(features, 2 * skip)[0])


def test_wrong_arguments_and_sizes_are_named() -> None:
    with pytest.raises(UserError, match=r"model\.args\.width"):
        AttentionUNet(width=5)
    with pytest.raises(UserError, match=r"model\.args\.num_levels: 7 is not one of 2, 3, 4, 5, 6"):
        AttentionUNet(num_levels=7)
    with pytest.raises(UserError, match="pad it to 32 x 48"):
        AttentionUNet(**SMALL)(torch.zeros(1, 1, 20, 33))
