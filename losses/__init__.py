"""Losses by name. Each takes (SegOutput, Batch) and returns named terms with their total."""

from typing import Any

from torch import nn

from losses.dice import DiceLoss, dice_loss
from losses.joint import JointLoss
from utils.registry import create_from

LOSSES: dict[str, type[nn.Module]] = {
    "dice": DiceLoss,
    "joint": JointLoss,
}

__all__ = ["LOSSES", "DiceLoss", "JointLoss", "create_loss", "dice_loss", "list_losses"]


def list_losses() -> list[str]:
    """The names that loss.function takes, sorted."""
    return sorted(LOSSES)


def create_loss(name: str, **args: Any) -> nn.Module:
    """Build a loss.

    Args:
        name: One of list_losses().
        **args: The loss's own keyword arguments.

    Raises:
        UserError: No such loss, an argument that it does not take, or a value out of range.
    """
    return create_from(LOSSES, name, args, key="loss.function")
