"""The two shapes that every network, loss, dataset and metric agrees on: SegOutput and Batch."""

from collections.abc import Callable, Sequence
from typing import NamedTuple, TypedDict

import torch


class SegOutput(NamedTuple):
    """What every network returns; all maps are logits at the input's height and width.

    Attributes:
        mask: (B, K, H, W); K = 1 (sigmoid) or the number of classes (softmax).
        edge: Edge side outputs, each (B, 1, H, W), shallowest first, encoder before decoder.
        semantic: Semantic side outputs, in the same order, each (B, 1, H, W). With several
            classes, each (B, K, H, W) where the paper has them as full segmentations (PSPNet,
            DANet, ACFNet, UNet++, ASSM), else still one map of lesion against background.
        lung: (B, 1, H, W), or None for a network without a lung head.
        maps: Inner maps by name, for figures; empty unless asked for.
        lung_sides: Lung side outputs, each (B, 1, H, W); they belong to the head lung.
    """

    mask: torch.Tensor
    edge: tuple[torch.Tensor, ...] = ()
    semantic: tuple[torch.Tensor, ...] = ()
    lung: torch.Tensor | None = None
    maps: dict[str, torch.Tensor] = {}  # noqa: RUF012 - a NamedTuple default; nobody mutates it
    lung_sides: tuple[torch.Tensor, ...] = ()

    def apply(self, function: Callable[[torch.Tensor], torch.Tensor]) -> "SegOutput":
        """The function on every map."""
        return SegOutput(
            mask=function(self.mask),
            edge=tuple(map(function, self.edge)),
            semantic=tuple(map(function, self.semantic)),
            lung=None if self.lung is None else function(self.lung),
            maps={name: function(value) for name, value in self.maps.items()},
            lung_sides=tuple(map(function, self.lung_sides)),
        )

    def logits(self) -> list[torch.Tensor]:
        """Mask, edge, semantic, lung and lung side logits, those that there are, in this order."""
        lung = [] if self.lung is None else [self.lung]
        return [self.mask, *self.edge, *self.semantic, *lung, *self.lung_sides]

    @staticmethod
    def join(outputs: "Sequence[SegOutput]") -> "SegOutput":
        """The outputs of the parts of a batch as the batch's, without inner maps."""
        joined = iter(
            [torch.cat(parts) for parts in zip(*(o.logits() for o in outputs), strict=True)]
        )
        first = outputs[0]
        return SegOutput(
            mask=next(joined),
            edge=tuple(next(joined) for _ in first.edge),
            semantic=tuple(next(joined) for _ in first.semantic),
            lung=None if first.lung is None else next(joined),
            lung_sides=tuple(next(joined) for _ in first.lung_sides),
        )


class _Optional(TypedDict, total=False):
    label: torch.Tensor
    box: torch.Tensor
    is_unlabelled: torch.Tensor
    draw: torch.Tensor
    ignored: torch.Tensor


class Batch(_Optional):
    """What every dataset yields, collated.

    Attributes:
        image: (B, 1, H, W) float32, z-scored per slice; (B, 2, H, W) with a guide in [0, 1].
        mask: (B, 1, H, W) float32, 0 or 1.
        label: (B, H, W) int64, 0 background, else classes in the order of the network's channels;
            only where classes are told apart. The mask is then any of them.
        box: (B, 4) int64, top, left, height and width in px of what was cut out of the slice as
            stored; only where slices are cropped.
        is_unlabelled: (B,) bool, whether nobody has drawn the mask; this and the two below
            in semi-supervised training alone.
        draw: (B,) int64, seed of a slice's strong view.
        ignored: (B, 1, H, W) float32, 1 where a pseudo label has no part in the loss.
        edge: (B, 1, H, W) float32, 0 or 1.
        lung: (B, 1, H, W) float32, 0 or 1; all 0 where has_lung is False.
        has_lung: (B,) bool, whether the case comes with a lung mask.
        is_padding: (B,) bool, True on a slice that only keeps a process in step with the others;
            it has no part in loss or score.
        name: File stem of each slice.
        patient: Patient of each slice.
    """

    image: torch.Tensor
    mask: torch.Tensor
    edge: torch.Tensor
    lung: torch.Tensor
    has_lung: torch.Tensor
    is_padding: torch.Tensor
    name: list[str]
    patient: list[str]
