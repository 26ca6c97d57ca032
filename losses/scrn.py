"""The loss of SCRN."""

import torch
from torch import Tensor, nn

from losses.cross_entropy import bce_loss
from utils.contracts import Batch, SegOutput


class SCRNLoss(nn.Module):
    """BCE(mask) + BCE(edge), the sum of the binary cross-entropies of both tasks.

    See bce_loss for the reduction and the empty target, on which false positives are punished in
    value and gradient.

    Source: Z. Wu, L. Su, Q. Huang, "Stacked Cross Refinement Network for Edge-Aware Salient Object
    Detection", ICCV 2019.
    """

    required_heads = frozenset({"mask", "edge"})

    def forward(self, output: SegOutput, batch: Batch) -> dict[str, Tensor]:
        """The terms mask and edge (a sum over edge side outputs); total, their sum."""
        mask = bce_loss(output.mask, batch["mask"], shared=self.training)
        edges = [bce_loss(side, batch["edge"], shared=self.training) for side in output.edge]
        edge = torch.stack(edges).sum()
        return {"mask": mask, "edge": edge, "total": mask + edge}
