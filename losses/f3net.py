"""The loss of F3Net."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from losses.structure import pixel_weights, structure_loss
from utils.contracts import Batch, SegOutput
from utils.errors import UserError


class F3NetLoss(nn.Module):
    """w_0 J(mask) + sum_i w_i J(semantic side output i), J the structure loss.

    The side outputs are the first decoder's prediction and levels 2 to 5 of the second. See
    structure_loss for the reduction and the empty target, on which false positives are punished in
    value and gradient.

    Source: J. Wei, S. Wang, Q. Huang, "F3Net: Fusion, Feedback and Focus for Salient Object
    Detection", AAAI 2020, arXiv 1911.11445; the weights as released.

    Args:
        mask_weight: w_0.
        side_weights: w_i, in the order of the network's side outputs.

    Raises:
        UserError: A weight is negative.
    """

    required_heads = frozenset({"mask", "semantic"})

    def __init__(
        self,
        *,
        mask_weight: float = 1 / 2,
        side_weights: Sequence[float] = (1 / 2, 1 / 2, 1 / 4, 1 / 8, 1 / 16),
    ) -> None:
        super().__init__()
        for name, weights in (("mask_weight", [mask_weight]), ("side_weights", side_weights)):
            if any(not weight >= 0 for weight in weights):
                raise UserError(f"loss.args.{name}: must not be negative, not {min(weights)}")
        self.mask_weight, self.side_weights = mask_weight, side_weights

    def forward(self, output: SegOutput, batch: Batch) -> dict[str, Tensor]:
        """The terms mask, without w_0, and semantic, the sum over w_i; total.

        Raises:
            UserError: There are more or fewer side outputs than weights.
        """
        if len(output.semantic) != len(self.side_weights):
            raise UserError(
                f"loss.args.side_weights: {len(self.side_weights)} weights for "
                f"{len(output.semantic)} side outputs of the network; give one each"
            )
        target, shared = batch["mask"], self.training
        pixels = pixel_weights(target)
        mask = structure_loss(output.mask, target, pixels, shared=shared)
        sides = [
            weight * structure_loss(side, target, pixels, shared=shared)
            for weight, side in zip(self.side_weights, output.semantic, strict=True)
        ]
        semantic = torch.stack(sides).sum()
        return {"mask": mask, "semantic": semantic, "total": self.mask_weight * mask + semantic}
