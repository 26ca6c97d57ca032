"""Soft Dice loss (eq. 5 of the co-supervision paper)."""

from typing import Literal, get_args

import torch
from torch import Tensor, nn

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
        sums = torch.stack([(prob * target).sum(dim=dims), (prob + target).sum(dim=dims)])
        if shared and reduction == "batch":
            sums = sum_over_processes(sums)
        overlap, total = sums
        loss = 1 - (2 * overlap + smooth) / (total + smooth)
        return batch_mean(loss, shared=shared) if reduction == "image" else loss


def check_dice_args(reduction: str, smooth: float) -> None:
    """Refuse a reduction that does not exist and a smoothing that would free false positives."""
    if reduction not in get_args(Reduction):
        raise UserError(f"loss.args.reduction: {reduction!r} is not one of batch, image")
    if not smooth > 0:
        raise UserError(f"loss.args.smooth: must be above 0 px, not {smooth!r}")


class DiceLoss(nn.Module):
    """Soft Dice on the mask alone: one common loss for fair tables.

    Args:
        reduction: See dice_loss.
        smooth: See dice_loss; pixels.
    """

    required_heads = frozenset({"mask"})

    def __init__(self, *, reduction: Reduction = "batch", smooth: float = 1.0) -> None:
        super().__init__()
        check_dice_args(reduction, smooth)
        self.reduction, self.smooth = reduction, smooth

    def forward(self, output: SegOutput, batch: Batch) -> dict[str, Tensor]:
        """The term mask, and total, its equal."""
        loss = dice_loss(
            output.mask,
            batch["mask"],
            reduction=self.reduction,
            smooth=self.smooth,
            shared=self.training,
        )
        return {"mask": loss, "total": loss}
