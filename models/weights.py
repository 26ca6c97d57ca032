"""Pre-trained weights of encoders: a local file, or the library's own on request."""

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, NamedTuple
from urllib.error import URLError

import timm
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torchvision.models import get_model_weights

from utils.errors import UserError

Library = Literal["torchvision", "timm", "smp"]


class _Source(NamedTuple):
    """Where ImageNet weights are fetched from, and the place where they are kept."""

    url: str
    path: Path


def load_backbone(
    net: nn.Module,
    name: str,
    pretrained: str | None,
    in_channels: int,
    *,
    stem: str = "conv1",
    library: Library = "torchvision",
) -> None:
    """Load the weights of a library's network of three input channels, then fit its stem.

    Args:
        net: The library's network, randomly initialised, for three channels.
        name: Its name in the library.
        pretrained: None leaves it random; "imagenet" takes the library's weights, fetched once;
            anything else is a file with a state_dict of the library's names.
        in_channels: Of the image.
        stem: Name of the first convolution within the network.
        library: Whose network it is.

    Raises:
        UserError: Weights that cannot be fetched, read, or that do not fit.
    """
    if pretrained is not None:
        state = _read(_fetch(name, library) if pretrained == "imagenet" else Path(pretrained))
        own = net.state_dict()
        lost = [k for k, v in own.items() if k not in state or state[k].shape != v.shape]
        # A classifier may differ, or be gone: no network here uses it.
        lost = [k for k in lost if not k.startswith(("fc.", "classifier.", "head."))]
        if lost:
            raise UserError(
                f"model.args.pretrained: {pretrained} does not fit {name} of {library}: "
                f"{len(lost)} of its {len(own)} tensors are missing or of another shape, such as "
                f"{lost[0]}; take weights of {name}"
            )
        fitting = {k: v for k, v in state.items() if k in own and own[k].shape == v.shape}
        net.load_state_dict(fitting, strict=False)
    fit_stem(net, stem, in_channels, is_trained=pretrained is not None)


def fit_stem(net: nn.Module, stem: str, in_channels: int, *, is_trained: bool) -> None:
    """Replace the first convolution by one for another number of channels.

    Trained weights for colour are summed over the three colours and shared out evenly: a grey
    image in one channel gives what it would give in three equal ones.

    Args:
        net: Changed in place.
        stem: Name of its first convolution.
        in_channels: Of the image.
        is_trained: Whether the weights are worth keeping; else they are drawn anew.
    """
    old = net.get_submodule(stem)
    if old.in_channels == in_channels:
        return
    new = nn.Conv2d(
        in_channels,
        old.out_channels,
        old.kernel_size,
        stride=old.stride,
        padding=old.padding,
        bias=old.bias is not None,
    )
    if is_trained:
        total = old.weight.detach().sum(dim=1, keepdim=True)
        new.weight.data = (total / in_channels).repeat(1, in_channels, 1, 1)
        if old.bias is not None:
            new.bias.data = old.bias.detach().clone()
    parent, _, child = stem.rpartition(".")
    setattr(net.get_submodule(parent), child, new)


def load_resnet_layers(encoder: nn.Module, path: str | Path) -> None:
    """Load layer1 to layer4 of a torchvision ResNet into an encoder with layers of those names.

    The file is a state_dict as torchvision distributes it (resnet34-*.pth); stem and classifier
    are left out. The convolutions' shapes must agree, so the encoder's width must be 64.

    Raises:
        UserError: The file is missing, is not a state_dict, or its layers do not fit.
    """
    path = Path(path)
    layers = {k: v for k, v in _read(path, "encoder_weights").items() if k.startswith("layer")}
    own = {key: value for key, value in encoder.state_dict().items() if key.startswith("layer")}
    shapes = {key: value.shape for key, value in own.items()}
    if {key: value.shape for key, value in layers.items()} != shapes:
        raise UserError(
            f"model.args.encoder_weights: the layers of {path} do not fit this encoder; "
            "take weights of the same depth, and width 64"
        )
    encoder.load_state_dict(layers, strict=False)


def _read(path: Path, argument: str = "pretrained") -> Mapping[str, Tensor]:
    """The state_dict of a .pth or .safetensors file."""
    if not path.is_file():
        raise UserError(
            f"model.args.{argument}: no file {path}; fetch the library's ImageNet weights of the "
            "same network and give their place, or leave the key out to train from scratch"
        )
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, SafetensorError) as error:
        raise UserError(f"model.args.{argument}: {path} is not a weights file") from error
    if not isinstance(state, Mapping):
        raise UserError(f"model.args.{argument}: {path} holds no state_dict")
    return state


def _fetch(name: str, library: Library) -> Path:
    """The place of the library's ImageNet weights, fetched where they are not there yet."""
    source = _source(name, library)
    if not source.path.is_file():
        try:
            source.path.parent.mkdir(parents=True, exist_ok=True)
            torch.hub.download_url_to_file(source.url, str(source.path))
        except (URLError, OSError) as error:
            raise UserError(
                f"model.args.pretrained: {source.url} cannot be fetched ({error}); fetch it on "
                f"another machine and put it at {source.path}, or leave the key out"
            ) from error
    return source.path


def _source(name: str, library: Library) -> _Source:
    """Address and place of a network's ImageNet weights."""
    folder = Path(torch.hub.get_dir()) / "checkpoints"
    if library == "torchvision":
        url = get_model_weights(name).IMAGENET1K_V1.url
        return _Source(url, folder / Path(url).name)
    cfg = timm.get_pretrained_cfg(name)
    if cfg is None or not cfg.hf_hub_id:
        raise UserError(f"model.args.pretrained: timm has no weights of {name}; leave the key out")
    url = f"https://huggingface.co/{cfg.hf_hub_id}/resolve/main/model.safetensors"
    return _Source(url, folder / f"{cfg.hf_hub_id.rpartition('/')[2]}.safetensors")
