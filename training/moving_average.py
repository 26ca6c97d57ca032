"""Exponential moving average of a network's weights: what is validated, or what teaches."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

_WARM_UP = 10  # steps after which about half of the average is new


def create_moving_average(
    model: nn.Module, decay: float, *, warm_up: bool = False
) -> AveragedModel:
    """A moving average of weights and buffers, a copy in `module`; the first step's start it.

    Each call of its update_parameters(model) counts a step: average <- d average + (1 - d) model.

    Args:
        model: Where and as it is trained.
        decay: d, in (0, 1).
        warm_up: d is no more than (1 + t) / (10 + t) after t steps, so that the weights of the
            first steps are forgotten within a short run.

    Source: the warm-up is that of TensorFlow's ExponentialMovingAverage with num_updates.
    """
    update = _warmed_up(decay) if warm_up else get_ema_multi_avg_fn(decay)
    return AveragedModel(model, multi_avg_fn=update, use_buffers=True)


def _warmed_up(decay: float) -> Callable[[list[Tensor], list[Tensor], Tensor | int], None]:
    """The update of a list of tensors after a number of steps."""

    @torch.no_grad()
    def update(averages: list[Tensor], current: list[Tensor], num_steps: Tensor | int) -> None:
        step = int(num_steps)
        own = min(decay, (1 + step) / (_WARM_UP + step))
        get_ema_multi_avg_fn(own)(averages, current, num_steps)

    return update
