"""Batches of labelled slices and pseudo labels, and the loss of the px that count."""

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor, nn

from datasets.edges import edge_of_mask
from training.certainty import decide, leave_out
from training.pseudo_files import UNSURE
from training.strong_view import strong_view
from utils.config_semi_supervised import SemiSupervisedConfig
from utils.contracts import Batch, SegOutput


class SettledBatches:
    """The batches of a loader of WithPool, pseudo labels and edges brought to the contract.

    Args:
        batches: With the grey values of pseudo labels as masks.
        settings: Thresholds, strong view, whether labels stay soft.
        edge_width: Of edges derived from masks, px.
    """

    def __init__(
        self, batches: Iterable[Batch], settings: SemiSupervisedConfig, edge_width: int
    ) -> None:
        self.batches, self.settings, self.edge_width = batches, settings, edge_width

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[Batch]:
        for batch in self.batches:
            yield settle(batch, self.settings, self.edge_width)


def settle(batch: Batch, settings: SemiSupervisedConfig, edge_width: int) -> Batch:
    """A batch with the pseudo labels as targets, the strong view of their slices, and `ignored`.

    Args:
        batch: Of WithPool; masks of the pool are probabilities in 255ths, or labels classes.
        settings: Thresholds, strong view, whether labels stay soft.
        edge_width: Of edges, px.
    """
    chosen = batch["is_unlabelled"].nonzero().flatten()
    image, mask, edge = (batch[key].clone() for key in ("image", "mask", "edge"))
    targets, ignored = {"mask": mask, "edge": edge}, torch.zeros_like(mask)
    if len(chosen):
        if "label" in batch:
            targets["label"] = label = batch["label"].clone()
            kept = label[chosen, None] != UNSURE
            label[chosen] = found = label[chosen].masked_fill(~kept[:, 0], 0)
            mask[chosen] = (found[:, None] > 0).float()
        else:
            prob = mask[chosen] / 255
            found, kept = decide(prob, settings)
            mask[chosen] = prob if settings.soft_labels else found.float()
            found = found[:, 0]
        edges = [edge_of_mask(m, edge_width)[None].float() for m in found.to(torch.uint8)]
        edge[chosen], ignored[chosen] = torch.stack(edges), (~kept).float()
        image[chosen] = strong_view(image[chosen], batch["draw"][chosen], settings.strong)
    return batch | targets | {"image": image, "ignored": ignored}


class ConfidentLoss(nn.Module):
    """A loss that does not see the px that a batch marks as ignored.

    There, every logit is set to -30, that of the background among classes to 30, and every target
    to 0, which adds nothing to a sum over px of lesion and gives no gradient; means over px still
    divide by all px, as FixMatch's do.

    Args:
        loss: Any loss.
    """

    def __init__(self, loss: nn.Module) -> None:
        super().__init__()
        self.loss, self.required_heads = loss, loss.required_heads

    def forward(self, output: SegOutput, batch: Batch) -> dict[str, Tensor]:
        """The terms of the loss; those of an ordinary batch without `ignored`."""
        if "ignored" not in batch or not batch["ignored"].any():
            return self.loss(output, batch)
        ignored = batch["ignored"] > 0
        targets = {key: batch[key].masked_fill(ignored, 0) for key in ("mask", "edge", "lung")}
        if "label" in batch:
            targets["label"] = batch["label"].masked_fill(ignored[:, 0], 0)
        output = output.apply(lambda logits: leave_out(logits, ignored))
        return self.loss(output, batch | targets)
