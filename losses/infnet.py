"""The loss of Inf-Net (eq. 1, 4 and 5 of its preprint)."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from losses.cross_entropy import bce_loss
from losses.structure import pixel_weights, structure_loss
from utils.contracts import Batch, SegOutput
from utils.errors import UserError


class InfNetLoss(nn.Module):
    """L_edge + L_seg(S_g) + L_seg(S_5) + L_seg(S_4) + L_seg(S_3), all weights 1 (eq. 5).

    L_edge is the binary cross-entropy of the edge map (eq. 1), here the mean over pixels as
    released, where the paper prints a sum. L_seg is a weighted IoU plus a weighted binary
    cross-entropy (eq. 4), see structure_loss. For the empty target see there and bce_loss: blank
    predictions give 0, false positives are punished in value and gradient.

    Deviation: the released code loses the weights of the weighted cross-entropy; here they count.

    Args:
        edge_weight: Of L_edge, 1 in the paper; 0 for a network without edge attention.
        semantic_weight: Of the maps but S_3; 0 for a network without reverse attention.
    """

    def __init__(self, *, edge_weight: float = 1.0, semantic_weight: float = 1.0) -> None:
        super().__init__()
        self.weights = {"edge": edge_weight, "semantic": semantic_weight, "mask": 1.0}
        for name, weight in self.weights.items():
            if not weight >= 0:
                raise UserError(f"loss.args.{name}_weight: must not be negative, not {weight}")

    @property
    def required_heads(self) -> frozenset[str]:
        """The fields of SegOutput whose terms have a weight above 0."""
        return frozenset(head for head, weight in self.weights.items() if weight)

    def forward(self, output: SegOutput, batch: Batch) -> dict[str, Tensor]:
        """The unweighted terms edge and semantic (sums over side outputs) and mask; total."""
        mask, shared = batch["mask"], self.training
        pixels = pixel_weights(mask)

        def regions(sides: Iterable[Tensor]) -> list[Tensor]:
            return [structure_loss(side, mask, pixels, shared=shared) for side in sides]

        parts = {
            "edge": lambda: [bce_loss(s, batch["edge"], shared=shared) for s in output.edge],
            "semantic": lambda: regions(output.semantic),
            "mask": lambda: regions([output.mask]),
        }
        weights = {name: weight for name, weight in self.weights.items() if weight}
        terms = {name: torch.stack(parts[name]()).sum() for name in weights}
        total = torch.stack([weights[name] * term for name, term in terms.items()]).sum()
        return terms | {"total": total}
