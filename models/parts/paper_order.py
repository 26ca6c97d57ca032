"""The paper's own order of operations: what the fast forms equal, and what they save.

models/parts/cosupervision.py runs 1 x 1 convolutions before the bilinear resize and never makes a
64-channel map at H x W. Here the same modules do as sections 3.2 to 3.4 and algorithm 1 print it;
tests hold both against each other, the benchmark times both.
"""

from collections.abc import Sequence
from types import MethodType

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.parts.cosupervision import (
    AttentionFusionModule,
    AuxiliarySemanticSupervisedModule,
    EdgeSupervisedModule,
)

SideModule = EdgeSupervisedModule | AuxiliarySemanticSupervisedModule


def side_outputs(
    module: SideModule, features: Sequence[Tensor], size: Sequence[int]
) -> tuple[Tensor, ...]:
    """ESM and ASSM: resize the stage to H x W, then project it to one map."""
    return tuple(head(_upsample(features[int(i) - 1], size)) for i, head in module.heads.items())


def algorithm_1(
    module: AttentionFusionModule,
    levels: Sequence[Tensor],
    size: Sequence[int],
    with_maps: bool = False,
) -> tuple[Tensor, dict[str, Tensor]]:
    """AFM line by line: the logits of S_p, and the maps that AttentionFusionModule returns."""
    projected = [f(x) for f, x in zip(module.projections, levels, strict=True)]  # line 1
    upsampled = [_upsample(x, size) for x in projected]  # line 2: X_i^u
    gates = [f(x) for f, x in zip(module.gates, upsampled, strict=True)]  # line 3
    confidence = [torch.sigmoid(gate) for gate in gates]  # line 4: P_i
    gated = [p * x for p, x in zip(confidence, upsampled, strict=True)]  # line 5: Y_i
    others = torch.stack(gated[1:]).sum(dim=0)
    s_p = upsampled[0] + gated[0] + (1 - confidence[0]) * others  # lines 6 and 7
    logits, p1 = module.head(s_p), confidence[0]
    if not with_maps:
        return logits, {}
    y1 = module.head(gated[0])
    return logits, {"P_1": p1, "1 - P_1": 1 - p1, "Y_1": y1, "S_p": logits}


def run_in_paper_order(network: nn.Module) -> bool:
    """Let a network's ESM, ASSM and AFM run in the paper's order; False where it has none."""
    forms = {
        EdgeSupervisedModule: side_outputs,
        AuxiliarySemanticSupervisedModule: side_outputs,
        AttentionFusionModule: algorithm_1,
    }
    found = [module for module in network.modules() if type(module) in forms]
    found = [module for module in found if any(True for _ in module.parameters())]
    for module in found:
        module.forward = MethodType(forms[type(module)], module)
    return bool(found)


def _upsample(features: Tensor, size: Sequence[int]) -> Tensor:
    return F.interpolate(features, size=tuple(size), mode="bilinear", align_corners=False)
