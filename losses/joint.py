"""The joint loss of deep co-supervision and fusion (eq. 1, 2, 5 and 6)."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from losses.dice import Reduction, check_dice_args, dice_loss
from utils.contracts import Batch, SegOutput
from utils.errors import UserError


class JointLoss(nn.Module):
    """L_total = theta L_edge + beta L_semantic + L_fusion (eq. 6), soft Dice everywhere.

    L_edge = sum_i zeta_i (1 - Dice(edge side output i, edge target)), L_semantic likewise with
    omega_i and the mask target, L_fusion = 1 - Dice(S_p, mask).

    Deviation: eq. 1 and 2 print 1 - sum_i w_i Dice_i, which falls below 0 for several stages;
    sum_i w_i (1 - Dice_i) differs by a constant, has the same gradient, and is never negative.

    Args:
        theta: Weight of the edge term, 0.8 in table 1.
        beta: Weight of the semantic term, 0.4 in table 1.
        edge_weights: zeta_i per edge side output, shallowest first; None for 1 each (table 1).
        semantic_weights: omega_i per semantic side output; None for 1 each (table 1).
        reduction: See losses.dice.dice_loss.
        smooth: See losses.dice.dice_loss; pixels.

    Raises:
        UserError: A weight is negative.
    """

    def __init__(
        self,
        *,
        theta: float = 0.8,
        beta: float = 0.4,
        edge_weights: Sequence[float] | None = None,
        semantic_weights: Sequence[float] | None = None,
        reduction: Reduction = "batch",
        smooth: float = 1.0,
    ) -> None:
        super().__init__()
        check_dice_args(reduction, smooth)
        weights = {"theta": [theta], "beta": [beta]}
        weights |= {"edge_weights": edge_weights or [], "semantic_weights": semantic_weights or []}
        for name, values in weights.items():
            if any(not value >= 0 for value in values):
                raise UserError(f"loss.args.{name}: must not be negative, not {min(values)}")
        self.theta, self.beta = theta, beta
        self.edge_weights, self.semantic_weights = edge_weights, semantic_weights
        self.reduction, self.smooth = reduction, smooth

    @property
    def required_heads(self) -> frozenset[str]:
        """The fields of SegOutput whose terms have a weight above 0."""
        edge = {"edge"} if self.theta > 0 else set()
        semantic = {"semantic"} if self.beta > 0 else set()
        return frozenset({"mask"} | edge | semantic)

    def forward(self, output: SegOutput, batch: Batch) -> dict[str, Tensor]:
        """The unweighted terms edge, semantic (those with a weight above 0) and fusion; total."""
        terms = {}
        if self.theta > 0:
            terms["edge"] = self._side_loss(output.edge, batch["edge"], self.edge_weights)
        if self.beta > 0:
            terms["semantic"] = self._side_loss(
                output.semantic, batch["mask"], self.semantic_weights
            )
        terms["fusion"] = self._dice(output.mask, batch["mask"])
        weights = {"edge": self.theta, "semantic": self.beta, "fusion": 1.0}
        terms["total"] = torch.stack([weights[k] * v for k, v in terms.items()]).sum()
        return terms

    def _side_loss(
        self, side_outputs: Sequence[Tensor], target: Tensor, weights: Sequence[float] | None
    ) -> Tensor:
        """sum_i w_i (1 - Dice_i) over the side outputs."""
        weights = weights or [1.0] * len(side_outputs)
        if len(weights) != len(side_outputs):
            raise UserError(
                f"loss.args: {len(weights)} side output weights for {len(side_outputs)} of the "
                "network's side outputs; give one each"
            )
        losses = [w * self._dice(s, target) for w, s in zip(weights, side_outputs, strict=True)]
        return torch.stack(losses).sum()

    def _dice(self, logits: Tensor, target: Tensor) -> Tensor:
        return dice_loss(
            logits,
            target,
            reduction=self.reduction,
            smooth=self.smooth,
            shared=self.training,
        )
