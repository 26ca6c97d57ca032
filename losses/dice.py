"""Soft Dice loss (eq. 5 of the co-supervision paper)."""

from typing import Literal, get_args

import torch
from torch import Tensor, nn

from losses.class_weights import ClassWeights, check_class_weights, dice_weights
from losses.shared_batch import batch_mean, sum_over_processes
from utils.contracts import Batch, SegOutput
from utils.errors import UserError

Reduction = Literal["batch", "image"]


def dice_loss(
    logits: Tensor,
    target: Tensor,
    *,
    reduction: Reduction = "batch",
    smooth: float = 1.0,
    shared: bool = False,
) -> Tensor:
    """Soft Dice loss of one sigmoid map, 1 - (2 sum p t + s) / (sum p + sum t + s).

    With s -> 0 this is eq. 5. On an empty target it is 1 - s / (sum p + s): 0 for a blank
    prediction, near 1 where sum p >> s, with gradient s / (sum p + s)^2 > 0 for every p, so that
    false positives stay punished in value and gradient.

    Args:
        logits: (B, 1, H, W).
        target: Same shape, 0 or 1.
        reduction: "batch" sums over batch and pixels before the ratio (as released); "image" takes
            the ratio per image and the mean over images.
        smooth: s in pixels, above 0.
        shared: The batch is spread over the processes of a job: sums and means run over all of
            them, so that every process gets the whole batch's loss. A share may be empty.

    Returns:
        A float32 scalar in [0, 1); computed in float32 (float64 for float64 logits) whatever the
        autocast, because half-precision sums overflow at 65,504.

    Raises:
        ValueError: The shapes differ.
    """
    if logits.shape != target.shape:
        raise ValueError(f"logits {tuple(logits.shape)} and target {tuple(target.shape)} differ")
    with torch.autocast(logits.device.type, enabled=False):
        dtype = torch.promote_types(logits.dtype, torch.float32)
        prob, target = torch.sigmoid(logits.to(dtype)), target.to(dtype)
        dims = tuple(range(logits.ndim)) if reduction == "batch" else tuple(range(1, logits.ndim))
        loss = _overlap_loss(prob, target, dims, smooth, shared and reduction == "batch")
        return batch_mean(loss, shared=shared) if reduction == "image" else loss


def class_dice_loss(
    logits: Tensor,
    label: Tensor,
    *,
    reduction: Reduction = "batch",
    smooth: float = 1.0,
    class_weights: ClassWeights = None,
    with_background: bool = False,
    shared: bool = False,
) -> Tensor:
    """Soft Dice loss of several classes: the mean of that of each, one class against the rest.

    dice_loss of every class k with p = softmax(logits)_k and t = 1 where the label is k, see there
    for value and gradient where no px is of the class.

    Args:
        logits: (B, K, H, W), channel 0 the background.
        label: (B, H, W) int64, 0 to K - 1.
        reduction: See dice_loss.
        smooth: See dice_loss; pixels.
        class_weights: Of the K - 1 classes in the mean; see losses.class_weights.
        with_background: Whether the background counts as a class, too: 1 / K of the mean, whatever
            the weights of the others.
        shared: See dice_loss.

    Returns:
        See dice_loss.

    Raises:
        ValueError: The sizes differ.
        UserError: More or fewer weights than classes.
    """
    if (len(logits), *logits.shape[2:]) != tuple(label.shape):
        raise ValueError(f"logits {tuple(logits.shape)} and label {tuple(label.shape)} differ")
    with torch.autocast(logits.device.type, enabled=False):
        prob = torch.softmax(logits.to(torch.promote_types(logits.dtype, torch.float32)), dim=1)
        target = torch.zeros_like(prob, requires_grad=False).scatter_(1, label[:, None], 1)
        dims = (0, 2, 3) if reduction == "batch" else (2, 3)
        is_shared = shared and reduction == "batch"
        losses = _overlap_loss(prob, target, dims, smooth, is_shared)  # (K,), or (B, K)
        weights = dice_weights(class_weights, target[:, 1:], shared=shared)
        classes = losses[..., 1:]
        loss = classes.mean(dim=-1) if weights is None else (classes * weights).sum(dim=-1)
        if with_background:
            share = 1 / logits.shape[1]
            loss = share * losses[..., 0] + (1 - share) * loss
        return batch_mean(loss, shared=shared) if reduction == "image" else loss


def _overlap_loss(
    prob: Tensor, target: Tensor, dims: tuple[int, ...], smooth: float, shared: bool
) -> Tensor:
    """1 - (2 sum p t + s) / (sum p + sum t + s), summed over dims, and over processes if shared."""
    sums = torch.stack([(prob * target).sum(dim=dims), (prob + target).sum(dim=dims)])
    overlap, total = sum_over_processes(sums) if shared else sums
    return 1 - (2 * overlap + smooth) / (total + smooth)


def mask_dice_loss(
    logits: Tensor,
    batch: Batch,
    *,
    reduction: Reduction = "batch",
    smooth: float = 1.0,
    class_weights: ClassWeights = None,
    shared: bool = False,
) -> Tensor:
    """dice_loss of one map against the mask, class_dice_loss of several against the label.

    Of several the background counts, too: without it nothing but a faint gradient keeps the network
    from giving the background to a class that has no px in most batches.
    """
    rules = {"reduction": reduction, "smooth": smooth, "shared": shared}
    if logits.shape[1] == 1:
        return dice_loss(logits, batch["mask"], **rules)
    return class_dice_loss(
        logits, batch["label"], class_weights=class_weights, with_background=True, **rules
    )


def check_dice_args(reduction: str, smooth: float) -> None:
    """Refuse a reduction that does not exist and a smoothing that would free false positives."""
    if reduction not in get_args(Reduction):
        raise UserError(f"loss.args.reduction: {reduction!r} is not one of batch, image")
    if not smooth > 0:
        raise UserError(f"loss.args.smooth: must be above 0 px, not {smooth!r}")


class DiceLoss(nn.Module):
    """Soft Dice on the mask alone, or the mean over its classes: one common loss for fair tables.

    Args:
        reduction: See dice_loss.
        smooth: See dice_loss; pixels.
        class_weights: Where there are several classes; see losses.class_weights.
    """

    required_heads = frozenset({"mask"})
    takes_classes = True

    def __init__(
        self,
        *,
        reduction: Reduction = "batch",
        smooth: float = 1.0,
        class_weights: ClassWeights = None,
    ) -> None:
        super().__init__()
        check_dice_args(reduction, smooth)
        check_class_weights(class_weights)
        self.reduction, self.smooth, self.class_weights = reduction, smooth, class_weights

    def forward(self, output: SegOutput, batch: Batch) -> dict[str, Tensor]:
        """The term mask, and total, its equal."""
        loss = mask_dice_loss(
            output.mask,
            batch,
            reduction=self.reduction,
            smooth=self.smooth,
            class_weights=self.class_weights,
            shared=self.training,
        )
        return {"mask": loss, "total": loss}
