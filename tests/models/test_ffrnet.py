import pytest
import torch

from models.ffrnet import FFRNet
from tests.models.fingerprint import FINGERPRINTS, num_parameters
from utils.errors import UserError


def test_parameter_count_is_that_of_the_published_live_parts() -> None:
    model = FFRNet(in_channels=3, num_classes=2)
    assert num_parameters(model) == FINGERPRINTS["ffrnet"]["params_live"]
    # Two input channels fewer in the 7x7 stem of 64; one class fewer of 128 weights and a bias.
    assert num_parameters(FFRNet()) == 39_947_714 - 2 * 49 * 64 - 129


@pytest.mark.parametrize(
    ("depth", "num_classes", "size"), [(18, 1, (64, 96)), (50, 3, (33, 50)), (101, 1, (16, 16))]
)
def test_every_depth_gives_logits_at_the_size_of_any_image(
    depth: int, num_classes: int, size: tuple[int, int]
) -> None:
    model = FFRNet(depth=depth, num_classes=num_classes).eval()
    with torch.no_grad():
        output = model(torch.randn(1, 1, *size))
    assert output.mask.shape == (1, num_classes, *size)


def test_features_grow_with_the_image() -> None:
    """At 256 x 256 the published network's fixed 64 x 64 and 32 x 32; a quarter and an eighth."""
    with torch.device("meta"):
        encoder = FFRNet(depth=18).encoder
        for side in (256, 352):
            shapes = [stage.shape[-1] for stage in encoder(torch.zeros(1, 1, side, side))[1:]]
            assert shapes == [side // 4, side // 8, side // 8, side // 8]


def test_every_parameter_trains_at_the_smallest_size() -> None:
    torch.manual_seed(0)
    model = FFRNet(depth=18)
    model(torch.randn(2, 1, model.min_size, model.min_size)).mask.square().mean().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad.abs().sum() > 0, name


def test_an_unknown_depth_is_named() -> None:
    with pytest.raises(UserError, match=r"model.args.depth: 35 is not one of 18, 34, 50"):
        FFRNet(depth=35)
