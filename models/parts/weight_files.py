"""Files of encoders' weights: read, checked, and loaded into a ResNet of this project."""

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from utils.errors import UserError


def load_resnet_layers(encoder: nn.Module, path: str | Path) -> None:
    """Load layer1 to layer4 of a torchvision ResNet into an encoder with layers of those names.

    The file is a state_dict as torchvision distributes it (resnet34-*.pth); stem and classifier
    are left out. The convolutions' shapes must agree, so the encoder's width must be 64.

    Raises:
        UserError: The file is missing, is not a state_dict, or its layers do not fit.
    """
    path = Path(path)
    state = read_state(path, "encoder_weights")
    refuse_checkpoint(state, f"model.args.encoder_weights: {path}", "torchvision's ResNet")
    layers = {key: value for key, value in state.items() if key.startswith("layer")}
    own = {key: value for key, value in encoder.state_dict().items() if key.startswith("layer")}
    shapes = {key: value.shape for key, value in own.items()}
    if {key: value.shape for key, value in layers.items()} != shapes:
        raise UserError(
            f"model.args.encoder_weights: the layers of {path} do not fit this encoder; "
            "take weights of the same depth, and width 64"
        )
    encoder.load_state_dict(layers, strict=False)


def check_file(path: Path, argument: str = "pretrained") -> None:
    """Refuse a file that is not there."""
    if not path.is_file():
        raise UserError(
            f"model.args.{argument}: no file {path}; fetch the library's ImageNet weights of the "
            "same network and give their place, or leave the key out to train from scratch"
        )


def read_state(path: Path, argument: str = "pretrained") -> Mapping[str, Any]:
    """The state_dict of a .pth or .safetensors file, or what else a .pth file may hold."""
    check_file(path, argument)
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, SafetensorError) as error:
        raise UserError(f"model.args.{argument}: {path} is not a weights file") from error
    if not isinstance(state, Mapping):
        raise UserError(f"model.args.{argument}: {path} holds no state_dict")
    return state


def refuse_checkpoint(state: Mapping[str, Any], place: str, wanted: str) -> None:
    """Refuse a checkpoint of train.py, which holds a whole network, where an encoder is wanted."""
    if "config" in state and "model" in state:
        raise UserError(
            f"{place} is a checkpoint of a whole {state['config']['model']['name']}; give the "
            f"encoder's weights, those of {wanted}"
        )
