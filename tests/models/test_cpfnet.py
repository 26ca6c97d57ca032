import pytest
import torch

from models.cpfnet import CPFNet
from tests.models.fingerprint import FINGERPRINTS, image, num_parameters, prepare
from utils.errors import UserError


def test_one_class_is_the_first_of_two() -> None:
    """Weights from indices make it so; the published log-softmax hides it."""
    one, two = (prepare(CPFNet(depth=18, num_classes=count)) for count in (1, 2))
    with torch.no_grad():
        inputs = image(1, (64, 64))
        torch.testing.assert_close(one(inputs).mask, two(inputs).mask[:, :1], rtol=0, atol=1e-12)


@pytest.mark.parametrize(("name", "num_classes"), [("cpfnet_2class", 2), ("cpfnet", 1)])
def test_parameter_count_is_that_of_the_published_live_parts(name: str, num_classes: int) -> None:
    model = CPFNet(in_channels=3, num_classes=num_classes)
    assert num_parameters(model) == FINGERPRINTS[name]["params_live"]


def test_a_grey_image_saves_stem_weights() -> None:
    # Two input channels fewer in the 7x7 stem of 64.
    assert num_parameters(CPFNet()) == 30_650_724 - 2 * 49 * 64


@pytest.mark.parametrize(("depth", "num_classes"), [(18, 1), (34, 3), (50, 1)])
def test_every_depth_gives_logits_at_the_size_of_a_non_square_image(
    depth: int, num_classes: int
) -> None:
    with torch.device("meta"):
        output = CPFNet(depth=depth, num_classes=num_classes)(torch.zeros(2, 1, 64, 96))
    assert output.mask.shape == (2, num_classes, 64, 96)


def test_one_class_trains_every_parameter() -> None:
    torch.manual_seed(0)
    model = CPFNet(depth=18)
    # The scale-aware pyramid starts switched off; on, all of it trains.
    model.sap.gamma.data.fill_(0.5)
    model(torch.randn(2, 1, model.min_size, model.min_size)).mask.square().mean().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad.abs().sum() > 0, name


def test_wrong_arguments_and_sizes_are_named() -> None:
    with pytest.raises(UserError, match=r"model.args.depth: 35 is not one of 18, 34"):
        CPFNet(depth=35)
    with pytest.raises(UserError, match="multiples of 32 and at least 64 px; pad it to 64 x 96"):
        CPFNet(depth=18)(torch.zeros(1, 1, 64, 90))
