"""Networks by name. A new network is one file and one line in MODELS.

What each of them promises stands in models/parts/network.py.
"""

from typing import Any

from models.acfnet import ACFNet
from models.attention_unet import AttentionUNet
from models.cenet import CENet
from models.coeranet import CoERANet
from models.cpfnet import CPFNet
from models.danet import DANet
from models.deeplabv3 import DeepLabV3
from models.deeplabv3plus import DeepLabV3Plus
from models.f3net import F3Net
from models.fcn8s import FCN8s
from models.ffrnet import FFRNet
from models.infnet import InfNet
from models.parts.network import SegmentationNetwork
from models.pspnet import PSPNet
from models.resunet import ResUNet
from models.scrn import SCRN
from models.smp import SmpNetwork
from models.unet import UNet
from models.unetplusplus import UNetPlusPlus
from utils.registry import create_from

MODELS: dict[str, type[SegmentationNetwork]] = {
    "resunet": ResUNet,
    "unet": UNet,
    "unetplusplus": UNetPlusPlus,
    "attention_unet": AttentionUNet,
    "fcn8s": FCN8s,
    "pspnet": PSPNet,
    "deeplabv3": DeepLabV3,
    "deeplabv3plus": DeepLabV3Plus,
    "danet": DANet,
    "acfnet": ACFNet,
    "cenet": CENet,
    "cpfnet": CPFNet,
    "f3net": F3Net,
    "scrn": SCRN,
    "infnet": InfNet,
    "ffrnet": FFRNet,
    "coeranet": CoERANet,
    "smp": SmpNetwork,
}

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
