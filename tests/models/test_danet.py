import math

import pytest
import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode

from losses.cross_entropy import CrossEntropyLoss
from models.danet import DANet, _ChannelAttention, _PositionAttention
from tests.models.fingerprint import FINGERPRINTS, num_live_parameters, num_parameters
from utils.errors import UserError


def test_every_parameter_is_live_and_their_number_the_published_one() -> None:
    model = DANet(in_channels=3)
    total = torch.stack([t.square().mean() for t in model(torch.randn(2, 3, 40, 24)).logits()])
    num_live = num_live_parameters(model, total.sum())
    assert num_live == num_parameters(model) == FINGERPRINTS["danet_r50"]["params_live"]
    assert num_live == 47_434_949


@pytest.mark.parametrize(
    ("arguments", "num"),
    [
        ({}, 47_434_949 - 6_272),  # one input channel instead of three: 2 * 49 * 64 weights fewer
        ({"in_channels": 3, "depth": 101}, 66_427_077),
        ({"in_channels": 3, "num_classes": 3}, 47_434_949 + 3 * 2 * 513),
    ],
)
def test_parameter_counts_of_the_family(arguments: dict, num: int) -> None:
    with torch.device("meta"):
        assert num_parameters(DANet(**arguments)) == num


def position_by_the_paper(module: _PositionAttention, features: Tensor) -> Tensor:
    """Eq. 1 and 2 with the map of all pairs."""
    keys, queries = module.key(features).flatten(2), module.query(features).flatten(2)
    pairs = torch.einsum("bci,bcj->bji", keys, queries).softmax(dim=-1)
    gathered = torch.einsum("bji,bci->bcj", pairs, module.value(features).flatten(2))
    return module.scale * gathered.view_as(features) + features


def channel_by_the_reference(module: _ChannelAttention, features: Tensor) -> Tensor:
    """The softmax of the row's maximum less the products."""
    rows = features.flatten(2)
    products = torch.einsum("bin,bjn->bji", rows, rows)
    pairs = (products.amax(dim=-1, keepdim=True) - products).softmax(dim=-1)
    gathered = torch.einsum("bji,bin->bjn", pairs, rows)
    return module.scale * gathered.view_as(features) + features


@pytest.mark.parametrize(
    ("module", "written_out"),
    [
        (_PositionAttention(16), position_by_the_paper),
        (_ChannelAttention(), channel_by_the_reference),
    ],
)
def test_fused_attention_is_the_written_out_one_in_values_and_gradients(
    module: nn.Module, written_out: object
) -> None:
    torch.manual_seed(0)
    module = module.double()
    nn.init.constant_(module.scale, 0.7)
    features = torch.randn(2, 16, 5, 3, dtype=torch.float64, requires_grad=True)
    ours, theirs = module(features), written_out(module, features)
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-12)
    inputs, weights = [features, *module.parameters()], torch.randn_like(ours)
    gradients = [torch.autograd.grad((x * weights).sum(), inputs) for x in (ours, theirs)]
    torch.testing.assert_close(*gradients, rtol=0, atol=1e-12)


class LargestTensor(TorchDispatchMode):
    """Elements of the largest tensor that any operation makes."""

    def __init__(self) -> None:
        super().__init__()
        self.num_elements = 0

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        results = operation(*args, **(kwargs or {}))
        for result in results if isinstance(results, tuple | list) else [results]:
            if isinstance(result, Tensor):
                self.num_elements = max(self.num_elements, result.numel())
        return results


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_no_map_of_all_pairs_of_positions_is_ever_made(
    memory_format: torch.memory_format, dtype: torch.dtype
) -> None:
    module = _PositionAttention(16).to(dtype=dtype, memory_format=memory_format)
    features = torch.randn(1, 16, 30, 20, dtype=dtype).to(memory_format=memory_format)
    with LargestTensor() as largest:
        module(features.requires_grad_()).sum().backward()
    # 600 positions: 360,000 pairs; the features are 9,600 numbers.
    assert largest.num_elements == features.numel()
    with LargestTensor() as largest, sdpa_kernel(SDPBackend.MATH):
        module(features).sum().backward()
    assert largest.num_elements >= 600**2


def test_attention_starts_as_the_identity() -> None:
    features = torch.randn(2, 16, 5, 3)
    for module in (_PositionAttention(16), _ChannelAttention()):
        assert torch.equal(module(features), features)


@torch.no_grad()
def test_mask_is_of_the_sum_of_both_paths_at_any_size() -> None:
    model = DANet(depth=18, num_classes=3).eval()
    for head in (model.head, model.position_head, model.channel_head):
        nn.init.ones_(head[1].weight)
        nn.init.zeros_(head[1].bias)
    output = model(torch.randn(1, 1, 41, 66))
    assert [tuple(t.shape) for t in output.logits()] == [(1, 3, 41, 66)] * 3
    # With the same linear heads the sum's logits are the sum of the logits.
    position, channel = output.semantic
    torch.testing.assert_close(output.mask, position + channel)
    assert not torch.equal(position, channel)


def test_own_loss_weighs_all_three_outputs_with_1() -> None:
    model = DANet(depth=18)
    for head in (model.head, model.position_head, model.channel_head):
        nn.init.zeros_(head[1].weight)
        nn.init.zeros_(head[1].bias)
    terms = CrossEntropyLoss(**model.own_loss_args)(
        model(torch.randn(2, 1, 16, 16)), {"mask": torch.zeros(2, 1, 16, 16)}
    )
    # Logits of 0 are probabilities of 1/2: log 2 for each of three outputs.
    assert terms["total"].item() == pytest.approx(3 * math.log(2), abs=1e-6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"depth": 35}, "model.args.depth: 35 is not one of"),
        ({"pretrained": "no.pth"}, "model.args.pretrained: no file no.pth"),
    ],
)
def test_wrong_arguments_are_named(arguments: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        DANet(**arguments)
