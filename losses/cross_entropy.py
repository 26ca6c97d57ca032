"""Cross-entropy, binary or of several classes, on the mask and, weighted, on side outputs."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from losses.class_weights import ClassWeights, check_class_weights, entropy_weights
from losses.shared_batch import batch_mean, sum_over_processes
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


def class_cross_entropy(
    logits: Tensor, label: Tensor, *, class_weights: ClassWeights = None, shared: bool = False
) -> Tensor:
    """Cross-entropy of several classes, -log softmax(logits)_k at the label k, mean over pixels.

    With weights sum w_k (-log p_k) / sum w_k over the pixels of the batch, so that their scale
    means nothing. Where no px is lesion, false positives are punished in value and gradient.

    Args:
        logits: (B, K, H, W), channel 0 the background.
        label: (B, H, W) int64, 0 to K - 1.
        class_weights: See losses.class_weights.
        shared: See bce_loss.

    Returns:
        See bce_loss.

    Raises:
        ValueError: The sizes differ.
        UserError: More or fewer weights than classes.
    """
    if (len(logits), *logits.shape[2:]) != tuple(label.shape):
        raise ValueError(f"logits {tuple(logits.shape)} and label {tuple(label.shape)} differ")
    with torch.autocast(logits.device.type, enabled=False):
        logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
        losses = F.cross_entropy(logits, label, reduction="none")  # (B, H, W)
        weights = entropy_weights(class_weights, label, logits, shared=shared)
        if weights is None:
            return batch_mean(losses.flatten(1).mean(dim=1), shared=shared)
        sums = torch.stack([(weights * losses).sum(), weights.sum()])
        total, scale = sum_over_processes(sums) if shared else sums
        return total / scale.detach()


def mask_cross_entropy(
    logits: Tensor, batch: Batch, *, class_weights: ClassWeights = None, shared: bool = False
) -> Tensor:
    """bce_loss of one map against the mask, class_cross_entropy of several against the label."""
    if logits.shape[1] == 1:
        return bce_loss(logits, batch["mask"], shared=shared)
    return class_cross_entropy(logits, batch["label"], class_weights=class_weights, shared=shared)


class CrossEntropyLoss(nn.Module):
    """CE(mask) + side_weight sum_i CE(semantic side output i), all against the mask target.

    CE is bce_loss of one map, class_cross_entropy of several.

    PSPNet weighs its auxiliary output with 0.4, DANet its two with 1; 0 leaves side outputs out.
    See bce_loss for the reduction and the empty target.

    Args:
        side_weight: Weight of each semantic side output.
        class_weights: Where there are several classes; see losses.class_weights.

    Raises:
        UserError: A weight is negative.
    """

    takes_classes = True

    def __init__(self, *, side_weight: float = 0.0, class_weights: ClassWeights = None) -> None:
        super().__init__()
        check_class_weights(class_weights)
        self.class_weights = class_weights
        if not side_weight >= 0:
            raise UserError(f"loss.args.side_weight: must not be negative, not {side_weight}")
        self.side_weight = side_weight

    @property
    def required_heads(self) -> frozenset[str]:
        """The fields of SegOutput whose terms have a weight above 0."""
        return frozenset({"mask", "semantic"} if self.side_weight > 0 else {"mask"})

    def forward(self, output: SegOutput, batch: Batch) -> dict[str, Tensor]:
        """The unweighted terms mask and, with a weight above 0, semantic (a sum); total."""
        rules = {"class_weights": self.class_weights, "shared": self.training}
        terms = {"mask": mask_cross_entropy(output.mask, batch, **rules)}
        total = terms["mask"]
        if self.side_weight > 0:
            sides = [mask_cross_entropy(side, batch, **rules) for side in output.semantic]
            terms["semantic"] = torch.stack(sides).sum()
            total = total + self.side_weight * terms["semantic"]
        return terms | {"total": total}
