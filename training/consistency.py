"""One optimizer step on labelled and unlabelled slices: a moving-average teacher labels the latter.

The teacher sees each unlabelled slice as data.augmentation makes it, the student its strong view.
Labelled slices and strong views pass through the student together; the loss of the run is taken of
the labelled ones with all its terms, that of the others of the mask head alone.
"""

import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from losses.dice import class_dice_loss, dice_loss
from losses.shared_batch import batch_mean, sum_over_processes
from training.certainty import decide, leave_out
from training.prediction import logits_to_prob
from training.step import StepResult, TrainingStep, drop_padding
from training.strong_view import cut_boxes, exchange, strong_view
from utils.config_semi_supervised import SemiSupervisedConfig
from utils.contracts import Batch


def ramp(position: float, length: float) -> float:
    """exp(-5 (1 - t)^2) with t = position / length, 1 from the end of the ramp on.

    Source: S. Laine and T. Aila, "Temporal ensembling for semi-supervised learning", ICLR 2017.
    """
    t = 1.0 if position >= length else position / length
    return math.exp(-5 * (1 - t) ** 2)


class ConsistencyStep(TrainingStep):
    """Fits the network to one batch of MixedBatches.

    Terms beside those of the loss: `consistency`, and shares of px as pool/NAME: `lesion`, what the
    teacher finds in the pool; `labelled_lesion`, what the masks of the batch show; `kept_lesion`
    and `kept_background`, how much of what the teacher finds passes the thresholds.

    Args:
        *others: See TrainingStep.
        settings: Thresholds, weight, ramp, strong view.
        is_hard: FixMatch: rounded probabilities above the thresholds, with CutMix; else mean
            teacher: all probabilities as they are.
        position: Epochs done so far, with their fraction.
        **options: See TrainingStep.
    """

    def __init__(
        self,
        *others: Any,
        settings: SemiSupervisedConfig,
        is_hard: bool,
        position: Callable[[], float],
        **options: Any,
    ) -> None:
        super().__init__(*others, **options)
        self.settings, self.is_hard, self.position = settings, is_hard, position

    def train(self) -> None:
        """Switch network and loss to training; the teacher predicts."""
        super().train()
        self.state.ema.module.eval()

    def _whole(self, batch: Batch) -> StepResult:
        """Loss and gradients of both kinds of slices."""
        number = int((~batch["is_unlabelled"]).sum())
        own, pool = _part(batch, slice(number)), _part(batch, slice(number, None))
        target, kept, shares = self._label(pool["image"], own["mask"])
        images = strong_view(pool["image"], pool["draw"], self.settings.strong)
        if self.is_hard:
            boxes = cut_boxes(images.shape, pool["draw"].cpu(), self.settings.cutmix)
            images, target, kept = (exchange(v, boxes) for v in (images, target, kept))
        output = self._forward(batch | {"image": torch.cat([own["image"], images])})
        loss_of_pool = consistency_loss(output.mask[number:], target, kept, is_hard=self.is_hard)
        output = output.apply(lambda logits: logits[:number])
        if self.world.size > 1:
            output, own = drop_padding(output, own)
        terms = self.loss(output, own)
        weight = self.settings.weight * ramp(self.position(), self.settings.ramp_up)
        total = terms["total"] + weight * loss_of_pool
        terms = terms | {"total": total, "consistency": loss_of_pool} | shares
        result = self._if_finite(terms, output, own)
        self.state.scaler.scale(total).backward()
        return result

    @torch.no_grad()
    def _label(self, images: Tensor, masks: Tensor) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """Target, where it counts (B, 1, H, W) bool, and the shares of px."""
        with self.runtime.autocast():
            prob = logits_to_prob(self.state.ema.module(images).mask)
        label, sure = decide(prob, self.settings)
        kept = sure if self.is_hard else torch.ones_like(sure)
        return (label if self.is_hard else prob), kept, _shares(label > 0, kept, masks)


def consistency_loss(logits: Tensor, target: Tensor, kept: Tensor, *, is_hard: bool) -> Tensor:
    """How far the student is from the teacher.

    Hard: cross-entropy, summed over the px that count and divided by all px, plus soft Dice over
    those that count, for the lesion is rare. Soft: mean squared difference of probabilities.

    Args:
        logits: (B, K, H, W) of the student, K = 1 or the number of classes with the background.
        target: Hard: (B, 1, H, W) int64, 0 to K - 1, or 0 and 1. Soft: of the logits' shape, in
            [0, 1].
        kept: (B, 1, H, W) bool; px without it have no part.
        is_hard: Which.

    Source: K. Sohn et al., "FixMatch", NeurIPS 2020, eq. 4; A. Tarvainen and H. Valpola, "Mean
    teachers are better role models", NeurIPS 2017.

    Deviation: the Dice term; FixMatch has one threshold and classifies whole images.
    """
    logits = logits.float()
    if not is_hard:
        difference = (logits_to_prob(logits) - target).square()
        return batch_mean(difference.mean(dim=(1, 2, 3)), shared=True)
    rest, label = leave_out(logits, ~kept), target * kept
    if logits.shape[1] == 1:
        entropy = F.binary_cross_entropy_with_logits(logits, target.float(), reduction="none")
        overlap = dice_loss(rest, label.float(), shared=True)
    else:
        entropy = F.cross_entropy(logits, target[:, 0], reduction="none")[:, None]
        overlap = class_dice_loss(rest, label[:, 0], shared=True)
    return batch_mean((entropy * kept).mean(dim=(1, 2, 3)), shared=True) + overlap


def _part(batch: Batch, place: slice) -> Batch:
    return {key: value[place] for key, value in batch.items()}


def _shares(is_lesion: Tensor, kept: Tensor, masks: Tensor) -> dict[str, Tensor]:
    """Shares of px over all processes; of what there is none, 0."""
    pairs = {
        "pool/lesion": (is_lesion, torch.ones_like(is_lesion)),
        "pool/labelled_lesion": (masks > 0, torch.ones_like(masks)),
        "pool/kept_lesion": (kept & is_lesion, is_lesion),
        "pool/kept_background": (kept & ~is_lesion, ~is_lesion),
    }
    counts = torch.stack([torch.stack([part.sum(), all_.sum()]) for part, all_ in pairs.values()])
    parts, wholes = sum_over_processes(counts.float()).T
    return dict(zip(pairs, parts / wholes.clamp(min=1), strict=True))
