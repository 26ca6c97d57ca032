"""Every architecture and encoder of segmentation_models_pytorch, as comparison networks.

Library: P. Iakubovskii, "Segmentation Models Pytorch", 2019, MIT,
https://github.com/qubvel-org/segmentation_models.pytorch; the papers of the architectures and
encoders are named in its documentation. Its classes are used as they are, with their own defaults.

Deviations:
    - Parts of an encoder that an architecture never uses (the last stages behind PSPNet, the
      classifier behind DPT) are left out: they would get no gradient.
    - Input sides are multiples of the encoder's output stride for Unet, too, which would pad.
    - DPT takes images of any size: its transformer interpolates its position embedding.
"""

from pickle import UnpicklingError
from typing import Any

import segmentation_models_pytorch as smp
import timm
import torch
from safetensors import SafetensorError
from torch import Tensor, nn
from torch.func import functional_call

from models.parts.checks import check_positive, check_size
from models.parts.network import SegmentationNetwork
from models.parts.weights import find_weights, load_backbone
from utils.contracts import SegOutput
from utils.errors import UserError, suggestion

_ARCHITECTURES: dict[str, type[nn.Module]] = smp.MODEL_ARCHITECTURES_MAPPING
_TIMM = "tu-"  # before a timm name: any feature extractor of timm
_TRANSFORMER = "tu-vit_base_patch16_224"
_MIN_STRIDE = {"dpt": 32}  # its coarsest level, whatever the transformer's patches
_MIN_SIZE = {"pan": 128}  # px; it pools features at H/16 three times by two
_MIN_SIZE_OF_ENCODERS = 32  # px; of those that reduce by 32, or attend to patches of 8 at H/4
# No network takes images of just this size, so that one which takes a single size is found out.
_TRIAL_SIZE = (320, 352)
# What an architecture asks of its encoder.
_DILATED = "takes encoders whose strides can become dilations"
_ANY = "takes encoders whose features halve from stage to stage, for images of any size"
_NEEDS = {
    **dict.fromkeys(("deeplabv3", "deeplabv3plus", "pan"), _DILATED),
    "dpt": "takes vision transformers of timm for images of any size",
    "linknet": f"{_ANY}, and no mit ones",
    "unetplusplus": f"{_ANY}, and no mit ones",
}
# What the library and timm raise for a combination that they do not support, or a file.
_UNSUPPORTED = (AssertionError, KeyError, RuntimeError, TypeError, ValueError)
_UNREADABLE = (EOFError, SafetensorError, UnpicklingError)


class _Unused(nn.Module):
    """In the place of a module whose result nobody uses."""

    def forward(self, features: Tensor, *others: object) -> Tensor:
        return features


class SmpNetwork(SegmentationNetwork):
    """An architecture of segmentation_models_pytorch around one of its encoders.

    Args:
        arch: A name of its list, in lower case, such as unet, fpn, manet, segformer.
        encoder: A name of its list, such as resnet34, or tu-NAME for an encoder of timm. dpt
            takes vision transformers alone, such as tu-vit_base_patch16_224.
        pretrained: By this library's names; those of an encoder of timm by timm's.

    Attributes:
        stride: The encoder's output stride.
        min_size: One for all encoders.

    Raises:
        UserError: Also for an architecture and an encoder that do not go together.
    """

    title = "smp: Unet, ResNet-34"
    paper = "Iakubovskii, GitHub 2019"
    reference_licence = "MIT"
    own_loss = "dice"

    def __init__(
        self,
        *,
        arch: str = "unet",
        encoder: str = "resnet34",
        in_channels: int = 1,
        num_classes: int = 1,
        pretrained: str | None = None,
    ) -> None:
        super().__init__()
        check_positive(in_channels=in_channels, num_classes=num_classes)
        _check_names(arch, encoder)
        try:
            self.net = _create(arch, encoder, in_channels, num_classes, pretrained)
            _drop_unused(self.net, in_channels)
        except UserError:
            raise
        except (*_UNSUPPORTED, *_UNREADABLE) as error:
            raise _misfit(arch, encoder, pretrained, error) from error
        self.stride = max(int(self.net.encoder.output_stride), _MIN_STRIDE.get(arch, 1))
        self.min_size = _MIN_SIZE.get(arch, _MIN_SIZE_OF_ENCODERS)

    @property
    def segments(self) -> list[nn.Module]:
        return [self.net.encoder, self.net.decoder]

    def forward(self, image: Tensor, with_maps: bool = False) -> SegOutput:
        """No maps: the library keeps its inner ones to itself."""
        check_size(self, image)
        return SegOutput(mask=self.net(image))


def _misfit(arch: str, encoder: str, pretrained: str | None, error: Exception) -> UserError:
    """What an architecture wants of an encoder, and what the library said to this one."""
    weights = f" with the weights {pretrained}" if pretrained else ""
    reason = "".join(str(error).strip().splitlines()[:1])
    quoted = f" ({reason})" if reason else ""
    return UserError(
        f"model.args.encoder: {encoder}{weights} does not fit {arch}, which "
        f"{_NEEDS.get(arch, _ANY)}; take another encoder{quoted}"
    )


def _check_names(arch: str, encoder: str) -> None:
    """Refuse names that do not exist, and a dpt that is no transformer."""
    if arch not in _ARCHITECTURES:
        raise UserError(
            f"model.args.arch: there is no {arch!r}{suggestion(arch, _ARCHITECTURES)}; "
            f"known: {', '.join(_ARCHITECTURES)}"
        )
    names = smp.encoders.get_encoder_names()
    is_timm = encoder.startswith(_TIMM) and timm.is_model(encoder.removeprefix(_TIMM))
    if encoder not in names and not is_timm:
        known = [*names, *(_TIMM + name for name in timm.list_models())]
        raise UserError(
            f"model.args.encoder: there is no {encoder!r}{suggestion(encoder, known)}; known: "
            f"{', '.join(names)}, and {_TIMM}NAME for every encoder of timm"
        )
    if arch == "dpt" and not is_timm:
        raise UserError(
            f"model.args.encoder: dpt takes vision transformers of timm alone, such as "
            f"{_TRANSFORMER}, not {encoder}"
        )


def _create(
    arch: str, encoder: str, in_channels: int, num_classes: int, pretrained: str | None
) -> nn.Module:
    """The library's network, its encoder's weights loaded."""
    settings: dict[str, Any] = {"encoder_name": encoder, "classes": num_classes}
    if arch == "dpt":
        settings["dynamic_img_size"] = True
    if encoder.startswith(_TIMM) and pretrained is not None:
        # timm itself fits its weights to the image's channels.
        file = find_weights(encoder.removeprefix(_TIMM), pretrained, "timm")
        settings |= {"encoder_weights": True, "pretrained_cfg_overlay": {"file": str(file)}}
        return _ARCHITECTURES[arch](in_channels=in_channels, **settings)
    net = _ARCHITECTURES[arch](encoder_weights=None, in_channels=in_channels, **settings)
    if pretrained is not None:
        donor = _ARCHITECTURES[arch](encoder_weights=None, in_channels=3, **settings).encoder
        modules = donor.named_modules()
        stem = next(name for name, part in modules if isinstance(part, nn.Conv2d))
        load_backbone(donor, encoder, pretrained, in_channels, stem=stem, library="smp")
        net.encoder.load_state_dict(donor.state_dict())
    return net


def _drop_unused(net: nn.Module, in_channels: int) -> None:
    """Replace the modules whose parameters get no gradient, found by a trial without arithmetic.

    Raises:
        Exception: One of _UNSUPPORTED, where the network cannot take the image.
    """
    tensors = {
        name: torch.empty_like(tensor, device="meta", requires_grad=tensor.requires_grad)
        for name, tensor in (*net.named_parameters(), *net.named_buffers())
    }
    image = torch.empty(1, in_channels, *_TRIAL_SIZE, device="meta")
    net.eval()
    functional_call(net, tensors, (image,)).sum().backward()
    net.train()
    used = [name for name, tensor in tensors.items() if tensor.grad is not None]
    unused = [
        name
        for name, module in net.named_modules()
        if any(True for _ in module.parameters())
        and not any(key.startswith(f"{name}.") for key in used if name)
    ]
    outermost = [n for n in unused if n and n.rpartition(".")[0] not in unused]
    for name in outermost:
        parent, _, child = name.rpartition(".")
        setattr(net.get_submodule(parent), child, _Unused())
    if outermost:
        try:
            _drop_unused(net, in_channels)  # it still runs
        except _UNSUPPORTED as error:
            raise ValueError(f"it cannot do without {outermost[0]}, which stays unused") from error
