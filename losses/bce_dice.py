"""Binary cross-entropy plus soft Dice, also over the heads of a deeply supervised network."""

import torch
from torch import Tensor, nn

from losses.cross_entropy import bce_loss
from losses.dice import Reduction, check_dice_args, dice_loss
from utils.contracts import Batch, SegOutput
from utils.errors import UserError


class BceDiceLoss(nn.Module):
    """Mean over the heads of bce_weight BCE + (1 - Dice), each against the mask target.

    The sum of losses.cross_entropy.bce_loss and losses.dice.dice_loss, which see for reduction,
    value and gradient on an empty target: both terms punish false positives there.

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

    Raises:
        UserError: The weight is negative, or an argument of the Dice term out of range.
    """

    def __init__(
        self,
        *,
        bce_weight: float = 1.0,
        reduction: Reduction = "batch",
        smooth: float = 1.0,
        deep_supervision: bool = False,
    ) -> None:
        super().__init__()
        check_dice_args(reduction, smooth)
        if not bce_weight >= 0:
            raise UserError(f"loss.args.bce_weight: must not be negative, not {bce_weight}")
        self.bce_weight, self.reduction, self.smooth = bce_weight, reduction, smooth
        self.deep_supervision = deep_supervision

    @property
    def required_heads(self) -> frozenset[str]:
        """The fields of SegOutput that enter the loss."""
        return frozenset({"mask", "semantic"} if self.deep_supervision else {"mask"})

    def forward(self, output: SegOutput, batch: Batch) -> dict[str, Tensor]:
        """The unweighted terms bce and dice, each the mean over the heads; total."""
        logits = [output.mask, *(output.semantic if self.deep_supervision else ())]
        target = batch["mask"]
        bce = torch.stack([bce_loss(x, target, shared=self.training) for x in logits]).mean()
        dice = torch.stack([self._dice(x, target) for x in logits]).mean()
        return {"bce": bce, "dice": dice, "total": self.bce_weight * bce + dice}

    def _dice(self, logits: Tensor, target: Tensor) -> Tensor:
        return dice_loss(
            logits,
            target,
            reduction=self.reduction,
            smooth=self.smooth,
            shared=self.training,
        )
