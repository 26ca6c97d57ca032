"""Pre-trained encoder weights from a local file."""

import pickle
from pathlib import Path

import torch
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
    if not path.is_file():
        raise UserError(
            f"model.args.encoder_weights: no file {path}; fetch torchvision's ResNet weights of "
            "the same depth and give their place, or leave the key out to train from scratch"
        )
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError) as error:
        raise UserError(f"model.args.encoder_weights: {path} is not a weights file") from error
    layers = {key: value for key, value in state.items() if key.startswith("layer")}
    own = {key: value for key, value in encoder.state_dict().items() if key.startswith("layer")}
    shapes = {key: value.shape for key, value in own.items()}
    if {key: value.shape for key, value in layers.items()} != shapes:
        raise UserError(
            f"model.args.encoder_weights: the layers of {path} do not fit this encoder; "
            "take weights of the same depth, and width 64"
        )
    encoder.load_state_dict(layers, strict=False)
