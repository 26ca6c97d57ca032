"""Networks by name. A new network is one file and one line in MODELS."""

from typing import Any

from torch import nn

from models.resunet import ResUNet
from utils.registry import create_from

MODELS: dict[str, type[nn.Module]] = {
    "resunet": ResUNet,
}

__all__ = ["MODELS", "create_model", "list_models"]


def list_models() -> list[str]:
    """The names that model.name takes, sorted."""
    return sorted(MODELS)


def create_model(name: str, **args: Any) -> nn.Module:
    """Build a network.

    Args:
        name: One of list_models().
        **args: The network's own keyword arguments.

    Raises:
        UserError: No such network, an argument that it does not take, or a value out of range.
    """
    return create_from(MODELS, name, args, key="model.name")
