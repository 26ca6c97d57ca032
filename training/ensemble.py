"""Several trained networks, and mirror images of the slices, as one: probabilities averaged."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from datasets.intensity import IntensityRule
from datasets.transforms import z_score
from training.prediction import logits_to_prob, resize_probs
from training.trained_run import TrainedRun, name_runs, open_run
from utils.contracts import SegOutput
from utils.errors import UserError

_EPS = 1e-7  # of probabilities: their logits stay finite in float32
# What the networks of an ensemble must share, by the name that a message gives it.
_SHARED: dict[str, Callable[[TrainedRun], Any]] = {
    "data.crop": lambda run: run.config.data.crop,
    "data.blur": lambda run: run.config.data.blur,
    "data.gamma": lambda run: run.config.data.gamma,
    "data.guide": lambda run: run.config.data.guide,
    "classes": lambda run: dict(run.data_properties.classes) or None,
    "modality": lambda run: run.data_properties.modality,
    "bits of the grey levels": lambda run: run.data_properties.bits,
    "intensity rule": lambda run: _describe(run.data_properties.intensity),
}


def _describe(rule: IntensityRule | None) -> str | None:
    return rule and f"{rule.unit} {rule.low:g} to {rule.high:g}"


class Ensemble(nn.Module):
    """The logits of the mean probability of networks; of lungs, too, where all have that head.

    Side outputs and inner maps are those of single networks: an ensemble has none.

    Args:
        networks: That take the same slices, prepared by one runtime.
        sizes: Height and width of the input of each, px; those of another size than the first see
            the first's slices resized, and their probabilities are resized back. None: all alike.
        flip: Average over slices and their mirror images, left for right, as well. Rows stay in
            place: a body that lies on its back is never seen on its front.
    """

    def __init__(
        self,
        networks: Sequence[nn.Module],
        sizes: Sequence[tuple[int, int]] | None = None,
        *,
        flip: bool = False,
    ) -> None:
        super().__init__()
        self.networks, self.flip = nn.ModuleList(networks), flip
        self.sizes = [None] * len(networks) if sizes is None else list(sizes)
        shared = frozenset.intersection(*(network.heads for network in networks))
        self.heads = shared & {"mask", "lung"}
        self.own_loss, self.own_loss_args = networks[0].own_loss, networks[0].own_loss_args

    def forward(self, image: Tensor, with_maps: bool = False) -> SegOutput:
        """See SegmentationNetwork.forward; the logits are float32."""
        masks, lungs, size = [], [], image.shape[-2:]
        for network, own_size in zip(self.networks, self.sizes, strict=True):
            seen = _resized_slices(image, own_size or size)
            for flip in (False, True)[: 1 + self.flip]:
                output = network(seen.flip(-1) if flip else seen)
                masks.append(_prob(output.mask, flip, size))
                if "lung" in self.heads:
                    lungs.append(_prob(output.lung, flip, size))
        lung = _mean_logits(lungs) if lungs else None
        return SegOutput(mask=_mean_logits(masks), lung=lung)


def _resized_slices(image: Tensor, size: tuple[int, int]) -> Tensor:
    """Slices (B, C, H, W) at another size, their grey levels z-scored anew; a guide as it is."""
    if tuple(image.shape[-2:]) == tuple(size):
        return image
    resized = F.interpolate(image, size, mode="bilinear", antialias=True)
    levels = torch.stack([z_score(one) for one in resized[:, :1]])
    return torch.cat([levels, resized[:, 1:]], dim=1)


def _prob(logits: Tensor, is_flipped: bool, size: tuple[int, int]) -> Tensor:
    """Probabilities (B, K, h, w), turned back, at the size (h, w)."""
    prob = logits_to_prob(logits)
    prob = prob.flip(-1) if is_flipped else prob
    if tuple(prob.shape[-2:]) == tuple(size):
        return prob
    return torch.stack([resize_probs(one, size) for one in prob])


def _mean_logits(probs: Sequence[Tensor]) -> Tensor:
    """What logits_to_prob turns into the mean of probabilities (B, K, H, W)."""
    mean = torch.stack(list(probs)).mean(0)
    return torch.logit(mean, _EPS) if mean.shape[1] == 1 else mean.clamp(min=_EPS).log()


def open_runs(
    paths: Sequence[Path],
    overrides: Sequence[str] = (),
    *,
    flip: bool = False,
    takes_guide: bool = False,
) -> TrainedRun:
    """One checkpoint as it is, or several as an ensemble with the settings of the first.

    Args:
        paths: The checkpoints, such as those of several seeds or folds.
        overrides: 'a.b=value' pairs of --set.
        flip: Average over slices and their mirror images.
        takes_guide: As open_run.

    Raises:
        UserError: As open_run; a checkpoint stands twice, or the networks do not see slices alike.
    """
    names = name_runs(paths)
    runs = [
        open_run(path, name, overrides, takes_guide=takes_guide)
        for path, name in zip(paths, names, strict=True)
    ]
    first = runs[0]
    if len(runs) == 1 and not flip:
        return first
    for path, run in zip(paths[1:], runs[1:], strict=True):
        for what, of in _SHARED.items():
            if of(run) != of(first):
                raise UserError(
                    f"--checkpoint: {paths[0]} and {path} differ in {what} ({of(first)} and "
                    f"{of(run)}); an ensemble takes networks that see and tell the same"
                )
    networks = [run.network for run in runs]
    sizes = [(height, width) for height, width in (run.config.data.image_size for run in runs)]
    return first._replace(name="+".join(names), network=Ensemble(networks, sizes, flip=flip))
