"""Two stages: the first is trained or given, the second sees its map, best.pt holds both."""

import pytest
import torch
from torch import nn

from models import create_model
from models.parts.guided import GuidedNetwork
from tests.models.small_networks import slices


@pytest.fixture
def network() -> GuidedNetwork:
    torch.manual_seed(0)
    first = create_model("unet", width=4, num_levels=3)
    return GuidedNetwork(first, create_model("unet", width=4, num_levels=2, in_channels=2))


def test_the_second_stage_sees_the_map_of_the_first(network: GuidedNetwork) -> None:
    image = slices(2, 32, 32)["image"]
    network.eval()
    with torch.no_grad():
        guide = torch.sigmoid(network.first(image).mask)
        output = network(image, with_maps=True)
        wanted = network.second(torch.cat([image, guide], dim=1)).mask
    assert torch.equal(output.mask, wanted)
    assert torch.equal(output.maps["guide"], guide)
    nn.init.zeros_(network.first.head.weight)
    with torch.no_grad():
        assert not torch.equal(network(image).mask, wanted)


def test_training_leaves_the_first_stage_as_it_is(network: GuidedNetwork) -> None:
    before = {key: value.clone() for key, value in network.first.state_dict().items()}
    network.train()(slices(2, 32, 32)["image"]).mask.sum().backward()
    assert all(p.grad is None for p in network.first.parameters())
    assert all(p.grad is not None for p in network.second.parameters())
    # Running statistics of the batch norms included.
    after = network.first.state_dict()
    assert all(torch.equal(after[key], value) for key, value in before.items())


def test_it_takes_the_sides_that_both_stages_take(network: GuidedNetwork) -> None:
    assert network.min_size == max(network.first.min_size, network.second.min_size)
    first = create_model("coeranet", trunk="resnet18")
    both = GuidedNetwork(first, create_model("unet", width=4, in_channels=2))
    assert both.stride == first.stride
