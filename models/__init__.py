"""Networks by name, as module:class. A new network is one file and one line in MODELS.

What each of them promises stands in models/parts/network.py.
"""

from typing import Any

from models.parts.network import SegmentationNetwork
from utils.registry import Classes, create_from

MODELS: Classes[SegmentationNetwork] = Classes(
    {
        "resunet": "models.resunet:ResUNet",
        "unet": "models.unet:UNet",
        "unetplusplus": "models.unetplusplus:UNetPlusPlus",
        "attention_unet": "models.attention_unet:AttentionUNet",
        "fcn8s": "models.fcn8s:FCN8s",
        "pspnet": "models.pspnet:PSPNet",
        "deeplabv3": "models.deeplabv3:DeepLabV3",
        "deeplabv3plus": "models.deeplabv3plus:DeepLabV3Plus",
        "danet": "models.danet:DANet",
        "acfnet": "models.acfnet:ACFNet",
        "cenet": "models.cenet:CENet",
        "cpfnet": "models.cpfnet:CPFNet",
        "f3net": "models.f3net:F3Net",
        "scrn": "models.scrn:SCRN",
        "infnet": "models.infnet:InfNet",
        "ffrnet": "models.ffrnet:FFRNet",
        "coeranet": "models.coeranet:CoERANet",
        "smp": "models.smp:SmpNetwork",
    }
)

__all__ = ["MODELS", "create_model", "list_models"]


def list_models() -> list[str]:
    """The names that model.name takes, sorted."""
    return sorted(MODELS)


def create_model(name: str, **args: Any) -> SegmentationNetwork:
    """Build a network.

    Args:
        name: One of list_models().
        **args: The network's own keyword arguments.

    Raises:
        UserError: No such network, an argument that it does not take, or a value out of range.
    """
    return create_from(MODELS, name, args, key="model.name")
