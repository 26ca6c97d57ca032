"""What a network that labels decides for each px, and which px it is sure enough of to count."""

import torch
from torch import Tensor

from utils.config_semi_supervised import SemiSupervisedConfig

_OUT = -30.0  # logit whose sigmoid, 1e-13, has no weight in a sum


def decide(prob: Tensor, settings: SemiSupervisedConfig) -> tuple[Tensor, Tensor]:
    """The label of every px, and whether its probability reaches the threshold of that label.

    Args:
        prob: (B, 1, H, W) of lesion, or (B, K, H, W) of classes, channel 0 the background.
        settings: lesion_threshold, of lesion of any class, and background_threshold.

    Returns:
        (B, 1, H, W) int64, the likeliest channel, or 1 where lesion is at least as likely as not;
        (B, 1, H, W) bool.
    """
    if prob.shape[1] == 1:
        kept = prob >= settings.lesion_threshold
        return (prob >= 0.5).long(), kept | (prob <= 1 - settings.background_threshold)
    highest, label = prob.max(dim=1, keepdim=True)
    of_lesion = highest >= settings.lesion_threshold
    of_background = highest >= settings.background_threshold
    return label, torch.where(label > 0, of_lesion, of_background)


def leave_out(logits: Tensor, ignored: Tensor) -> Tensor:
    """Logits (B, K, H, W) that are sure of the background, without gradient, where px are ignored.

    Args:
        logits: One map of lesion, or classes, channel 0 the background.
        ignored: (B, 1, H, W) bool.
    """
    sure = logits.new_full((logits.shape[1], 1, 1), _OUT)
    if len(sure) > 1:
        sure[0] = -_OUT
    return torch.where(ignored, sure, logits)
