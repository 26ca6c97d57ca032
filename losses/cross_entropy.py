"""Binary cross-entropy on the mask and, weighted, on semantic side outputs."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from losses.shared_batch import batch_mean
from utils.contracts import Batch, SegOutput
from utils.errors import UserError


def bce_loss(logits: Tensor, target: Tensor, *, shared: bool = False) -> Tensor:
    """Binary cross-entropy, mean over pixels of -t log p - (1 - t) log(1 - p), p = sigmoid(logit).

    The two-class softmax cross-entropy of logits (0, x) is this of x. On an empty target it is the
    mean of -log(1 - p), 0 only for a blank prediction, with gradient p / pixels > 0 for every
    logit: false positives are punished in value and gradient.

    Args:
        logits: (B, 1, H, W).
        target: Same shape, in [0, 1].
        shared: The batch is spread over the processes of a job: the mean runs over all of them,
            so that every process gets the whole batch's loss. A share may be empty.

    Returns:
        A float32 scalar (float64 for float64 logits), whatever the autocast.

    Raises:
        ValueError: The shapes differ.
    """
    if logits.shape != target.shape:
        raise ValueError(f"logits {tuple(logits.shape)} and target {tuple(target.shape)} differ")
    with torch.autocast(logits.device.type, enabled=False):
        dtype = torch.promote_types(logits.dtype, torch.float32)
        loss = F.binary_cross_entropy_with_logits(
            logits.to(dtype), target.to(dtype), reduction="none"
        )
        return batch_mean(loss.flatten(1).mean(dim=1), shared=shared)


class CrossEntropyLoss(nn.Module):
    """BCE(mask) + side_weight sum_i BCE(semantic side output i), all against the mask target.

    PSPNet weighs its auxiliary output with 0.4, DANet its two with 1; 0 leaves side outputs out.
    See bce_loss for the reduction and the empty target.

    Args:
        side_weight: Weight of each semantic side output.

    Raises:
        UserError: The weight is negative.
    """

    def __init__(self, *, side_weight: float = 0.0) -> None:
        super().__init__()
        if not side_weight >= 0:
            raise UserError(f"loss.args.side_weight: must not be negative, not {side_weight}")
        self.side_weight = side_weight

    @property
    def required_heads(self) -> frozenset[str]:
        """The fields of SegOutput whose terms have a weight above 0."""
        return frozenset({"mask", "semantic"} if self.side_weight > 0 else {"mask"})

    def forward(self, output: SegOutput, batch: Batch) -> dict[str, Tensor]:
        """The unweighted terms mask and, with a weight above 0, semantic (a sum); total."""
        terms = {"mask": bce_loss(output.mask, batch["mask"], shared=self.training)}
        total = terms["mask"]
        if self.side_weight > 0:
            sides = [bce_loss(s, batch["mask"], shared=self.training) for s in output.semantic]
            terms["semantic"] = torch.stack(sides).sum()
            total = total + self.side_weight * terms["semantic"]
        return terms | {"total": total}
