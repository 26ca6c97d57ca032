"""Hybrid loss of Co-ERA-Net: cross-entropy, structural similarity and IoU, infection and lung."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from losses.shared_batch import batch_mean, sum_over_processes
from utils.contracts import Batch, SegOutput
from utils.errors import UserError

# Of SSIM for maps in [0, 1]: 11 x 11 px window, sigma 1.5 px, (K L)^2 with K = 0.01, 0.03, L = 1
# (Z. Wang et al., IEEE Transactions on Image Processing 13(4), 2004).
_RADIUS, _SIGMA = 5, 1.5
_C1, _C2 = 0.01**2, 0.03**2


def ssim(prob: Tensor, target: Tensor) -> Tensor:
    """Structural similarity of two maps at every pixel.

    (2 mu_p mu_t + C1) (2 s_pt + C2) / ((mu_p^2 + mu_t^2 + C1) (s_p^2 + s_t^2 + C2)), where the
    Gaussian window gives the means mu, s_p^2 = E[p^2] - mu_p^2 and s_pt = E[p t] - mu_p mu_t. As
    published, maps continue as 0 beyond their borders.

    Args:
        prob: (B, 1, H, W) in [0, 1], float32 or float64.
        target: Same shape and type.

    Returns:
        (B, 1, H, W), at most 1.
    """
    planes = torch.cat([prob, target, prob * prob, target * target, prob * target], dim=1)
    offsets = torch.arange(-_RADIUS, _RADIUS + 1, dtype=prob.dtype, device=prob.device)
    weights = torch.exp(-(offsets**2) / (2 * _SIGMA**2))
    window = (weights / weights.sum()).view(1, 1, -1, 1).repeat(5, 1, 1, 1)
    # The window is a product of a column and a row; one group per plane keeps float32 exact on a
    # GPU, where other convolutions round to TF32 and spoil the small differences below.
    planes = F.conv2d(planes.contiguous(), window, padding=(_RADIUS, 0), groups=5)
    planes = F.conv2d(planes, window.transpose(2, 3), padding=(0, _RADIUS), groups=5)
    mu_p, mu_t, pp, tt, pt = planes.split(1, dim=1)
    means = (2 * mu_p * mu_t + _C1) / (mu_p**2 + mu_t**2 + _C1)
    deviations = (pp - mu_p**2) + (tt - mu_t**2)
    return means * (2 * (pt - mu_p * mu_t) + _C2) / (deviations + _C2)


def hybrid_loss(logits: Tensor, target: Tensor, *, smooth: float = 1.0) -> Tensor:
    """BCE + (1 - mean SSIM) + (1 - (I + s) / (U + s)) per slice, of p = sigmoid(logit).

    I = sum p t and U = sum p + sum t - I over the slice's pixels; BCE and SSIM are means over
    them. On an empty target each part is 0 for a blank prediction alone and grows with every p:
    the IoU part is 1 - s / (sum p + s), with gradient s / (sum p + s)^2 > 0 for every p.

    Args:
        logits: (B, 1, H, W).
        target: Same shape, 0 or 1.
        smooth: s in pixels, above 0.

    Returns:
        (B,) float32 (float64 for float64 logits), whatever the autocast.

    Raises:
        ValueError: The shapes differ.
    """
    if logits.shape != target.shape:
        raise ValueError(f"logits {tuple(logits.shape)} and target {tuple(target.shape)} differ")
    with torch.autocast(logits.device.type, enabled=False):
        dtype = torch.promote_types(logits.dtype, torch.float32)
        logits, target = logits.to(dtype), target.to(dtype)
        prob = torch.sigmoid(logits)
        bce = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
        parts = bce + (1 - ssim(prob, target))
        overlap = (prob * target).flatten(1).sum(dim=1)
        union = (prob + target).flatten(1).sum(dim=1) - overlap
        return parts.flatten(1).mean(dim=1) + 1 - (overlap + smooth) / (union + smooth)


class CoERANetLoss(nn.Module):
    """l(mask) + w_s sum_i l(mask_i) + w_l (l(lung) + w_s sum_i l(lung_i)), with l = hybrid_loss.

    mask_i and lung_i are the side outputs at scale i. Means over the slices of the batch; the
    lung's terms over those that come with a lung mask, and 0 where none does.

    Deviation: the published IoU has no s: on an empty target it is 1 whatever the prediction,
    without a gradient, and undefined for a blank one.

    Args:
        scale_weight: w_s, 0.1 as published.
        lung_weight: w_l, 1 as published; 0 for a network without a lung flow.
        smooth: See hybrid_loss; pixels.

    Raises:
        UserError: A weight is negative, or smooth not above 0.
    """

    def __init__(
        self, *, scale_weight: float = 0.1, lung_weight: float = 1.0, smooth: float = 1.0
    ) -> None:
        super().__init__()
        for name, value in (("scale_weight", scale_weight), ("lung_weight", lung_weight)):
            if not value >= 0:
                raise UserError(f"loss.args.{name}: must not be negative, not {value}")
        if not smooth > 0:
            raise UserError(f"loss.args.smooth: must be above 0 px, not {smooth!r}")
        self.scale_weight, self.lung_weight, self.smooth = scale_weight, lung_weight, smooth

    @property
    def required_heads(self) -> frozenset[str]:
        """The fields of SegOutput whose terms have a weight above 0."""
        semantic = {"semantic"} if self.scale_weight > 0 else set()
        lung = {"lung"} if self.lung_weight > 0 else set()
        return frozenset({"mask"} | semantic | lung)

    def forward(self, output: SegOutput, batch: Batch) -> dict[str, Tensor]:
        """The unweighted terms mask, semantic, lung, lung_sides, as far as weighted; total.

        semantic and lung_sides are sums over the scales.
        """
        terms = {"mask": self._mean(output.mask, batch["mask"])}
        total = terms["mask"]
        if self.scale_weight > 0:
            sides = [self._mean(side, batch["mask"]) for side in output.semantic]
            terms["semantic"] = torch.stack(sides).sum()
            total = total + self.scale_weight * terms["semantic"]
        if self.lung_weight > 0:
            terms["lung"] = self._lung(output.lung, batch)
            total = total + self.lung_weight * terms["lung"]
            if self.scale_weight > 0 and output.lung_sides:
                sides = [self._lung(side, batch) for side in output.lung_sides]
                terms["lung_sides"] = torch.stack(sides).sum()
                weight = self.lung_weight * self.scale_weight
                total = total + weight * terms["lung_sides"]
        return terms | {"total": total}

    def _mean(self, logits: Tensor, target: Tensor) -> Tensor:
        values = hybrid_loss(logits, target, smooth=self.smooth)
        return batch_mean(values, shared=self.training)

    def _lung(self, logits: Tensor, batch: Batch) -> Tensor:
        """Mean over the slices with a lung mask, in all processes of a job."""
        values = hybrid_loss(logits, batch["lung"], smooth=self.smooth)
        known = batch["has_lung"].to(values)
        sums = torch.stack([(values * known).sum(), known.sum()])
        total, count = sum_over_processes(sums) if self.training else sums
        return total / count.detach().clamp(min=1)
