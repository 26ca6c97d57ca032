"""The joint loss of deep co-supervision and fusion (eq. 1, 2, 5 and 6)."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from losses.class_weights import ClassWeights, check_class_weights
from losses.dice import Reduction, check_dice_args, dice_loss, mask_dice_loss
from utils.contracts import Batch, SegOutput
from utils.errors import UserError


class JointLoss(nn.Module):
    """L_total = theta L_edge + beta L_semantic + L_fusion (eq. 6), soft Dice everywhere.

    With a lung head, which the paper has not, lambda L_lung is added: 1 - Dice of the lungs, to
    which slices without a lung mask add nothing.

    L_edge = sum_i zeta_i (1 - Dice(edge side output i, edge target)), L_semantic likewise with
    omega_i and the mask target, L_fusion = 1 - Dice(S_p, mask). With several classes these two take
    the mean of the classes (losses.dice.class_dice_loss), and edges run between them, too.

    Deviation: eq. 1 and 2 print 1 - sum_i w_i Dice_i, which falls below 0 for several stages;
    sum_i w_i (1 - Dice_i) differs by a constant, has the same gradient, and is never negative.

    Args:
        theta: Weight of the edge term, 0.8 in table 1.
        beta: Weight of the semantic term, 0.4 in table 1.
        lung: Weight lambda of the lung term; 0 leaves the lungs out, as the paper does.
        edge_weights: zeta_i per edge side output, shallowest first; None for 1 each (table 1).
        semantic_weights: omega_i per semantic side output; None for 1 each (table 1).
        reduction: See losses.dice.dice_loss.
        smooth: See losses.dice.dice_loss; pixels.
        class_weights: Where there are several classes; see losses.class_weights.

    Raises:
        UserError: A weight is negative.
    """

    takes_classes = True

    def __init__(
        self,
        *,
        theta: float = 0.8,
        beta: float = 0.4,
        lung: float = 0.0,
        edge_weights: Sequence[float] | None = None,
        semantic_weights: Sequence[float] | None = None,
        reduction: Reduction = "batch",
        smooth: float = 1.0,
        class_weights: ClassWeights = None,
    ) -> None:
        super().__init__()
        check_dice_args(reduction, smooth)
        check_class_weights(class_weights)
        weights = {"theta": [theta], "beta": [beta], "lung": [lung]}
        weights |= {"edge_weights": edge_weights or [], "semantic_weights": semantic_weights or []}
        for name, values in weights.items():
            if any(not value >= 0 for value in values):
                raise UserError(f"loss.args.{name}: must not be negative, not {min(values)}")
        self.theta, self.beta, self.lung = theta, beta, lung
        self.edge_weights, self.semantic_weights = edge_weights, semantic_weights
        self.reduction, self.smooth, self.class_weights = reduction, smooth, class_weights

    @property
    def required_heads(self) -> frozenset[str]:
        """The fields of SegOutput whose terms have a weight above 0."""
        edge = {"edge"} if self.theta > 0 else set()
        semantic = {"semantic"} if self.beta > 0 else set()
        lung = {"lung"} if self.lung > 0 else set()
        return frozenset({"mask"} | edge | semantic | lung)

    def forward(self, output: SegOutput, batch: Batch) -> dict[str, Tensor]:
        """The unweighted terms edge, semantic, lung (those with a weight) and fusion; total."""
        terms = {}
        if self.theta > 0:
            edges = [self._binary_dice(side, batch["edge"]) for side in output.edge]
            terms["edge"] = _weighted_sum(edges, self.edge_weights)
        if self.beta > 0:
            sides = [self._dice(side, batch) for side in output.semantic]
            terms["semantic"] = _weighted_sum(sides, self.semantic_weights)
        if self.lung > 0:
            unknown = ~batch["has_lung"].view(-1, 1, 1, 1)  # a probability of 0 adds nothing
            logits = output.lung.masked_fill(unknown, -torch.inf)
            terms["lung"] = self._binary_dice(logits, batch["lung"])
        terms["fusion"] = self._dice(output.mask, batch)
        weights = {"edge": self.theta, "semantic": self.beta, "lung": self.lung, "fusion": 1.0}
        terms["total"] = torch.stack([weights[k] * v for k, v in terms.items()]).sum()
        return terms

    def _dice(self, logits: Tensor, batch: Batch) -> Tensor:
        return mask_dice_loss(
            logits,
            batch,
            reduction=self.reduction,
            smooth=self.smooth,
            class_weights=self.class_weights,
            shared=self.training,
        )

    def _binary_dice(self, logits: Tensor, target: Tensor) -> Tensor:
        return dice_loss(
            logits, target, reduction=self.reduction, smooth=self.smooth, shared=self.training
        )


def _weighted_sum(losses: Sequence[Tensor], weights: Sequence[float] | None) -> Tensor:
    """sum_i w_i (1 - Dice_i) over the side outputs."""
    weights = weights or [1.0] * len(losses)
    if len(weights) != len(losses):
        raise UserError(
            f"loss.args: {len(weights)} side output weights for {len(losses)} of the network's "
            "side outputs; give one each"
        )
    return torch.stack([w * loss for w, loss in zip(weights, losses, strict=True)]).sum()
