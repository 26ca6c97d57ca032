"""Weighted binary cross-entropy and weighted IoU: the pixel position aware loss of F3Net."""

import torch
import torch.nn.functional as F
from torch import Tensor

from losses.shared_batch import batch_mean

_WINDOW = 31  # px, as released; the paper calls it the area around a pixel
_GAMMA = 5.0  # as released


def pixel_weights(mask: Tensor) -> Tensor:
    """Weights 1 + 5 |mean_31x31(t) - t| that grow towards the lesion's edge and in thin parts.

    At the border the average pool counts the zeros outside the image among its 961 pixels, so that
    a lesion that is cut off by the border weighs as if it ended there: up to 1 + 5 (1 - 256 / 961)
    = 4.67 in a corner. Without lesion at the border it makes no difference.

    Args:
        mask: (B, 1, H, W), 0 or 1; t.

    Returns:
        Same shape and type; float32 for half precision.
    """
    with torch.autocast(mask.device.type, enabled=False):
        mask = mask.to(torch.promote_types(mask.dtype, torch.float32))
        # The mean over a square is a mean over columns of means over rows: 62 reads, not 961.
        rows = F.avg_pool2d(mask, (_WINDOW, 1), stride=1, padding=(_WINDOW // 2, 0))
        local = F.avg_pool2d(rows, (1, _WINDOW), stride=1, padding=(0, _WINDOW // 2))
        return 1 + _GAMMA * (local - mask).abs()


def structure_loss(
    logits: Tensor, mask: Tensor, weight: Tensor | None = None, *, shared: bool = False
) -> Tensor:
    """Weighted BCE plus weighted IoU of one sigmoid map, mean over slices.

    Per slice, with p = sigmoid(logit), t the mask, and w its pixel_weights:

        sum w BCE(p, t) / sum w  +  1 - (sum w p t + 1) / (sum w (p + t) - sum w p t + 1)

    On an empty target w is 1 everywhere: mean of -log(1 - p), plus 1 - 1 / (sum p + 1). 0 for a
    blank prediction, with a gradient above 0 in every p: false positives are punished in value and
    gradient.

    Source: J. Wei, S. Wang, Q. Huang, "F3Net: Fusion, Feedback and Focus for Salient Object
    Detection", AAAI 2020, arXiv 1911.11445; used by Inf-Net (eq. 4).
    Deviation: the paper divides the first term by sum (w - 1), which is 0 without a lesion; as
    released, it is sum w here. The released code then hands the cross-entropy an argument that has
    it return its mean, so that the weights cancel in the first term; here they count.

    Args:
        logits: (B, 1, H, W).
        mask: Same shape, 0 or 1.
        weight: pixel_weights(mask), where they are known already.
        shared: The batch is spread over the processes of a job: the mean runs over all of them. A
            share may be empty.

    Returns:
        A float32 scalar (float64 for float64 logits), whatever the autocast.

    Raises:
        ValueError: The shapes differ.
    """
    if logits.shape != mask.shape:
        raise ValueError(f"logits {tuple(logits.shape)} and mask {tuple(mask.shape)} differ")
    with torch.autocast(logits.device.type, enabled=False):
        dtype = torch.promote_types(logits.dtype, torch.float32)
        logits, mask = logits.to(dtype), mask.to(dtype)
        weight = (pixel_weights(mask) if weight is None else weight).to(dtype)
        bce = F.binary_cross_entropy_with_logits(logits, mask, reduction="none")
        weighted_bce = _sum(weight * bce) / _sum(weight)
        prob = torch.sigmoid(logits)
        overlap, total = _sum(weight * prob * mask), _sum(weight * (prob + mask))
        weighted_iou = 1 - (overlap + 1) / (total - overlap + 1)
        return batch_mean(weighted_bce + weighted_iou, shared=shared)


def _sum(values: Tensor) -> Tensor:
    """Over the pixels of each slice, (B,)."""
    return values.flatten(1).sum(dim=1)
