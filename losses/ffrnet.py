"""FFR-Net's loss: cross-entropy, Dice, and structure consistency by distance maps."""

import numpy as np
import torch
from scipy.ndimage import distance_transform_edt
from torch import Tensor, nn

from losses.cross_entropy import bce_loss
from losses.dice import check_dice_args, dice_loss
from losses.shared_batch import batch_mean
from utils.contracts import Batch, SegOutput
from utils.errors import UserError


def structure_consistency_loss(logits: Tensor, target: Tensor, *, shared: bool = False) -> Tensor:
    """Divergence of the lesion's distance map in the prediction from that in the target.

    D(x) is the distance of a lesion pixel x to the nearest pixel that is none, 0 elsewhere; d of
    the target, e of the prediction (p > 1/2). Beyond the image nothing is lesion. Their divergence
    at x is the term of the Kullback-Leibler divergence for maps that do not sum to 1, lifted by
    1 px so that 0 has a logarithm; it is 0 where the maps agree and positive elsewhere:

        f(x) = a log(a / b) - a + b,  a = 1 + d(x),  b = 1 + e(x).

    e changes with p only by jumps, so f has no gradient of its own. But at every x where the maps
    differ there is a pixel c(x) to blame, and it is a wrong one. With e(x) < d(x) it is the pixel
    nearest to x that the prediction leaves out: nearer than d(x), so a false negative. With
    e(x) > d(x) it is the pixel nearest to x that the target leaves out: nearer than e(x), so a
    false positive. The loss of a slice is the mean over its pixels x, with f and c held fixed,

        S = mean_x f(x) |p(c(x)) - t(c(x))|.

    Where the prediction is certain the second factor is 1, and S is the divergence of the two maps;
    its gradient is, at each wrong pixel, all the divergence that it is to blame for (a hole deep in
    a lesion for more than one at its rim), and 0 at the right ones. On an empty target every pixel
    with p > 1/2 is to blame for itself: S = mean p (e - log(1 + e)), with a positive gradient.

    Source: structure consistency rectification of FFR-Net.

    Deviations: the released term is a divergence of the same kind between distance maps of argmax
    and label, which has no gradient at all; it takes the batch for one volume, so that slices
    change each other's distances, and raw distances for the log-probabilities of its formula.

    Args:
        logits: (B, 1, H, W).
        target: Same shape, 0 or 1.
        shared: The mean runs over all processes of a job; a share may be empty.

    Returns:
        A scalar, at least 0; float32 (float64 for float64 logits), whatever the autocast.

    Raises:
        ValueError: The shapes differ.
    """
    if logits.shape != target.shape:
        raise ValueError(f"logits {tuple(logits.shape)} and target {tuple(target.shape)} differ")
    with torch.autocast(logits.device.type, enabled=False):
        dtype = torch.promote_types(logits.dtype, torch.float32)
        error = (torch.sigmoid(logits.to(dtype)) - target.to(dtype)).abs().flatten(1)
        divergence, culprit = _compare(logits.detach() > 0, target > 0.5)
        divergence = torch.from_numpy(divergence).to(error)
        culprit = torch.from_numpy(culprit).to(error.device)
        loss = (divergence * error.gather(1, culprit)).mean(dim=1)
        return batch_mean(loss, shared=shared)


def _compare(pred: Tensor, target: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """The f and the flat index of c, both (B, H W), of boolean masks (B, 1, H, W)."""
    masks = zip(target[:, 0].cpu().numpy(), pred[:, 0].cpu().numpy(), strict=True)
    shape = pred.flatten(1).shape
    divergence, culprit = np.zeros(shape), np.zeros(shape, dtype=np.int64)
    for index, pair in enumerate(masks):
        (d, end_of_target), (e, end_of_pred) = map(_distance_map, pair)
        a, b = 1 + d, 1 + e
        divergence[index] = a * np.log(a / b) - a + b
        own = np.arange(d.size)
        culprit[index] = np.where(e < d, end_of_pred, np.where(e > d, end_of_target, own))
    return divergence, culprit


def _distance_map(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distance of each mask pixel to the nearest other one, px, and the flat index of that; flat.

    A nearest pixel beyond the image has an index without meaning: it ends both maps alike, and so
    is never to blame.
    """
    distance, ends = distance_transform_edt(np.pad(mask, 1), return_indices=True)
    rows, columns = (axis[1:-1, 1:-1] - 1 for axis in ends)
    return distance[1:-1, 1:-1].ravel(), (rows * mask.shape[1] + columns).ravel()


class FFRNetLoss(nn.Module):
    """L = CE + D + w S: cross-entropy, soft Dice per slice, structure consistency.

    CE is losses.cross_entropy.bce_loss, the two-class cross-entropy; D = 1 - (2 sum p t + s) /
    (sum p + sum t + s) per slice, mean over slices; S is structure_consistency_loss. On an empty
    target all three punish false positives, in value and gradient.

    Source: FFR-Net's reference implementation.

    Deviations: see structure_consistency_loss; and s is added to 2 sum p t, where the reference
    adds it to sum p t before doubling, which makes the loss -1 on an empty slice.

    Args:
        structure_weight: w, 1 in the reference; 0 leaves the term out.
        smooth: s in pixels, above 0.

    Raises:
        UserError: The weight is negative or the smoothing not above 0.
    """

    required_heads = frozenset({"mask"})

    def __init__(self, *, structure_weight: float = 1.0, smooth: float = 1.0) -> None:
        super().__init__()
        check_dice_args("image", smooth)
        if not structure_weight >= 0:
            raise UserError(
                f"loss.args.structure_weight: must not be negative, not {structure_weight}"
            )
        self.structure_weight, self.smooth = structure_weight, smooth

    def forward(self, output: SegOutput, batch: Batch) -> dict[str, Tensor]:
        """The unweighted terms cross_entropy, dice and, with a weight above 0, structure; total."""
        logits, target = output.mask, batch["mask"]
        terms = {
            "cross_entropy": bce_loss(logits, target, shared=self.training),
            "dice": dice_loss(
                logits, target, reduction="image", smooth=self.smooth, shared=self.training
            ),
        }
        total = terms["cross_entropy"] + terms["dice"]
        if self.structure_weight > 0:
            terms["structure"] = structure_consistency_loss(logits, target, shared=self.training)
            total = total + self.structure_weight * terms["structure"]
        return terms | {"total": total}
