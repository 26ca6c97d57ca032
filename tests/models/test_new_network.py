"""A new network is one file and one line in MODELS: nothing else has to know its name."""

import pytest
import torch
from torch import Tensor, nn

from benchmark.zoo.costs import Entry
from models import MODELS, create_model, list_models
from models.parts.network import SegmentationNetwork
from utils.contracts import SegOutput
from utils.errors import UserError


class Tiny(SegmentationNetwork):
    """One convolution; only what every network has to state."""

    title = "Tiny Net"
    paper = "Nobody et al., Nowhere 2026"
    reference_licence = "none"
    own_loss = "dice"

    def __init__(self, *, in_channels: int = 1, num_classes: int = 1) -> None:
        super().__init__()
        self.head = nn.Conv2d(in_channels, num_classes, 3, padding=1)

    def forward(self, image: Tensor, with_maps: bool = False) -> SegOutput:
        return SegOutput(mask=self.head(image))


@pytest.fixture(autouse=True)
def _one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(MODELS, "tiny", Tiny)


def test_it_is_listed_and_created_with_its_arguments() -> None:
    assert "tiny" in list_models()
    network = create_model("tiny", num_classes=3)
    assert isinstance(network, Tiny)
    assert network(torch.zeros(2, 1, 5, 7)).mask.shape == (2, 3, 5, 7)
    with pytest.raises(UserError, match=r"model\.args\.num_class: tiny .* mean num_classes"):
        create_model("tiny", num_class=3)


def test_what_it_does_not_state_is_the_simplest() -> None:
    network = create_model("tiny")
    assert (network.stride, network.min_size, network.heads) == (1, 1, {"mask"})
    assert (network.own_loss_args, list(network.segments)) == ({}, [])


def test_it_has_a_row_in_the_table_of_all_networks() -> None:
    assert Entry("tiny", 64, []).describe() == {
        "name": "tiny",
        "title": "Tiny Net",
        "paper": "Nobody et al., Nowhere 2026",
        "reference_licence": "none",
        "num_parameters": 9 + 1,
        "gflop_forward": 2 * 9 * 64**2 / 1e9,
        "outputs": "mask",
        "own_loss": "dice",
    }
