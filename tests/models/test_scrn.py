import pytest
import torch
import torch.nn.functional as F

from losses.scrn import SCRNLoss
from models.scrn import SCRN, _CrossRefinementUnit, _Resized
from tests.models.fingerprint import num_parameters
from utils.errors import UserError


def test_a_grey_image_saves_stem_weights() -> None:
    # Two input channels fewer in the 7x7 stem of 64.
    assert num_parameters(SCRN()) == 25_226_498 - 2 * 49 * 64


@pytest.mark.parametrize(
    ("depth", "num_classes", "height", "width"), [(18, 1, 33, 70), (34, 1, 1, 5), (101, 3, 32, 64)]
)
@torch.no_grad()
def test_every_depth_gives_mask_and_edge_at_the_size_of_any_image(
    depth: int, num_classes: int, height: int, width: int
) -> None:
    output = SCRN(depth=depth, num_classes=num_classes)(torch.randn(2, 1, height, width))
    assert output.mask.shape == (2, num_classes, height, width)
    assert [tuple(edge.shape) for edge in output.edge] == [(2, 1, height, width)]
    assert (output.semantic, output.lung, output.maps) == ((), None, {})


def test_both_tasks_refine_from_what_came_in() -> None:
    """The deepest level: S + F([S, E]) and E + H(E S), both with the old S and E."""
    torch.manual_seed(0)
    unit = _CrossRefinementUnit(2).double()
    sizes = ((4, 6), (2, 3))
    masks, edges = ([torch.randn(2, 32, *s, dtype=torch.float64) for s in sizes] for _ in range(2))
    new_masks, new_edges = unit(masks, edges)
    level, mask, edge = unit.levels[1], masks[1], edges[1]
    wanted = mask + level.mask_convs(torch.cat([mask, edge], dim=1))
    torch.testing.assert_close(new_masks[1], wanted, rtol=0, atol=1e-12)
    wanted = edge + level.edge_convs(edge * mask)
    torch.testing.assert_close(new_edges[1], wanted, rtol=0, atol=1e-12)


@torch.no_grad()
def test_convolution_before_the_resize_equals_the_published_order() -> None:
    torch.manual_seed(0)
    module = _Resized().double()
    features, like = (torch.randn(2, 32, *s, dtype=torch.float64) for s in ((3, 5), (6, 11)))
    large = F.interpolate(features, size=(6, 11), mode="bilinear", align_corners=True)
    wanted = module.norm(module.conv(large))
    torch.testing.assert_close(module(features, like), wanted, rtol=0, atol=1e-12)


def test_the_head_starts_with_small_weights_and_the_encoder_as_its_library_starts_it() -> None:
    torch.manual_seed(0)
    model = SCRN(depth=18)
    assert model.units[0].levels[0].mask_convs[0][0].weight.std().item() == pytest.approx(
        0.01, rel=0.02
    )
    # Kaiming, fan-out, of 512 3x3 filters: sqrt(2 / (512 * 9)) = 0.0208.
    last = model.encoder.stages[3][1].conv2.weight
    assert last.std().item() == pytest.approx(0.0208, rel=0.02)


def test_every_parameter_gets_a_gradient_under_the_own_loss() -> None:
    torch.manual_seed(0)
    model = SCRN(depth=18)
    mask = (torch.rand(2, 1, 64, 64) > 0.5).float()
    SCRNLoss()(model(torch.randn(2, 1, 64, 64)), {"mask": mask, "edge": mask})["total"].backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


def test_wrong_arguments_are_named() -> None:
    with pytest.raises(UserError, match=r"model\.args\.depth: 51 is not one of 18, 34, 50"):
        SCRN(depth=51)
    with pytest.raises(UserError, match=r"model\.args\.pretrained: no file no\.pth"):
        SCRN(depth=18, pretrained="no.pth")
