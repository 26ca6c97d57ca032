"""Input sizes and counts that are refused, and what is proposed instead."""

import pytest
import torch

from models.parts.checks import check_positive, check_size, fitting_size
from models.parts.network import SegmentationNetwork
from tests.models.small_networks import SMALL
from training.builders import build_network
from utils.config_loader import load_config
from utils.errors import UserError


class Limited(SegmentationNetwork):
    """Takes sides of one kind."""

    def __init__(self, stride: int, min_size: int) -> None:
        super().__init__()
        self.stride, self.min_size = stride, min_size


@pytest.mark.parametrize(
    ("stride", "min_size", "size", "fit", "limits"),
    [
        (16, 16, (33, 64), (48, 64), "be multiples of 16;"),
        (32, 64, (32, 96), (64, 96), "be multiples of 32 and at least 64 px;"),
        (16, 40, (16, 50), (48, 64), "be multiples of 16 and at least 40 px;"),
        (1, 7, (9, 6), (9, 7), "be at least 7 px;"),
    ],
)
def test_the_nearest_larger_size_is_proposed(
    stride: int, min_size: int, size: tuple[int, int], fit: tuple[int, int], limits: str
) -> None:
    network = Limited(stride, min_size)
    with pytest.raises(UserError) as refusal:
        check_size(network, torch.empty(2, 1, *size))
    assert str(refusal.value) == (
        f"an image of {size[0]} x {size[1]} px does not fit Limited: height and width must "
        f"{limits} pad it to {fit[0]} x {fit[1]}"
    )
    assert fitting_size(network, *size) == check_size(network, torch.empty(2, 1, *fit)) == fit


@pytest.mark.parametrize("value", [0, -3, 1.0, "2", None])
def test_what_is_no_count_is_refused_by_its_argument(value: object) -> None:
    with pytest.raises(UserError, match=r"^model\.args\.num_classes: must be an integer of at"):
        check_positive(in_channels=1, num_classes=value)


@pytest.mark.parametrize(
    ("name", "size", "proposed"),
    [
        ("resunet", (64, 40), (64, 48)),
        ("cenet", (32, 96), (64, 96)),  # smaller than its smallest size
        ("cpfnet", (33, 65), (64, 96)),
        ("unetplusplus", (40, 32), (48, 32)),
        ("smp", (33, 64), (64, 64)),
    ],
)
def test_a_configured_size_that_does_not_fit_is_refused_with_network_and_size(
    name: str, size: tuple[int, int], proposed: tuple[int, int]
) -> None:
    own = [f"model.args.{key}={value}" for key, value in SMALL[name].items()]
    pairs = [f"model.name={name}", *own, f"data.image_size={list(size)}"]
    with pytest.raises(UserError) as refusal:
        build_network(load_config(overrides=pairs))
    message = str(refusal.value)
    wanted = f"data.image_size: {size[0]} x {size[1]} px does not fit {name}: height and width"
    assert message.startswith(wanted)
    assert message.endswith(f"; use {list(proposed)}")
