"""Loss of ACFNet: cross-entropy of the final, the coarse and the auxiliary segmentation."""

import torch
from torch import Tensor, nn

from losses.class_weights import ClassWeights, check_class_weights
from losses.cross_entropy import mask_cross_entropy
from utils.contracts import Batch, SegOutput
from utils.errors import UserError

_NAMES = ("mask", "coarse", "auxiliary")


class ACFNetLoss(nn.Module):
    """w_f CE(mask) + w_c CE(coarse) + w_a CE(auxiliary), all against the mask.

    CE is class_cross_entropy of several classes, bce_loss of one. bce_loss is a mean over all px
    of the batch; on an empty target it is 0 for a blank prediction alone, with a gradient above 0
    for every logit. The weights 0.7, 0.6 and 0.4 are
    those of the unofficial implementation, for its three cross-entropies.

    Deviations of the unofficial implementation, not repeated here: its cross-entropy of the final
    map is taken of hard pixels alone (OHEM); a Lovasz-softmax term on the sum of final and coarse
    map compares maps at an eighth of the resolution with labels at full resolution, and fails.

    Args:
        mask_weight: w_f.
        coarse_weight: w_c, of the map that gives the class centres.
        auxiliary_weight: w_a, of the map from the encoder's third stage.
        class_weights: Where there are several classes; see losses.class_weights.

    Raises:
        UserError: A weight is negative, or that of the mask is 0.
    """

    takes_classes = True

    def __init__(
        self,
        *,
        mask_weight: float = 0.7,
        coarse_weight: float = 0.6,
        auxiliary_weight: float = 0.4,
        class_weights: ClassWeights = None,
    ) -> None:
        super().__init__()
        check_class_weights(class_weights)
        self.class_weights = class_weights
        self.weights = dict(
            zip(_NAMES, (mask_weight, coarse_weight, auxiliary_weight), strict=True)
        )
        for name, weight in self.weights.items():
            if not weight >= 0:
                raise UserError(f"loss.args.{name}_weight: must not be negative, not {weight}")
        if not mask_weight > 0:
            raise UserError("loss.args.mask_weight: must be above 0, or the mask stays untrained")

    @property
    def required_heads(self) -> frozenset[str]:
        """The fields of SegOutput whose terms have a weight above 0."""
        side = self.weights["coarse"] > 0 or self.weights["auxiliary"] > 0
        return frozenset({"mask", "semantic"} if side else {"mask"})

    def forward(self, output: SegOutput, batch: Batch) -> dict[str, Tensor]:
        """The unweighted terms mask, coarse and auxiliary, as far as weighted; total.

        Raises:
            UserError: The network has other side outputs than those two.
        """
        maps = {"mask": output.mask}
        if "semantic" in self.required_heads:
            if len(output.semantic) != 2:
                raise UserError(
                    f"loss.function: acfnet weighs a coarse and an auxiliary segmentation, but "
                    f"this network has {len(output.semantic)} semantic side outputs; take own or "
                    "another loss, or set both weights in loss.args to 0"
                )
            maps |= dict(zip(_NAMES[1:], output.semantic, strict=True))
        rules = {"class_weights": self.class_weights, "shared": self.training}
        terms = {
            name: mask_cross_entropy(logits, batch, **rules)
            for name, logits in maps.items()
            if self.weights[name] > 0
        }
        weighted = [self.weights[name] * term for name, term in terms.items()]
        return terms | {"total": torch.stack(weighted).sum()}
