"""Cross-entropy plus soft Dice, also over the heads of a deeply supervised network."""

import torch
from torch import Tensor, nn

from losses.class_weights import ClassWeights, check_class_weights
from losses.cross_entropy import mask_cross_entropy
from losses.dice import Reduction, check_dice_args, mask_dice_loss
from utils.contracts import Batch, SegOutput
from utils.errors import UserError


class BceDiceLoss(nn.Module):
    """Mean over the heads of bce_weight BCE + (1 - Dice), each against the mask target.

    The sum of losses.cross_entropy.bce_loss and losses.dice.dice_loss, which see for reduction,
    value and gradient on an empty target: both terms punish false positives there. Of several
    classes it is the sum of class_cross_entropy and class_dice_loss of the same two files.

    Source: U-Net (milesial/Pytorch-UNet) with weight 1 and reduction batch; UNet++
    (4uiiurz1/pytorch-nested-unet) with weight 0.5, reduction image, and the mean over its heads
    under deep supervision; CE-Net with weight 1.

    Deviation: smooth is 1 px, where the sources take 1e-5 to 1e-6, with which the Dice term has
    no gradient on an empty target.

    Args:
        bce_weight: Weight of the cross-entropy.
        reduction: Of the Dice term; see losses.dice.dice_loss.
        smooth: Of the Dice term; pixels.
        deep_supervision: Take the mean over the mask and all semantic side outputs instead of the
            mask alone.
        class_weights: Where there are several classes; see losses.class_weights.

    Raises:
        UserError: A weight is negative, or an argument of the Dice term out of range.
    """

    takes_classes = True

    def __init__(
        self,
        *,
        bce_weight: float = 1.0,
        reduction: Reduction = "batch",
        smooth: float = 1.0,
        deep_supervision: bool = False,
        class_weights: ClassWeights = None,
    ) -> None:
        super().__init__()
        check_dice_args(reduction, smooth)
        check_class_weights(class_weights)
        if not bce_weight >= 0:
            raise UserError(f"loss.args.bce_weight: must not be negative, not {bce_weight}")
        self.bce_weight, self.reduction, self.smooth = bce_weight, reduction, smooth
        self.deep_supervision, self.class_weights = deep_supervision, class_weights

    @property
    def required_heads(self) -> frozenset[str]:
        """The fields of SegOutput that enter the loss."""
        return frozenset({"mask", "semantic"} if self.deep_supervision else {"mask"})

    def forward(self, output: SegOutput, batch: Batch) -> dict[str, Tensor]:
        """The unweighted terms bce and dice, each the mean over the heads; total."""
        logits = [output.mask, *(output.semantic if self.deep_supervision else ())]
        rules = {"class_weights": self.class_weights, "shared": self.training}
        bce = torch.stack([mask_cross_entropy(x, batch, **rules) for x in logits]).mean()
        rules |= {"reduction": self.reduction, "smooth": self.smooth}
        dice = torch.stack([mask_dice_loss(x, batch, **rules) for x in logits]).mean()
        return {"bce": bce, "dice": dice, "total": self.bce_weight * bce + dice}
