"""The loss of Inf-Net (eq. 1, 4 and 5 of its preprint)."""

import torch
from torch import Tensor, nn

from losses.cross_entropy import bce_loss
from losses.structure import pixel_weights, structure_loss
from utils.contracts import Batch, SegOutput


class InfNetLoss(nn.Module):
    """L_edge + L_seg(S_g) + L_seg(S_5) + L_seg(S_4) + L_seg(S_3), all weights 1 (eq. 5).

    L_edge is the binary cross-entropy of the edge map (eq. 1), here the mean over pixels as
    released, where the paper prints a sum. L_seg is a weighted IoU plus a weighted binary
    cross-entropy (eq. 4), see structure_loss. For the empty target see there and bce_loss: blank
    predictions give 0, false positives are punished in value and gradient.

    Deviation: the released code loses the weights of the weighted cross-entropy; here they count.
    """

    required_heads = frozenset({"mask", "edge", "semantic"})

    def forward(self, output: SegOutput, batch: Batch) -> dict[str, Tensor]:
        """The terms edge and semantic (sums over side outputs) and mask; total, their sum."""
        mask, shared = batch["mask"], self.training
        edges = [bce_loss(side, batch["edge"], shared=shared) for side in output.edge]
        pixels = pixel_weights(mask)
        sides = [structure_loss(side, mask, pixels, shared=shared) for side in output.semantic]
        terms = {
            "edge": torch.stack(edges).sum(),
            "semantic": torch.stack(sides).sum(),
            "mask": structure_loss(output.mask, mask, pixels, shared=shared),
        }
        return terms | {"total": torch.stack(list(terms.values())).sum()}
