"""ESM, ASSM and AFM in the order that runs fast against the order in which the paper has them."""

import pytest
import torch
import torch.nn.functional as F

from models import create_model
from models.parts.cosupervision import AttentionFusionModule, EdgeSupervisedModule, LinearFusion
from models.parts.paper_order import algorithm_1, run_in_paper_order


@pytest.mark.parametrize("num_classes", [1, 3])
def test_attention_fusion_equals_algorithm_1_in_values_and_gradients(num_classes: int) -> None:
    torch.manual_seed(0)
    channels, size = (6, 6, 8, 10, 12), (48, 32)
    module = AttentionFusionModule(channels, 5, num_classes).double()
    levels = [
        torch.randn(2, c, size[0] >> i, size[1] >> i, dtype=torch.float64, requires_grad=True)
        for i, c in enumerate(channels)
    ]
    wanted, wanted_maps = algorithm_1(module, levels, size, with_maps=True)
    logits, maps = module(levels, size, with_maps=True)
    torch.testing.assert_close(logits, wanted, rtol=0, atol=1e-12)
    assert list(maps) == list(wanted_maps) == ["P_1", "1 - P_1", "Y_1", "S_p"]
    for name in maps:
        torch.testing.assert_close(maps[name], wanted_maps[name], rtol=0, atol=1e-12)
    inputs = [*levels, *module.parameters()]
    weights = torch.randn_like(wanted)
    ours = torch.autograd.grad((logits * weights).sum(), inputs)
    theirs = torch.autograd.grad((wanted * weights).sum(), inputs)
    for mine, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("concat", [False, True])
def test_linear_fusion_equals_project_resize_join_project(concat: bool) -> None:
    torch.manual_seed(0)
    channels, size = (6, 6, 8, 10, 12), (32, 48)
    module = LinearFusion(channels, 5, 2, concat=concat).double()
    levels = [
        torch.randn(2, c, size[0] >> i, size[1] >> i, dtype=torch.float64)
        for i, c in enumerate(channels)
    ]
    upsampled = [
        F.interpolate(p(x), size=size, mode="bilinear")
        for p, x in zip(module.projections, levels, strict=True)
    ]
    joined = torch.cat(upsampled, dim=1) if concat else torch.stack(upsampled).sum(dim=0)
    torch.testing.assert_close(module(levels, size)[0], module.head(joined), rtol=0, atol=1e-12)


def test_side_heads_at_low_resolution_equal_the_paper_order() -> None:
    torch.manual_seed(0)
    module = EdgeSupervisedModule((3, 4, 5), (2, 3)).double()
    features = [
        torch.randn(2, c, 16 >> i, 24 >> i, dtype=torch.float64) for i, c in enumerate((3, 4, 5))
    ]
    for stage, logits in zip((2, 3), module(features, (16, 24)), strict=True):
        large = F.interpolate(features[stage - 1], size=(16, 24), mode="bilinear")
        wanted = module.heads[str(stage)](large)
        torch.testing.assert_close(logits, wanted, rtol=0, atol=1e-12)


def test_the_whole_network_equals_itself_in_the_papers_order() -> None:
    torch.manual_seed(0)
    model = create_model("resunet", width=4, depth=18, decoder_edge_stages=(1,)).double().eval()
    image = torch.randn(2, 1, 48, 32, dtype=torch.float64)
    fast = model(image, with_maps=True)
    assert run_in_paper_order(model)
    slow = model(image, with_maps=True)
    for one, two in zip(
        (fast.mask, *fast.edge, *fast.semantic, *fast.maps.values()),
        (slow.mask, *slow.edge, *slow.semantic, *slow.maps.values()),
        strict=True,
    ):
        torch.testing.assert_close(one, two, rtol=0, atol=1e-12)
