"""CPFNet's loss: cross-entropy plus soft Dice of all classes, the background among them."""

import torch
from torch import Tensor, nn

from losses.cross_entropy import bce_loss, class_cross_entropy
from losses.dice import check_dice_args, class_dice_loss, dice_loss
from utils.contracts import Batch, SegOutput


class CPFNetLoss(nn.Module):
    """L = CE + 1/2 (1 - D(p, t)) + 1/2 (1 - D(1 - p, 1 - t)), p = sigmoid(logit).

    CE is the mean over pixels of -t log p - (1 - t) log(1 - p), the two-class cross-entropy; D is
    the soft Dice (2 sum p t + s) / (sum p + sum t + s) over batch and pixels. The background counts
    as a class of its own, with its share of the mean. Of several classes CE is that of softmax, and
    the mean of 1 - D runs over all of them and the background, as in the reference.

    On an empty target the lesion's Dice term is nearly 1/2 for any prediction, with hardly a
    gradient (s is 0.001 px), but CE and the background's Dice term grow with every p: the gradient
    of the latter is about 1 / (4 pixels) where the prediction is nearly blank.

    Source: CPFNet's reference implementation, on log-softmax of any number of classes.

    Deviation: for one class, of one sigmoid map instead of two softmax maps, of which it is the
    difference.

    Args:
        smooth: s in pixels, above 0; 0.001 in the reference.

    Raises:
        UserError: The smoothing is not above 0.
    """

    required_heads = frozenset({"mask"})
    takes_classes = True

    def __init__(self, *, smooth: float = 1e-3) -> None:
        super().__init__()
        check_dice_args("batch", smooth)
        self.smooth = smooth

    def forward(self, output: SegOutput, batch: Batch) -> dict[str, Tensor]:
        """The unweighted terms cross_entropy and dice; total, their sum."""
        if output.mask.shape[1] > 1:
            return self._of_classes(output.mask, batch["label"])
        logits, target = output.mask, batch["mask"]
        cross_entropy = bce_loss(logits, target, shared=self.training)
        # sigmoid(-x) = 1 - sigmoid(x)
        classes = ((logits, target), (-logits, 1 - target))
        dice = torch.stack(
            [dice_loss(x, t, smooth=self.smooth, shared=self.training) for x, t in classes]
        ).mean()
        return {"cross_entropy": cross_entropy, "dice": dice, "total": cross_entropy + dice}

    def _of_classes(self, logits: Tensor, label: Tensor) -> dict[str, Tensor]:
        cross_entropy = class_cross_entropy(logits, label, shared=self.training)
        dice = class_dice_loss(
            logits, label, smooth=self.smooth, with_background=True, shared=self.training
        )
        return {"cross_entropy": cross_entropy, "dice": dice, "total": cross_entropy + dice}
