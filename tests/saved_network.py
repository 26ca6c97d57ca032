"""The checkpoint of a small untrained network that finds something in every slice."""

from pathlib import Path
from typing import Any

import torch

from datasets.intensity import LUNG_WINDOW
from models import create_model
from training.checkpoint import save_checkpoint
from utils.config_loader import load_config

SIZE = 32  # px per side of its input
_ARGS = {"width": 4, "depth": 18}


def save_network(path: Path, **changes: Any) -> Path:
    """Write <path>; half of the px of noise are lesion to it.

    Args:
        path: Its folder is made.
        changes: Of what the checkpoint holds; None leaves it out.
    """
    torch.manual_seed(0)
    network = create_model("resunet", **_ARGS)
    with torch.no_grad():
        noise = torch.randn(4, 1, SIZE, SIZE)
        for norm in network.modules():
            if isinstance(norm, torch.nn.BatchNorm2d):
                norm.momentum = 1.0  # one batch settles the statistics
        network.train()(noise)
        middle = network.eval()(noise).mask.median()
        network.fusion.head.weight.mul_(40)  # away from probabilities that are all near 0.5
        network.fusion.head.bias.sub_(middle).mul_(40)
    pairs = {"data.image_size": SIZE, "training.device": "cpu", "evaluation.batch_size": 3}
    config = load_config(overrides=[f"{key}={value}" for key, value in pairs.items()])
    values = config.model_dump(mode="json")
    values["model"]["args"] = _ARGS
    content = {
        "model": network.state_dict(),
        "config": values,
        "epoch": 1,
        "intensity": LUNG_WINDOW.to_plain(),
        "bits": 8,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {key: value for key, value in (content | changes).items() if value is not None}
    save_checkpoint(path, content)
    return path
