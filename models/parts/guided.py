"""A network guided by another: the first stage's lesion map is a further channel of its image.

Paper: D.-P. Fan, T. Zhou, G.-P. Ji, Y. Zhou, G. Chen, H. Fu, J. Shen, L. Shao, "Inf-Net: Automatic
COVID-19 Lung Infection Segmentation From CT Images", IEEE TMI 39(8), 2020, multi-class part: a
first network finds all lesions, a second one, FCN-8s in the paper and a U-Net in the released code,
takes the slice with that map and tells ground-glass opacity from consolidation.

The released code trains the second stage on maps made of the target masks, and tests it on maps
that the first stage predicted; its one-hot encoding is off by one pixel.

Deviations:
    - One map channel beside the slice's, where the code repeats both three times.
    - The second stage is trained on what the first one predicts, as it is tested.
"""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from models.parts.network import SegmentationNetwork
from utils.contracts import SegOutput


class GuidedNetwork(SegmentationNetwork):
    """The second stage on [image, p], p in [0, 1] being the first stage's probability of lesion.

    The first stage is not trained here: its weights are those of a run of its own, it stays in
    evaluation mode and gets no gradient. Both stages are in the state_dict.

    Args:
        first: Finds all lesions: one map of logits.
        second: Takes one channel more than the first stage.
    """

    paper = "Fan et al., IEEE TMI 2020"
    reference_licence = "MIT"

    def __init__(self, first: SegmentationNetwork, second: SegmentationNetwork) -> None:
        super().__init__()
        self.title = f"{second.title} guided by {first.title}"
        self.first, self.second = first.requires_grad_(False).eval(), second
        self.own_loss, self.own_loss_args = second.own_loss, second.own_loss_args
        self.heads = second.heads
        self.stride = math.lcm(first.stride, second.stride)
        self.min_size = max(first.min_size, second.min_size)

    @property
    def segments(self) -> Sequence[nn.Module]:
        return self.second.segments

    def train(self, mode: bool = True) -> "GuidedNetwork":
        """Training concerns the second stage alone."""
        super().train(mode)
        self.first.eval()
        return self

    def forward(self, image: Tensor, with_maps: bool = False) -> SegOutput:
        """The second stage's output; the first stage's map is the first of the inner maps."""
        with torch.no_grad():
            guide = torch.sigmoid(self.first(image).mask.float())
        output = self.second(torch.cat([image, guide.to(image.dtype)], dim=1), with_maps)
        maps: dict[str, Any] = {"guide": guide, **output.maps} if with_maps else {}
        return output._replace(maps=maps)
