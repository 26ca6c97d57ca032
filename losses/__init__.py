"""Losses by name. Each takes (SegOutput, Batch) and returns named terms with their total."""

from typing import Any

from torch import nn

from losses.acfnet import ACFNetLoss
from losses.bce_dice import BceDiceLoss
from losses.coeranet import CoERANetLoss
from losses.cpfnet import CPFNetLoss
from losses.cross_entropy import CrossEntropyLoss
from losses.dice import DiceLoss, dice_loss
from losses.f3net import F3NetLoss
from losses.ffrnet import FFRNetLoss
from losses.infnet import InfNetLoss
from losses.joint import JointLoss
from losses.scrn import SCRNLoss
from utils.registry import create_from

LOSSES: dict[str, type[nn.Module]] = {
    "joint": JointLoss,
    "dice": DiceLoss,
    "bce_dice": BceDiceLoss,
    "cross_entropy": CrossEntropyLoss,
    "infnet": InfNetLoss,
    "scrn": SCRNLoss,
    "f3net": F3NetLoss,
    "cpfnet": CPFNetLoss,
    "ffrnet": FFRNetLoss,
    "acfnet": ACFNetLoss,
    "coeranet": CoERANetLoss,
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
