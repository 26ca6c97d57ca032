"""Weights that ship with the project: a checkpoint in half precision that predict.py falls back on.

It is a file as train.py writes it, cut down to what a prediction needs, so whatever takes a
checkpoint takes it, too. Its card lies beside it, see inference.weights_card.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from datasets.noise import noise_batch
from training.checkpoint import entry, load_checkpoint, save_checkpoint
from training.prediction import logits_to_prob
from training.trained_run import TrainedRun, open_run
from utils.config_loader import override_config
from utils.errors import UserError

SHIPPED = Path(__file__).resolve().parent.parent / "resources" / "weights" / "synthetic_ct.pt"
WEIGHTS_SUFFIX = ".pt"
MOST_BYTES = 4_000_000
_TOLERANCE = 0.02  # of probabilities, between full and half precision
_KEPT = ("epoch", "intensity", "bits", "labels", "classes", "modality")
SEEN_THROUGH = ("data.blur", "data.gamma", "evaluation.min_lesion_size")
_ON_CPU = ("training.device=cpu", "training.precision=fp32")


def shipped_weights() -> Path:
    """The weights to take where no checkpoint is named.

    Raises:
        UserError: They are not there.
    """
    if not SHIPPED.is_file():
        raise UserError(
            f"--checkpoint: none given, and the weights that ship, {SHIPPED.name}, are not in "
            f"{SHIPPED.parent}; get them again, or train a network and name its best.pt"
        )
    return SHIPPED


def export_weights(checkpoint: Path, out: Path, overrides: Sequence[str] = ()) -> float:
    """Write a checkpoint's weights in half precision, once they are known to predict the same.

    Args:
        checkpoint: best.pt of train.py.
        out: The file.
        overrides: 'data.blur=PX', 'data.gamma=EXPONENT' where slices are to be seen otherwise than
            in training; 'evaluation.min_lesion_size=PX'.

    Returns:
        The largest difference of a probability, on noise.

    Raises:
        UserError: As open_run; another key among the overrides; the weights lose too much, or take
            more than MOST_BYTES; or the disk is full.
    """
    run = open_run(checkpoint, "", _ON_CPU)
    seen = override_config(run.config, overrides, SEEN_THROUGH)
    content = load_checkpoint(checkpoint)
    half = {name: _halved(values) for name, values in content["model"].items()}
    num_bytes = sum(values.numel() * values.element_size() for values in half.values())
    if num_bytes > MOST_BYTES:
        raise UserError(
            f"{out}: not written, {num_bytes:,} bytes are more than the {MOST_BYTES:,} of weights "
            "that ship; train a network with fewer channels (model.args.width)"
        )
    difference = _compare(run, half)
    if not difference <= _TOLERANCE:  # NaN, too
        raise UserError(
            f"{out}: not written, in half precision probabilities would differ by "
            f"{difference:.1g}; use the checkpoint itself"
        )
    out.parent.mkdir(parents=True, exist_ok=True)
    kept = {key: content[key] for key in _KEPT if key in content}
    config = _portable(content, checkpoint)
    config["data"] |= {"blur": seen.data.blur, "gamma": seen.data.gamma}
    config["evaluation"]["min_lesion_size"] = seen.evaluation.min_lesion_size
    save_checkpoint(out, {"model": half, "config": config, **kept})
    return difference


def _halved(values: Tensor) -> Tensor:
    """Floating values in half precision; counters as they are."""
    return values.half() if values.is_floating_point() else values


def _portable(content: Mapping[str, Any], checkpoint: Path) -> dict[str, Any]:
    """The configuration for any machine: the device is chosen, folders have their name alone."""
    config = {key: dict(part) for key, part in entry(content, "config", dict, checkpoint).items()}
    config["training"] |= {"device": "auto", "precision": "auto"}
    config["checkpoint"]["save_dir"] = "checkpoint"
    config["model"]["weights"] = None
    data = config["data"]
    data["root"] = Path(data["root"]).name
    data["extra"] = [e | {"root": Path(e["root"]).name} for e in data.get("extra", [])]
    return config


@torch.no_grad()
def _compare(run: TrainedRun, half: Mapping[str, Tensor]) -> float:
    """The largest difference of a probability on noise; NaN for spoilt weights."""
    images = noise_batch(2, *run.config.data.image_size)["image"]
    wanted = _probs(run.network, images)
    run.network.load_state_dict(dict(half))
    return float((_probs(run.network, images) - wanted).abs().max())


def _probs(network: nn.Module, images: Tensor) -> Tensor:
    """Of lesion or classes, and of lung."""
    output = network.eval()(images)
    heads = [output.mask] if output.lung is None else [output.mask, output.lung]
    return torch.cat([logits_to_prob(logits) for logits in heads], dim=1)
