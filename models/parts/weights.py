"""Pre-trained weights of the libraries' encoders: a local file, or their own on request."""

from pathlib import Path
from typing import Literal, NamedTuple
from urllib.error import URLError

import segmentation_models_pytorch as smp
import timm
import torch
from torch import nn
from torchvision.models import get_model_weights

from models.parts.installed_weights import REQUIREMENTS, find_installed, has_package
from models.parts.weight_files import check_file, read_state, refuse_checkpoint
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
        state = read_state(find_weights(name, pretrained, library))
        refuse_checkpoint(state, f"model.args.pretrained: {pretrained}", f"{library}'s {name}")
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
    check_file(Path(pretrained))
    return Path(pretrained)


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
