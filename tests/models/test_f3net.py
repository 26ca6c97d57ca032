import pytest
import torch

from losses.f3net import F3NetLoss
from models.f3net import F3Net
from tests.models.fingerprint import num_parameters
from utils.errors import UserError


def test_a_grey_image_saves_stem_weights() -> None:
    # Two input channels fewer in the 7x7 stem of 64.
    assert num_parameters(F3Net()) == 25_536_710 - 2 * 49 * 64


@pytest.mark.parametrize(
    ("depth", "num_classes", "height", "width"), [(18, 1, 33, 70), (34, 1, 1, 5), (101, 3, 32, 64)]
)
@torch.no_grad()
def test_every_depth_gives_six_maps_at_the_size_of_any_image(
    depth: int, num_classes: int, height: int, width: int
) -> None:
    output = F3Net(depth=depth, num_classes=num_classes)(torch.randn(2, 1, height, width))
    assert output.mask.shape == (2, num_classes, height, width)
    assert [tuple(side.shape) for side in output.semantic] == [(2, 1, height, width)] * 5
    assert (output.edge, output.lung, output.maps) == ((), None, {})


@torch.no_grad()
def test_the_first_decoder_feeds_every_level_of_the_second() -> None:
    torch.manual_seed(0)
    model, given = F3Net(depth=18), []
    decoder = model.decoders[1]
    decoder.register_forward_pre_hook(lambda _, inputs: given.extend(inputs))
    output = model(torch.randn(2, 1, 64, 64))
    levels, feedback = given
    assert [tuple(level.shape[2:]) for level in levels] == [(n, n) for n in (16, 8, 4, 2)]
    # Level 5 goes through no further module: what came in, and the feedback at its size.
    small = torch.nn.functional.interpolate(feedback, size=(2, 2), mode="bilinear")
    head = model.side_heads[4](levels[3] + small)
    wanted = torch.nn.functional.interpolate(head, size=(64, 64), mode="bilinear")
    torch.testing.assert_close(output.semantic[4], wanted)


def test_the_stem_learns_and_so_does_every_other_parameter() -> None:
    torch.manual_seed(0)
    model = F3Net(depth=18)
    mask = (torch.rand(2, 1, 64, 64) > 0.5).float()
    F3NetLoss()(model(torch.randn(2, 1, 64, 64)), {"mask": mask})["total"].backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


def test_wrong_arguments_are_named() -> None:
    with pytest.raises(UserError, match=r"model\.args\.depth: 51 is not one of 18, 34, 50"):
        F3Net(depth=51)
    with pytest.raises(UserError, match=r"model\.args\.pretrained: no file no\.pth"):
        F3Net(depth=18, pretrained="no.pth")
