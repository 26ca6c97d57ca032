"""Pre-trained weights of encoders: a local file, or the library's own on request."""

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple
from urllib.error import URLError

import segmentation_models_pytorch as smp
import timm
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn
from torchvision.models import get_model_weights

from models.parts.installed_weights import REQUIREMENTS, find_installed, has_package
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
        state = _read(find_weights(name, pretrained, library))
        _refuse_checkpoint(state, f"model.args.pretrained: {pretrained}", f"{library}'s {name}")
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
    state = _read(path, "encoder_weights")
    _refuse_checkpoint(state, f"model.args.encoder_weights: {path}", "torchvision's ResNet")
    layers = {key: value for key, value in state.items() if key.startswith("layer")}
    own = {key: value for key, value in encoder.state_dict().items() if key.startswith("layer")}
    shapes = {key: value.shape for key, value in own.items()}
    if {key: value.shape for key, value in layers.items()} != shapes:
        raise UserError(
            f"model.args.encoder_weights: the layers of {path} do not fit this encoder; "
            "take weights of the same depth, and width 64"
        )
    encoder.load_state_dict(layers, strict=False)


def find_weights(name: str, pretrained: str, library: Library) -> Path:
    """The file of a network's weights.

    Args:
        name: Of the network in its library.
        pretrained: "imagenet" is the place of the library's own, fetched where they are not there
            yet; anything else is a file.
        library: Whose network it is.

    Raises:
        UserError: There is no such file, or nothing to fetch; names what to fetch, and to where.
    """
    if pretrained == "imagenet":
        return _fetch(name, library)
    _check_file(Path(pretrained))
    return Path(pretrained)


def _check_file(path: Path, argument: str = "pretrained") -> None:
    """Refuse a file that is not there."""
    if not path.is_file():
        raise UserError(
            f"model.args.{argument}: no file {path}; fetch the library's ImageNet weights of the "
            "same network and give their place, or leave the key out to train from scratch"
        )


def _read(path: Path, argument: str = "pretrained") -> Mapping[str, Any]:
    """The state_dict of a .pth or .safetensors file, or what else a .pth file may hold."""
    _check_file(path, argument)
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, SafetensorError) as error:
        raise UserError(f"model.args.{argument}: {path} is not a weights file") from error
    if not isinstance(state, Mapping):
        raise UserError(f"model.args.{argument}: {path} holds no state_dict")
    return state


def _refuse_checkpoint(state: Mapping[str, Any], place: str, wanted: str) -> None:
    """Refuse a checkpoint of train.py, which holds a whole network, where an encoder is wanted."""
    if "config" in state and "model" in state:
        raise UserError(
            f"{place} is a checkpoint of a whole {state['config']['model']['name']}; give the "
            f"encoder's weights, those of {wanted}"
        )


def _fetch(name: str, library: Library) -> Path:
    """The place of the library's ImageNet weights, fetched where they are not there yet."""
    source = _source(name, library)
    if source.path.is_file():
        return source.path
    is_packed = library == "timm" and has_package(name)
    if is_packed and (installed := find_installed(name, source.path.parent)):
        return installed
    try:
        source.path.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(source.url, str(source.path))
    except (URLError, OSError) as error:
        package = f"'pip install -r {REQUIREMENTS}', or " if is_packed else ""
        raise UserError(
            f"model.args.pretrained: {source.url} cannot be fetched ({error}); {package}fetch it "
            f"on another machine and put it at {source.path}, or leave the key out"
        ) from error
    return source.path


def _source(name: str, library: Library) -> _Source:
    """Address and place of a network's ImageNet weights."""
    folder = Path(torch.hub.get_dir()) / "checkpoints"
    if library == "torchvision":
        url = get_model_weights(name).IMAGENET1K_V1.url
        return _Source(url, folder / Path(url).name)
    if library == "timm":
        cfg = timm.get_pretrained_cfg(name)
        repository, revision = (cfg.hf_hub_id if cfg else None), "main"
    else:
        known = smp.encoders.encoders[name]["pretrained_settings"].get("imagenet", {})
        repository, revision = known.get("repo_id"), known.get("revision")
    if not repository:
        raise UserError(
            f"model.args.pretrained: {library} has no ImageNet weights of {name}; give a file, or "
            "leave the key out to train from scratch"
        )
    url = f"https://huggingface.co/{repository}/resolve/{revision}/model.safetensors"
    return _Source(url, folder / f"{repository.rpartition('/')[2]}.safetensors")
