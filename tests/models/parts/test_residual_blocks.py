import pytest
import torch
from torch import nn
from torchvision.models import resnet

from models.parts import residual_blocks


@pytest.mark.parametrize("name", ["BasicBlock", "Bottleneck"])
@pytest.mark.parametrize("stride", [1, 2])
def test_weights_outputs_and_gradients_are_those_of_torchvisions_block(
    name: str, stride: int
) -> None:
    torch.manual_seed(0)
    planes = 4
    out_channels = planes * getattr(residual_blocks, name).expansion
    shortcut = nn.Conv2d(8, out_channels, 1, stride=stride, bias=False)
    ours, theirs = (
        getattr(module, name)(8, planes, stride=stride, downsample=shortcut)
        for module in (residual_blocks, resnet)
    )
    ours.load_state_dict(theirs.state_dict())
    image = torch.randn(2, 8, 10, 12, requires_grad=True)
    outputs = [block(image) for block in (ours, theirs)]
    assert torch.equal(*outputs)
    gradients = [
        torch.autograd.grad(output.square().sum(), [image, *block.parameters()])
        for output, block in zip(outputs, (ours, theirs), strict=True)
    ]
    for one, other in zip(*gradients, strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("name", ["BasicBlock", "Bottleneck"])
def test_a_block_of_equal_channels_needs_no_shortcut_of_its_own(name: str) -> None:
    block = getattr(residual_blocks, name)
    planes = 8 // block.expansion
    assert block(8, planes)(torch.zeros(1, 8, 6, 6)).shape == (1, 8, 6, 6)
    names = block(8, planes).state_dict().keys()
    assert names == getattr(resnet, name)(8, planes).state_dict().keys()
