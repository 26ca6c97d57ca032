"""Weights of classes in a loss: none, given ones, or balanced by their frequency in the batch.

A list has one weight per class, in the order of data.classes; in a cross-entropy the background
then weighs 1. "balanced" is the inverse of the px of a class in the batch, over all processes of a
job: over a batch, not the training split, so that no pass over the data comes before the first
step, and so that each class has the same part in each step. A class without a px in the batch has
no part in a cross-entropy, and in a Dice the mean weight of the others.
"""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from losses.shared_batch import sum_over_processes
from utils.errors import UserError

ClassWeights = Literal["balanced"] | Sequence[float] | None


def check_class_weights(weights: ClassWeights) -> None:
    """Refuse weights that are negative, or all 0."""
    if weights is None or weights == "balanced":
        return
    if any(not weight >= 0 for weight in weights) or not sum(weights) > 0:
        raise UserError(
            f"loss.args.class_weights: must not be negative, nor all 0, not {list(weights)}"
        )


def dice_weights(weights: ClassWeights, target: Tensor, *, shared: bool) -> Tensor | None:
    """Weights of the classes in a mean of their Dice, (K - 1,), of sum 1; None for equal ones.

    Args:
        weights: As configured.
        target: (B, K - 1, H, W), 1 where a px is of the class.
        shared: The batch is spread over the processes of a job.
    """
    if weights is None:
        return None
    if weights == "balanced":
        px = target.sum(dim=(0, 2, 3))
        inverse = _inverse(sum_over_processes(px) if shared else px)
        present = inverse[inverse > 0]
        mean = present.mean() if len(present) else inverse.new_tensor(1.0)
        values = torch.where(inverse > 0, inverse, mean)
    else:
        values = target.new_tensor(_one_each(weights, target.shape[1]))
    return values / values.sum()


def entropy_weights(
    weights: ClassWeights, label: Tensor, logits: Tensor, *, shared: bool
) -> Tensor | None:
    """The weight of every px, (B, H, W); None for equal ones.

    Args:
        weights: As configured.
        label: (B, H, W) int64.
        logits: (B, K, H, W) float, for the number of classes and the type.
        shared: The batch is spread over the processes of a job.
    """
    if weights is None:
        return None
    num_classes = logits.shape[1]
    if weights == "balanced":
        px = torch.bincount(label.flatten(), minlength=num_classes).to(logits)
        values = _inverse(sum_over_processes(px) if shared else px)
    else:
        values = logits.new_tensor([1.0, *_one_each(weights, num_classes - 1)])
    return values[label]


def _inverse(px: Tensor) -> Tensor:
    """1 / px, and 0 for 0; scaled by their mean, so that float32 has room."""
    return torch.where(px > 0, px.mean() / px.clamp(min=1), 0.0)


def _one_each(weights: Sequence[float], num_classes: int) -> list[float]:
    """The weights, once there is one for each class."""
    if len(weights) != num_classes:
        raise UserError(
            f"loss.args.class_weights: {len(weights)} for {num_classes} classes; give one each, "
            "in the order of data.classes"
        )
    return list(weights)
