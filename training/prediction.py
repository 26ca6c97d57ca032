"""What a network makes of slices: its output, its probabilities at another size, and no NaN."""

from collections.abc import Iterable, Iterator

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from datasets.crop import Box
from training.runtime import Runtime
from utils.contracts import Batch, SegOutput
from utils.errors import NonFiniteError

_BELOW = 0.999  # of the threshold: still below it when resized in float32


@torch.no_grad()
def predict(
    model: nn.Module, batches: Iterable[Batch], runtime: Runtime, with_maps: bool = False
) -> Iterator[tuple[Batch, SegOutput]]:
    """Each batch, moved, with the network's output in evaluation mode; inner maps on request."""
    model.eval()
    for batch in batches:
        batch = runtime.move(batch)
        with runtime.autocast():
            output = model(batch["image"], with_maps=with_maps)
        yield batch, output


def logits_to_prob(logits: Tensor) -> Tensor:
    """Sigmoid of one channel (B, 1, H, W), softmax over several (B, K, H, W); float32."""
    logits = logits.float()
    return torch.sigmoid(logits) if logits.shape[1] == 1 else torch.softmax(logits, dim=1)


def lesion_prob(prob: Tensor) -> Tensor:
    """Probability of any lesion, (B, 1, H, W), of probabilities (B, K, H, W)."""
    return prob if prob.shape[1] == 1 else 1 - prob[:, :1]


def predicted_lesion(logits: Tensor) -> Tensor:
    """Where lesion is predicted, (B, 1, H, W) bool: probability above 0.5, or the likeliest class.

    Args:
        logits: (B, K, H, W).
    """
    return logits > 0 if logits.shape[1] == 1 else logits.argmax(dim=1, keepdim=True) > 0


def output_to_prob(output: SegOutput) -> SegOutput:
    """The output with the probability of lesion or edge in the place of logits, all (B, 1, H, W).

    Inner maps stay as they are.
    """
    probs = output.apply(lambda logits: lesion_prob(logits_to_prob(logits)))
    return probs._replace(maps=output.maps)


def drop_small_lesions(probs: Tensor, threshold: float, min_size: int) -> Tensor:
    """Probabilities in which no spot of predicted lesion (8-connected) has less than some px.

    In smaller spots the probability of lesion is put just below the threshold; where classes are
    told apart, background and the likeliest class change places.

    Args:
        probs: (K, h, w) of classes, or of lesion alone.
        threshold: Least probability of a lesion, of a lesion alone.
        min_size: px; 0 leaves all as it is.
    """
    if not min_size:
        return probs
    lesion = probs[0] >= threshold if len(probs) == 1 else probs.argmax(0) > 0
    _, spots, stats, _ = cv2.connectedComponentsWithStats(lesion.byte().cpu().numpy())
    is_small = stats[:, cv2.CC_STAT_AREA] < min_size
    is_small[0] = False  # the background
    small = torch.from_numpy(is_small[spots]).to(probs.device)
    if len(probs) == 1:
        return torch.where(small, probs.clamp(max=_BELOW * threshold), probs)
    likeliest = probs.amax(0, keepdim=True)
    swapped = torch.where(probs == likeliest, probs[:1], probs)
    swapped[:1] = likeliest
    return torch.where(small, swapped, probs)


def resize_prob(
    prob: Tensor, size: tuple[int, ...], box: Box | None = None, outside: float = 0.0
) -> Tensor:
    """Probabilities (H, W) at another size, bilinearly; as they are where it is their own.

    Args:
        prob: (h, w).
        size: (H, W) of the slice.
        box: What the map is of, where the slice was cropped.
        outside: Probability outside of the box.
    """
    if box is not None:
        whole = prob.new_full(tuple(size), outside)
        box.of(whole).copy_(resize_prob(prob, (box.height, box.width)))
        return whole
    if tuple(prob.shape) == tuple(size):
        return prob
    resized = F.interpolate(prob[None, None], size, mode="bilinear", align_corners=False)
    return resized[0, 0].clamp_(0, 1)


def resize_probs(probs: Tensor, size: tuple[int, ...], box: Box | None = None) -> Tensor:
    """Probabilities (K, h, w) of classes, or of lesion alone, at the size (H, W) of a slice.

    Outside of the box of a cropped slice all is background.
    """
    outside = [float(len(probs) > 1), *[0.0] * (len(probs) - 1)]
    pairs = zip(probs, outside, strict=True)
    return torch.stack([resize_prob(prob, size, box, value) for prob, value in pairs])


def boxes_of(batch: Batch) -> list[Box | None]:
    """What every slice of a batch is of; None where slices are not cropped."""
    if "box" not in batch:
        return [None] * len(batch["image"])
    return [Box(*sides) for sides in batch["box"].tolist()]


def check_prediction(prob: NDArray[np.floating], name: str) -> None:
    """Refuse a predicted map with NaN, which is no score.

    Raises:
        NonFiniteError: Names the slice.
    """
    if np.isnan(prob).any():
        raise NonFiniteError(f"case {name}: the prediction holds NaN; the weights are spoilt")
