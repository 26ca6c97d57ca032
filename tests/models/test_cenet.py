import pytest
import torch

from models.cenet import CENet
from tests.models.fingerprint import FINGERPRINTS, num_parameters
from utils.errors import UserError


def test_parameter_count_is_that_of_the_published_network() -> None:
    assert num_parameters(CENet(in_channels=3)) == FINGERPRINTS["cenet"]["params_live"]
    # Two input channels fewer in the 7x7 stem of 64.
    assert num_parameters(CENet()) == 29_003_093 - 2 * 49 * 64


@pytest.mark.parametrize(("depth", "num_classes"), [(18, 1), (34, 3), (50, 1)])
def test_every_depth_gives_logits_at_the_size_of_a_non_square_image(
    depth: int, num_classes: int
) -> None:
    torch.manual_seed(0)
    model = CENet(depth=depth, num_classes=num_classes).eval()
    with torch.no_grad():
        list(model.parameters())[-1].fill_(-9)  # bias of the last convolution
        output = model(torch.randn(1, 1, 64, 224))
    assert output.mask.shape == (1, num_classes, 64, 224)
    assert output.mask.mean() < -8


def test_every_parameter_gets_a_gradient_at_the_smallest_size() -> None:
    torch.manual_seed(0)
    model = CENet(depth=18)
    model(torch.randn(2, 1, model.min_size, model.min_size)).mask.square().mean().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name


def test_wrong_arguments_and_sizes_are_named() -> None:
    with pytest.raises(UserError, match=r"model.args.depth: 35 is not one of 18, 34"):
        CENet(depth=35)
    with pytest.raises(UserError, match="multiples of 32 and at least 64 px; pad it to 64 x 96"):
        CENet(depth=18)(torch.zeros(1, 1, 64, 90))
