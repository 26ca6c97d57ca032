"""The moving average of weights."""

import pytest
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from training.moving_average import create_moving_average


def network(value: float) -> nn.Module:
    """One weight, and batch statistics of one channel."""
    model = nn.Sequential(nn.Linear(1, 1, bias=False), nn.BatchNorm1d(1))
    nn.init.constant_(model[0].weight, value)
    return model


def averaged(values: list[float], decay: float, *, warm_up: bool) -> AveragedModel:
    """The average after a step to each of the values."""
    model = network(values[0])
    average = create_moving_average(model, decay, warm_up=warm_up)
    for value in values:
        nn.init.constant_(model[0].weight, value)
        model[1].running_mean.fill_(value)
        average.update_parameters(model)
    return average


def test_without_warm_up_it_is_the_plain_average_bit_for_bit() -> None:
    values = [1.0, 0.3, -2.7, 5.1]
    expected = AveragedModel(network(1.0), multi_avg_fn=get_ema_multi_avg_fn(0.9), use_buffers=True)
    for value in values:
        model = network(value)
        model[1].running_mean.fill_(value)
        expected.update_parameters(model)
    found = averaged(values, 0.9, warm_up=False).state_dict()
    assert all(torch.equal(found[key], value) for key, value in expected.state_dict().items())


@pytest.mark.parametrize(("values", "expected"), [([4.0], 4.0), ([4.0, 0.0], 4 * 2 / 11)])
def test_warm_up_forgets_the_first_step(values: list[float], expected: float) -> None:
    # After one step d is min(0.999, 2 / 11), where the plain average would keep 99.9 % of it.
    average = averaged(values, 0.999, warm_up=True).module
    assert average[0].weight.item() == pytest.approx(expected)
    assert average[1].running_mean.item() == pytest.approx(expected)  # buffers, too


def test_warm_up_ends_at_the_decay() -> None:
    # (1 + t) / (10 + t) passes 0.5 at t = 8: from there on each step halves the distance.
    average = averaged([1.0] * 20 + [0.0, 0.0], 0.5, warm_up=True).module
    assert average[0].weight.item() == pytest.approx(0.25)


def test_a_restored_average_goes_on_bit_for_bit() -> None:
    whole = averaged([1.0, 0.0, 3.0, -1.0], 0.999, warm_up=True)
    former = averaged([1.0, 0.0], 0.999, warm_up=True)
    resumed = create_moving_average(network(7.0), 0.999, warm_up=True)
    resumed.load_state_dict(former.state_dict())
    for value in (3.0, -1.0):
        model = network(value)
        model[1].running_mean.fill_(value)
        resumed.update_parameters(model)
    states = whole.state_dict(), resumed.state_dict()
    assert all(torch.equal(states[1][key], value) for key, value in states[0].items())
